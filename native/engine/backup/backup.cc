#include "engine/backup/backup.h"

#include <rocksdb/env.h>
#include <rocksdb/utilities/backup_engine.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include "engine/platform/file_lock.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

constexpr const char* kLockFile = "LOCK";
constexpr const char* kHotDirectory = "hot";
// Where a restore works until it is complete.
constexpr const char* kRestoring = "hot.restoring";
// The metadata of each backup begins with this; the identity of the database's hot tier follows.
constexpr std::string_view kMark = "thermocline backup 1 ";

std::string MetadataOf(const TierIdentity& identity) {
  std::string text(kMark);
  for (const char c : identity.uuid) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", static_cast<unsigned>(static_cast<uint8_t>(c)));
    text += hex;
  }
  return text;
}

Backup ToBackup(const rocksdb::BackupInfo& info) {
  return {info.backup_id, static_cast<uint64_t>(info.timestamp) * 1000, info.size,
          info.number_files};
}

Status FromError(const std::error_code& error, const std::string& doing) {
  const bool full = error == std::errc::no_space_on_device;
  return {full ? Code::kNoSpace : Code::kIo, doing + " failed: " + error.message()};
}

rocksdb::BackupEngineOptions OptionsFor(const std::string& dir) {
  rocksdb::BackupEngineOptions options((fs::path(dir) / kHotDirectory).string());
  options.max_background_operations = 2;
  return options;
}

// Opens without creating anything: RocksDB's own opening makes folders.
Status OpenReadOnly(const std::string& dir, std::unique_ptr<rocksdb::BackupEngineReadOnly>* out) {
  std::error_code error;
  if (!fs::is_directory(fs::path(dir) / kHotDirectory / "meta", error)) {
    return {Code::kNotFound, "there are no backups in " + dir};
  }
  rocksdb::BackupEngineReadOnly* engine = nullptr;
  const rocksdb::IOStatus s =
      rocksdb::BackupEngineReadOnly::Open(OptionsFor(dir), rocksdb::Env::Default(), &engine);
  out->reset(engine);
  return Status::From(s, "opening the backups in " + dir);
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
  if (error) return FromError(error, "reading the folder " + dir);
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    const bool ours = name == kLockFile || (name == kHotDirectory && entry.is_directory(error));
    if (!ours || fs::exists(entry.path() / "CURRENT", error)) {
      return {Code::kInvalidArgument,
              dir + " holds something else than backups (" + name + "): choose another folder"};
    }
  }
  return {};
}

Status CheckSameDatabase(const std::vector<rocksdb::BackupInfo>& infos, const std::string& metadata,
                         const std::string& dir) {
  for (const rocksdb::BackupInfo& info : infos) {
    if (info.app_metadata == metadata) continue;
    return {Code::kInvalidArgument,
            dir + " holds backups of another database: give each database a folder of its own"};
  }
  return {};
}

bool IsOurs(const rocksdb::BackupInfo& info) { return info.app_metadata.starts_with(kMark); }

Status SyncFolder(const std::string& path) {
  std::unique_ptr<rocksdb::Directory> directory;
  rocksdb::Status s = rocksdb::Env::Default()->NewDirectory(path, &directory);
  if (s.ok()) s = directory->Fsync();
  return Status::From(s, "syncing the folder " + path);
}

// The backup that is asked for. Damage of another one is no reason to refuse it.
Status Find(rocksdb::BackupEngineReadOnly* engine, uint32_t id, const std::string& dir,
            rocksdb::BackupInfo* out) {
  std::vector<rocksdb::BackupInfo> infos;
  engine->GetBackupInfo(&infos);
  std::vector<rocksdb::BackupID> damaged;
  engine->GetCorruptedBackups(&damaged);
  for (const rocksdb::BackupID one : damaged) {
    // The latest may be the damaged one: an older must be asked for by its number.
    if (id == one || (id == 0 && (infos.empty() || one > infos.back().backup_id))) {
      return {Code::kCorruption, "backup " + std::to_string(one) + " in " + dir + " is damaged"};
    }
  }
  for (const rocksdb::BackupInfo& info : infos) {
    if (id == 0 || info.backup_id == id) *out = info;
  }
  if (out->backup_id == 0) {
    return {Code::kNotFound,
            "there is no backup" + (id == 0 ? "" : " " + std::to_string(id)) + " in " + dir};
  }
  if (IsOurs(*out)) return {};
  return {Code::kInvalidArgument, dir + " holds backups that Thermocline did not make"};
}

// OK if nothing that is not ours would be touched.
Status CheckTarget(const std::string& location) {
  std::error_code error;
  const fs::file_status type = fs::status(location, error);
  if (!fs::exists(type)) return {};
  if (!fs::is_directory(type)) {
    return {Code::kInvalidArgument, location + " is a file, not a folder"};
  }
  fs::directory_iterator entries(location, error);
  if (error) return FromError(error, "reading the folder " + location);
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (name == kLockFile || name == kRestoring) continue;
    return {Code::kInvalidArgument,
            location + " is not empty (" + name + " is in it): choose a new folder"};
  }
  return {};
}

