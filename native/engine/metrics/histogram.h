// A latency histogram: log-linear buckets over nanoseconds, as HdrHistogram has them.
//
// Values below 32 ns have a bucket each; above, every power of two is cut into 32 buckets, so that
// a bucket's middle is within 1/64 (1.6%) of any value in it. The range ends at 2^42 ns (73
// minutes): longer values count in the last bucket, while sum and max stay exact.
//
// Memory: 1,216 buckets of 8 bytes in each of kMetricStripes copies, about 38 KiB. The copies keep
// threads that record at once off each other's cache lines.
//
// Thread safety: any thread may call anything at any time; recording is two relaxed additions and
// a load (plus a compare-and-swap when the maximum rises). A snapshot taken meanwhile holds every
// record that happened before it; its sum may include a record its buckets do not, or the reverse.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/metrics/counter.h"

namespace thermocline {

class Histogram {
 public:
  static constexpr int kSubBucketBits = 5;
  static constexpr int kValueBits = 42;
  static constexpr size_t kSubBuckets = size_t{1} << kSubBucketBits;
  static constexpr size_t kBuckets = (kValueBits - kSubBucketBits + 1) * kSubBuckets;

  struct Snapshot {
    uint64_t count = 0;
    uint64_t sum_nanos = 0;
    uint64_t max_nanos = 0;
    std::vector<uint64_t> buckets;  // kBuckets counts; empty means all zero

    // Nanoseconds below or at which `percent` (0 to 100) of the records lie; 0 without records.
    uint64_t Percentile(double percent) const;
    // Records at or below `nanos`, by the middles of their buckets: within 1.6% of the bound.
    uint64_t CountUpTo(uint64_t nanos) const;
    double MeanNanos() const {
      return count == 0 ? 0 : static_cast<double>(sum_nanos) / static_cast<double>(count);
    }
    void Merge(const Snapshot& other);
  };

  // `weight` records at once: one measurement that stands for a group of operations.
  void Record(uint64_t nanos, uint64_t weight = 1) {
    Stripe& stripe = stripes_[MetricStripe()];
    stripe.buckets[BucketOf(nanos)].fetch_add(weight, std::memory_order_relaxed);
    stripe.sum_nanos.fetch_add(nanos * weight, std::memory_order_relaxed);
    uint64_t max = stripe.max_nanos.load(std::memory_order_relaxed);
    while (nanos > max &&
           !stripe.max_nanos.compare_exchange_weak(max, nanos, std::memory_order_relaxed)) {
    }
  }

  Snapshot TakeSnapshot() const;

  static constexpr size_t BucketOf(uint64_t nanos) {
    if (nanos < kSubBuckets) return static_cast<size_t>(nanos);
    if (nanos >> kValueBits != 0) return kBuckets - 1;
    const int shift = std::bit_width(nanos) - 1 - kSubBucketBits;
    return (static_cast<size_t>(shift) << kSubBucketBits) + static_cast<size_t>(nanos >> shift);
  }
  // The smallest value of a bucket; LowerBound(i + 1) - 1 is its largest.
  static constexpr uint64_t LowerBound(size_t bucket) {
    if (bucket < 2 * kSubBuckets) return bucket;
    const size_t shift = (bucket >> kSubBucketBits) - 1;
    return static_cast<uint64_t>(bucket - (shift << kSubBucketBits)) << shift;
  }

 private:
  struct alignas(kMetricLine) Stripe {
    std::atomic<uint64_t> sum_nanos{0};
    std::atomic<uint64_t> max_nanos{0};
    std::atomic<uint64_t> buckets[kBuckets]{};
  };
  Stripe stripes_[kMetricStripes];
};

}  // namespace thermocline
