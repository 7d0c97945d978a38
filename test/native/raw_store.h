// The hot store's RocksDB opened by hand: puts a database into states that the engine only leaves
// behind when it is killed, and looks at what it wrote.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/transaction_log.h>

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/tier/meta.h"
#include "support.h"

namespace thermocline::test {

// The column families of a store, `default` included, in the order RocksDB lists them.
inline std::vector<std::string> FamiliesOf(const std::string& directory) {
  std::vector<std::string> families;
  const rocksdb::Status s =
      rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), directory, &families);
  EXPECT_TRUE(s.ok()) << s.ToString();
  return families;
}

class RawStore {
 public:
  // Opens the store, creating what is missing of it and of `more` column families.
  explicit RawStore(const std::string& directory, const std::vector<std::string>& more = {}) {
    std::filesystem::create_directories(directory);
    std::vector<std::string> families = {rocksdb::kDefaultColumnFamilyName};
    if (std::filesystem::exists(directory + "/CURRENT")) families = FamiliesOf(directory);
    for (const std::string& name : more) families.push_back(name);
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
    for (const std::string& name : families) {
      descriptors.emplace_back(name, rocksdb::ColumnFamilyOptions());
    }
    rocksdb::DBOptions options;
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    // Closing leaves everything in the log, as a killed process does.
    options.avoid_flush_during_shutdown = true;
    // And opening keeps the log, which would be dropped once it is in tables.
    options.avoid_flush_during_recovery = true;
    rocksdb::DB* db = nullptr;
    const rocksdb::Status s = rocksdb::DB::Open(options, directory, descriptors, &handles_, &db);
    EXPECT_TRUE(s.ok()) << s.ToString();
    if (!s.ok()) std::abort();
    db_.reset(db);
  }
  ~RawStore() {
    for (rocksdb::ColumnFamilyHandle* handle : handles_) {
      db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    }
  }

  rocksdb::DB* db() { return db_.get(); }
  rocksdb::ColumnFamilyHandle* Family(std::string_view name) {
    for (rocksdb::ColumnFamilyHandle* handle : handles_) {
      if (handle->GetName() == name) return handle;
    }
    ADD_FAILURE() << "there is no column family " << name;
    return db_->DefaultColumnFamily();
  }
  void Put(std::string_view family, std::string_view key, std::string_view value) {
    Check(db_->Put({}, Family(family), AsSlice(key), AsSlice(value)));
  }
  void Delete(std::string_view family, std::string_view key) {
    Check(db_->Delete({}, Family(family), AsSlice(key)));
  }
  void Drop(std::string_view family) { Check(db_->DropColumnFamily(Family(family))); }
  void Flush(std::string_view family) { Check(db_->Flush({}, Family(family))); }
  // Everything in a column family.
  std::map<std::string, std::string> Records(std::string_view family) {
    std::map<std::string, std::string> records;
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, Family(family)));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      records[it->key().ToString()] = it->value().ToString();
    }
    Check(it->status());
    return records;
  }

  void PutMeta(std::string_view key, std::string_view payload) {
    Put(kMetaColumnFamily, key, SealMeta(key, payload));
  }
  // The payload of a meta record; "(missing)" or "(damaged)" if there is none to give.
  std::string Meta(std::string_view key) {
    const auto records = Records(kMetaColumnFamily);
    const auto found = records.find(std::string(key));
    if (found == records.end()) return "(missing)";
    std::string_view payload;
    if (!OpenMeta(key, found->second, &payload).ok()) return "(damaged)";
    return std::string(payload);
  }

 private:
  static rocksdb::Slice AsSlice(std::string_view text) { return {text.data(), text.size()}; }
  static void Check(const rocksdb::Status& s) { EXPECT_TRUE(s.ok()) << s.ToString(); }

  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

// Where the records of a log have their types: behind a checksum and a length.
inline std::set<size_t> LogTypeBytes(std::string_view log) {
  std::set<size_t> bytes;
  for (size_t at = 0; at + 7 <= log.size();) {
    bytes.insert(at + 6);
    at += 7 + (static_cast<uint8_t>(log[at + 4]) |
               static_cast<size_t>(static_cast<uint8_t>(log[at + 5])) << 8);
  }
  return bytes;
}

// Damages every table file of the shards: flips bits in the first block, which holds data. Returns
// how many there were.
inline int DamageTables(const std::string& directory) {
  std::vector<rocksdb::LiveFileMetaData> files;
  RawStore(directory).db()->GetLiveFilesMetaData(&files);
  int damaged = 0;
  for (const rocksdb::LiveFileMetaData& file : files) {
    if (!file.column_family_name.starts_with("shard_")) continue;
    const std::string path = directory + "/" + file.relative_filename;
    std::string content = ReadFile(path);
    for (size_t i = 5; i < 25 && i < content.size(); i++) {
      content[i] = static_cast<char>(content[i] ^ 0x55);
    }
    WriteFile(path, content);
    damaged++;
  }
  return damaged;
}

}  // namespace thermocline::test
