// What happens to writes when the hot tier's disk is nearly full.
//
// A reserve of free space is kept for flushes, compactions and migration, which need room before
// they give any back. When writes would eat into it they are held: they wait in the committer's
// queue while migration makes room, and go on when there is. If that does not come about, because
// the colder tiers take nothing or the space does not come back in time, they are refused with
// ERR_NO_SPACE, whole and before anything of them is written, until there is room again.
//
// Steps: the committer asks before each group; every so many bytes, and whenever the migrator
// looks, the disk is measured.
//
// Thread safety: all methods from any thread.
// Alternative rejected: letting RocksDB meet the end of the disk. It then stops writing altogether,
// compactions included, and what would make room again cannot run.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

#include "engine/platform/time.h"
#include "engine/tier/policy.h"

namespace thermocline {

class SpaceGate {
 public:
  struct Dependencies {
    // Free bytes of the disk that nothing in memory will take. False: not known.
    std::function<bool(uint64_t* free_bytes)> available;
    // Writes are held from now on: make room. Called on the committer's thread. May be null.
    std::function<void()> on_held;
    uint64_t reserve_bytes = 0;
    uint64_t patience_nanos = 10'000'000'000;  // without any room gained
  };

  explicit SpaceGate(Dependencies dependencies) : deps_(std::move(dependencies)) {}
  SpaceGate(const SpaceGate&) = delete;
  SpaceGate& operator=(const SpaceGate&) = delete;

  SpaceState state() const { return state_.load(std::memory_order_acquire); }

  // The committer's: `bytes` are about to be written to the log. False: they are refused.
  bool MayWrite(uint64_t bytes) {
    unmeasured_ += bytes;
    if (unmeasured_ >= deps_.reserve_bytes / 16) {
      unmeasured_ = 0;
      MeasureAndTell();
    }
    return state() != SpaceState::kRefused;
  }

  // The committer's.
  void MeasureAndTell() {
    if (Measure() && deps_.on_held) deps_.on_held();
  }

  // Looks at the disk and decides anew. True: writes are held from now on.
  bool Measure() {
    uint64_t free = 0;
    if (!deps_.available(&free)) return false;
    bool held = false;
    {
      std::lock_guard lock(mutex_);
      const uint64_t now = NowNanos();
      const SpaceState before = state();
      if (before == SpaceState::kOpen || free > most_free_ + deps_.reserve_bytes / 64) {
        most_free_ = free;
        gained_nanos_ = now;
      }
      const SpaceState next = NextSpaceState(
          before, {.free = free,
                   .reserve = deps_.reserve_bytes,
                   .hopeless = hopeless_ || now - gained_nanos_ > deps_.patience_nanos});
      held = before == SpaceState::kOpen && next == SpaceState::kHeld;
      if (next == SpaceState::kOpen) hopeless_ = false;
      free_bytes_.store(free, std::memory_order_relaxed);
      state_.store(next, std::memory_order_release);
    }
    return held;
  }

  // The migrator's: whether there is nothing it could do.
  void SetHopeless(bool hopeless) {
    {
      std::lock_guard lock(mutex_);
      hopeless_ = hopeless;
    }
    (void)Measure();
  }

  // As last measured.
  uint64_t free_bytes() const { return free_bytes_.load(std::memory_order_relaxed); }
  uint64_t reserve_bytes() const { return deps_.reserve_bytes; }

 private:
  const Dependencies deps_;
  uint64_t unmeasured_ = 0;  // the committer's own
  std::mutex mutex_;
  bool hopeless_ = false;      // GUARDED_BY(mutex_)
  uint64_t most_free_ = 0;     // GUARDED_BY(mutex_): since writes are held
  uint64_t gained_nanos_ = 0;  // GUARDED_BY(mutex_): when that last rose
  std::atomic<uint64_t> free_bytes_{0};
  std::atomic<SpaceState> state_{SpaceState::kOpen};
};

}  // namespace thermocline
