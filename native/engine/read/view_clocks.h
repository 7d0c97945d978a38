// The clocks of the open read views.
//
// Purpose: a compaction may drop an expired record only if no open view still sees it; RocksDB's
// compaction filters ignore snapshots, so they ask here (I7).
// Thread safety: all methods from any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <set>

namespace thermocline {

class ViewClocks {
 public:
  // Both ask the clock under the lock. Otherwise a compaction could capture a later time between a
  // view's look at the clock and its entry here, and drop what the view still shows.
  template <class Now>
  uint64_t Open(Now&& now) {
    std::lock_guard lock(mutex_);
    const uint64_t clock_ms = now();
    open_.insert(clock_ms);
    return clock_ms;
  }
  void Remove(uint64_t clock_ms) {
    std::lock_guard lock(mutex_);
    open_.erase(open_.find(clock_ms));
  }
  // The oldest open view's clock, or now if that is older.
  template <class Now>
  uint64_t OldestOr(Now&& now) {
    std::lock_guard lock(mutex_);
    const uint64_t clock_ms = now();
    return open_.empty() ? clock_ms : std::min(clock_ms, *open_.begin());
  }

 private:
  std::mutex mutex_;
  std::multiset<uint64_t> open_;  // GUARDED_BY(mutex_)
};

}  // namespace thermocline
