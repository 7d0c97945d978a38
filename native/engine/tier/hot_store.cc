#include "engine/tier/hot_store.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "engine/record/coding.h"
#include "engine/record/commit_header.h"
#include "engine/tier/ingestion.h"
#include "engine/tier/log_check.h"

namespace thermocline {

namespace {

Status Foreign(const std::string& directory, const std::string& why) {
  return {Code::kInvalidArgument,
          directory + " holds a RocksDB database that Thermocline did not create (" + why +
              "): choose another folder"};
}

Status NeverCreated() {
  return {Code::kReadOnly, "the database was never completely created: open it for writing"};
}

std::string IngestFolderOf(const std::string& directory) { return directory + "/ingest"; }

bool IsEmpty(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family) {
  const std::unique_ptr<rocksdb::Iterator> any(db->NewIterator(rocksdb::ReadOptions(), family));
  any->SeekToFirst();
  return !any->Valid();
}

// The column families of a directory, told apart by name.
struct Families {
  std::vector<std::string> names;
  bool has_meta = false;
  int shards = 0;

  Status List(const rocksdb::DBOptions& options, const std::string& directory) {
    const rocksdb::Status s = rocksdb::DB::ListColumnFamilies(options, directory, &names);
    if (!s.ok()) return Status::From(s, "opening the hot store");
    for (const std::string& name : names) {
      uint32_t id;
      uint32_t generation;
      if (name == kMetaColumnFamily) {
        has_meta = true;
      } else if (ParseShardColumnFamilyName(name, &id, &generation)) {
        shards++;
      } else if (name != rocksdb::kDefaultColumnFamilyName) {
        return Foreign(directory, "it has a column family '" + name + "'");
      }
    }
    return {};
  }
};

// The manifest and the logs, before RocksDB reads them and deletes what it believes to be obsolete.
// After a loss of power whole records may lie behind a hole in a log.
Status CheckLogs(const std::string& directory, bool after_power_loss) {
  const std::filesystem::path folder(directory);
  std::string manifest;
  std::ifstream current(folder / "CURRENT");
  std::getline(current, manifest);
  std::error_code error;
  Status status;
  if (manifest.starts_with("MANIFEST-") && std::filesystem::exists(folder / manifest, error)) {
    status = CheckLogEnd((folder / manifest).string());
  }
  if (after_power_loss) return status;
  for (const auto& file : std::filesystem::directory_iterator(folder, error)) {
    if (status.ok() && file.path().extension() == ".log") {
      status = CheckLogEnd(file.path().string());
    }
  }
  return status;
}

// A directory without our meta column family: OK if it is a store whose creation was cut short,
// which is empty; anything else is not ours.
Status CheckUnmarked(const rocksdb::DBOptions& options, const std::string& directory,
                     const Families& families) {
  if (families.shards > 0) {
    return {Code::kCorruption, directory + " has shards but no meta column family"};
  }
  rocksdb::DB* db = nullptr;
  const rocksdb::Status s = rocksdb::DB::OpenForReadOnly(
      rocksdb::Options(options, rocksdb::ColumnFamilyOptions()), directory, &db);
  if (!s.ok()) return Status::From(s, "opening the hot store");
  const std::unique_ptr<rocksdb::DB> closing(db);
  if (IsEmpty(db, db->DefaultColumnFamily())) return {};
  return Foreign(directory, "it has records and no meta column family");
}

// A directory with a meta column family: OK if that has our format record, or nothing at all yet.
Status CheckMarked(const rocksdb::DBOptions& options, const std::string& directory) {
  const std::vector<rocksdb::ColumnFamilyDescriptor> descriptors = {
      {rocksdb::kDefaultColumnFamilyName, {}}, {std::string(kMetaColumnFamily), {}}};
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  rocksdb::Status s = rocksdb::DB::OpenForReadOnly(options, directory, descriptors, &handles, &db);
  if (!s.ok()) return Status::From(s, "opening the hot store");
  const std::unique_ptr<rocksdb::DB> closing(db);
  std::string format;
  s = db->Get({}, handles[1], rocksdb::Slice(meta_key::kFormat.data(), meta_key::kFormat.size()),
              &format);
  const bool ours = s.ok() || (IsEmpty(db, handles[0]) && IsEmpty(db, handles[1]));
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    db->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  if (ours) return {};
  return Foreign(directory, "its meta column family has no format record");
}

}  // namespace

Status HotStore::Destroy(const std::string& directory, rocksdb::Env* env) {
  rocksdb::DBOptions options;
  if (env != nullptr) options.env = env;
  options.info_log_level = rocksdb::InfoLogLevel::FATAL_LEVEL;
  Families families;
  Status status = families.List(options, directory);
  if (status.ok()) {
    status = families.has_meta ? CheckMarked(options, directory)
                               : CheckUnmarked(options, directory, families);
  }
  if (!status.ok()) return status;
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const std::string& name : families.names)
    descriptors.emplace_back(name, rocksdb::ColumnFamilyOptions());
  std::error_code ignored;
  std::filesystem::remove_all(IngestFolderOf(directory), ignored);
  return Status::From(
      rocksdb::DestroyDB(directory, rocksdb::Options(options, rocksdb::ColumnFamilyOptions()),
                         descriptors),
      "deleting the hot store");
}

