// What one store's background work and its block cache have done, and the two things that count it:
// a listener for compactions and a wrapper of the cache.
//
// Ownership: listener and cache keep the counters alive, since RocksDB keeps them.
// Thread safety: any thread.
#pragma once

#include <rocksdb/advanced_cache.h>
#include <rocksdb/listener.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "engine/metrics/counter.h"

namespace thermocline {

struct StoreActivity {
  Counter block_cache_hits;    // lookups of data, index and filter blocks that found them
  Counter block_cache_misses;  // those that went to the file
  Counter compactions;         // ended
  Counter compaction_nanos;
  Counter compaction_read_bytes;
  Counter compaction_written_bytes;
  std::atomic<uint64_t> table_changes{0};  // flushes, compactions and ingestions that have ended
};

class ActivityListener : public rocksdb::EventListener {
 public:
  explicit ActivityListener(std::shared_ptr<StoreActivity> activity)
      : activity_(std::move(activity)) {}

  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo&) override { Changed(); }
  void OnExternalFileIngested(rocksdb::DB*, const rocksdb::ExternalFileIngestionInfo&) override {
    Changed();
  }
  void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo& info) override {
    activity_->compactions.Add();
    activity_->compaction_nanos.Add(info.stats.elapsed_micros * 1000);
    activity_->compaction_read_bytes.Add(info.stats.total_input_bytes);
    activity_->compaction_written_bytes.Add(info.stats.total_output_bytes);
    Changed();
  }

 private:
  void Changed() { activity_->table_changes.fetch_add(1, std::memory_order_relaxed); }

  const std::shared_ptr<StoreActivity> activity_;
};

// Counts hits and misses for much less than RocksDB's tickers cost, which count everything.
class CountingCache : public rocksdb::CacheWrapper {
 public:
  CountingCache(std::shared_ptr<rocksdb::Cache> target, std::shared_ptr<StoreActivity> activity)
      : CacheWrapper(std::move(target)), activity_(std::move(activity)) {}

  const char* Name() const override { return "thermocline.CountingCache"; }

  Handle* Lookup(const rocksdb::Slice& key, const CacheItemHelper* helper,
                 CreateContext* create_context, Priority priority,
                 rocksdb::Statistics* stats) override {
    Handle* const found = target_->Lookup(key, helper, create_context, priority, stats);
    Count(found != nullptr);
    return found;
  }
  // Without a secondary cache the answer is there at once.
  void StartAsyncLookup(AsyncLookupHandle& handle) override {
    target_->StartAsyncLookup(handle);
    Count(!handle.IsPending() && handle.Result() != nullptr);
  }

 private:
  void Count(bool hit) {
    (hit ? activity_->block_cache_hits : activity_->block_cache_misses).Add();
  }

  const std::shared_ptr<StoreActivity> activity_;
};

}  // namespace thermocline
