// The folders of frozen shards: `<database>/archive/shard_%04x_%08x`, each a shard snapshot
// (snapshot/manifest.h) whose tables are compressed as far as zstd can.
//
// The shard table alone says which of them count; what it does not name is rubbish of a freeze or a
// thaw that was cut short, and is deleted when the database is opened for writing.
//
// Thread safety: all from any thread; one writer per folder.
#pragma once

#include <rocksdb/db.h>

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "engine/shard/families.h"
#include "engine/shard/shard_table.h"
#include "engine/snapshot/manifest.h"
#include "engine/snapshot/table_files.h"
#include "engine/status.h"

namespace thermocline {

inline constexpr const char* kArchiveDirectory = "archive";

std::string ArchiveOf(const std::string& archives, const ShardInfo& frozen);
// Of a shard that is frozen; any other has none. What cannot be deleted is at the next opening.
// REQUIRES: nobody makes an archive meanwhile.
void DeleteArchive(const std::string& archives, const ShardInfo& info);
// Deletes what the table does not name as frozen, and nothing whose name is not of ours.
void CleanArchives(const std::string& archives, const ShardTable& table);

// What an archive holds, exactly.
struct ArchiveFigures {
  uint64_t keys = 0;   // markers and expired records included
  uint64_t bytes = 0;  // of its tables
};

// The figures of all archives, so that nobody has to read manifests to list shards.
class ArchiveCatalogue {
 public:
  // Reads the manifests of all frozen shards; one that cannot be read has no figures.
  void Load(const std::string& archives, const ShardTable& table);
  void Add(const ShardInfo& frozen, const SnapshotManifest& manifest);
  ArchiveFigures Get(const ShardInfo& frozen) const;

 private:
  mutable std::mutex mutex_;
  // By id; those of former generations are overwritten. GUARDED_BY(mutex_)
  std::map<uint32_t, std::pair<uint32_t, ArchiveFigures>> figures_;
};

// Writes what a family shows in `snapshot` into tables in `dir`, in key order, and describes them
// in *tier; not synced. `go_on` is asked now and then. Adds to control->bytes what it has read.
Status ArchiveFamily(const FamilyStore& store, rocksdb::ColumnFamilyHandle* family,
                     const rocksdb::Snapshot* snapshot, const std::string& dir,
                     SnapshotControl* control, const std::function<Status()>& go_on,
                     SnapshotTier* tier, uint64_t* records);

}  // namespace thermocline
