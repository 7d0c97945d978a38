#include "engine/metrics/stalls.h"

#include <utility>

namespace thermocline {

StallCause StallCauseOf(const StallPressure& pressure, const StallLimits& limits) {
  const auto beyond = [](uint64_t value, uint64_t limit) { return limit > 0 && value >= limit; };
  if (beyond(pressure.immutable_memtables, limits.immutable_memtables)) {
    return StallCause::kMemtables;
  }
  if (beyond(pressure.level0_files, limits.level0_files)) return StallCause::kLevel0Files;
  if (beyond(pressure.pending_compaction_bytes, limits.pending_compaction_bytes)) {
    return StallCause::kPendingCompaction;
  }
  return StallCause::kUnknown;
}

void StallTracker::SetProbe(Probe probe) {
  std::lock_guard lock(probe_mutex_);
  probe_ = std::move(probe);
}

bool StallTracker::Begin(const std::string& family, uint64_t now) {
  StallCause cause = StallCause::kUnknown;
  {
    std::lock_guard lock(probe_mutex_);
    if (probe_) cause = probe_(family);
  }
  std::lock_guard lock(mutex_);
  if (!running_.emplace(family, Running{cause, now}).second) return false;
  ended_[static_cast<size_t>(cause)].count++;
  return true;
}

bool StallTracker::End(const std::string& family, uint64_t now, uint64_t* nanos) {
  std::lock_guard lock(mutex_);
  const auto it = running_.find(family);
  if (it == running_.end()) return false;
  *nanos = now - it->second.began;
  ended_[static_cast<size_t>(it->second.cause)].nanos += *nanos;
  running_.erase(it);
  return true;
}

StallSnapshot StallTracker::Snapshot(uint64_t now) {
  std::lock_guard lock(mutex_);
  StallSnapshot snapshot;
  snapshot.by_cause = ended_;
  snapshot.running = running_.size();
  for (const auto& [family, stall] : running_) {
    const uint64_t age = now - stall.began;
    snapshot.by_cause[static_cast<size_t>(stall.cause)].nanos += age;
    if (age < snapshot.oldest_nanos) continue;
    snapshot.oldest_nanos = age;
    snapshot.oldest_cause = stall.cause;
  }
  return snapshot;
}

}  // namespace thermocline
