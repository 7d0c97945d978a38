#include "engine/tier/tier_store.h"

#include <rocksdb/sst_file_writer.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "engine/platform/slow_disk.h"
#include "engine/tier/ingestion.h"
#include "engine/tier/tier_rocks_options.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

// Below this a batch is cheaper than a table of its own, which compaction would have to merge.
constexpr size_t kTableBytes = 512 * kKiB;

rocksdb::Slice AsSlice(std::string_view s) { return {s.data(), s.size()}; }

bool HasStore(const std::string& directory) {
  std::error_code error;
  return fs::exists(fs::path(directory) / "CURRENT", error);
}

bool IsEmptyFamily(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family) {
  const std::unique_ptr<rocksdb::Iterator> any(db->NewIterator(rocksdb::ReadOptions(), family));
  any->SeekToFirst();
  return !any->Valid() && any->status().ok();
}

// The identity record of the store in `directory`, without opening it for writing.
Status PeekOwn(const std::string& directory, rocksdb::Env* env, TierOwnRecord* own) {
  rocksdb::DBOptions options;
  if (env != nullptr) options.env = env;
  options.info_log_level = rocksdb::InfoLogLevel::FATAL_LEVEL;
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, {}}, {std::string(kMetaColumnFamily), {}}};
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  rocksdb::Status s = rocksdb::DB::OpenForReadOnly(options, directory, families, &handles, &opened);
  if (!s.ok()) return Status::From(s, "opening the store in " + directory);
  const std::unique_ptr<rocksdb::DB> db(opened);
  std::string sealed;
  s = db->Get({}, handles[1], AsSlice(meta_key::kTierIdentity), &sealed);
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    db->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  if (!s.ok()) return Status::From(s, "reading the identity of the store in " + directory);
  std::string_view payload;
  Status status = OpenMeta(meta_key::kTierIdentity, sealed, &payload);
  return status.ok() ? DecodeTierOwn(payload, own) : status;
}

// Whether the store in `directory` is one that was killed before its identity was written: RocksDB
// without a record.
bool IsUnfinished(const std::string& directory, rocksdb::Env* env) {
  rocksdb::DBOptions options;
  if (env != nullptr) options.env = env;
  options.info_log_level = rocksdb::InfoLogLevel::FATAL_LEVEL;
  std::vector<std::string> names;
  if (!rocksdb::DB::ListColumnFamilies(options, directory, &names).ok()) return false;
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) {
    if (name != rocksdb::kDefaultColumnFamilyName && name != kMetaColumnFamily) return false;
    families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  if (!rocksdb::DB::OpenForReadOnly(options, directory, families, &handles, &opened).ok()) {
    return false;
  }
  const std::unique_ptr<rocksdb::DB> db(opened);
  bool empty = true;
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    empty = empty && IsEmptyFamily(db.get(), handle);
    db->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  return empty;
}

}  // namespace

std::string TierStore::Named() const {
  return "the " + std::string(TierName(place_.tier)) + " tier in " + place_.directory;
}

Status TierStore::Destroy(const std::string& directory, std::string_view uuid, rocksdb::Env* env) {
  if (!HasStore(directory)) return {};
  FileLock folder;
  TierOwnRecord own;
  Status status = folder.AcquireFolder(directory, /*shared=*/false);
  if (status.ok()) status = PeekOwn(directory, env, &own);
  if (!status.ok()) return status;
  if (own.identity.uuid != uuid) return {};
  rocksdb::DBOptions options;
  if (env != nullptr) options.env = env;
  std::vector<std::string> names;
  rocksdb::Status s = rocksdb::DB::ListColumnFamilies(options, directory, &names);
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) {
    families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  }
  std::error_code ignored;
  fs::remove_all(directory + "/ingest", ignored);
  if (s.ok()) {
    s = rocksdb::DestroyDB(directory, rocksdb::Options(options, rocksdb::ColumnFamilyOptions()),
                           families);
  }
  fs::remove(directory, ignored);  // stays if somebody keeps files of their own in it
  return Status::From(s, "deleting a colder tier's store");
}

