// What the engine counts and times, and one plain snapshot of it.
//
// To add a metric: a member in Metrics, its twin in MetricsSnapshot, a line in Metrics::Snapshot().
// Names carry units; a counter without a unit in its name counts the thing it names.
//
// Parts receive a Metrics& and add to it; nobody but Snapshot reads. Where a part counts for
// itself under locks that it holds anyway (the hot cache), only MetricsSnapshot has members, and
// the engine fills them in.
//
// Thread safety: any thread may add and snapshot at any time, and nothing stops for it, so members
// of a snapshot may be a few operations apart.
//
// Memory: 256 bytes a counter, 38 KiB a copy of a histogram: about 700 KiB. Allocate on the heap.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/metrics/counter.h"
#include "engine/metrics/histogram.h"
#include "engine/metrics/slow_log.h"
#include "engine/metrics/stalls.h"
#include "engine/metrics/work.h"

namespace thermocline {

struct OperationTotals {
  uint64_t operations = 0;  // calls of the API: one getMany is one
  uint64_t records = 0;     // keys asked for, written or returned
  uint64_t bytes = 0;       // of keys and values, as the caller sees them
};

struct OperationCounters {
  Counter operations;
  Counter records;
  Counter bytes;

  void Add(uint64_t record_count, uint64_t byte_count) {
    operations.Add();
    records.Add(record_count);
    bytes.Add(byte_count);
  }
  OperationTotals Totals() const { return {operations.Total(), records.Total(), bytes.Total()}; }
};

struct MetricsSnapshot {
  OperationTotals get;
  OperationTotals get_many;
  OperationTotals put;
  OperationTotals del;
  OperationTotals batch;
  OperationTotals delete_range;
  OperationTotals scan;  // operations are chunks handed out

  // From HotCache::GetStats; zero in what Metrics::Snapshot returns.
  uint64_t hot_cache_hits = 0;
  uint64_t hot_cache_negative_hits = 0;
  uint64_t hot_cache_misses = 0;

  uint64_t commits = 0;           // units of atomicity acknowledged
  uint64_t groups = 0;            // WriteBatches written
  uint64_t group_operations = 0;  // operations in them
  uint64_t group_bytes = 0;       // of those WriteBatches
  uint64_t wal_writes = 0;        // groups that went through the WAL
  uint64_t fsyncs = 0;
  uint64_t backpressure_rejections = 0;
  uint64_t memtable_switches = 0;
  uint64_t stalls = 0;
  uint64_t stall_nanos = 0;

  Histogram::Snapshot get_nanos;
  Histogram::Snapshot get_many_nanos;
  Histogram::Snapshot put_nanos;          // put and delete: from submission to applied
  Histogram::Snapshot batch_nanos;        // likewise
  Histogram::Snapshot scan_chunk_nanos;   // producing one chunk
  Histogram::Snapshot group_write_nanos;  // one group's rocksdb::DB::Write
  // The same, of groups that met the switch to a new memtable: how long that keeps writers waiting.
  Histogram::Snapshot memtable_switch_nanos;
  Histogram::Snapshot fsync_nanos;  // one SyncWAL
  Histogram::Snapshot flush_nanos;  // one memtable flush

  StallSnapshot stalled;  // the same stalls by cause, and those that go on

  WorkSnapshot work[kWorkClasses];  // by WorkClass
};

struct Metrics {
  OperationCounters get;
  OperationCounters get_many;
  OperationCounters put;
  OperationCounters del;
  OperationCounters batch;
  OperationCounters delete_range;
  OperationCounters scan;

  Counter commits;
  Counter groups;
  Counter group_operations;
  Counter group_bytes;
  Counter wal_writes;
  Counter fsyncs;
  Counter backpressure_rejections;
  Counter memtable_switches;
  Counter stalls;
  Counter stall_nanos;

  Histogram get_nanos;
  Histogram get_many_nanos;
  Histogram put_nanos;
  Histogram batch_nanos;
  Histogram scan_chunk_nanos;
  Histogram group_write_nanos;
  Histogram memtable_switch_nanos;
  Histogram fsync_nanos;
  Histogram flush_nanos;

  // Causes and ages of stalls; locked, as stalls are rare.
  mutable StallTracker stall_tracker;
  // Null, unless the options ask for it. Set before any thread that looks at it.
  std::unique_ptr<SlowLog> slow;

  WorkMetrics work[kWorkClasses];
  WorkMetrics& Work(WorkClass which) { return work[static_cast<size_t>(which)]; }

  MetricsSnapshot Snapshot() const;
};

}  // namespace thermocline