// Records of tiers that a backup does not copy: half of a database is none.
Status CheckTiers(const HotStore& store) {
  for (const std::string_view tier : {"tier/warm", "tier/cold"}) {
    std::string payload;
    bool found = false;
    Status status = store.GetMeta(tier, &payload, &found);
    if (!status.ok()) return status;
    if (found) {
      return {Code::kInvalidArgument,
              "the database has a " + std::string(tier.substr(5)) +
                  " tier, and backups hold the hot tier alone: copy the folders of the closed "
                  "database instead"};
    }
  }
  return {};
}

}  // namespace

Status CreateBackup(HotStore* store, const std::string& dir, uint32_t keep, Backup* out) {
  Status status = CheckTiers(*store);
  if (status.ok()) status = CheckFolder(dir);
  if (!status.ok()) return status;
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) return FromError(error, "creating the folder " + dir);
  FileLock lock;
  status = lock.Acquire((fs::path(dir) / kLockFile).string(), /*shared=*/false);
  if (!status.ok()) {
    return status.code() == Code::kLocked
               ? Status(Code::kLocked, "another backup is being written to " + dir)
               : status;
  }
  rocksdb::BackupEngine* opened = nullptr;
  rocksdb::IOStatus s =
      rocksdb::BackupEngine::Open(OptionsFor(dir), rocksdb::Env::Default(), &opened);
  const std::unique_ptr<rocksdb::BackupEngine> engine(opened);
  if (!s.ok()) return Status::From(s, "opening the backups in " + dir);
  std::vector<rocksdb::BackupInfo> infos;
  engine->GetBackupInfo(&infos);
  const std::string metadata = MetadataOf(store->identity());
  status = CheckSameDatabase(infos, metadata, dir);
  if (!status.ok()) return status;

  rocksdb::CreateBackupOptions options;
  // With a log, its records are copied; without one, what is in memory alone must first be written.
  options.flush_before_backup = !store->has_log();
  rocksdb::BackupID id = 0;
  s = engine->CreateNewBackupWithMetadata(options, store->db(), metadata, &id);
  if (!s.ok()) {
    engine->GarbageCollect().PermitUncheckedError();
    return Status::From(s, "writing a backup");
  }
  // From the disk again: a backup that nobody can read is found now and not on the day it is
  // needed.
  s = engine->VerifyBackup(id, /*verify_with_checksum=*/true);
  if (!s.ok()) {
    engine->DeleteBackup(id).PermitUncheckedError();
    return Status::From(s, "reading the new backup");
  }
  if (keep > 0) s = engine->PurgeOldBackups(keep);
  if (!s.ok()) return Status::From(s, "deleting old backups");
  rocksdb::BackupInfo info;
  const rocksdb::Status found = engine->GetBackupInfo(id, &info, false);
  if (found.ok()) *out = ToBackup(info);
  return Status::From(found, "reading the new backup");
}

Status ListBackups(const std::string& dir, std::vector<Backup>* out) {
  std::unique_ptr<rocksdb::BackupEngineReadOnly> engine;
  Status status = OpenReadOnly(dir, &engine);
  if (!status.ok()) return status;
  std::vector<rocksdb::BackupInfo> infos;
  engine->GetBackupInfo(&infos);
  for (const rocksdb::BackupInfo& info : infos) out->push_back(ToBackup(info));
  return {};
}

Status VerifyBackups(const std::string& dir, std::vector<Backup>* out,
                     std::vector<std::string>* problems) {
  std::unique_ptr<rocksdb::BackupEngineReadOnly> engine;
  Status status = OpenReadOnly(dir, &engine);
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
    if (!IsOurs(info)) problems->push_back(name + "Thermocline did not make it");
    const rocksdb::IOStatus s = engine->VerifyBackup(info.backup_id, true);
    if (!s.ok()) problems->push_back(name + s.ToString());
    out->push_back(ToBackup(info));
  }
  return {};
}

Status RestoreBackup(const std::string& dir, uint32_t id, const std::string& location) {
  Status status = CheckTarget(location);
  if (!status.ok()) return status;
  std::unique_ptr<rocksdb::BackupEngineReadOnly> engine;
  status = OpenReadOnly(dir, &engine);
  rocksdb::BackupInfo info;
  if (status.ok()) status = Find(engine.get(), id, dir, &info);
  if (!status.ok()) return status;
  rocksdb::IOStatus s = engine->VerifyBackup(info.backup_id, /*verify_with_checksum=*/true);
  if (!s.ok()) {
    return {Code::kCorruption, "backup " + std::to_string(info.backup_id) + " in " + dir +
                                   " is damaged: " + s.ToString()};
  }

  std::error_code error;
  fs::create_directories(location, error);
  if (error) return FromError(error, "creating the folder " + location);
  FileLock lock;
  status = lock.Acquire((fs::path(location) / kLockFile).string(), /*shared=*/false);
  if (!status.ok()) return status;
  const fs::path restoring = fs::path(location) / kRestoring;
  fs::remove_all(restoring, error);  // of a restore that was cut short
  if (!error) fs::create_directories(restoring, error);
  if (error) return FromError(error, "preparing the folder " + location);
  s = engine->RestoreDBFromBackup(rocksdb::RestoreOptions(), info.backup_id, restoring.string(),
                                  restoring.string());
  if (!s.ok()) {
    fs::remove_all(restoring, error);
    return Status::From(s, "restoring");
  }
  status = SyncFolder(restoring.string());
  if (!status.ok()) return status;
  fs::rename(restoring, fs::path(location) / kHotDirectory, error);
  if (error) return FromError(error, "putting the restored database in place");
  return SyncFolder(location);
}

}  // namespace thermocline
