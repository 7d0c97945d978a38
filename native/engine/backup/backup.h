// Backups of a whole database in a folder of their own.
//
// Purpose: incremental, checksummed copies that a program makes while it works, and their way back.
// RocksDB's backup engine keeps the tables of all backups once, by session and file; what changes
// from one backup to the next is copied, and the log with it.
//
//   <dir>/LOCK  one writer at a time
//   <dir>/hot/  the backup engine's own: meta/, private/, shared_checksum/
//
// A backup is the database at one moment: every write acknowledged before the call is in it, and of
// a batch all or nothing, as after a crash of the process.
// Restoring never touches anything before every file of the backup was read and its checksum held.
//
// Thread safety: all functions from any thread. They take long: never on a JavaScript thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/status.h"
#include "engine/tier/hot_store.h"

namespace thermocline {

struct Backup {
  uint32_t id = 0;
  uint64_t created_ms = 0;  // Unix, of whole seconds
  uint64_t bytes = 0;       // of all its files, shared ones included
  uint32_t files = 0;
};

// Adds a backup to `dir`, which is created if it is missing, then deletes the oldest ones beyond
// `keep` (0: keeps all). ERR_INVALID_ARGUMENT if the folder holds something else or backups of
// another database, or if the database has colder tiers, which a backup would leave out; ERR_LOCKED
// if somebody writes to it.
Status CreateBackup(HotStore* store, const std::string& dir, uint32_t keep, Backup* out);

// The backups of a folder, oldest first. ERR_NOT_FOUND if there are none.
Status ListBackups(const std::string& dir, std::vector<Backup>* out);

// Reads every file of every backup. *problems names what is damaged.
Status VerifyBackups(const std::string& dir, std::vector<Backup>* out,
                     std::vector<std::string>* problems);

// Makes a database in `location`, which must be missing or empty, from a backup (0: the latest).
// ERR_CORRUPTION if anything of the backup is damaged, ERR_NOT_FOUND, ERR_INVALID_ARGUMENT.
Status RestoreBackup(const std::string& dir, uint32_t id, const std::string& location);

}  // namespace thermocline
