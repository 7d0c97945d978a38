// Takes snapshots of shards into a folder: their table files, of all tiers, and a manifest.
//
// Steps:
//   1. The steps' lock: what colder stores hold does not change until step 4 is done.
//   2. The moment: at a boundary between two groups of the committer, for all shards that are asked
//      for. A read view is taken, and the shards' memtables are switched, so that everything up to
//      the moment is in memtables that get no more writes. Nobody waits for a disk meanwhile.
//   3. Wait until these memtables are tables. Flush is not waited for, since it may return before
//      its result shows: there must be no immutable memtable left.
//   4. File deletions stop. Of each family, the files that begin at or before the moment's sequence
//      number are linked; the others hold nothing but later writes. The view keeps compactions
//      from dropping what later writes replaced. One that has merged earlier and later writes into
//      one file spoils the attempt: again from 2, and the last attempt holds the boundary until the
//      files are linked.
//   5. Checksums of all files, in parallel; then the manifest; all synced. The folder gets its
//   name.
//
// Invariants:
//   - Every write acknowledged before the call is in the snapshot, none that was accepted after the
//     moment is, and of a batch all or nothing, whatever shards it touches.
//   - The folder appears under its name whole or not at all.
//   - The cost follows what the shards hold; of a database without a log, flushing means all
//   shards.
//
// Alternative rejected: reading the records of a view and writing tables of one's own. It needs no
// care with files, and costs the decoding and compression of everything, where a link costs
// nothing.
//
// Thread safety: Take from any thread, several at once; it takes long.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/clock.h"
#include "engine/read/read_view.h"
#include "engine/shard/shards.h"
#include "engine/snapshot/manifest.h"
#include "engine/snapshot/table_files.h"
#include "engine/status.h"
#include "engine/tier/hot_store.h"
#include "engine/tier/stepper.h"
#include "engine/tier/tier_set.h"

namespace thermocline {

struct SnapshotReport {
  SnapshotManifest manifest;
  uint64_t linked = 0;  // files; the others were copied
  uint64_t attempts = 0;
};

class ShardSnapshotter {
 public:
  struct Dependencies {
    HotStore* hot = nullptr;
    TierSet* tiers = nullptr;
    Stepper* stepper = nullptr;  // null: there are no colder tiers
    std::function<std::shared_ptr<const ReadView>()> new_view;
    // See Stepper::Dependencies.
    std::function<Status(const std::function<void()>& fn, bool durable)> at_boundary;
  };

  explicit ShardSnapshotter(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  // `dir` must be missing or empty. ERR_NOT_FOUND for an id that there is not,
  // ERR_INVALID_ARGUMENT, ERR_LOCKED if another snapshot is being written there, ERR_ABORTED,
  // ERR_IO, ERR_NO_SPACE; `dir` is as it was then.
  Status Take(const std::vector<uint32_t>& ids, const std::string& dir, SnapshotControl* control,
              SnapshotReport* report);

  // For tests: called between the parts, in the caller's thread or the committer's.
  enum class Point { kSwitched, kFlushed, kLinked, kChecked, kDescribed, kNamed };
  void SetProbe(std::function<Status(Point)> probe) { probe_ = std::move(probe); }

 private:
  // One family of one store. Handles are held by `shards`.
  struct Part {
    size_t shard = 0;  // in the manifest
    Tier tier = Tier::kHot;
    rocksdb::DB* db = nullptr;
    rocksdb::ColumnFamilyHandle* family = nullptr;
  };
  struct Capture;

  Status Fill(const std::vector<uint32_t>& ids, const std::string& dir, SnapshotControl* control,
              SnapshotReport* report);
  Status CaptureFiles(const std::vector<uint32_t>& ids, const std::string& dir,
                      SnapshotControl* control, SnapshotReport* report);
  Status TakeMoment(const std::vector<uint32_t>& ids, Capture* capture);
  Status WaitForTables(const std::vector<Part>& parts, const SnapshotControl* control);
  Status Link(const Capture& capture, const std::string& dir, SnapshotControl* control,
              SnapshotReport* report, bool* mixed);
  Status Probe(Point point) { return probe_ ? probe_(point) : Status(); }

  const Dependencies deps_;
  std::function<Status(Point)> probe_;
};

}  // namespace thermocline
