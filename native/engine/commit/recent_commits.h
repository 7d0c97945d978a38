// What was written lately: the committer's memory for validating transactions.
//
// While transactions are open, every key and range that is written is kept with the id of its
// commit, in key order. A transaction conflicts if something it read was written after it began.
// Validation asks this memory alone, never a disk.
//
// Invariants:
//   - Everything written after the oldest open transaction began is here, or its id is at most
//     forgotten_ and that transaction is refused.
//   - Bounded: over max_bytes the oldest records are forgotten, which fails the oldest
//   transactions.
//
// Thread safety: Begin, Record* and Conflicts by the committer's thread; End and active from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "engine/commit/submission.h"

namespace thermocline {

class RecentCommits {
 public:
  explicit RecentCommits(size_t max_bytes) : max_bytes_(max_bytes) {}

  void Begin(uint64_t start_commit_id);
  void End(uint64_t start_commit_id);
  // Whether any transaction is open. One that begins later does so on the committer's thread.
  bool active() const { return active_count_.load(std::memory_order_acquire) > 0; }

  size_t bytes();  // of memory that the record takes

  // Whether a transaction that began there has not ended.
  bool IsOpen(uint64_t start_commit_id);

  void RecordKey(std::string_view key, uint64_t commit_id);
  void RecordRange(std::string_view start, std::string_view end, bool has_end, uint64_t commit_id);
  // OK, or ERR_CONFLICT. REQUIRES: the transaction that read this has not ended.
  Status Check(const ReadSet& reads);

 private:
  struct WrittenRange {
    std::string start;
    std::string end;
    bool has_end;
    uint64_t commit_id;
  };
  using Keys = std::map<std::string, uint64_t, std::less<>>;
  struct Entry {  // in the order of commits
    uint64_t commit_id;
    Keys::iterator key;
  };

  void ForgetLocked(uint64_t up_to_id);
  void BoundLocked();
  bool KeyWrittenLocked(std::string_view key, uint64_t since) const;

  const size_t max_bytes_;
  std::atomic<int> active_count_{0};

  std::mutex mutex_;
  std::multiset<uint64_t> open_;     // GUARDED_BY(mutex_): start ids
  Keys keys_;                        // GUARDED_BY(mutex_): the last commit that wrote each
  std::deque<Entry> order_;          // GUARDED_BY(mutex_)
  std::deque<WrittenRange> ranges_;  // GUARDED_BY(mutex_)
  size_t bytes_ = 0;                 // GUARDED_BY(mutex_)
  uint64_t forgotten_ = 0;           // GUARDED_BY(mutex_): overflow dropped ids up to here
};

}  // namespace thermocline
