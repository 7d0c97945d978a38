// What a backup consists of beside its hot store, and how a folder of backups keeps it.
//
// A backup is a backup of the hot store by RocksDB's backup engine, whose metadata names the rest:
// the backups of the colder stores, by number, and the archives of frozen shards, by name. It is
// made last, so a backup that was cut short has no name and what it left is deleted by the next.
//
// Thread safety: pure functions, and functions on files; one writer per folder.
#pragma once

#include <rocksdb/utilities/backup_engine.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/shard/shard_table.h"
#include "engine/snapshot/table_files.h"
#include "engine/status.h"
#include "engine/tier/tier.h"

namespace thermocline {

inline constexpr const char* kBackupArchives = "archive";

struct BackupParts {
  std::string owner;                  // the hot store's UUID
  std::string nonce;                  // random; the backups of colder stores have it too
  std::map<Tier, uint32_t> colder;    // the number of its backup in the tier's folder
  std::vector<std::string> archives;  // folders in `archive/`
};

std::string EncodeBackupParts(const BackupParts& parts);
// The metadata of the colder stores' backups: which backup of which database they belong to.
std::string EncodeColderMark(const BackupParts& parts);
// ERR_INVALID_ARGUMENT if it is not of ours, ERR_FORMAT_VERSION, ERR_CORRUPTION.
Status DecodeBackupParts(std::string_view metadata, BackupParts* parts);

// The backup engine of a tier in a folder of backups. `env`, which outlives it, has the files; null
// is the default one.
Status OpenBackups(const std::string& dir, Tier tier, std::unique_ptr<rocksdb::BackupEngine>* out,
                   rocksdb::Env* env = nullptr);
// Without creating anything: RocksDB's own opening makes folders. ERR_NOT_FOUND.
Status OpenBackupsReadOnly(const std::string& dir, Tier tier,
                           std::unique_ptr<rocksdb::BackupEngineReadOnly>* out,
                           rocksdb::Env* env = nullptr);

// Reads every file of a colder store's backup, or an archive's. ERR_CORRUPTION, also if it is of
// another backup or another shard. If it was stopped, whatever is said does not count.
Status VerifyColderPart(const std::string& dir, const BackupParts& parts, Tier tier,
                        rocksdb::Env* env = nullptr);
Status VerifyArchivePart(const std::string& dir, const std::string& name,
                         SnapshotControl* control = nullptr);

// Copies the archives of a table's frozen shards, each once for all backups, and names them.
// `table` gives the present one: a shard that is thawed meanwhile is left out. Durable on return.
// ERR_ABORTED.
Status CopyArchives(const std::string& archives, const std::string& dir,
                    const std::function<ShardTable()>& table, SnapshotControl* control,
                    std::vector<std::string>* names);
// Where a database has the archive that a backup knows by this name.
std::string ArchiveFolderOf(const std::string& name);

// Copies a folder's files and syncs them. `to` must not be there; it is whole or not there.
// ERR_ABORTED between two files.
Status CopyFolder(const std::string& from, const std::string& to, const SnapshotControl* control);

// ERR_ABORTED, if that is why something failed.
Status AbortedOr(Status status, const SnapshotControl* control);

}  // namespace thermocline
