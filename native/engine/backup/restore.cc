#include <algorithm>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/backup/backup.h"
#include "engine/backup/backup_parts.h"
#include "engine/backup/stoppable_env.h"
#include "engine/location.h"
#include "engine/platform/file.h"
#include "engine/platform/file_lock.h"
#include "engine/snapshot/archive.h"
#include "engine/tier/meta.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

// The hot store is made here, and gets its name at the very end.
constexpr const char* kHotRestoring = "hot.restoring";
// In any other folder that a restore fills: the location that it is for, while that has no database
// yet; and where the content is made.
constexpr std::string_view kMarkFile = kRestoringMark;
constexpr const char* kContent = "restoring";

// A folder that comes out of a backup.
struct Part {
  fs::path target;
  Tier tier = Tier::kHot;
  uint32_t number = 0;             // the tier's backup
  std::vector<std::string> names;  // not empty: it is that of the archives, and these are they

  bool is_hot_store() const { return tier == Tier::kHot && names.empty(); }
  fs::path content() const {
    return is_hot_store() ? target.parent_path() / kHotRestoring : target / kContent;
  }
};

fs::path MarkOf(const fs::path& folder) { return folder / kMarkFile; }

// Names in a folder that count; what a file system keeps there does not.
Status NamesIn(const fs::path& folder, std::vector<std::string>* names) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name != "lost+found") names->push_back(name);
  }
  if (error) return ErrnoStatus(error.value(), "reading the folder", folder.string());
  return {};
}

// Whether a restore to this location, and nobody else, has put something into the folder.
bool IsLeftover(const fs::path& folder, const std::string& location) {
  std::string text;
  if (ReadWholeFile(MarkOf(folder).string(), &text).ok() && text == location) return true;
  // It was cut short while it wrote the mark.
  std::vector<std::string> names;
  if (!NamesIn(folder, &names).ok()) return false;
  return !names.empty() && std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return name != kMarkFile && name.starts_with(kMarkFile);
  });
}

bool IsTierOrArchive(const std::string& name) {
  return name == kArchiveDirectory || name == TierName(Tier::kWarm) ||
         name == TierName(Tier::kCold);
}

// OK if nothing that is not ours would be touched.
Status CheckTarget(const std::string& location, const std::vector<Part>& parts) {
  std::error_code error;
  const fs::file_status type = fs::status(location, error);
  if (!fs::exists(type)) return {};
  if (!fs::is_directory(type)) {
    return {Code::kInvalidArgument, location + " is a file, not a folder"};
  }
  std::vector<std::string> names;
  Status status = NamesIn(location, &names);
  if (!status.ok()) return status;
  for (const std::string& name : names) {
    if (name == kLockFile || name == kHotRestoring || name.starts_with(kTierPathsFile)) continue;
    const fs::path path = (fs::path(location) / name).lexically_normal();
    // CheckPart looks into what is to be filled; a restore of another backup may have made others.
    const bool part = std::any_of(parts.begin(), parts.end(), [&](const Part& one) {
      return !one.is_hot_store() && IsWithin(one.target, path);
    });
    if (part || IsLeftover(path, location)) continue;
    if (IsTierOrArchive(name) && fs::is_empty(path, error)) continue;
    return {Code::kInvalidArgument,
            location + " is not empty (" + name + " is in it): choose a new folder"};
  }
  return {};
}

// The same of a part's folder, which may lie elsewhere.
Status CheckPart(const Part& part, const std::string& location) {
  std::error_code error;
  if (part.is_hot_store() || !fs::exists(part.target, error)) return {};
  if (!fs::is_directory(part.target, error)) {
    return {Code::kInvalidArgument, part.target.string() + " is a file, not a folder"};
  }
  if (IsLeftover(part.target, location)) return {};
  std::vector<std::string> names;
  Status status = NamesIn(part.target, &names);
  if (!status.ok() || names.empty()) return status;
  return {Code::kInvalidArgument, part.target.string() + " is not empty (" + names.front() +
                                      " is in it): choose a new folder"};
}

Status CheckAll(const std::string& location, const std::vector<Part>& parts) {
  Status status = CheckTarget(location, parts);
  for (const Part& part : parts) {
    if (status.ok()) status = CheckPart(part, location);
  }
  return status;
}

