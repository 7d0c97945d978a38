#include "engine/metrics/histogram.h"

#include <algorithm>
#include <cmath>

namespace thermocline {

Histogram::Snapshot Histogram::TakeSnapshot() const {
  Snapshot snapshot;
  snapshot.buckets.resize(kBuckets);
  for (const Stripe& stripe : stripes_) {
    snapshot.sum_nanos += stripe.sum_nanos.load(std::memory_order_relaxed);
    snapshot.max_nanos =
        std::max(snapshot.max_nanos, stripe.max_nanos.load(std::memory_order_relaxed));
    for (size_t i = 0; i < kBuckets; ++i) {
      const uint64_t n = stripe.buckets[i].load(std::memory_order_relaxed);
      snapshot.buckets[i] += n;
      // The count is the buckets' own sum, so that percentiles always add up.
      snapshot.count += n;
    }
  }
  return snapshot;
}

uint64_t Histogram::Snapshot::Percentile(double percent) const {
  if (count == 0) return 0;
  const double share = std::clamp(percent, 0.0, 100.0) / 100.0;
  const auto wanted =
      std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(share * static_cast<double>(count))));
  if (wanted >= count) return max_nanos;
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    seen += buckets[i];
    if (seen < wanted) continue;
    const uint64_t low = LowerBound(i);
    const uint64_t middle = low + (LowerBound(i + 1) - low) / 2;
    return std::min(middle, max_nanos);
  }
  return max_nanos;
}

uint64_t Histogram::Snapshot::CountUpTo(uint64_t nanos) const {
  uint64_t total = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    const uint64_t low = LowerBound(i);
    if (low + (LowerBound(i + 1) - low) / 2 > nanos) break;
    total += buckets[i];
  }
  return total;
}

void Histogram::Snapshot::Merge(const Snapshot& other) {
  count += other.count;
  sum_nanos += other.sum_nanos;
  max_nanos = std::max(max_nanos, other.max_nanos);
  if (buckets.empty()) {
    buckets = other.buckets;
    return;
  }
  for (size_t i = 0; i < other.buckets.size(); ++i) buckets[i] += other.buckets[i];
}

}  // namespace thermocline