bool HotStore::Exists(const std::string& directory, std::error_code* error) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::path(directory) / "CURRENT",
                                 error == nullptr ? ignored : *error);
}

Status HotStore::Open(const std::string& directory, const EngineOptions& options,
                      const RocksShared& shared, std::shared_ptr<rocksdb::EventListener> listener) {
  options_ = options;
  shared_ = shared;
  db_options_ = HotDbOptions(options, shared);
  UseIngestionEnv(&db_options_);
  if (listener) db_options_.listeners.push_back(std::move(listener));
  db_options_.listeners.push_back(std::make_shared<ActivityListener>(shared.activity));

  const bool exists = Exists(directory);
  Families families;
  Status status;
  if (exists) {
    status = CheckLogs(directory, options.after_power_loss);
    if (status.ok()) status = families.List(db_options_, directory);
    // Before opening for writing would give somebody else's database a column family of ours.
    if (status.ok() && !families.has_meta) {
      status = CheckUnmarked(db_options_, directory, families);
      if (status.ok() && options.read_only) status = NeverCreated();
    }
    if (!status.ok()) return status;
  } else {
    families.names = {rocksdb::kDefaultColumnFamilyName};
  }
  if (!families.has_meta) families.names.emplace_back(kMetaColumnFamily);

  status = OpenRocks(directory, families.names);
  if (!status.ok()) return status;
  meta_ = FindHandle(std::string(kMetaColumnFamily));
  bool created = false;
  std::string payload;
  status = GetMeta(meta_key::kFormat, &payload, &created);
  if (!status.ok()) return status;
  if (!created) {
    if (families.shards > 0) {
      return {Code::kCorruption, directory + " has shards but no format record"};
    }
    if (!IsEmpty(db_.get(), meta_) || !IsEmpty(db_.get(), db_->DefaultColumnFamily())) {
      return Foreign(directory, "its meta column family has no format record");
    }
    if (options_.read_only) return NeverCreated();
    status = CreateMeta();
  } else {
    status = LoadMeta();
  }
  if (!status.ok()) return status;
  return OpenShards();
}

Status HotStore::OpenRocks(const std::string& directory, const std::vector<std::string>& families) {
  const int shards = std::max(1, static_cast<int>(families.size()) - 2);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const std::string& name : families) {
    uint32_t id;
    uint32_t generation;
    const bool is_shard = ParseShardColumnFamilyName(name, &id, &generation);
    descriptors.emplace_back(
        name, is_shard ? HotShardOptions(options_, shared_, shards) : MetaOptions(shared_));
  }
  db_options_.create_if_missing = !options_.read_only;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status s =
      options_.read_only
          ? rocksdb::DB::OpenForReadOnly(db_options_, directory, descriptors, &handles_, &db)
          : rocksdb::DB::Open(db_options_, directory, descriptors, &handles_, &db);
  db_.reset(db);
  if (!s.ok()) return Status::From(s, "opening the hot store");
  keeper_ = std::make_shared<FamilyKeeper>(db);
  directory_ = directory;
  std::error_code ignored;
  // What a copy that was cut short has left.
  if (!options_.read_only) std::filesystem::remove_all(IngestFolderOf(directory_), ignored);
  return {};
}

Status HotStore::CreateMeta() {
  const int shards = options_.shards == 0 ? kDefaultShards : options_.shards;
  table_ = ShardTable::Equal(shards);
  state_ = CreationState::kCreating;
  created_ = true;
  identity_ = {NewUuid(), 0};
  std::string format;
  PutFixed32(&format, kFormatVersion);
  return PutMeta({{meta_key::kFormat, format},
                  {meta_key::kState, std::string(1, static_cast<char>(state_))},
                  {meta_key::kShards, table_.Encode()},
                  {meta_key::kLog, std::string(1, options_.without_log ? '\0' : '\1')},
                  {meta_key::kHotTier, EncodeTierIdentity(identity_)}},
                 /*sync=*/true);
}