// The backup that is asked for. Damage of another one is no reason to refuse it.
Status Find(rocksdb::BackupEngineReadOnly* engine, uint32_t id, const std::string& dir,
            rocksdb::BackupInfo* out, BackupParts* parts) {
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
  const Status known = DecodeBackupParts(out->app_metadata, parts);
  if (known.ok()) return {};
  const char* what = known.code() == Code::kCorruption ? " is damaged: " : ": ";
  return {known.code(), "backup " + std::to_string(out->backup_id) + " in " + dir + what +
                            std::string(known.message())};
}

// Reads every byte of it.
Status Verify(rocksdb::BackupEngineReadOnly* hot, const std::string& dir, uint32_t id,
              const BackupParts& parts, SnapshotControl* control, rocksdb::Env* env) {
  Status status;
  const rocksdb::IOStatus s = hot->VerifyBackup(id, /*verify_with_checksum=*/true);
  if (!s.ok()) status = {Code::kCorruption, s.ToString()};
  for (const auto& [tier, number] : parts.colder) {
    if (status.ok()) status = VerifyColderPart(dir, parts, tier, env);
  }
  for (const std::string& name : parts.archives) {
    if (status.ok()) status = VerifyArchivePart(dir, name, control);
  }
  if (status.code() != Code::kCorruption) return status;
  return {Code::kCorruption, "backup " + std::to_string(id) + " in " + dir +
                                 " is damaged: " + std::string(status.message())};
}

// Makes a folder ready to be filled: marked, and without anything else. REQUIRES: CheckPart.
Status Clear(const Part& part, const std::string& location) {
  std::error_code error;
  if (part.is_hot_store()) {
    fs::remove_all(part.content(), error);
    return error ? ErrnoStatus(error.value(), "preparing the folder", location) : Status();
  }
  fs::create_directories(part.target, error);
  if (error) return ErrnoStatus(error.value(), "creating the folder", part.target.string());
  Status status = ReplaceFile(MarkOf(part.target).string(), location, /*durable=*/true);
  std::vector<std::string> names;
  if (status.ok()) status = NamesIn(part.target, &names);
  for (const std::string& name : names) {
    if (name != kMarkFile) fs::remove_all(part.target / name, error);
    if (error) return ErrnoStatus(error.value(), "preparing the folder", part.target.string());
  }
  return status;
}

Status Fill(const std::string& dir, const Part& part, const std::string& location,
            SnapshotControl* control, rocksdb::Env* env) {
  Status status = Clear(part, location);
  if (!status.ok()) return status;
  const std::string content = part.content().string();
  std::error_code error;
  fs::create_directories(content, error);
  if (error) return ErrnoStatus(error.value(), "creating the folder", content);
  for (const std::string& name : part.names) {
    status = CopyFolder((fs::path(dir) / kBackupArchives / name).string(),
                        content + "/" + ArchiveFolderOf(name), control);
    if (!status.ok()) return status;
  }
  if (part.names.empty()) {
    std::unique_ptr<rocksdb::BackupEngineReadOnly> engine;
    status = OpenBackupsReadOnly(dir, part.tier, &engine, env);
    if (!status.ok()) return status;
    status = Status::From(
        engine->RestoreDBFromBackup(rocksdb::RestoreOptions(), part.number, content, content),
        "restoring");
    if (!status.ok()) return status;
  }
  return SyncFolder(content);
}

// Gives a part its place.
Status Place(const Part& part) {
  std::error_code error;
  if (part.is_hot_store()) {
    fs::rename(part.content(), part.target, error);
  } else {
    std::vector<std::string> names;
    Status status = NamesIn(part.content(), &names);
    if (!status.ok()) return status;
    for (const std::string& name : names) {
      if (!error) fs::rename(part.content() / name, part.target / name, error);
    }
    if (!error) fs::remove(part.content(), error);
    if (!error) {
      status = SyncFolder(part.target.string());
      if (!status.ok()) return status;
    }
  }
  if (error) return ErrnoStatus(error.value(), "filling", part.target.string());
  return SyncFolder(part.target.parent_path().string());
}

// What the backup has, the hot store last.
std::vector<Part> PartsOf(const BackupParts& parts, uint32_t id, const std::string& location,
                          const TierPaths& paths) {
  std::vector<Part> all;
  for (const auto& [tier, number] : parts.colder) {
    const auto given = paths.find(tier);
    const std::string path = given != paths.end() ? given->second : std::string(TierName(tier));
    fs::path target = (fs::path(location) / path).lexically_normal();
    if (!target.has_filename()) target = target.parent_path();  // a slash at its end
    all.push_back({target, tier, number, {}});
  }
  if (!parts.archives.empty()) {
    all.push_back({fs::path(location) / kArchiveDirectory, Tier::kHot, 0, parts.archives});
  }
  all.push_back({fs::path(location) / TierName(Tier::kHot), Tier::kHot, id, {}});
  return all;
}

