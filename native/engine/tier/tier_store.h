// A colder tier's store: one RocksDB instance of its own, written by migration alone (I1).
//
// Purpose: opening and creating it safely, and changing it durably. Its meta column family has one
// record: which tier it is, to which hot store it belongs, and the number of its last change, so
// that a foreign folder or an older copy is recognised.
//
// Every change ends durable on the tier's disk with that number raised. Large ones are built as a
// table with the tier's own compression and ingested, so that nothing is compressed twice; small
// ones are a synced batch.
//
// Thread safety: one thread changes it at a time (the steps' lock), its table included; db() is
// constant between Open and Close, and identity() between changes. families() from any thread.
// Ownership: owns the database and its column family handles; those of shards are shared with
// whoever holds a Shards.
#pragma once

#include <rocksdb/db.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/options.h"
#include "engine/platform/file_lock.h"
#include "engine/rocks_options.h"
#include "engine/shard/families.h"
#include "engine/shard/shard_table.h"
#include "engine/status.h"
#include "engine/tier/expiry_filter.h"
#include "engine/tier/meta.h"
#include "engine/tier/range_intents.h"
#include "engine/tier/tier.h"
#include "engine/tier/uncertain_families.h"
#include "engine/tier/view_latch.h"

namespace thermocline {

// One key of a change.
struct TierChange {
  std::string key;
  std::string stored;   // the envelope
  bool remove = false;  // the key leaves the store; `stored` is empty
};

class TierStore {
 public:
  struct Place {
    Tier tier = Tier::kCold;
    std::string directory;
    std::string owner;  // the hot store's UUID
  };

  // `latch` outlives the store.
  TierStore(Place place, TierOptions options, ViewLatch* latch)
      : place_(std::move(place)), options_(WithDefaults(place_.tier, options)), latch_(latch) {}
  ~TierStore() { Close(); }
  TierStore(const TierStore&) = delete;
  TierStore& operator=(const TierStore&) = delete;

  // Deletes the files of the store with this UUID, if the folder holds it, and nothing else.
  static Status Destroy(const std::string& directory, std::string_view uuid, rocksdb::Env* env);

  // Creates the store. Its folder must be missing or empty, or hold a store of the same owner whose
  // creation was not finished: one that was never changed. ERR_INVALID_ARGUMENT otherwise,
  // ERR_LOCKED if an open database uses the folder.
  Status Create(const EngineOptions& options, const RocksShared& shared, const ShardTable& table,
                std::shared_ptr<ExpiryFilterFactory> filter);
  // Opens the store that hot knows as `expected`. ERR_NOT_FOUND if the folder holds none,
  // ERR_INVALID_ARGUMENT if it holds another, ERR_CORRUPTION if it is not of the same age,
  // ERR_LOCKED if an open database uses it.
  Status Open(const EngineOptions& options, const RocksShared& shared, const ShardTable& table,
              const TierIdentity& expected, std::shared_ptr<ExpiryFilterFactory> filter);
  void Close();

  // The UUID of the store in a folder; ERR_NOT_FOUND if there is none, ERR_CORRUPTION.
  static Status UuidOf(const std::string& directory, rocksdb::Env* env, std::string* uuid);
  // Makes it another tier, of the same owner. Durable on return.
  Status SetUuid(const std::string& uuid);

  // Applies the changes, sorted by key, each key once, to one shard; durable on return.
  Status Apply(int shard, const std::vector<TierChange>& changes);
  // Deletes ranges in all shards, as one change; durable on return. Those without an end go up to
  // the last key.
  Status DeleteRanges(const RangeIntents::List& ranges);
  Status Flush();

  // Whether no shard holds a record or a marker.
  bool IsEmpty() const;

  Tier tier() const { return place_.tier; }
  const std::string& directory() const { return place_.directory; }
  const TierOptions& options() const { return options_; }
  const TierIdentity& identity() const { return own_.identity; }
  rocksdb::DB* db() const { return db_.get(); }
  // By shard index.
  std::vector<FamilyPtr> shards() const {
    std::lock_guard lock(shards_mutex_);
    return shard_handles_;
  }
  // The table has changed. REQUIRES: the steps' lock.
  void SetShards(std::vector<FamilyPtr> shards) {
    std::lock_guard lock(shards_mutex_);
    shard_handles_ = std::move(shards);
  }
  FamilyStore families() const {
    return {db_.get(), keeper_, db_options_, shard_options_, IngestFolder()};
  }
  // In which families a failed change may come up at the next opening.
  const UncertainFamilies& uncertain() const { return uncertain_; }
  const std::shared_ptr<rocksdb::Cache>& block_cache() const { return block_cache_; }
  uint64_t ingested_bytes() const { return ingested_bytes_; }
  const StoreActivity& activity() const { return *activity_; }

 private:
  Status OpenRocks(const EngineOptions& options, const RocksShared& shared, const ShardTable& table,
                   std::shared_ptr<ExpiryFilterFactory> filter, bool create);
  Status CreateMissingShards(const EngineOptions& options, const ShardTable& table);
  Status DropUnnamed();
  Status ReadOwn(TierOwnRecord* own, bool* found) const;
  // Adds the raised change number to a batch; it counts once the batch is written.
  Status AppendIdentity(rocksdb::WriteBatch* batch, const TierOwnRecord& next) const;
  Status WriteSynced(rocksdb::WriteBatch* batch, std::string_view doing);
  // Writes a batch as a change of the store.
  Status WriteChange(rocksdb::WriteBatch* batch);
  Status ApplyAsBatch(int shard, const std::vector<TierChange>& changes);
  Status ApplyAsTable(int shard, const std::vector<TierChange>& changes);
  Status AppendRangeDelete(rocksdb::WriteBatch* batch, const RangeIntentRecord& range) const;
  rocksdb::Env* EnvOf(const EngineOptions& options) const {
    return options_.env != nullptr ? options_.env : options.env;
  }
  std::string Named() const;
  std::string IngestFolder() const { return place_.directory + "/ingest"; }

  const Place place_;
  const TierOptions options_;
  ViewLatch* const latch_;
  // RocksDB's own lock knows a folder by its path alone, and within a process by nothing else.
  FileLock folder_;
  TierOwnRecord own_;
  std::unique_ptr<rocksdb::Env> slow_env_;       // outlives the store's files
  std::unique_ptr<rocksdb::Env> ingestion_env_;  // outlives the store's files
  const std::shared_ptr<StoreActivity> activity_ = std::make_shared<StoreActivity>();
  std::shared_ptr<rocksdb::Cache> block_cache_;
  rocksdb::DBOptions db_options_;
  rocksdb::ColumnFamilyOptions shard_options_;
  std::unique_ptr<rocksdb::DB> db_;
  std::shared_ptr<FamilyKeeper> keeper_;               // owns the shards' handles
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;  // the others; destroyed by Close
  rocksdb::ColumnFamilyHandle* meta_ = nullptr;
  mutable std::mutex shards_mutex_;
  std::vector<FamilyPtr> shard_handles_;  // by shard index; GUARDED_BY(shards_mutex_)
  UncertainFamilies uncertain_;
  std::atomic<uint64_t> ingested_bytes_{0};
};

}  // namespace thermocline
