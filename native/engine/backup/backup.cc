#include "engine/backup/backup.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include "engine/backup/backup_parts.h"
#include "engine/backup/stoppable_env.h"
#include "engine/location.h"
#include "engine/platform/file.h"
#include "engine/platform/file_lock.h"
#include "engine/snapshot/manifest.h"
#include "engine/tier/meta.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

constexpr Tier kColderTiers[] = {Tier::kWarm, Tier::kCold};

bool IsOurs(const std::string& name) {
  return name == kLockFile || name == kBackupArchives || name == TierName(Tier::kHot) ||
         name == TierName(Tier::kWarm) || name == TierName(Tier::kCold);
}

// Whether a folder can take backups of this database.
Status CheckFolder(const std::string& dir) {
  std::error_code error;
  const fs::file_status type = fs::status(dir, error);
  if (!fs::exists(type)) return {};
  if (!fs::is_directory(type)) {
    return {Code::kInvalidArgument, dir + " is a file, not a folder"};
  }
  fs::directory_iterator entries(dir, error);
  if (error) return ErrnoStatus(error.value(), "reading the folder", dir);
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    const bool ours = IsOurs(name) && (name == kLockFile) != entry.is_directory(error);
    if (!ours || fs::exists(entry.path() / "CURRENT", error)) {
      return {Code::kInvalidArgument,
              dir + " holds something else than backups (" + name + "): choose another folder"};
    }
  }
  return {};
}

Status CheckSameDatabase(const std::vector<rocksdb::BackupInfo>& infos, const std::string& owner,
                         const std::string& dir) {
  for (const rocksdb::BackupInfo& info : infos) {
    BackupParts parts;
    const Status status = DecodeBackupParts(info.app_metadata, &parts);
    // Whose a damaged one is cannot be told; it is no reason to make no more.
    if (status.code() == Code::kCorruption || (status.ok() && parts.owner == owner)) continue;
    if (status.code() == Code::kFormatVersion) return status;
    return {Code::kInvalidArgument,
            dir + " holds backups of another database: give each database a folder of its own"};
  }
  return {};
}

// Adds a store's backup and reads it again: one that nobody can read is found now and not on the
// day it is needed.
Status AddBackup(rocksdb::BackupEngine* engine, rocksdb::DB* db, bool has_log,
                 const std::string& metadata, uint32_t* id) {
  rocksdb::CreateBackupOptions options;
  // With a log, its records are copied; without one, what is in memory alone must first be written.
  options.flush_before_backup = !has_log;
  rocksdb::IOStatus s = engine->CreateNewBackupWithMetadata(options, db, metadata, id);
  if (!s.ok()) {
    engine->GarbageCollect().PermitUncheckedError();
    return Status::From(s, "writing a backup");
  }
  s = engine->VerifyBackup(*id, /*verify_with_checksum=*/true);
  if (!s.ok()) engine->DeleteBackup(*id).PermitUncheckedError();
  return Status::From(s, "reading the new backup");
}

// Hot's figures and those of the rest. What cannot be read counts nothing.
Backup Describe(const std::string& dir, const rocksdb::BackupInfo& info) {
  Backup backup{info.backup_id,
                static_cast<uint64_t>(info.timestamp) * 1000,
                info.size,
                info.number_files,
                {}};
  BackupParts parts;
  if (!DecodeBackupParts(info.app_metadata, &parts).ok()) return backup;
  for (const auto& [tier, number] : parts.colder) {
    std::unique_ptr<rocksdb::BackupEngineReadOnly> engine;
    rocksdb::BackupInfo one;
    if (!OpenBackupsReadOnly(dir, tier, &engine).ok()) continue;
    if (!engine->GetBackupInfo(number, &one).ok()) continue;
    backup.bytes += one.size;
    backup.files += one.number_files;
  }
  for (const std::string& name : parts.archives) {
    SnapshotManifest manifest;
    if (!ReadManifest((fs::path(dir) / kBackupArchives / name).string(), &manifest).ok()) continue;
    backup.bytes += manifest.bytes();
    backup.files += static_cast<uint32_t>(manifest.files()) + 1;
  }
  return backup;
}

// Deletes what no backup names: parts of backups that were deleted or cut short. Nothing at all if
// a backup is damaged: somebody may yet want to save what it names.
Status DeleteUnnamed(const std::string& dir, rocksdb::BackupEngine* hot) {
  std::vector<rocksdb::BackupID> damaged;
  hot->GetCorruptedBackups(&damaged);
  if (!damaged.empty()) return {};
  std::vector<rocksdb::BackupInfo> infos;
  hot->GetBackupInfo(&infos);
  std::map<Tier, std::set<uint32_t>> colder;
  std::set<std::string> archives;
  for (const rocksdb::BackupInfo& info : infos) {
    BackupParts parts;
    if (!DecodeBackupParts(info.app_metadata, &parts).ok()) return {};
    for (const auto& [tier, number] : parts.colder) colder[tier].insert(number);
    archives.insert(parts.archives.begin(), parts.archives.end());
  }
  std::error_code error;
  for (const Tier tier : kColderTiers) {
    if (!fs::exists(fs::path(dir) / TierName(tier), error)) continue;
    std::unique_ptr<rocksdb::BackupEngine> engine;
    Status status = OpenBackups(dir, tier, &engine);
    if (!status.ok()) return status;
    std::vector<rocksdb::BackupInfo> there;
    engine->GetBackupInfo(&there);
    for (const rocksdb::BackupInfo& info : there) {
      if (colder[tier].contains(info.backup_id)) continue;
      status = Status::From(engine->DeleteBackup(info.backup_id), "deleting old backups");
      if (!status.ok()) return status;
    }
  }
  std::vector<fs::path> rubbish;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(fs::path(dir) / kBackupArchives, error)) {
    if (!archives.contains(entry.path().filename().string())) rubbish.push_back(entry.path());
  }
  for (const fs::path& path : rubbish) fs::remove_all(path, error);
  return {};
}

