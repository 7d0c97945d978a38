// A counter that many threads add to without slowing each other, and the rule by which metrics
// spread over threads.
//
// Thread safety: any thread may call anything at any time. Totals are sums of relaxed loads: each
// addition is counted exactly once, but two counters read together need not be of one moment.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace thermocline {

inline constexpr size_t kMetricStripes = 4;
inline constexpr size_t kMetricLine = 64;  // bytes two threads must not share

// 0 to kMetricStripes - 1, the same for every call on one thread. Derived from the thread's
// handle: a thread_local in a shared library costs a call into the dynamic linker, and a global
// to number the threads would be state.
inline size_t MetricStripe() {
  const auto handle = reinterpret_cast<uintptr_t>(reinterpret_cast<void*>(pthread_self()));
  return static_cast<size_t>((handle * 0x9e3779b97f4a7c15) >> 62);
}
static_assert(kMetricStripes == 4, "MetricStripe takes two bits");

// 256 bytes.
class Counter {
 public:
  void Add(uint64_t n = 1) { cells_[MetricStripe()].value.fetch_add(n, std::memory_order_relaxed); }
  uint64_t Total() const {
    uint64_t total = 0;
    for (const Cell& cell : cells_) total += cell.value.load(std::memory_order_relaxed);
    return total;
  }

 private:
  struct alignas(kMetricLine) Cell {
    std::atomic<uint64_t> value{0};
  };
  Cell cells_[kMetricStripes];
};

}  // namespace thermocline
