// The slowest operations, with where their time went. Off unless the options ask for it.
//
// Cost: off, a null pointer is tested. On, the faster operations compare their time with the
// fastest one kept; those that are kept take a lock.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace thermocline {

enum class SlowKind : uint8_t { kGet, kGetMany, kWrite, kBatch, kScanChunk };
inline constexpr const char* kSlowKindNames[] = {"get", "getMany", "write", "batch", "scanChunk"};

struct SlowOperation {
  SlowKind kind = SlowKind::kGet;
  std::string key_prefix;  // of its first key that the hot cache did not have, as long as asked for
  uint64_t records = 0;    // that it asked for, wrote or returned
  uint64_t ended_ms = 0;   // Unix time
  uint64_t total_nanos = 0;
  uint64_t queue_nanos = 0;  // before a thread took it up
  uint64_t store_nanos = 0;  // reading the stores, or writing the group it was part of
  uint64_t sync_nanos = 0;   // waiting for the log's sync
};

class SlowLog {
 public:
  SlowLog(size_t keep, size_t prefix_bytes) : keep_(keep), prefix_bytes_(prefix_bytes) {}

  // Whether an operation of that length would be kept. May say yes once too often.
  bool Wants(uint64_t nanos) const { return nanos > floor_.load(std::memory_order_relaxed); }
  std::string PrefixOf(std::string_view key) const {
    return std::string(key.substr(0, prefix_bytes_));
  }
  void Add(SlowOperation operation);
  // Slowest first.
  std::vector<SlowOperation> Snapshot() const;
  void Clear();

 private:
  const size_t keep_;
  const size_t prefix_bytes_;
  std::atomic<uint64_t> floor_{0};  // the fastest one kept, once all places are taken
  mutable std::mutex mutex_;
  std::vector<SlowOperation> kept_;  // GUARDED_BY(mutex_); a heap with the fastest on top
};

}  // namespace thermocline
