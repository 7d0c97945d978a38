// The column families of shards in one store: creating, sharing, filling and dropping them.
//
// Purpose: a shard's data is replaced by filling a new generation of its column family aside. The
// old generation is dropped at once, which RocksDB keeps readable for whoever still holds its
// handle; the last holder gives the space back.
//
// Thread safety: FamilyKeeper from any thread; FamilyFiller by one.
// Ownership: the keeper owns the handles until their last reference goes, or Close.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_writer.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "engine/shard/shard_table.h"
#include "engine/shard/shards.h"
#include "engine/status.h"

namespace thermocline {

class FamilyKeeper : public std::enable_shared_from_this<FamilyKeeper> {
 public:
  explicit FamilyKeeper(rocksdb::DB* db) : db_(db) {}

  // A handle that is destroyed with its last reference.
  FamilyPtr Own(rocksdb::ColumnFamilyHandle* handle);
  // Destroys what is still there: references that are left must not be used any more.
  // REQUIRES: before the database closes.
  void Close();

 private:
  void Destroy(rocksdb::ColumnFamilyHandle* handle);

  std::mutex mutex_;
  rocksdb::DB* db_;                                          // GUARDED_BY(mutex_); null: closed
  std::unordered_set<rocksdb::ColumnFamilyHandle*> living_;  // GUARDED_BY(mutex_)
};

// How one tier's store makes and fills families.
struct FamilyStore {
  rocksdb::DB* db = nullptr;
  std::shared_ptr<FamilyKeeper> keeper;
  rocksdb::DBOptions db_options;
  rocksdb::ColumnFamilyOptions shard_options;
  std::string ingest_folder;  // on the store's disk; what lies there may be deleted at opening

  // Creates the families of `infos`, in their order.
  Status Create(const std::vector<ShardInfo>& infos, std::vector<FamilyPtr>* families) const;
  // Their records go when the last reference does.
  Status Drop(const std::vector<FamilyPtr>& families) const;
};

// Writes ascending records into tables beside a family, and adds them to it.
class FamilyFiller {
 public:
  // `store` outlives the filler.
  FamilyFiller(const FamilyStore* store, FamilyPtr family)
      : store_(store), family_(std::move(family)) {}
  ~FamilyFiller() { Discard(); }
  FamilyFiller(const FamilyFiller&) = delete;
  FamilyFiller& operator=(const FamilyFiller&) = delete;

  // REQUIRES: keys ascend since the last Ingest.
  Status Add(std::string_view key, std::string_view stored);
  // Makes the records visible in the family, durably. Nothing was added: does nothing.
  Status Ingest();
  uint64_t ingested_bytes() const { return ingested_bytes_; }

 private:
  void Discard();

  const FamilyStore* const store_;
  const FamilyPtr family_;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;
  std::string path_;
  int tables_ = 0;
  uint64_t ingested_bytes_ = 0;
};

}  // namespace thermocline