Status HotStore::LoadMeta() {
  Status status = CheckFormat();
  std::string payload;
  bool found = false;
  if (status.ok()) status = GetMeta(meta_key::kState, &payload, &found);
  if (status.ok() && (!found || payload.size() != 1 ||
                      static_cast<uint8_t>(payload[0]) > uint8_t(CreationState::kReady))) {
    status = {Code::kCorruption, "the database's state record is missing or unknown"};
  }
  if (status.ok()) {
    state_ = static_cast<CreationState>(payload[0]);
    status = GetMeta(meta_key::kShards, &payload, &found);
  }
  if (status.ok()) {
    status = found ? ShardTable::Decode(payload, &table_)
                   : Status{Code::kCorruption, "the database's shard table is missing"};
  }
  if (status.ok()) status = GetMeta(meta_key::kLog, &payload, &found);
  if (status.ok()) {
    const bool without_log = found && payload == std::string(1, '\0');
    if (without_log != options_.without_log) {
      created_otherwise_ = true;
      status = LogMismatch(without_log);
    }
  }
  if (status.ok()) status = GetMeta(meta_key::kHotTier, &payload, &found);
  if (status.ok()) {
    status = found ? DecodeTierIdentity(payload, &identity_)
                   : Status{Code::kCorruption, "the hot tier's identity record is missing"};
  }
  return status;
}

Status HotStore::CheckFormat() const {
  std::string payload;
  bool found = false;
  Status status = GetMeta(meta_key::kFormat, &payload, &found);
  if (!status.ok()) return status;
  if (!found || payload.size() != 4) {
    return {Code::kCorruption, "the database's format record is damaged"};
  }
  const uint32_t version = DecodeFixed32(payload.data());
  if (version > kFormatVersion) {
    return {Code::kFormatVersion, "the database has format version " + std::to_string(version) +
                                      ", this version of thermocline reads up to " +
                                      std::to_string(kFormatVersion) + ": update thermocline"};
  }
  return {};
}

Status HotStore::CreateMissingShards() {
  std::vector<std::string> missing;
  for (const ShardInfo& info : table_.shards()) {
    const std::string name = ShardColumnFamilyName(info.id, info.generation);
    if (FindHandle(name) == nullptr) missing.push_back(name);
  }
  if (missing.empty()) return {};
  if (state_ == CreationState::kReady) {
    return {Code::kCorruption,
            "the column family " + missing[0] + " is missing: restore the database from a backup"};
  }
  if (options_.read_only) {
    return NeverCreated();
  }
  // All at once: RocksDB rewrites its options file, which names every family, for each call.
  std::vector<rocksdb::ColumnFamilyHandle*> created;
  const rocksdb::Status s = db_->CreateColumnFamilies(
      HotShardOptions(options_, shared_, table_.size()), missing, &created);
  handles_.insert(handles_.end(), created.begin(), created.end());
  return Status::From(s, "creating the shards");
}

Status HotStore::OpenShards() {
  Status created = CreateMissingShards();
  if (!created.ok()) return created;
  auto shards = std::make_shared<Shards>();
  shards->table = table_;
  for (const ShardInfo& info : table_.shards()) {
    shards->handles.push_back(FindHandle(ShardColumnFamilyName(info.id, info.generation)));
    shards->owned.push_back(keeper_->Own(shards->handles.back()));
  }
  std::erase_if(handles_, [&](rocksdb::ColumnFamilyHandle* handle) {
    return std::find(shards->handles.begin(), shards->handles.end(), handle) !=
           shards->handles.end();
  });
  if (!options_.read_only) {
    for (rocksdb::ColumnFamilyHandle* handle : std::vector(handles_)) {
      uint32_t id;
      uint32_t generation;
      const bool is_shard = ParseShardColumnFamilyName(handle->GetName(), &id, &generation);
      if (!is_shard) continue;
      const rocksdb::Status s = db_->DropColumnFamily(handle);
      if (!s.ok()) return Status::From(s, "dropping an unused shard generation");
      std::erase(handles_, handle);
      db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    }
    if (state_ == CreationState::kCreating) {
      state_ = CreationState::kReady;
      Status status =
          PutMeta({{meta_key::kState, std::string(1, static_cast<char>(state_))}}, /*sync=*/true);
      if (!status.ok()) return status;
    }
  }
  shards_.Publish(std::move(shards));
  return {};
}

