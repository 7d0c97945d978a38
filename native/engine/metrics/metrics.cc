#include "engine/metrics/metrics.h"

#include "engine/platform/time.h"

namespace thermocline {

MetricsSnapshot Metrics::Snapshot() const {
  MetricsSnapshot snapshot{
      .get = get.Totals(),
      .get_many = get_many.Totals(),
      .put = put.Totals(),
      .del = del.Totals(),
      .batch = batch.Totals(),
      .delete_range = delete_range.Totals(),
      .scan = scan.Totals(),

      .commits = commits.Total(),
      .groups = groups.Total(),
      .group_operations = group_operations.Total(),
      .group_bytes = group_bytes.Total(),
      .wal_writes = wal_writes.Total(),
      .fsyncs = fsyncs.Total(),
      .backpressure_rejections = backpressure_rejections.Total(),
      .memtable_switches = memtable_switches.Total(),
      .stalls = stalls.Total(),
      .stall_nanos = stall_nanos.Total(),

      .get_nanos = get_nanos.TakeSnapshot(),
      .get_many_nanos = get_many_nanos.TakeSnapshot(),
      .put_nanos = put_nanos.TakeSnapshot(),
      .batch_nanos = batch_nanos.TakeSnapshot(),
      .scan_chunk_nanos = scan_chunk_nanos.TakeSnapshot(),
      .group_write_nanos = group_write_nanos.TakeSnapshot(),
      .memtable_switch_nanos = memtable_switch_nanos.TakeSnapshot(),
      .fsync_nanos = fsync_nanos.TakeSnapshot(),
      .flush_nanos = flush_nanos.TakeSnapshot(),

      .stalled = stall_tracker.Snapshot(NowNanos()),

      .work = {},
  };
  for (size_t i = 0; i < kWorkClasses; i++) snapshot.work[i] = work[i].Snapshot();
  return snapshot;
}

}  // namespace thermocline