Status TierStore::OpenRocks(const EngineOptions& options, const RocksShared& shared,
                            const ShardTable& table, std::shared_ptr<ExpiryFilterFactory> filter,
                            bool create) {
  db_options_ = ColderDbOptions(options, options_, shared);
  if (options_.simulated != SimulatedDisk::kNone) {
    const DiskSpeed& speed = options_.simulated == SimulatedDisk::kSata ? kSataSsd : kHardDisk;
    slow_env_ = NewSlowEnv(db_options_.env, std::make_shared<SlowDisk>(speed));
    db_options_.env = slow_env_.get();
  }
  ingestion_env_ = NewIngestionEnv(db_options_.env);
  db_options_.env = ingestion_env_.get();
  db_options_.create_if_missing = create;
  block_cache_ = std::make_shared<CountingCache>(
      rocksdb::HyperClockCacheOptions(options_.block_cache_bytes, 0).MakeSharedCache(), activity_);
  db_options_.listeners.push_back(std::make_shared<ActivityListener>(activity_));
  shard_options_ =
      ColderShardOptions(place_.tier, options_, block_cache_, std::move(filter), table.size());
  std::vector<std::string> names = {rocksdb::kDefaultColumnFamilyName,
                                    std::string(kMetaColumnFamily)};
  if (HasStore(place_.directory)) {
    const rocksdb::Status s =
        rocksdb::DB::ListColumnFamilies(db_options_, place_.directory, &names);
    if (!s.ok()) return Status::From(s, "opening " + Named());
    if (create && std::find(names.begin(), names.end(), kMetaColumnFamily) == names.end()) {
      names.emplace_back(kMetaColumnFamily);
    }
  }
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) {
    uint32_t id;
    uint32_t generation;
    const bool is_shard = ParseShardColumnFamilyName(name, &id, &generation);
    families.emplace_back(name, is_shard ? shard_options_ : MetaOptions(shared));
  }
  rocksdb::DB* db = nullptr;
  const rocksdb::Status s =
      options.read_only
          ? rocksdb::DB::OpenForReadOnly(db_options_, place_.directory, families, &handles_, &db)
          : rocksdb::DB::Open(db_options_, place_.directory, families, &handles_, &db);
  db_.reset(db);
  if (!s.ok()) return Status::From(s, "opening " + Named());
  keeper_ = std::make_shared<FamilyKeeper>(db);
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    if (handle->GetName() == kMetaColumnFamily) meta_ = handle;
  }
  if (meta_ == nullptr) {
    return {Code::kInvalidArgument, place_.directory + " holds a RocksDB database that is no tier"};
  }
  if (!options.read_only) {
    std::error_code error;
    fs::remove_all(IngestFolder(), error);  // what a step that was cut short has left
    fs::create_directories(IngestFolder(), error);
    if (error) return {Code::kIo, "creating a folder in " + Named() + ": " + error.message()};
  }
  return {};
}

Status TierStore::CreateMissingShards(const EngineOptions& options, const ShardTable& table) {
  std::vector<std::string> missing;
  const auto find = [this](const std::string& name) -> rocksdb::ColumnFamilyHandle* {
    for (rocksdb::ColumnFamilyHandle* handle : handles_) {
      if (handle->GetName() == name) return handle;
    }
    return nullptr;
  };
  for (const ShardInfo& info : table.shards()) {
    const std::string name = ShardColumnFamilyName(info.id, info.generation);
    if (find(name) == nullptr) missing.push_back(name);
  }
  if (!missing.empty()) {
    // Only a creation that was cut short leaves shards out, and then none of them holds anything.
    if (own_.identity.last_step > 0) {
      return {Code::kCorruption, "the column family " + missing[0] + " is missing in " + Named()};
    }
    if (options.read_only) return {Code::kReadOnly, Named() + " was never completely created"};
    std::vector<rocksdb::ColumnFamilyHandle*> created;
    const rocksdb::Status s = db_->CreateColumnFamilies(shard_options_, missing, &created);
    handles_.insert(handles_.end(), created.begin(), created.end());
    if (!s.ok()) return Status::From(s, "creating the shards of " + Named());
  }
  std::vector<FamilyPtr> shards;
  for (const ShardInfo& info : table.shards()) {
    rocksdb::ColumnFamilyHandle* const family =
        find(ShardColumnFamilyName(info.id, info.generation));
    shards.push_back(keeper_->Own(family));
    std::erase(handles_, family);
  }
  SetShards(std::move(shards));
  return options.read_only ? Status() : DropUnnamed();
}

