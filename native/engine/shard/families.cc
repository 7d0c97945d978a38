#include "engine/shard/families.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/tier/ingestion.h"

namespace thermocline {

namespace {

rocksdb::Slice AsSlice(std::string_view s) { return {s.data(), s.size()}; }

}  // namespace

FamilyPtr FamilyKeeper::Own(rocksdb::ColumnFamilyHandle* handle) {
  std::lock_guard lock(mutex_);
  living_.insert(handle);
  return {handle, [keeper = shared_from_this()](auto* last) { keeper->Destroy(last); }};
}

void FamilyKeeper::Destroy(rocksdb::ColumnFamilyHandle* handle) {
  std::lock_guard lock(mutex_);
  if (db_ == nullptr || living_.erase(handle) == 0) return;
  db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
}

void FamilyKeeper::Close() {
  std::lock_guard lock(mutex_);
  for (rocksdb::ColumnFamilyHandle* handle : living_) {
    db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  living_.clear();
  db_ = nullptr;
}

Status FamilyStore::Create(const std::vector<ShardInfo>& infos,
                           std::vector<FamilyPtr>* families) const {
  std::vector<std::string> names;
  for (const ShardInfo& info : infos) {
    names.push_back(ShardColumnFamilyName(info.id, info.generation));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const rocksdb::Status s = db->CreateColumnFamilies(shard_options, names, &handles);
  for (rocksdb::ColumnFamilyHandle* handle : handles) families->push_back(keeper->Own(handle));
  std::error_code error;
  std::filesystem::create_directories(ingest_folder, error);
  if (s.ok() && error) {
    return {Code::kIo, "creating the folder " + ingest_folder + ": " + error.message()};
  }
  return Status::From(s, "creating a shard");
}

Status FamilyStore::Drop(const std::vector<FamilyPtr>& families) const {
  Status status;
  for (const FamilyPtr& family : families) {
    const rocksdb::Status s = db->DropColumnFamily(family.get());
    if (status.ok()) status = Status::From(s, "dropping a shard's former data");
  }
  return status;
}

Status FamilyFiller::Add(std::string_view key, std::string_view stored) {
  if (!writer_) {
    path_ =
        store_->ingest_folder + "/" + family_->GetName() + "-" + std::to_string(tables_++) + ".sst";
    writer_ = std::make_unique<rocksdb::SstFileWriter>(
        rocksdb::EnvOptions(store_->db_options),
        rocksdb::Options(store_->db_options, store_->shard_options), family_.get());
    const rocksdb::Status s = writer_->Open(path_);
    if (!s.ok()) return Status::From(s, "copying a shard");
  }
  return Status::From(writer_->Put(AsSlice(key), AsSlice(stored)), "copying a shard");
}

Status FamilyFiller::Ingest() {
  if (!writer_) return {};
  rocksdb::ExternalSstFileInfo info;
  rocksdb::Status s = writer_->Finish(&info);
  if (s.ok()) {
    rocksdb::IngestExternalFileOptions ingest;
    // No snapshot that exists is ever read together with this family, and tables do not overlap. So
    // they need no sequence number of their own, which would be missing in the log.
    ingest.snapshot_consistency = false;
    s = IngestTable(store_->db, family_.get(), path_, ingest);
  }
  if (!s.ok()) return Status::From(s, "copying a shard");
  ingested_bytes_ += info.file_size;
  writer_.reset();
  return {};
}

void FamilyFiller::Discard() {
  if (!writer_) return;
  writer_.reset();
  rocksdb::Env* const env =
      store_->db_options.env != nullptr ? store_->db_options.env : rocksdb::Env::Default();
  env->DeleteFile(path_).PermitUncheckedError();
}

}  // namespace thermocline
