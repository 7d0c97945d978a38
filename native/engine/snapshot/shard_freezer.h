// Freezes shards into the archive (snapshot/archive.h) and thaws them.
//
// Purpose: a shard that nobody uses takes as little of the disks as zstd can make of it, and
// nothing of caches, memtables and compactions.
//
// Steps of freezing:
//   1. Range deletes are carried out in the colder stores; then the shard is set aside in the
//      stepper, as for a split: colder stores keep what they hold.
//   2. At a boundary between two groups of the committer: if no range delete has come in between,
//      its writes begin to be noted, and a snapshot is taken.
//   3. What each tier shows of the shard is written into tables of the archive; checksums; the
//      manifest; all synced.
//   4. Empty families of a new generation are made in every tier.
//   5. At a boundary: if anything was written to the shard since 2, the freeze ends with
//      ERR_CONFLICT, since that write would have thawed it again. Else one synced write of the
//      shard table, which says that the new generation is frozen, decides for readers and for
//      recovery; it is published.
//   6. The former families are dropped. RocksDB keeps them for the views that still show them.
// Thawing restores the archive like any snapshot of a shard (snapshot/shard_restore.h), as a new
// generation that is not frozen, and deletes it.
//
// Invariants:
//   - A shard's records are in the families that the table names, or in the archive that it names;
//     what it does not name is deleted at the next opening. So a crash at any step loses nothing
//     and doubles nothing.
//   - Nobody reads or writes a frozen shard's families: readers refuse or wait (read/), the
//     committer parks writes until the shard is thawed (commit/).
//   - A view that was taken before the freeze shows what it did; one that was taken while the shard
//     is frozen can never show it.
//
// Thread safety: all methods from any thread; they take long. One freeze, thaw, split, merge or
// restore runs at a time; others wait.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/cache/hot_cache.h"
#include "engine/clock.h"
#include "engine/commit/change_notes.h"
#include "engine/read/held_snapshot.h"
#include "engine/shard/families.h"
#include "engine/shard/shards.h"
#include "engine/snapshot/archive.h"
#include "engine/snapshot/manifest.h"
#include "engine/snapshot/shard_restore.h"
#include "engine/snapshot/table_files.h"
#include "engine/status.h"
#include "engine/tier/hot_store.h"
#include "engine/tier/stepper.h"
#include "engine/tier/tier_set.h"

namespace thermocline {

class ShardFreezer {
 public:
  struct Dependencies {
    std::string archives;  // the folder of all of them
    HotStore* hot = nullptr;
    TierSet* tiers = nullptr;
    Stepper* stepper = nullptr;  // null: there are no colder tiers
    ChangeNotes* notes = nullptr;
    HotCache* cache = nullptr;
    EngineClock* clock = nullptr;
    ArchiveCatalogue* catalogue = nullptr;
    ShardRestorer* restorer = nullptr;
    // See ShardRestorer::Dependencies.
    std::function<Status(const std::function<bool()>& stopped,
                         std::unique_lock<std::timed_mutex>* turn)>
        wait_for_turn;
    std::function<Status(const std::function<void()>& fn, bool durable)> at_boundary;
    std::function<void(const Status& cause)> fail;
  };

  explicit ShardFreezer(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  // OK for a shard that is frozen already. ERR_NOT_FOUND, ERR_CONFLICT if it was written to
  // meanwhile, ERR_LOCKED while a backup is made, ERR_ABORTED, ERR_IO, ERR_NO_SPACE; the shard is
  // as it was then, but for an error after the switch.
  Status Freeze(uint32_t id, SnapshotControl* control);
  // OK for a shard that is not frozen. ERR_NOT_FOUND, ERR_CORRUPTION if the archive is damaged,
  // ERR_ABORTED, ERR_IO, ERR_NO_SPACE; the shard is still frozen then.
  Status Thaw(uint32_t id, SnapshotControl* control);

  // Held while a backup is made, which would leave the archive out.
  std::timed_mutex& backups() { return backups_; }

  // For tests: called between the parts, in the caller's thread or the committer's.
  enum class Point { kNoting, kArchived, kDescribed, kCreated, kSwitching, kPersisted, kSwitched };
  void SetProbe(std::function<Status(Point)> probe) { probe_ = std::move(probe); }

 private:
  struct Plan {
    std::shared_ptr<const Shards> before;
    size_t index = 0;
    ShardTable table;                 // after the switch
    std::vector<FamilyStore> stores;  // by level
    std::vector<FamilyPtr> created;   // likewise
    std::string dir;
  };

  Status MakePlan(uint32_t id, Plan* plan) const;
  Status Begin(const Plan& plan, SnapshotControl* control, HeldSnapshot* hot);
  Status RunPlanned(Plan* plan, const rocksdb::Snapshot* hot, SnapshotControl* control,
                    bool* switched, bool* unknown);
  Status WriteArchive(const Plan& plan, const rocksdb::Snapshot* hot, SnapshotControl* control);
  Status Switch(const Plan& plan, SnapshotControl* control, bool* switched, bool* unknown);
  std::shared_ptr<const Shards> Compose(const Plan& plan) const;
  // ERR_ABORTED if `control` says so first.
  Status SetAside(size_t shard, SnapshotControl* control);
  Status Probe(Point point) { return probe_ ? probe_(point) : Status(); }

  const Dependencies deps_;
  std::timed_mutex backups_;
  std::function<Status(Point)> probe_;
};

}  // namespace thermocline
