#include "engine/backup/backup_parts.h"

#include <rocksdb/env.h>

#include <cstdio>
#include <filesystem>
#include <system_error>

#include "engine/platform/file.h"
#include "engine/record/crc32c.h"
#include "engine/snapshot/archive.h"
#include "engine/snapshot/manifest.h"
#include "engine/snapshot/shard_restore.h"
#include "engine/snapshot/table_files.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

// Version 1 has the owner alone. Both: "thermocline backup <version> <owner, hexadecimal>", and in
// version 2 lines "<tier> <number>" and "archive <name>".
constexpr std::string_view kMark = "thermocline backup ";
constexpr std::string_view kArchiveLine = "archive ";

std::string Hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", static_cast<unsigned>(static_cast<uint8_t>(c)));
    text += hex;
  }
  return text;
}

bool Unhex(std::string_view text, std::string* bytes) {
  if (text.empty() || text.size() % 2 != 0) return false;
  for (size_t i = 0; i < text.size(); i += 2) {
    unsigned byte = 0;
    if (std::sscanf(std::string(text.substr(i, 2)).c_str(), "%2x", &byte) != 1) return false;
    bytes->push_back(static_cast<char>(byte));
  }
  return true;
}

bool DecodeLine(std::string_view line, BackupParts* parts) {
  if (line.starts_with(kArchiveLine)) {
    parts->archives.emplace_back(line.substr(kArchiveLine.size()));
    return parts->archives.back().find('/') == std::string::npos;
  }
  for (const Tier tier : {Tier::kWarm, Tier::kCold}) {
    const std::string prefix = std::string(TierName(tier)) + " ";
    unsigned number = 0;
    if (!line.starts_with(prefix)) continue;
    if (std::sscanf(std::string(line.substr(prefix.size())).c_str(), "%u", &number) != 1) break;
    parts->colder[tier] = number;
    return true;
  }
  return false;
}

rocksdb::BackupEngineOptions OptionsFor(const std::string& dir, Tier tier) {
  rocksdb::BackupEngineOptions options((fs::path(dir) / TierName(tier)).string());
  options.max_background_operations = 2;
  return options;
}

Status FromError(const std::error_code& error, const std::string& doing) {
  const bool full = error == std::errc::no_space_on_device;
  return {full ? Code::kNoSpace : Code::kIo, doing + " failed: " + error.message()};
}

Status SyncFile(const std::string& path) {
  std::shared_ptr<File> file;
  Status status = File::Open(path, File::Mode::kWrite, &file);
  return status.ok() ? file->Sync() : status;
}

// An archive never changes under its name in a database, but a database that was restored may come
// to another one of the same name: so a backup's name for it is of what it holds, too.
Status NameOf(const std::string& folder, const std::string& family, std::string* name) {
  std::string manifest;
  Status status = ReadWholeFile(folder + "/" + kManifestName, &manifest);
  char suffix[1 + 8 + 1];
  std::snprintf(suffix, sizeof suffix, "-%08x", Crc32c(manifest));
  *name = family + suffix;
  return status;
}

// `to` holds a sound copy on OK.
Status TakeArchive(const std::string& from, const std::string& to) {
  SnapshotManifest manifest;
  std::error_code error;
  if (fs::exists(to, error)) {
    if (VerifySnapshot(to, nullptr, &manifest).ok()) return {};
    fs::remove_all(to, error);  // damaged since
  }
  fs::create_directories(fs::path(to).parent_path(), error);
  if (error) return FromError(error, "creating the folder of " + to);
  Status status = CopyFolder(from, to);
  return status.ok() ? VerifySnapshot(to, nullptr, &manifest) : status;
}

}  // namespace

std::string EncodeBackupParts(const BackupParts& parts) {
  const bool more = !parts.colder.empty() || !parts.archives.empty();
  std::string text = std::string(kMark) + (more ? "2 " : "1 ") + Hex(parts.owner);
  for (const auto& [tier, number] : parts.colder) {
    text += "\n" + std::string(TierName(tier)) + " " + std::to_string(number);
  }
  for (const std::string& name : parts.archives) text += "\n" + std::string(kArchiveLine) + name;
  return text;
}