// `env`: null for the default one.
Status AddParts(const BackupSource& source, const std::string& dir, SnapshotControl* control,
                rocksdb::Env* env, BackupParts* parts) {
  Status status = CopyArchives(
      source.archives, dir, [&] { return source.hot->shards()->table; }, control, &parts->archives);
  for (int level = 1; level < source.tiers->levels() && status.ok(); level++) {
    const Tier tier = source.tiers->TierOf(level);
    std::unique_ptr<rocksdb::BackupEngine> engine;
    status = OpenBackups(dir, tier, &engine, env);
    uint32_t number = 0;
    rocksdb::DB* const db = source.tiers->store(level).db();
    if (status.ok())
      status = AddBackup(engine.get(), db, /*has_log=*/true, EncodeColderMark(*parts), &number);
    if (status.ok()) parts->colder[tier] = number;
  }
  return status;
}

// What is wrong with the parts of a backup beside the hot store.
void VerifyParts(const std::string& dir, const BackupParts& parts, const std::string& name,
                 std::vector<std::string>* problems) {
  for (const auto& [tier, number] : parts.colder) {
    const Status status = VerifyColderPart(dir, parts, tier);
    if (!status.ok()) problems->push_back(name + std::string(status.message()));
  }
  for (const std::string& archive : parts.archives) {
    const Status status = VerifyArchivePart(dir, archive);
    if (!status.ok()) problems->push_back(name + std::string(status.message()));
  }
}

}  // namespace

Status CreateBackup(const BackupSource& source, const std::string& dir, uint32_t keep,
                    SnapshotControl* control, Backup* out) {
  Status status = CheckFolder(dir);
  if (status.ok()) status = Stopped(control);
  if (!status.ok()) return status;
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) return ErrnoStatus(error.value(), "creating the folder", dir);
  FileLock lock;
  status = lock.Acquire((fs::path(dir) / kLockFile).string(), /*shared=*/false);
  if (!status.ok()) {
    return status.code() == Code::kLocked
               ? Status(Code::kLocked, "another backup is being written to " + dir)
               : status;
  }
  const std::unique_ptr<rocksdb::Env> env = NewStoppableEnv(StoppedBy(control));
  std::unique_ptr<rocksdb::BackupEngine> engine;
  status = OpenBackups(dir, Tier::kHot, &engine, env.get());
  if (!status.ok()) return AbortedOr(status, control);
  std::vector<rocksdb::BackupInfo> infos;
  engine->GetBackupInfo(&infos);
  BackupParts parts{
      .owner = source.hot->identity().uuid, .nonce = NewUuid(), .colder = {}, .archives = {}};
  status = CheckSameDatabase(infos, parts.owner, dir);
  if (!status.ok()) return status;

  uint32_t id = 0;
  status = AddParts(source, dir, control, env.get(), &parts);
  if (status.ok()) {
    status = AddBackup(engine.get(), source.hot->db(), source.hot->has_log(),
                       EncodeBackupParts(parts), &id);
  }
  // The new backup is there from here on, whatever becomes of older ones.
  Status tidied;
  if (status.ok() && keep > 0) {
    tidied = Status::From(engine->PurgeOldBackups(keep), "deleting old backups");
  }
  // After a failure too: what it has copied belongs to no backup.
  const Status deleted = DeleteUnnamed(dir, engine.get());
  if (tidied.ok()) tidied = deleted;
  if (!status.ok()) return AbortedOr(status, control);
  rocksdb::BackupInfo info;
  const rocksdb::Status found = engine->GetBackupInfo(id, &info, false);
  if (found.ok()) *out = Describe(dir, info);
  if (!tidied.ok()) out->untidied = tidied.message();
  return Status::From(found, "reading the new backup");
}

Status ListBackups(const std::string& dir, std::vector<Backup>* out) {
  std::unique_ptr<rocksdb::BackupEngineReadOnly> engine;
  Status status = OpenBackupsReadOnly(dir, Tier::kHot, &engine);
  if (!status.ok()) return status;
  std::vector<rocksdb::BackupInfo> infos;
  engine->GetBackupInfo(&infos);
  for (const rocksdb::BackupInfo& info : infos) out->push_back(Describe(dir, info));
  return {};
}

Status VerifyBackups(const std::string& dir, std::vector<Backup>* out,
                     std::vector<std::string>* problems) {
  std::unique_ptr<rocksdb::BackupEngineReadOnly> engine;
  Status status = OpenBackupsReadOnly(dir, Tier::kHot, &engine);
  if (!status.ok()) return status;
  std::vector<rocksdb::BackupID> damaged;
  engine->GetCorruptedBackups(&damaged);
  for (const rocksdb::BackupID id : damaged) {
    problems->push_back("backup " + std::to_string(id) + ": files are missing or of a wrong size");
  }
  std::vector<rocksdb::BackupInfo> infos;
  engine->GetBackupInfo(&infos);
  for (const rocksdb::BackupInfo& info : infos) {
    const std::string name = "backup " + std::to_string(info.backup_id) + ": ";
    BackupParts parts;
    const Status known = DecodeBackupParts(info.app_metadata, &parts);
    if (!known.ok()) problems->push_back(name + std::string(known.message()));
    const rocksdb::IOStatus s = engine->VerifyBackup(info.backup_id, true);
    if (!s.ok()) problems->push_back(name + s.ToString());
    VerifyParts(dir, parts, name, problems);
    out->push_back(Describe(dir, info));
  }
  return {};
}

}  // namespace thermocline