// Whether the folders that are given can be filled side by side, and beside the backups in `dir`.
Status CheckPaths(const BackupParts& found, const std::vector<Part>& parts, const TierPaths& paths,
                  uint32_t id, const std::string& dir, const std::string& location) {
  if (IsWithin(location, dir)) {
    return {Code::kInvalidArgument, location + " lies in the folder of the backups, which would " +
                                        "take no more of them: choose another folder"};
  }
  for (const auto& [tier, path] : paths) {
    if (found.colder.contains(tier)) continue;
    return {Code::kInvalidArgument, "backup " + std::to_string(id) + " has no " +
                                        std::string(TierName(tier)) + " tier to be put in " + path};
  }
  std::vector<fs::path> taken = {dir};
  for (const char* const name :
       {kHotDirectory, kHotRestoring, kArchiveDirectory, kTopicsDirectory}) {
    taken.push_back(fs::path(location) / name);
  }
  for (const Part& part : parts) {
    if (part.tier == Tier::kHot) continue;
    bool free = !IsWithin(location, part.target);
    for (const fs::path& other : taken) {
      free &= !IsWithin(part.target, other) && !IsWithin(other, part.target);
    }
    if (!free) {
      return {Code::kInvalidArgument, "the " + std::string(TierName(part.tier)) +
                                          " tier cannot be put in " + part.target.string() +
                                          ": it needs a folder of its own"};
    }
    taken.push_back(part.target);
  }
  return {};
}

Status Restore(const std::string& dir, uint32_t id, const std::string& location,
               const TierPaths& paths, const std::function<Status(int step)>& probe,
               SnapshotControl* control) {
  const std::unique_ptr<rocksdb::Env> env = NewStoppableEnv(StoppedBy(control));
  std::unique_ptr<rocksdb::BackupEngineReadOnly> engine;
  Status status = OpenBackupsReadOnly(dir, Tier::kHot, &engine, env.get());
  rocksdb::BackupInfo info;
  BackupParts found;
  if (status.ok()) status = Find(engine.get(), id, dir, &info, &found);
  if (!status.ok()) return status;
  const std::vector<Part> parts = PartsOf(found, info.backup_id, location, paths);
  status = CheckPaths(found, parts, paths, info.backup_id, dir, location);
  if (status.ok()) status = CheckAll(location, parts);
  if (status.ok()) status = Verify(engine.get(), dir, info.backup_id, found, control, env.get());
  if (!status.ok()) return status;

  std::error_code error;
  fs::create_directories(location, error);
  if (error) return ErrnoStatus(error.value(), "creating the folder", location);
  FileLock lock;
  status = lock.Acquire((fs::path(location) / kLockFile).string(), /*shared=*/false);
  if (status.ok()) status = CheckAll(location, parts);
  int step = 0;
  const auto next = [&] {
    if (status.ok() && probe) status = probe(step);
    step++;
    return status.ok();
  };
  for (const Part& part : parts) {
    if (next()) status = Fill(dir, part, location, control, env.get());
  }
  MovedTiers placed;
  for (const Part& part : parts) {
    if (part.tier == Tier::kHot) continue;
    const auto given = paths.find(part.tier);
    placed[part.tier] = {given != paths.end() ? given->second : std::string(TierName(part.tier)),
                         NewUuid()};
  }
  if (next()) {
    DeleteTierPaths(location);  // of a restore that was cut short
    if (!placed.empty()) status = WriteTierPaths(location, placed);
  }
  if (status.ok()) status = Stopped(control);
  // The hot store's comes last: then there is a database.
  for (const Part& part : parts) {
    if (next()) status = Place(part);
  }
  if (!next()) return status;
  for (const Part& part : parts) {
    if (!part.is_hot_store()) fs::remove(MarkOf(part.target), error);
  }
  return {};
}

}  // namespace

Status RestoreBackup(const std::string& dir, uint32_t id, const std::string& location,
                     const TierPaths& paths, const std::function<Status(int step)>& probe,
                     SnapshotControl* control) {
  return AbortedOr(Restore(dir, id, location, paths, probe, control), control);
}

}  // namespace thermocline
