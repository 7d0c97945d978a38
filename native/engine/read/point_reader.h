// Point reads: one key at once on the caller's thread, or many through the read pool.
//
// Steps of a batch: the caller's thread asks the hot cache for every key; what is missing is
// grouped by shard and cut into chunks of 32 to 128 keys; as many pool threads as there are chunks
// take them one after another, each chunk one RocksDB MultiGet of the hot store; the last to finish
// reports. What a chunk lacks there the next colder store is asked for, by a pool of its own: its
// threads wait for a slower disk, and nothing that a faster one can answer waits behind them.
// (Cursors do.)
//
// Invariants:
//   - A value enters the hot cache only under a ticket taken before the store was read (I9).
//   - Reads on a view neither ask nor fill the hot cache.
//   - A read ahead (FetchAhead) is no read: it is not counted, and its value waits apart.
//   - An expired record reads as missing at the view's clock, or now (I7).
//
// Thread safety: all methods from any thread. A ReadBatch belongs to its caller until Start and
// again once done() has been called.
#pragma once

#include <rocksdb/db.h>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "engine/cache/heat_sketch.h"
#include "engine/cache/hot_cache.h"
#include "engine/cache/sequence_prefetcher.h"
#include "engine/clock.h"
#include "engine/metrics/metrics.h"
#include "engine/platform/thread_pool.h"
#include "engine/read/arena.h"
#include "engine/read/read_view.h"
#include "engine/read/tiered_reads.h"
#include "engine/shard/activity.h"
#include "engine/shard/shards.h"
#include "engine/tier/tier_set.h"

namespace thermocline {

struct ReadBatch {
  // Input: keys packed as varint length, bytes.
  Block packed;
  size_t packed_size = 0;
  uint32_t count = 0;
  std::shared_ptr<const ReadView> view;  // null: the present
  bool ask_cache = true;                 // false: the caller has just asked it for every key
  bool presence_only = false;            // results say whether a key exists; no value is copied
  std::function<void()> done;            // only if Start returned false; must not block or throw

  // Output: one reference per key, in order. `status` is the first failure; the results of the keys
  // that did not fail are good nevertheless.
  std::vector<ResultRef> results;
  size_t key_bytes = 0;
  ResultArenas arenas;
  Status status;

 private:
  friend class PointReader;
  struct Key {
    std::string_view bytes;
    uint64_t hash;
    uint32_t index;
    uint16_t shard;
  };
  std::shared_ptr<const Shards> shards;  // that the batch is planned by
  std::vector<Key> missing;              // ordered by shard once planned
  std::vector<std::pair<uint32_t, uint32_t>> chunks;
  std::atomic<size_t> next_chunk{0};
  std::atomic<size_t> chunks_left{0};
  std::mutex status_mutex;
  uint64_t began_nanos = 0;
  uint64_t taken_nanos = 0;  // when the first chunk was taken up; written by whoever took it
  std::atomic<uint64_t> colder_wait_nanos{0};  // the longest wait for threads of colder stores
};

class PointReader {
 public:
  struct Dependencies {
    rocksdb::DB* db = nullptr;
    CurrentShards shards;
    HotCache* cache = nullptr;
    EngineClock* clock = nullptr;
    ThreadPool* pool = nullptr;
    std::vector<ThreadPool*> colder_pools;  // by colder store; each is shut down after the former
    Metrics* metrics = nullptr;
    TierSet* tiers = nullptr;                  // null: there is the hot store alone
    HeatSketch* heat = nullptr;                // counts reads of records; null likewise
    SequencePrefetcher* prefetcher = nullptr;  // observes what the hot cache lacked; may be null
    // Told of each read of the present that found a record in a colder store. May be null.
    std::function<void(int shard, std::string_view key, uint64_t hash)> on_colder_read;
    // Thaws these shards, by id, then calls `done` on a thread that may wait. Null: reads of frozen
    // shards are refused.
    std::function<void(std::vector<uint32_t> ids, std::function<void(const Status&)> done)> thaw;
  };

