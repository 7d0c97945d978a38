// The engine clock: wall time in milliseconds that never runs backwards (I7).
//
// Purpose: what has expired once stays expired, whatever is done to the system's clock, also
// across reopenings: the high-water mark is kept in the meta column family and handed to the
// constructor of the next clock.
// Thread safety: lock-free; any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/platform/time.h"

namespace thermocline {

class EngineClock {
 public:
  explicit EngineClock(uint64_t floor_ms = 0) : last_(floor_ms) {}

  uint64_t NowMs() {
    const uint64_t now = SystemMillis();
    uint64_t last = last_.load(std::memory_order_relaxed);
    while (now > last) {
      if (last_.compare_exchange_weak(last, now, std::memory_order_relaxed)) return now;
    }
    return last;
  }

  // The largest time handed out so far.
  uint64_t HighWaterMs() const { return last_.load(std::memory_order_relaxed); }

  // At opening; and tests let time pass with it.
  void RaiseTo(uint64_t floor_ms) {
    uint64_t last = last_.load(std::memory_order_relaxed);
    while (floor_ms > last &&
           !last_.compare_exchange_weak(last, floor_ms, std::memory_order_relaxed)) {
    }
  }

 private:
  std::atomic<uint64_t> last_;
};

}  // namespace thermocline
