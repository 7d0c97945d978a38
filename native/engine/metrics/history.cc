#include "engine/metrics/history.h"

#include <algorithm>
#include <bit>
#include <type_traits>

namespace thermocline {

RateTotals operator-(const RateTotals& a, const RateTotals& b) {
  static_assert(std::is_trivially_copyable_v<RateTotals> && alignof(RateTotals) == 8);
  using Words = std::array<uint64_t, sizeof(RateTotals) / sizeof(uint64_t)>;
  auto words = std::bit_cast<Words>(a);
  const auto others = std::bit_cast<Words>(b);
  for (size_t i = 0; i < words.size(); i++) words[i] -= others[i];
  return std::bit_cast<RateTotals>(words);
}

void MetricsHistory::Add(uint64_t now, const RateTotals& totals, RecentHistograms histograms) {
  std::lock_guard lock(mutex_);
  Point point{.at = now, .totals = totals, .grown = {}, .sum_nanos = {}};
  for (size_t h = 0; h < kRecent; h++) {
    const Histogram::Snapshot& is = histograms[h];
    const Histogram::Snapshot& was = last_[h];
    point.sum_nanos[h] = is.sum_nanos;
    for (size_t i = 0; i < is.buckets.size() && is.count != was.count; i++) {
      const uint64_t before = i < was.buckets.size() ? was.buckets[i] : 0;
      if (is.buckets[i] > before) {
        point.grown[h].emplace_back(static_cast<uint16_t>(i), is.buckets[i] - before);
      }
    }
  }
  last_ = std::move(histograms);
  points_.push_back(std::move(point));
  if (points_.size() > kSeconds + 1) points_.pop_front();
}

MetricsWindow MetricsHistory::Over(size_t points) const {
  std::lock_guard lock(mutex_);
  MetricsWindow window;
  if (points_.size() < 2) return window;
  const size_t newest = points_.size() - 1;
  const size_t oldest = newest - std::min(points, newest);
  window.nanos = points_[newest].at - points_[oldest].at;
  window.totals = points_[newest].totals - points_[oldest].totals;
  for (size_t h = 0; h < kRecent; h++) {
    Histogram::Snapshot& sum = window.latency[h];
    sum.buckets.resize(Histogram::kBuckets);
    size_t top = 0;
    for (size_t i = oldest + 1; i <= newest; i++) {
      for (const auto& [bucket, records] : points_[i].grown[h]) {
        sum.buckets[bucket] += records;
        sum.count += records;
        top = std::max<size_t>(top, bucket);
      }
    }
    if (sum.count == 0) continue;
    sum.sum_nanos = points_[newest].sum_nanos[h] - points_[oldest].sum_nanos[h];
    sum.max_nanos = std::min(last_[h].max_nanos, Histogram::LowerBound(top + 1) - 1);
  }
  return window;
}

}  // namespace thermocline
