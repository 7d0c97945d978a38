#include "engine/location.h"

#include <filesystem>
#include <system_error>
#include <vector>

#include "engine/engine.h"
#include "engine/platform/file.h"
#include "engine/tier/tier_paths.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

Status NotOurs(const std::string& location, const std::string& name) {
  return {Code::kInvalidArgument, location + " is not empty and holds no Thermocline database (" +
                                      name + " is in it): choose an empty folder"};
}

// What RocksDB leaves behind if it is killed before its first CURRENT file.
bool IsLeftover(const std::string& name) {
  return name == "LOCK" || name == "IDENTITY" || name.starts_with("LOG") ||
         name.starts_with("MANIFEST-") || name.starts_with("OPTIONS-") || name.ends_with(".log") ||
         name.ends_with(".dbtmp");
}

}  // namespace

Status CheckLocation(const std::string& location, const EngineOptions& options) {
  std::error_code error;
  const fs::file_status type = fs::status(location, error);
  if (error && error != std::errc::no_such_file_or_directory) {
    return ErrnoStatus(error.value(), "opening", location);
  }
  const std::string hot = (fs::path(location) / kHotDirectory).string();
  const bool exists = fs::is_directory(type) && HotStore::Exists(hot, &error);
  if (fs::is_directory(type) && error) return ErrnoStatus(error.value(), "opening", hot);
  if (exists) {
    if (!options.error_if_exists) return {};
    return {Code::kInvalidArgument,
            "a database exists at " + location + " and errorIfExists is set"};
  }
  if (fs::exists(type) && !fs::is_directory(type)) {
    return {Code::kInvalidArgument, location + " is a file, not a folder"};
  }
  if (!options.create_if_missing || options.read_only) {
    return {Code::kNotFound, "there is no database at " + location +
                                 (options.read_only ? "" : " and createIfMissing is false")};
  }
  if (!fs::exists(type)) return {};
  fs::directory_iterator entries(location, error);
  if (error) return ErrnoStatus(error.value(), "reading the folder", location);
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (name == kLockFile || (name == kHotDirectory && entry.is_directory(error))) continue;
    return NotOurs(location, name);
  }
  if (!fs::exists(hot, error)) return {};
  fs::directory_iterator files(hot, error);
  if (error) return ErrnoStatus(error.value(), "reading the folder", hot);
  for (const fs::directory_entry& file : files) {
    const std::string name = file.path().filename().string();
    if (!IsLeftover(name)) return NotOurs(location, std::string(kHotDirectory) + "/" + name);
  }
  return {};
}

Status Engine::Destroy(const std::string& location) {
  std::error_code error;
  const bool there = fs::exists(location, error);
  if (error) return ErrnoStatus(error.value(), "opening", location);
  if (!there) return {};
  const fs::path root(location);
  const fs::path hot = root / kHotDirectory;
  const bool exists = HotStore::Exists(hot.string(), &error);
  if (error) return ErrnoStatus(error.value(), "opening", hot.string());
  if (!exists) {
    return {Code::kInvalidArgument,
            location + " holds no Thermocline database: nothing was deleted"};
  }
  FileLock lock;
  Status status = lock.Acquire((root / kLockFile).string(), /*shared=*/false);
  if (!status.ok()) return status;
  status = topic::TopicStore::Destroy((root / kTopicsDirectory).string());
  // Whatever has the name of a shard's archive: the table that names the others is about to go.
  if (status.ok()) CleanArchives((root / kArchiveDirectory).string(), ShardTable::Equal(1));
  std::vector<TierSet::Found> tiers;
  if (status.ok()) status = TierSet::Find(location, hot.string(), &tiers);
  // The hot store last: it is what finds the others, should this be cut short.
  for (const TierSet::Found& tier : tiers) {
    if (status.ok()) status = TierStore::Destroy(tier.directory, tier.uuid, nullptr);
  }
  if (status.ok()) status = HotStore::Destroy(hot.string());
  if (!status.ok()) return status;
  DeleteTierPaths(location);
  fs::remove(hot, error);  // both folders stay if somebody keeps files of their own in them
  fs::remove(root / kLockFile, error);
  if (error) return ErrnoStatus(error.value(), "deleting", (root / kLockFile).string());
  fs::remove(root, error);
  return {};
}

}  // namespace thermocline
