// Clocks.
#pragma once

#include <chrono>
#include <cstdint>

namespace thermocline {

// Monotonic nanoseconds, for durations.
inline uint64_t NowNanos() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

// Unix time in milliseconds, for expiry. May step; see EngineClock for one that does not.
inline uint64_t SystemMillis() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

}  // namespace thermocline