bool DecodeBackupParts(std::string_view metadata, BackupParts* parts) {
  *parts = {};
  const std::string_view first = metadata.substr(0, metadata.find('\n'));
  if (!first.starts_with(kMark) || first.size() < kMark.size() + 2) return false;
  const std::string_view version = first.substr(kMark.size(), 2);
  if (version != "1 " && version != "2 ") return false;
  if (!Unhex(first.substr(kMark.size() + 2), &parts->owner)) return false;
  metadata.remove_prefix(first.size());
  while (!metadata.empty()) {
    metadata.remove_prefix(1);
    const std::string_view line = metadata.substr(0, metadata.find('\n'));
    if (!DecodeLine(line, parts)) return false;
    metadata.remove_prefix(line.size());
  }
  return true;
}

Status OpenBackups(const std::string& dir, Tier tier, std::unique_ptr<rocksdb::BackupEngine>* out) {
  rocksdb::BackupEngine* engine = nullptr;
  const rocksdb::IOStatus s =
      rocksdb::BackupEngine::Open(OptionsFor(dir, tier), rocksdb::Env::Default(), &engine);
  out->reset(engine);
  return Status::From(s, "opening the backups in " + dir);
}

Status OpenBackupsReadOnly(const std::string& dir, Tier tier,
                           std::unique_ptr<rocksdb::BackupEngineReadOnly>* out) {
  std::error_code error;
  if (!fs::is_directory(fs::path(dir) / TierName(tier) / "meta", error)) {
    return {Code::kNotFound, "there are no backups in " + dir};
  }
  rocksdb::BackupEngineReadOnly* engine = nullptr;
  const rocksdb::IOStatus s =
      rocksdb::BackupEngineReadOnly::Open(OptionsFor(dir, tier), rocksdb::Env::Default(), &engine);
  out->reset(engine);
  return Status::From(s, "opening the backups in " + dir);
}

std::string ArchiveFolderOf(const std::string& name) { return name.substr(0, name.rfind('-')); }

Status CopyFolder(const std::string& from, const std::string& to) {
  const std::string partial = to + ".partial";
  std::error_code error;
  fs::remove_all(partial, error);
  if (!error) fs::create_directories(partial, error);
  if (error) return FromError(error, "creating the folder " + partial);
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(from, error)) {
    names.push_back(entry.path().filename().string());
  }
  if (error) return FromError(error, "reading the folder " + from);
  for (const std::string& name : names) {
    fs::copy_file(fs::path(from) / name, fs::path(partial) / name, error);
    if (error) return FromError(error, "copying " + from + "/" + name);
    Status status = SyncFile(partial + "/" + name);
    if (!status.ok()) return status;
  }
  Status status = SyncFolder(partial);
  if (!status.ok()) return status;
  fs::rename(partial, to, error);
  if (error) return FromError(error, "making " + to);
  return SyncFolder(fs::path(to).parent_path().string());
}

Status CopyArchives(const std::string& archives, const std::string& dir,
                    const std::function<ShardTable()>& table, std::vector<std::string>* names) {
  const ShardTable before = table();
  const fs::path folder = fs::path(dir) / kBackupArchives;
  for (const ShardInfo& info : before.shards()) {
    if (!info.frozen) continue;
    const std::string from = ArchiveOf(archives, info);
    std::string name;
    Status status = NameOf(from, ShardColumnFamilyName(info.id, info.generation), &name);
    const std::string to = (folder / name).string();
    if (status.ok()) status = TakeArchive(from, to);
    if (!status.ok()) {
      const ShardTable now = table();
      const int index = now.IndexOfId(info.id);
      const bool same = index >= 0 && now.shards()[static_cast<size_t>(index)] == info;
      if (same) return status;
      continue;  // it was thawed, and is gone
    }
    names->push_back(name);
  }
  return {};
}

}  // namespace thermocline