FamilyStore HotStore::families() const {
  return {.db = db_.get(),
          .keeper = keeper_,
          .db_options = db_options_,
          .shard_options = HotShardOptions(options_, shared_, shards()->count()),
          .ingest_folder = IngestFolderOf(directory_)};
}

Status HotStore::Flush() {
  for (;;) {
    const std::shared_ptr<const Shards> shards = shards_.Load();
    std::vector<rocksdb::ColumnFamilyHandle*> families = shards->handles;
    families.push_back(meta_);
    const rocksdb::Status s = db_->Flush(rocksdb::FlushOptions(), families);
    // A shard was replaced meanwhile: its data is elsewhere now.
    if (s.IsColumnFamilyDropped() && shards_.Load() != shards) continue;
    return Status::From(s, "flushing");
  }
}

void HotStore::Close() {
  shards_.Publish(nullptr);
  if (!db_) return;
  if (keeper_) keeper_->Close();
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  handles_.clear();
  meta_ = nullptr;
  db_->Close().PermitUncheckedError();
  db_.reset();
}

Status HotStore::GetMeta(std::string_view key, std::string* payload, bool* found) const {
  std::string sealed;
  const rocksdb::Status s =
      db_->Get(rocksdb::ReadOptions(), meta_, rocksdb::Slice(key.data(), key.size()), &sealed);
  *found = s.ok();
  if (s.IsNotFound()) return {};
  if (!s.ok()) return Status::From(s, "reading the database's own records");
  std::string_view body;
  Status status = OpenMeta(key, sealed, &body);
  if (status.ok()) payload->assign(body);
  return status;
}

Status HotStore::PutMeta(const std::vector<std::pair<std::string_view, std::string>>& records,
                         bool sync) {
  const CommitHeader header{.origin = CommitOrigin::kInternal,
                            .kind = CommitKind::kAtomic,
                            .first_commit_id = 0,
                            .operation_count = static_cast<uint32_t>(records.size())};
  rocksdb::WriteBatch batch;
  const EncodedCommitHeader encoded = EncodeCommitHeader(header);
  rocksdb::Status s = batch.PutLogData({encoded.bytes, encoded.size});
  for (const auto& [key, payload] : records) {
    if (!s.ok()) break;
    s = batch.Put(meta_, rocksdb::Slice(key.data(), key.size()), SealMeta(key, payload));
  }
  rocksdb::WriteOptions write;
  write.sync = sync;
  if (s.ok()) s = db_->Write(write, &batch);
  return Status::From(s, "writing the database's own records");
}

Status HotStore::DeleteMeta(const std::vector<std::string_view>& keys, bool sync) {
  const CommitHeader header{.origin = CommitOrigin::kInternal,
                            .kind = CommitKind::kAtomic,
                            .first_commit_id = 0,
                            .operation_count = static_cast<uint32_t>(keys.size())};
  rocksdb::WriteBatch batch;
  const EncodedCommitHeader encoded = EncodeCommitHeader(header);
  rocksdb::Status s = batch.PutLogData({encoded.bytes, encoded.size});
  for (const std::string_view key : keys) {
    if (s.ok()) s = batch.Delete(meta_, rocksdb::Slice(key.data(), key.size()));
  }
  rocksdb::WriteOptions write;
  write.sync = sync;
  if (s.ok()) s = db_->Write(write, &batch);
  return Status::From(s, "deleting the database's own records");
}

Status HotStore::ScanMeta(
    std::string_view prefix,
    const std::function<Status(std::string_view key, std::string_view payload)>& fn) const {
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions(), meta_));
  const rocksdb::Slice start(prefix.data(), prefix.size());
  for (it->Seek(start); it->Valid() && it->key().starts_with(start); it->Next()) {
    const std::string_view key(it->key().data(), it->key().size());
    std::string_view payload;
    Status status = OpenMeta(key, {it->value().data(), it->value().size()}, &payload);
    if (status.ok()) status = fn(key, payload);
    if (!status.ok()) return status;
  }
  return Status::From(it->status(), "reading the database's own records");
}

rocksdb::ColumnFamilyHandle* HotStore::FindHandle(const std::string& name) const {
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    if (handle->GetName() == name) return handle;
  }
  return nullptr;
}

}  // namespace thermocline
