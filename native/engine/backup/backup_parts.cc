#include "engine/backup/backup_parts.h"

#include <rocksdb/env.h>

#include <charconv>
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

// "thermocline backup 2 <owner> <nonce>", both hexadecimal, lines "<tier> <number>" and
// "archive <name>", and "crc <CRC-32C of all before it>": RocksDB keeps none of it. Version 1 is
// "thermocline backup 1 <owner>" alone.
constexpr std::string_view kMark = "thermocline backup ";
constexpr std::string_view kColderMark = "thermocline part ";
constexpr std::string_view kCrcLine = "\ncrc ";
constexpr size_t kUuidHex = 32;
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

template <typename Number>
bool ParseWhole(std::string_view text, int base, Number* number) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *number, base);
  return error == std::errc() && stop == end;
}

bool Unhex(std::string_view text, std::string* bytes) {
  if (text.empty() || text.size() % 2 != 0) return false;
  for (size_t i = 0; i < text.size(); i += 2) {
    uint8_t byte = 0;
    if (!ParseWhole(text.substr(i, 2), 16, &byte)) return false;
    bytes->push_back(static_cast<char>(byte));
  }
  return true;
}

std::string Hex32(uint32_t number) {
  char hex[8 + 1];
  std::snprintf(hex, sizeof hex, "%08x", number);
  return hex;
}

// "<family>-<8 hexadecimal digits>", and nothing that leads out of the folder.
bool IsArchiveName(const std::string& name) {
  uint32_t id = 0;
  uint32_t generation = 0;
  return name.size() > 9 && name[name.size() - 9] == '-' &&
         ParseShardColumnFamilyName(ArchiveFolderOf(name), &id, &generation) &&
         name.find_first_not_of("0123456789abcdef", name.size() - 8) == std::string::npos;
}

bool DecodeLine(std::string_view line, BackupParts* parts) {
  if (line.starts_with(kArchiveLine)) {
    parts->archives.emplace_back(line.substr(kArchiveLine.size()));
    return IsArchiveName(parts->archives.back());
  }
  for (const Tier tier : {Tier::kWarm, Tier::kCold}) {
    const std::string prefix = std::string(TierName(tier)) + " ";
    if (line.starts_with(prefix)) {
      return ParseWhole(line.substr(prefix.size()), 10, &parts->colder[tier]);
    }
  }
  return false;
}

rocksdb::BackupEngineOptions OptionsFor(const std::string& dir, Tier tier, rocksdb::Env* env) {
  rocksdb::BackupEngineOptions options((fs::path(dir) / TierName(tier)).string(), env);
  options.max_background_operations = 2;
  return options;
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
  *name = family + "-" + Hex32(Crc32c(manifest));
  return status;
}

// `to` holds a sound copy on OK.
Status TakeArchive(const std::string& from, const std::string& to, SnapshotControl* control) {
  SnapshotManifest manifest;
  std::error_code error;
  if (fs::exists(to, error)) {
    Status status = VerifySnapshot(to, control, &manifest);
    if (status.ok() || status.code() == Code::kAborted) return status;
    fs::remove_all(to, error);  // damaged since
  }
  fs::create_directories(fs::path(to).parent_path(), error);
  if (error) return ErrnoStatus(error.value(), "creating the folder of", to);
  Status status = CopyFolder(from, to, control);
  return status.ok() ? VerifySnapshot(to, control, &manifest) : status;
}

}  // namespace

std::string EncodeBackupParts(const BackupParts& parts) {
  std::string text = std::string(kMark) + "2 " + Hex(parts.owner) + " " + Hex(parts.nonce);
  for (const auto& [tier, number] : parts.colder) {
    text += "\n" + std::string(TierName(tier)) + " " + std::to_string(number);
  }
  for (const std::string& name : parts.archives) text += "\n" + std::string(kArchiveLine) + name;
  return text + std::string(kCrcLine) + Hex32(Crc32c(text));
}

std::string EncodeColderMark(const BackupParts& parts) {
  return std::string(kColderMark) + Hex(parts.owner) + " " + Hex(parts.nonce);
}

Status DecodeBackupParts(std::string_view metadata, BackupParts* parts) {
  *parts = {};
  if (!metadata.starts_with(kMark)) {
    return {Code::kInvalidArgument, "Thermocline did not make it"};
  }
  const Status damaged(Code::kCorruption, "the list of its parts is damaged");
  const std::string_view rest = metadata.substr(kMark.size());
  if (rest.starts_with("1 ")) {
    return rest.size() == 2 + kUuidHex && Unhex(rest.substr(2), &parts->owner) ? Status() : damaged;
  }
  const size_t crc = metadata.rfind(kCrcLine);
  if (crc == std::string_view::npos ||
      metadata.substr(crc + kCrcLine.size()) != Hex32(Crc32c(metadata.substr(0, crc)))) {
    return damaged;
  }
  if (!rest.starts_with("2 ")) {
    return {Code::kFormatVersion, "a newer Thermocline made it: update thermocline"};
  }
  metadata = metadata.substr(kMark.size() + 2, crc - kMark.size() - 2);
  if (metadata.size() < 2 * kUuidHex + 1 || !Unhex(metadata.substr(0, kUuidHex), &parts->owner) ||
      !Unhex(metadata.substr(kUuidHex + 1, kUuidHex), &parts->nonce)) {
    return damaged;
  }
  metadata.remove_prefix(2 * kUuidHex + 1);
  while (!metadata.empty()) {
    metadata.remove_prefix(1);
    const std::string_view line = metadata.substr(0, metadata.find('\n'));
    if (!DecodeLine(line, parts)) return damaged;
    metadata.remove_prefix(line.size());
  }
  return {};
}