  explicit PointReader(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  enum class Cached { kMiss, kValue, kAbsent };

  // Asks the hot cache alone. fn(std::string_view) sees the value under the cache's lock.
  template <class Fn>
  Cached GetCached(std::string_view key, uint64_t hash, Fn&& fn) {
    bool observe = false;
    const Cached cached = AskCache(key, hash, fn, &observe);
    if (observe) [[unlikely]] {
      deps_.prefetcher->Observe(key, hash);
    }
    return cached;
  }

  // Reads the stores on the calling thread and fills the hot cache (without a view). ERR_FROZEN
  // whatever the options say: this thread must not wait for a thaw.
  // *found says whether fn(std::string_view) was called.
  template <class Fn>
  Status Get(std::string_view key, uint64_t hash, const ReadView* view, bool* found, Fn&& fn) {
    rocksdb::PinnableSlice stored;
    std::string_view value;
    Status status = GetStored(key, hash, view, &stored, &value, found);
    if (status.ok() && *found) fn(value);
    return status;
  }

  // Returns true if everything was answered at once (done() is not called), false if the read pool
  // goes on and will call done().
  bool Start(const std::shared_ptr<ReadBatch>& batch);

  // Reads a record into the hot cache that nobody has asked for, as the present has it. False: it
  // was not needed there, or could not be read, which whoever asks for it will hear.
  bool FetchAhead(std::string_view key, uint64_t hash);

  // Of reads that reached the stores; zero without colder tiers.
  const TierReadCounters& tier_reads() const { return tier_reads_; }

 private:
  // *observe: the prefetcher should hear of it.
  template <class Fn>
  Cached AskCache(std::string_view key, uint64_t hash, Fn&& fn, bool* observe) {
    bool first_use = false;
    const HotCache::Found found = deps_.cache->Get(
        key, hash, [this] { return deps_.clock->NowMs(); },
        [&](std::string_view value, uint64_t) { fn(value); }, &first_use);
    if (found == HotCache::Found::kMiss) {
      *observe = deps_.prefetcher != nullptr;
      return Cached::kMiss;
    }
    const bool exists = found == HotCache::Found::kValue;
    NoteHit(key, hash, exists);
    *observe = first_use;  // which there is only where there is a prefetcher
    return exists ? Cached::kValue : Cached::kAbsent;
  }
  // One place per thread for both samples: finding it costs more than drawing them.
  void NoteHit(std::string_view key, uint64_t hash, bool exists) {
    struct Samples {
      uint32_t tick = 0;
      HeatSketch::Chance chance;
    };
    thread_local Samples samples;
    if (++samples.tick % ShardActivity::kHitSample == 0) NoteSampledHit(key);
    if (deps_.heat != nullptr && exists && samples.chance.Draw(HeatSketch::kHitSampling)) {
      deps_.heat->Add(hash, HeatSketch::kHitSampling);
    }
  }
  // A read of the present found the record in the store of that level.
  void NoteStoreRead(int shard, std::string_view key, uint64_t hash, int level) {
    if (deps_.heat != nullptr) deps_.heat->Add(hash);
    if (level > 0 && deps_.on_colder_read) deps_.on_colder_read(shard, key, hash);
  }
  void NoteSampledHit(std::string_view key);
  void NoteReads(const Shards& shards, size_t shard, uint64_t records);
  Status GetStored(std::string_view key, uint64_t hash, const ReadView* view,
                   rocksdb::PinnableSlice* stored, std::string_view* value, bool* found);
  // Asks the stores, hotter first. *level: which one had the key.
  rocksdb::Status AskStores(int shard, const Shards& shards, const ReadView* view,
                            const rocksdb::Slice& key, rocksdb::PinnableSlice* stored, int* level,
                            bool counted = true);
  void CountTier(int level) {
    tier_reads_.found[static_cast<size_t>(deps_.tiers->TierOf(level))].Add();
  }
  bool AskCacheForAll(ReadBatch* batch);
  void Plan(ReadBatch* batch);
  // The frozen shards that a planned batch needs, by id.
  static std::vector<uint32_t> FrozenOf(const ReadBatch& batch);
  // `thawed`: how a thaw that the batch asked for ended, if it did not end well.
  bool StartPlanned(const std::shared_ptr<ReadBatch>& batch, const Status& thawed);
  static void RefuseFrozen(ReadBatch* batch, const Status& thawed);
  void Work(const std::shared_ptr<ReadBatch>& batch);
  void Trace(const ReadBatch& batch, uint64_t took) const;
  static void Fail(ReadBatch* batch, uint32_t index, const Status& status);
  static void FailByException(ReadBatch* batch, uint32_t place, const std::exception& error);
  // The keys of a chunk that no store down to some level has, for the pool of the next.
  struct ColderPart;
  void ReadChunk(const std::shared_ptr<ReadBatch>& batch, uint32_t begin, uint32_t end,
                 ArenaWriter* writer);
  // Of the chunk in the thread's scratch; null: nothing is to be
  // looked for below.
  static std::shared_ptr<ColderPart> TakeMissing(const TieredRead& below, uint32_t begin,
                                                 size_t count, bool fill);
  void PostColder(const std::shared_ptr<ReadBatch>& batch, std::shared_ptr<ColderPart> part);
  void WorkColder(const std::shared_ptr<ReadBatch>& batch, const ColderPart& part);
  void ReadColder(const std::shared_ptr<ReadBatch>& batch, const ColderPart& part,
                  ArenaWriter* writer);
  // Turns what the store of a level said about a key into its result. A null ticket: the cache is
  // not filled.
  void Settle(ReadBatch* batch, const ReadBatch::Key& key, const rocksdb::Status& s,
              const rocksdb::PinnableSlice& stored, int level, const HotCache::FillTicket* ticket,
              ArenaWriter* writer);
  void Finish(ReadBatch* batch, size_t chunks);

  const Dependencies deps_;
  TierReadCounters tier_reads_;
};

}  // namespace thermocline
