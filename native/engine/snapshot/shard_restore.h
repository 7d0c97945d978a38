// Restores shards from a snapshot's folder (snapshot/shard_snapshot.h), each as a new generation.
//
// Steps:
//   1. Read the manifest and every file, compare all checksums, and find the shards to replace:
//   they
//      must own exactly the slots that the snapshot's shards owned. Nothing is touched before.
//   2. Link or copy the files beside each store and let RocksDB take them in as new column
//   families,
//      which nothing names yet. Range deletes that the snapshot's colder files have not seen are
//      carried out there.
//   3. At a boundary between two groups of the committer: one synced write of the shard table,
//   which
//      decides for readers and for recovery; publish it; empty the hot cache; make transactions
//      that have read conflict.
//   4. Drop the former families. RocksDB keeps them for the views that still show them.
//
// Invariants: a crash or an error before the table is written leaves families that it does not
// name, which are dropped, at once or at the next opening; the shards are as they were. Of several
// shards in one snapshot all are replaced or none.
//
// Thread safety: Restore from any thread; restores, splits and merges wait for each other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/cache/hot_cache.h"
#include "engine/clock.h"
#include "engine/shard/families.h"
#include "engine/shard/shards.h"
#include "engine/snapshot/manifest.h"
#include "engine/snapshot/table_files.h"
#include "engine/status.h"
#include "engine/tier/hot_store.h"
#include "engine/tier/stepper.h"
#include "engine/tier/tier_set.h"

namespace thermocline {

// Reads every file of a snapshot and compares its checksum, without changing anything.
// ERR_NOT_FOUND, ERR_INVALID_ARGUMENT, ERR_FORMAT_VERSION, ERR_CORRUPTION, ERR_ABORTED.
Status VerifySnapshot(const std::string& dir, SnapshotControl* control, SnapshotManifest* manifest);

class ShardRestorer {
 public:
  struct Dependencies {
    HotStore* hot = nullptr;
    TierSet* tiers = nullptr;
    Stepper* stepper = nullptr;  // null: there are no colder tiers
    HotCache* cache = nullptr;
    EngineClock* clock = nullptr;
    std::string archives;  // of frozen shards (snapshot/archive.h)
    // Waits until no split, merge or restore runs, and keeps others from running.
    // ERR_ABORTED if `stopped` says so first.
    std::function<Status(const std::function<bool()>& stopped,
                         std::unique_lock<std::timed_mutex>* turn)>
        wait_for_turn;
    // See Stepper::Dependencies.
    std::function<Status(const std::function<void()>& fn, bool durable)> at_boundary;
    // At a boundary: whatever an open transaction has read, it conflicts; whoever follows the
    // changes has a gap.
    std::function<void()> conflict_all;
    // Makes the committer refuse all writes.
    std::function<void(const Status& cause)> fail;
  };

  explicit ShardRestorer(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  // `as`: the shard to replace, by id; else the one that owns the same slots. REQUIRES for `as`:
  // the snapshot has one shard, or it is refused. *ids: the shards that were replaced.
  // ERR_NOT_FOUND, ERR_INVALID_ARGUMENT, ERR_FORMAT_VERSION, ERR_CORRUPTION, ERR_ABORTED, ERR_IO,
  // ERR_NO_SPACE; nothing has changed then.
  Status Restore(const std::string& dir, std::optional<uint32_t> as, SnapshotControl* control,
                 std::vector<uint32_t>* ids, SnapshotManifest* manifest);

  // The same for the archive of a frozen shard: ERR_CONFLICT if the table names it no more. Nobody
  // sees a difference, so transactions go on.
  Status Thaw(const ShardInfo& frozen, SnapshotControl* control);

  // For tests: called between the parts, in the caller's thread or the committer's.
  enum class Point { kVerified, kPlaced, kCreated, kSwitching, kPersisted, kSwitched, kDropped };
  void SetProbe(std::function<Status(Point)> probe) { probe_ = std::move(probe); }

 private:
  struct Request {
    std::string dir;
    std::optional<uint32_t> as;
    std::optional<ShardInfo> frozen;
  };
  struct Plan {
    std::shared_ptr<const Shards> before;
    ShardTable table;  // after the switch
    bool thaws = false;
    std::vector<size_t> indexes;                 // of the manifest's shards in the table
    std::vector<FamilyStore> stores;             // by level
    std::vector<std::vector<FamilyPtr>> filled;  // by level, by the manifest's shards
  };

  Status Run(const Request& request, SnapshotControl* control, std::vector<uint32_t>* ids,
             SnapshotManifest* manifest);
  Status MakePlan(const SnapshotManifest& manifest, const Request& request, Plan* plan) const;
  Status FillAll(const std::string& dir, const SnapshotManifest& manifest, SnapshotControl* control,
                 Plan* plan);
  Status CreateFamily(const FamilyStore& store, const std::string& dir, const ShardInfo& info,
                      const SnapshotTier* tier, SnapshotControl* control, FamilyPtr* family);
  Status ApplyIntents(const SnapshotManifest& manifest, const Plan& plan);
  std::shared_ptr<const Shards> Compose(const Plan& plan) const;
  // *unknown: whether the new table may be on disk although this failed.
  Status Switch(const Plan& plan, SnapshotControl* control, bool* switched, bool* unknown);
  Status SwitchAtBoundary(const Plan& plan, const std::shared_ptr<const Shards>& next,
                          bool* switched, bool* unknown);
  Status Probe(Point point) { return probe_ ? probe_(point) : Status(); }

  const Dependencies deps_;
  std::function<Status(Point)> probe_;
};

}  // namespace thermocline