Status VerifyColderPart(const std::string& dir, const BackupParts& parts, Tier tier,
                        rocksdb::Env* env) {
  const std::string where = "its " + std::string(TierName(tier)) + " tier ";
  std::unique_ptr<rocksdb::BackupEngineReadOnly> engine;
  Status status = OpenBackupsReadOnly(dir, tier, &engine, env);
  if (status.code() == Code::kNotFound) return {Code::kCorruption, where + "is missing"};
  if (!status.ok()) return status;
  const uint32_t number = parts.colder.at(tier);
  const rocksdb::IOStatus s = engine->VerifyBackup(number, /*verify_with_checksum=*/true);
  if (!s.ok()) return {Code::kCorruption, where + "is damaged: " + s.ToString()};
  rocksdb::BackupInfo info;
  if (!engine->GetBackupInfo(number, &info).ok() || info.app_metadata != EncodeColderMark(parts)) {
    return {Code::kCorruption, where + "is of another backup"};
  }
  return {};
}

Status VerifyArchivePart(const std::string& dir, const std::string& name,
                         SnapshotControl* control) {
  const std::string folder = (fs::path(dir) / kBackupArchives / name).string();
  std::string expected;
  SnapshotManifest manifest;
  Status status = NameOf(folder, ArchiveFolderOf(name), &expected);
  if (status.ok()) status = VerifySnapshot(folder, control, &manifest);
  if (status.ok() && expected != name) {
    status = {Code::kCorruption, folder + " is another archive than its name says"};
  }
  if (status.ok()) return {};
  return {Code::kCorruption, "a frozen shard: " + std::string(status.message())};
}

Status OpenBackups(const std::string& dir, Tier tier, std::unique_ptr<rocksdb::BackupEngine>* out,
                   rocksdb::Env* env) {
  rocksdb::BackupEngine* engine = nullptr;
  const rocksdb::IOStatus s =
      rocksdb::BackupEngine::Open(OptionsFor(dir, tier, env), rocksdb::Env::Default(), &engine);
  out->reset(engine);
  return Status::From(s, "opening the backups in " + dir);
}

Status OpenBackupsReadOnly(const std::string& dir, Tier tier,
                           std::unique_ptr<rocksdb::BackupEngineReadOnly>* out, rocksdb::Env* env) {
  std::error_code error;
  if (!fs::is_directory(fs::path(dir) / TierName(tier) / "meta", error)) {
    return {Code::kNotFound, "there are no backups in " + dir};
  }
  rocksdb::BackupEngineReadOnly* engine = nullptr;
  const rocksdb::IOStatus s = rocksdb::BackupEngineReadOnly::Open(OptionsFor(dir, tier, env),
                                                                  rocksdb::Env::Default(), &engine);
  out->reset(engine);
  return Status::From(s, "opening the backups in " + dir);
}

std::string ArchiveFolderOf(const std::string& name) { return name.substr(0, name.rfind('-')); }

Status CopyFolder(const std::string& from, const std::string& to, const SnapshotControl* control) {
  const std::string partial = to + ".partial";
  std::error_code error;
  fs::remove_all(partial, error);
  if (!error) fs::create_directories(partial, error);
  if (error) return ErrnoStatus(error.value(), "creating the folder", partial);
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(from, error)) {
    names.push_back(entry.path().filename().string());
  }
  if (error) return ErrnoStatus(error.value(), "reading the folder", from);
  for (const std::string& name : names) {
    Status going = Stopped(control);
    if (!going.ok()) return going;
    fs::copy_file(fs::path(from) / name, fs::path(partial) / name, error);
    if (error) return ErrnoStatus(error.value(), "copying", from + "/" + name);
    Status status = SyncFile(partial + "/" + name);
    if (!status.ok()) return status;
  }
  Status status = SyncFolder(partial);
  if (!status.ok()) return status;
  fs::rename(partial, to, error);
  if (error) return ErrnoStatus(error.value(), "making", to);
  return SyncFolder(fs::path(to).parent_path().string());
}

Status CopyArchives(const std::string& archives, const std::string& dir,
                    const std::function<ShardTable()>& table, SnapshotControl* control,
                    std::vector<std::string>* names) {
  const ShardTable before = table();
  const fs::path folder = fs::path(dir) / kBackupArchives;
  for (const ShardInfo& info : before.shards()) {
    if (!info.frozen) continue;
    const std::string from = ArchiveOf(archives, info);
    std::string name;
    Status status = NameOf(from, ShardColumnFamilyName(info.id, info.generation), &name);
    const std::string to = (folder / name).string();
    if (status.ok()) status = TakeArchive(from, to, control);
    if (status.code() == Code::kAborted) return status;
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

Status AbortedOr(Status status, const SnapshotControl* control) {
  if (status.ok()) return status;
  Status stopped = Stopped(control);
  return stopped.ok() ? status : stopped;
}

}  // namespace thermocline
