// Splits shards that have grown large and merges neighbours that have become small, as the option
// autoSplit says: a thread that looks at their sizes now and then.
//
// After each move it looks again at once, since one split may not suffice. What fails is left alone
// for a while; its reason shows in trouble().
//
// Thread safety: Stop by one thread, trouble from any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "engine/shard/reshard_plan.h"
#include "engine/shard/resharder.h"
#include "engine/shard/shards.h"

namespace thermocline {

// What a shard takes: tables and memtables, over all tiers.
uint64_t ShardBytes(rocksdb::DB* hot, const Shards& shards, size_t index);

class AutoSplitter {
 public:
  static constexpr uint64_t kLookNanos = 2'000'000'000;
  static constexpr uint64_t kLeaveAloneNanos = 60'000'000'000;

  struct Dependencies {
    AutoSplit limits;
    rocksdb::DB* hot = nullptr;
    CurrentShards shards;
    Resharder* resharder = nullptr;
  };

  explicit AutoSplitter(Dependencies dependencies);
  ~AutoSplitter() { Stop(); }
  AutoSplitter(const AutoSplitter&) = delete;
  AutoSplitter& operator=(const AutoSplitter&) = delete;

  // Aborts a move that is running, then joins the thread. Idempotent.
  void Stop();
  // Why the last move failed; empty: it did not.
  std::string trouble();

 private:
  void Run();
  // Whether there was something to do, and it was done.
  bool MoveOnce();
  bool Sleep(uint64_t nanos);

  const Dependencies deps_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // GUARDED_BY(mutex_)
  std::string trouble_;    // GUARDED_BY(mutex_)
  std::thread thread_;     // last: it runs over all the members above
};

}  // namespace thermocline
