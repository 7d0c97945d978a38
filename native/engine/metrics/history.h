// The last minute of the counters, a point a second: what rates and recent percentiles come from.
//
// Purpose: a percentile since opening says nothing about now. Each point keeps the counters' totals
// and by how much every histogram has grown since the point before; a window is the difference of
// two points and the sum of the growth between them.
//
// Memory: about a kilobyte a point and busy histogram, 61 points.
// Thread safety: any thread; one lock, held for microseconds, that no operation ever takes.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/metrics/histogram.h"
#include "engine/metrics/metrics.h"

namespace thermocline {

// Everything that has a rate. Members are uint64_t alone: they are subtracted as an array.
struct RateTotals {
  OperationTotals get;
  OperationTotals get_many;
  OperationTotals put;
  OperationTotals del;
  OperationTotals batch;
  OperationTotals delete_range;
  OperationTotals scan;
  uint64_t commits = 0;
  uint64_t groups = 0;
  uint64_t fsyncs = 0;
  uint64_t hot_cache_hits = 0;  // negative ones too
  uint64_t hot_cache_misses = 0;
  uint64_t block_cache_hits = 0;
  uint64_t block_cache_misses = 0;
  uint64_t compaction_written_bytes = 0;
  uint64_t stall_nanos = 0;
};

RateTotals operator-(const RateTotals& a, const RateTotals& b);

enum class Recent : uint8_t { kGet, kGetMany, kPut, kBatch, kScanChunk, kGroupWrite, kFsync };
inline constexpr size_t kRecent = 7;
using RecentHistograms = std::array<Histogram::Snapshot, kRecent>;  // by Recent

struct MetricsWindow {
  uint64_t nanos = 0;  // what it covers: less than asked for while the database is young
  RateTotals totals;
  RecentHistograms latency;  // their maximum is the end of the highest bucket in use
};

class MetricsHistory {
 public:
  static constexpr size_t kSeconds = 60;

  // A point; `now` grows. The first one is the beginning of all windows that reach back so far.
  void Add(uint64_t now, const RateTotals& totals, RecentHistograms histograms);
  // From the newest point back over so many points, at most kSeconds.
  MetricsWindow Over(size_t points) const;

 private:
  using Growth = std::vector<std::pair<uint16_t, uint64_t>>;  // bucket, records
  struct Point {
    uint64_t at = 0;
    RateTotals totals;
    std::array<Growth, kRecent> grown;
    std::array<uint64_t, kRecent> sum_nanos{};  // so far
  };

  mutable std::mutex mutex_;
  std::deque<Point> points_;  // GUARDED_BY(mutex_)
  RecentHistograms last_;     // GUARDED_BY(mutex_)
};

}  // namespace thermocline
