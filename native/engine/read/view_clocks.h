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
  void Add(uint64_t clock_ms) {
    std::lock_guard lock(mutex_);
    open_.insert(clock_ms);
  }
  void Remove(uint64_t clock_ms) {
    std::lock_guard lock(mutex_);
    open_.erase(open_.find(clock_ms));
  }
  // The oldest open view's clock, or `now_ms` if that is older.
  uint64_t OldestOr(uint64_t now_ms) {
    std::lock_guard lock(mutex_);
    return open_.empty() ? now_ms : std::min(now_ms, *open_.begin());
  }

 private:
  std::mutex mutex_;
  std::multiset<uint64_t> open_;  // GUARDED_BY(mutex_)
};

}  // namespace thermocline
