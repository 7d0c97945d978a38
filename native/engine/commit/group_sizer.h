// How large a commit group should be: a pure function of what was measured.
//
// A group should hold what arrives while the one before it is being written: less wastes log
// writes, more adds latency for nothing. So the target is the arrival rate times the time a group
// takes, between a floor and a ceiling. Both are exponentially weighted over about sixteen groups.
//
// Thread safety: none; the committer's own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace thermocline {

class GroupSizer {
 public:
  GroupSizer(size_t floor_bytes, size_t ceiling_bytes)
      : floor_(floor_bytes), ceiling_(ceiling_bytes), target_(floor_bytes) {}

  // `arrived_bytes` came in over `interval_nanos`, the time since the last group was measured;
  // writing a group took `write_nanos`.
  void Measure(size_t arrived_bytes, uint64_t interval_nanos, uint64_t write_nanos) {
    if (interval_nanos == 0) return;
    const double rate = static_cast<double>(arrived_bytes) / static_cast<double>(interval_nanos);
    rate_ += (rate - rate_) * kWeight;
    write_nanos_ += (static_cast<double>(write_nanos) - write_nanos_) * kWeight;
    // Twice what arrives, so that a backlog shrinks instead of standing still.
    const double wanted = 2 * rate_ * write_nanos_;
    target_ = std::clamp(static_cast<size_t>(wanted), floor_, ceiling_);
  }

  size_t target_bytes() const { return target_; }

 private:
  static constexpr double kWeight = 1.0 / 16;

  const size_t floor_;
  const size_t ceiling_;
  size_t target_;
  double rate_ = 0;         // bytes per nanosecond
  double write_nanos_ = 0;  // of one group
};

}  // namespace thermocline