// Generations that never took effect, or that were replaced shortly before a crash.
Status TierStore::DropUnnamed() {
  for (rocksdb::ColumnFamilyHandle* handle : std::vector(handles_)) {
    uint32_t id;
    uint32_t generation;
    if (!ParseShardColumnFamilyName(handle->GetName(), &id, &generation)) continue;
    const rocksdb::Status s = db_->DropColumnFamily(handle);
    if (!s.ok()) return Status::From(s, "dropping an unused shard generation");
    std::erase(handles_, handle);
    db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  return {};
}

Status TierStore::ReadOwn(TierOwnRecord* own, bool* found) const {
  std::string sealed;
  const rocksdb::Status s = db_->Get({}, meta_, AsSlice(meta_key::kTierIdentity), &sealed);
  *found = s.ok();
  if (s.IsNotFound()) return {};
  if (!s.ok()) return Status::From(s, "reading the identity of " + Named());
  std::string_view payload;
  Status status = OpenMeta(meta_key::kTierIdentity, sealed, &payload);
  return status.ok() ? DecodeTierOwn(payload, own) : status;
}

Status TierStore::Create(const EngineOptions& options, const RocksShared& shared,
                         const ShardTable& table, std::shared_ptr<ExpiryFilterFactory> filter) {
  std::error_code error;
  fs::create_directories(place_.directory, error);
  if (error) return {Code::kIo, "creating the folder " + place_.directory + ": " + error.message()};
  // Before it is looked into: two databases may choose the same new folder at once.
  Status status = folder_.AcquireFolder(place_.directory, /*shared=*/false);
  if (!status.ok()) return status;
  if (HasStore(place_.directory)) {
    TierOwnRecord own;
    const bool known = PeekOwn(place_.directory, EnvOf(options), &own).ok();
    const bool ours = known && own.owner == place_.owner && own.identity.last_step == 0;
    if (!ours && (known || !IsUnfinished(place_.directory, EnvOf(options)))) {
      return {Code::kInvalidArgument, place_.directory + " holds another store: a new " +
                                          std::string(TierName(place_.tier)) +
                                          " tier needs a folder of its own"};
    }
  } else {
    for (const fs::directory_entry& entry : fs::directory_iterator(place_.directory, error)) {
      const std::string name = entry.path().filename().string();
      // What RocksDB, or a file system, makes before the first CURRENT file.
      if (name == "lost+found" || name == "ingest" || name == "LOCK" || name == "IDENTITY" ||
          name.starts_with("LOG") || name.starts_with("MANIFEST-") || name.ends_with(".dbtmp")) {
        continue;
      }
      return {Code::kInvalidArgument,
              place_.directory + " is not empty (" + name + " is in it): a new " +
                  std::string(TierName(place_.tier)) + " tier needs a folder of its own"};
    }
  }
  status = OpenRocks(options, shared, table, std::move(filter), /*create=*/true);
  bool found = false;
  if (status.ok()) status = ReadOwn(&own_, &found);
  if (!status.ok()) return status;
  if (!found) {
    own_ = {{NewUuid(), 0}, place_.owner};
    rocksdb::WriteBatch batch;
    status = AppendIdentity(&batch, own_);
    if (status.ok()) status = WriteSynced(&batch, "creating");
    if (!status.ok()) return status;
  }
  return CreateMissingShards(options, table);
}

Status TierStore::Open(const EngineOptions& options, const RocksShared& shared,
                       const ShardTable& table, const TierIdentity& expected,
                       std::shared_ptr<ExpiryFilterFactory> filter) {
  if (!HasStore(place_.directory)) {
    return {Code::kNotFound, "the database has a " + std::string(TierName(place_.tier)) +
                                 " tier, but " + place_.directory +
                                 " holds none: is its disk mounted?"};
  }
  TierOwnRecord own;
  Status status = folder_.AcquireFolder(place_.directory, options.read_only);
  if (status.ok()) status = PeekOwn(place_.directory, EnvOf(options), &own);
  if (!status.ok()) return status;
  if (own.identity.uuid != expected.uuid || own.owner != place_.owner) {
    return {Code::kInvalidArgument, place_.directory +
                                        " holds a tier of another database, not this one's " +
                                        std::string(TierName(place_.tier)) + " tier"};
  }
  if (own.identity.last_step < expected.last_step) {
    return {Code::kCorruption, Named() + " is an older copy: it has seen " +
                                   std::to_string(own.identity.last_step) + " changes of " +
                                   std::to_string(expected.last_step)};
  }
  // A crash between a change and its note in hot leaves one; more means an older hot store.
  if (own.identity.last_step > expected.last_step + 1) {
    return {Code::kCorruption, "the hot tier is an older copy: " + Named() + " has seen " +
                                   std::to_string(own.identity.last_step) + " changes of " +
                                   std::to_string(expected.last_step)};
  }
  status = OpenRocks(options, shared, table, std::move(filter), /*create=*/false);
  bool found = false;
  if (status.ok()) status = ReadOwn(&own_, &found);
  if (status.ok() && !found) {
    status = {Code::kCorruption, "the identity record of " + Named() + " is missing"};
  }
  return status.ok() ? CreateMissingShards(options, table) : status;
}

Status TierStore::UuidOf(const std::string& directory, rocksdb::Env* env, std::string* uuid) {
  if (!HasStore(directory)) return {Code::kNotFound, directory + " holds no store"};
  TierOwnRecord own;
  Status status = PeekOwn(directory, env, &own);
  *uuid = own.identity.uuid;
  return status;
}

Status TierStore::SetUuid(const std::string& uuid) {
  TierOwnRecord next = own_;
  next.identity.uuid = uuid;
  rocksdb::WriteBatch batch;
  Status status = AppendIdentity(&batch, next);
  if (status.ok()) status = WriteSynced(&batch, "naming");
  if (status.ok()) own_ = std::move(next);
  return status;
}

void TierStore::Close() {
  if (!db_) return;
  SetShards({});
  if (keeper_) keeper_->Close();
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  handles_.clear();
  meta_ = nullptr;
  db_->Close().PermitUncheckedError();
  db_.reset();
  folder_.Release();
}

Status TierStore::AppendIdentity(rocksdb::WriteBatch* batch, const TierOwnRecord& next) const {
  const rocksdb::Status s = batch->Put(meta_, AsSlice(meta_key::kTierIdentity),
                                       SealMeta(meta_key::kTierIdentity, EncodeTierOwn(next)));
  return Status::From(s, "changing " + Named());
}

Status TierStore::WriteSynced(rocksdb::WriteBatch* batch, std::string_view doing) {
  rocksdb::WriteOptions write;
  write.sync = true;
  return Status::From(db_->Write(write, batch), std::string(doing) + " " + Named());
}

Status TierStore::Apply(int shard, const std::vector<TierChange>& changes) {
  if (changes.empty()) return {};
  size_t bytes = 0;
  for (const TierChange& change : changes) bytes += change.key.size() + change.stored.size();
  Status status = bytes < kTableBytes ? ApplyAsBatch(shard, changes) : ApplyAsTable(shard, changes);
  if (!status.ok()) {
    uncertain_.Add(shards()[static_cast<size_t>(shard)]->GetID(), changes.back().key);
  }
  return status;
}

Status TierStore::ApplyAsBatch(int shard, const std::vector<TierChange>& changes) {
  const FamilyPtr held = shards()[static_cast<size_t>(shard)];
  rocksdb::ColumnFamilyHandle* const family = held.get();
  rocksdb::WriteBatch batch;
  rocksdb::Status s;
  for (const TierChange& change : changes) {
    s = change.remove ? batch.Delete(family, change.key)
                      : batch.Put(family, change.key, change.stored);
    if (!s.ok()) return Status::From(s, "changing " + Named());
  }
  return WriteChange(&batch);
}

Status TierStore::WriteChange(rocksdb::WriteBatch* batch) {
  TierOwnRecord next = own_;
  next.identity.last_step++;
  Status status = AppendIdentity(batch, next);
  if (!status.ok()) return status;
  latch_->ChangeBegins();
  status = WriteSynced(batch, "changing");
  if (status.ok()) own_ = std::move(next);
  return status;
}

Status TierStore::ApplyAsTable(int shard, const std::vector<TierChange>& changes) {
  const FamilyPtr held = shards()[static_cast<size_t>(shard)];
  rocksdb::ColumnFamilyHandle* const family = held.get();
  TierOwnRecord next = own_;
  next.identity.last_step++;
  const std::string path = IngestFolder() + "/" + std::to_string(next.identity.last_step) + ".sst";
  // The options as they are now: those of the column family, compression and filters included.
  rocksdb::Options options(db_options_, shard_options_);
  rocksdb::SstFileWriter writer(rocksdb::EnvOptions(db_options_), options, family);
  rocksdb::Status s = writer.Open(path);
  for (const TierChange& change : changes) {
    if (!s.ok()) break;
    s = change.remove ? writer.Delete(change.key) : writer.Put(change.key, change.stored);
  }
  rocksdb::ExternalSstFileInfo info;
  if (s.ok()) s = writer.Finish(&info);
  if (s.ok()) {
    latch_->ChangeBegins();
    s = IngestTable(db_.get(), family, path);
  }
  if (!s.ok()) {
    db_options_.env->DeleteFile(path).PermitUncheckedError();
    return Status::From(s, "changing " + Named());
  }
  ingested_bytes_.fetch_add(info.file_size, std::memory_order_relaxed);
  rocksdb::WriteBatch number;
  return WriteChange(&number);
}

Status TierStore::AppendRangeDelete(rocksdb::WriteBatch* batch,
                                    const RangeIntentRecord& range) const {
  for (const FamilyPtr& shard : shards()) {
    rocksdb::ColumnFamilyHandle* const family = shard.get();
    std::string end = range.end;
    if (!range.has_end) {
      const std::unique_ptr<rocksdb::Iterator> last(
          db_->NewIterator(rocksdb::ReadOptions(), family));
      last->SeekToLast();
      if (!last->status().ok()) return Status::From(last->status(), "reading " + Named());
      // What a failed change may bring up is deleted as well.
      end = std::max(uncertain_.LastKey(family->GetID()),
                     last->Valid() ? last->key().ToString() : std::string());
      if (!last->Valid() && end.empty()) continue;
      end += '\0';
    }
    if (end <= range.start) continue;
    const rocksdb::Status s = batch->DeleteRange(family, range.start, end);
    if (!s.ok()) return Status::From(s, "changing " + Named());
  }
  return {};
}

Status TierStore::DeleteRanges(const RangeIntents::List& ranges) {
  rocksdb::WriteBatch batch;
  for (const auto& intent : ranges) {
    Status status = AppendRangeDelete(&batch, intent->range);
    if (!status.ok()) return status;
  }
  return WriteChange(&batch);
}

Status TierStore::Flush() {
  for (;;) {
    const std::vector<FamilyPtr> held = shards();
    std::vector<rocksdb::ColumnFamilyHandle*> families = {meta_};
    for (const FamilyPtr& shard : held) families.push_back(shard.get());
    const rocksdb::Status s = db_->Flush(rocksdb::FlushOptions(), families);
    // A shard was replaced meanwhile.
    if (s.IsColumnFamilyDropped() && shards() != held) continue;
    return Status::From(s, "flushing " + Named());
  }
}

bool TierStore::IsEmpty() const {
  const std::vector<FamilyPtr> held = shards();
  return std::all_of(held.begin(), held.end(), [this](const FamilyPtr& family) {
    return IsEmptyFamily(db_.get(), family.get());
  });
}

}  // namespace thermocline
