// The hot store: the RocksDB instance that every write goes to first.
//
// Purpose: opening and creating it safely. Creation is a sequence of steps that a crash may cut:
//   1. RocksDB with the meta column family alone
//   2. meta: format version, state "creating", shard table, tier identity, in one synced write
//   3. the shard column families
//   4. meta: state "ready", synced
// Opening a store in state "creating" finishes steps 3 and 4. In state "ready" a missing shard
// column family is corruption, and one that the table does not name is a generation that never
// took effect: it is dropped.
//
// Thread safety: Open and Close by one thread; db() and meta() are constant in between.
// Ownership: owns the database and its column family handles; those of shards are shared with
// whoever holds a Shards.
#pragma once

#include <rocksdb/db.h>

#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "engine/options.h"
#include "engine/rocks_options.h"
#include "engine/shard/families.h"
#include "engine/shard/shards.h"
#include "engine/status.h"
#include "engine/tier/meta.h"

namespace thermocline {

class HotStore {
 public:
  HotStore() = default;
  ~HotStore() { Close(); }
  HotStore(const HotStore&) = delete;
  HotStore& operator=(const HotStore&) = delete;

  // Whether `directory` holds a hot store (complete or begun). *error says if it could not be seen.
  static bool Exists(const std::string& directory, std::error_code* error = nullptr);

  // Deletes the store's files, after making sure that it is ours. Files of others stay.
  static Status Destroy(const std::string& directory, rocksdb::Env* env = nullptr);

  Status Open(const std::string& directory, const EngineOptions& options, const RocksShared& shared,
              std::shared_ptr<rocksdb::EventListener> listener);
  void Close();

  // Writes everything in memory to tables, the meta records too: a memtable that stays would keep
  // its log alive.
  Status Flush();

  rocksdb::DB* db() const { return db_.get(); }
  rocksdb::ColumnFamilyHandle* meta() const { return meta_; }
  std::shared_ptr<const Shards> shards() const { return shards_.Load(); }
  // The same, kept up to date. The engine publishes a table's families of all tiers here.
  const CurrentShards& current_shards() const { return shards_; }
  FamilyStore families() const;
  // After Open has failed: whether only because the store was created with a log and opened
  // without, or the other way round.
  bool created_otherwise() const { return created_otherwise_; }
  // Whether Open has made a new store.
  bool created() const { return created_; }
  const TierIdentity& identity() const { return identity_; }
  // False: the database was created without a write-ahead log.
  bool has_log() const { return !options_.without_log; }

  // Reads a meta record. found = false: there is none.
  Status GetMeta(std::string_view key, std::string* payload, bool* found) const;
  // Writes meta records as one internal commit. REQUIRES: not read-only.
  Status PutMeta(const std::vector<std::pair<std::string_view, std::string>>& records, bool sync);
  // Deletes meta records, likewise.
  Status DeleteMeta(const std::vector<std::string_view>& keys, bool sync);
  // Calls fn for every meta record whose key begins with `prefix`, until it fails.
  Status ScanMeta(
      std::string_view prefix,
      const std::function<Status(std::string_view key, std::string_view payload)>& fn) const;

 private:
  Status OpenRocks(const std::string& directory, const std::vector<std::string>& families);
  Status CreateMeta();
  Status LoadMeta();
  Status CreateMissingShards();
  Status OpenShards();
  Status CheckFormat() const;
  rocksdb::ColumnFamilyHandle* FindHandle(const std::string& name) const;

  EngineOptions options_;
  RocksShared shared_;
  rocksdb::DBOptions db_options_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;  // but for the shards'; destroyed by Close
  rocksdb::ColumnFamilyHandle* meta_ = nullptr;
  ShardTable table_;
  CreationState state_ = CreationState::kCreating;
  TierIdentity identity_;
  bool created_otherwise_ = false;
  bool created_ = false;
  std::shared_ptr<FamilyKeeper> keeper_;  // owns the shards' handles
  std::string directory_;
  CurrentShards shards_;
};

}  // namespace thermocline
