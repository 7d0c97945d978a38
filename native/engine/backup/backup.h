// Backups of a whole database in a folder of their own.
//
// Purpose: incremental, checksummed copies that a program makes while it works, and their way back.
// RocksDB's backup engine keeps the tables of all backups once, by session and file; what changes
// from one backup to the next is copied, and the log with it.
//
//   <dir>/LOCK        one writer at a time
//   <dir>/hot/        the backup engine's own: meta/, private/, shared_checksum/
//   <dir>/warm/, cold/   likewise, of colder tiers
//   <dir>/archive/    of frozen shards (backup_parts.h)
//
// A backup is the database at one moment: every write acknowledged before the call is in it, and of
// a batch all or nothing, as after a crash of the process. With colder tiers no step of migration
// may be under way meanwhile, so that what a tier holds does not change, and the moment of the hot
// store is that of all.
// Restoring never touches anything before every file of the backup was read and its checksum held.
// The hot store is put in place last: before that there is no database, and what a restore that was
// cut short has left is marked as such, for the next one to delete.
// Whoever makes or restores a backup can be stopped, between two pieces of a file; what it leaves
// is what a crash would leave, but for a backup that is not named yet, which is deleted at once.
//
// Thread safety: all functions from any thread. They take long: never on a JavaScript thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/snapshot/table_files.h"
#include "engine/status.h"
#include "engine/tier/hot_store.h"
#include "engine/tier/tier_paths.h"
#include "engine/tier/tier_set.h"

namespace thermocline {

struct Backup {
  uint32_t id = 0;
  uint64_t created_ms = 0;  // Unix, of whole seconds
  uint64_t bytes = 0;       // of all its files, shared ones included
  uint32_t files = 0;
  // Of a new one: why what older ones have left could not be deleted. Empty: it was.
  std::string untidied;
};

// What a backup is made of.
struct BackupSource {
  HotStore* hot = nullptr;
  TierSet* tiers = nullptr;
  std::string archives;  // the folder of the frozen shards
};

// Adds a backup to `dir`, which is created if it is missing, then deletes the oldest ones beyond
// `keep` (0: keeps all). ERR_INVALID_ARGUMENT if the folder holds something else or backups of
// another database; ERR_LOCKED if somebody writes to it; ERR_ABORTED if `control`, which may be
// null, says so before the new backup is there.
// REQUIRES: no step of migration runs, and no shard is being frozen.
Status CreateBackup(const BackupSource& source, const std::string& dir, uint32_t keep,
                    SnapshotControl* control, Backup* out);

// The backups of a folder, oldest first. ERR_NOT_FOUND if there are none.
Status ListBackups(const std::string& dir, std::vector<Backup>* out);

// Reads every file of every backup. *problems names what is damaged.
Status VerifyBackups(const std::string& dir, std::vector<Backup>* out,
                     std::vector<std::string>* problems);

// Makes a database in `location`, which must be missing or empty, from a backup (0: the latest).
// Colder tiers come to `paths`, or else to a folder of their name in `location`; these must be
// missing or empty too. ERR_CORRUPTION if anything of the backup is damaged, ERR_NOT_FOUND,
// ERR_INVALID_ARGUMENT, ERR_ABORTED if `control` says so before the database is in its place.
// `probe`, for tests, is asked between the steps; an error ends the restore there, as a crash
// would.
Status RestoreBackup(const std::string& dir, uint32_t id, const std::string& location,
                     const TierPaths& paths = {},
                     const std::function<Status(int step)>& probe = nullptr,
                     SnapshotControl* control = nullptr);

}  // namespace thermocline
