// Splits and merges shards while reads and writes go on.
//
// Steps, for one split or merge:
//   1. The shards that are affected are set aside in the stepper: nothing migrates into or out of
//      them, so what colder stores hold of them does not change.
//   2. New column families are made in every tier, one per shard of the new table whose data is
//      new. Nothing names them yet.
//   3. Colder tiers: what they hold is copied from a snapshot.
//   4. Hot: at a boundary between two groups of the committer, ChangeNotes begins to note what is
//      written to the shards. Then rounds: at a boundary, take a snapshot and what was noted; copy
//      again what was noted below the position (from the snapshot: a Put if the key is there, else
//      a Delete), and copy the next chunk from the position on. What was noted above the position
//      need not be remembered, since the chunk's snapshot is newer. Chunks are tables beside the
//      store that are ingested, so they cost the log and the memtables nothing.
//   5. When everything is copied and little is noted any more, at a boundary: copy the rest, write
//      the new table to meta, synced, and publish it under the view latch. This is the switch: one
//      record decides, for readers and for recovery, which families count.
//   6. The former families are dropped. RocksDB keeps them for the views that still show them.
//
// Invariants:
//   - Until the switch nobody but the resharder touches the new families, and afterwards nobody
//     writes to the former ones. Every key has its latest value in the new families at the switch.
//   - A crash before the switch leaves families that the table does not name, which opening drops;
//     one after it, the same with the former ones. There is nothing else to recover.
//   - A view's table and snapshots are of one moment, so views that were open show what they did.
//   - Markers, expiry times and the flags of clean copies are copied as they are.
//
// One split or merge runs at a time; others wait. A restore, freeze or thaw waits too, but not
// behind a move that is paused: it could wait for ever, and writes to the frozen shard with it.
//
// Alternative rejected (docs/decisions): looking keys up in the new shard first and in its former
// owner then, for as long as the copy takes.
//
// Thread safety: all methods from any thread; Run blocks for as long as the move takes.
#pragma once

#include <rocksdb/db.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/clock.h"
#include "engine/commit/change_notes.h"
#include "engine/platform/start_gate.h"
#include "engine/shard/families.h"
#include "engine/shard/reshard_plan.h"
#include "engine/shard/shards.h"
#include "engine/status.h"
#include "engine/tier/hot_store.h"
#include "engine/tier/stepper.h"
#include "engine/tier/tier_set.h"

namespace thermocline {

// What to do. Thread safety: a value.
struct ReshardRequest {
  bool split = true;           // else merge
  uint32_t id = 0;             // the shard to split, or to merge into
  uint32_t other = 0;          // merge: the shard that goes
  std::optional<uint16_t> at;  // split: first slot of the upper part; default: halves the bytes
};

enum class ReshardPhase : uint8_t { kWaiting, kCopying, kCatchingUp, kSwitched };

// Progress of one move, and the caller's hold on it. Thread safety: all members from any thread.
class ReshardControl {
 public:
  struct Progress {
    ReshardPhase phase = ReshardPhase::kWaiting;
    uint64_t copied_bytes = 0;    // of keys and values
    uint64_t copied_records = 0;  // records written again meanwhile not included
    uint64_t total_bytes = 0;     // what will be copied, as estimated at the start
    uint64_t caught_up = 0;       // keys copied again because they were written meanwhile
  };
  Progress progress() const;

  void Abort() { aborted_.store(true, std::memory_order_relaxed); }
  // Copying stops; what is written meanwhile is still followed.
  void Pause(bool paused) { paused_.store(paused, std::memory_order_relaxed); }

  // Asked now and then; null: never. True ends the move like Abort.
  std::function<bool()> closing;
  StartGate gate;  // of a move that waits for a thread

 private:
  friend class Resharder;
  friend class ReshardCopy;
  bool stopped() const {
    return aborted_.load(std::memory_order_relaxed) || (closing && closing());
  }
  bool paused() const { return paused_.load(std::memory_order_relaxed); }

  std::atomic<bool> aborted_{false};
  std::atomic<bool> paused_{false};
  std::atomic<ReshardPhase> phase_{ReshardPhase::kWaiting};
  std::atomic<uint64_t> copied_bytes_{0};
  std::atomic<uint64_t> copied_records_{0};
  std::atomic<uint64_t> total_bytes_{0};
  std::atomic<uint64_t> caught_up_{0};
};

class Resharder {
 public:
  struct Dependencies {
    HotStore* hot = nullptr;
    TierSet* tiers = nullptr;
    Stepper* stepper = nullptr;  // null: there are no colder tiers
    ChangeNotes* notes = nullptr;
    EngineClock* clock = nullptr;
    // See Stepper::Dependencies.
    std::function<Status(const std::function<void()>& fn, bool durable)> at_boundary;
    // Makes the committer refuse all writes.
    std::function<void(const Status& cause)> fail;
    // How long the oldest waiting write waits.
    std::function<uint64_t()> queue_age_nanos;
  };

  explicit Resharder(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  // Runs one split or merge. *ids: the shards that hold the data afterwards. ERR_NOT_FOUND,
  // ERR_INVALID_ARGUMENT, ERR_ABORTED, ERR_IO, ERR_NO_SPACE, ERR_CORRUPTION; nothing has changed
  // then, but for an error after the switch.
  Status Run(const ReshardRequest& request, ReshardControl* control, std::vector<uint32_t>* ids);

  // Where the bytes of a shard lie, from a sample of its records.
  Status Weigh(const Shards& shards, int shard, SlotWeights* weights) const;

  // For what replaces shards and is no split or merge: *turn keeps those from running. ERR_ABORTED
  // if `stopped` says so first, ERR_LOCKED if it would wait behind a move that is paused.
  Status WaitForTurn(const std::function<bool()>& stopped,
                     std::unique_lock<std::timed_mutex>* turn);

  // For tests: called between the parts of a move, in its thread. A move that is told to stop
  // cleans up like one that failed.
  enum class Point {
    kPlanned,
    kCreated,    // the families are there
    kNoting,     // writes are being noted
    kChunk,      // one chunk of hot is copied
    kCopied,     // everything is, but for what was written meanwhile
    kSwitching,  // at the boundary: the table is about to be written
    kPersisted,  // at the boundary: it is written, and not yet published
    kSwitched,   // it is published; the former families are there
    kDropped,
  };
  void SetProbe(std::function<Status(Point)> probe) { probe_ = std::move(probe); }
  // For tests: bytes of a chunk.
  void SetChunkBytes(size_t bytes) { chunk_bytes_ = bytes; }

 private:
  friend class ReshardCopy;
  Status RunInTurn(const ReshardRequest& request, ReshardControl* control,
                   std::vector<uint32_t>* ids);
  void SetRunning(const ReshardControl* control);
  Status Plan(const ReshardRequest& request, const Shards& shards, ReshardPlan* plan) const;
  Status RunPlanned(const ReshardPlan& plan, const std::shared_ptr<const Shards>& before,
                    ReshardControl* control);
  // ERR_ABORTED if `control` says so first.
  Status SetAside(const std::vector<int>& shards, const ReshardControl* control);
  // The Shards of the new table. `filled`: by level, the families of plan.targets.
  std::shared_ptr<const Shards> Compose(const ReshardPlan& plan, const Shards& before,
                                        const std::vector<std::vector<FamilyPtr>>& filled,
                                        const std::vector<uint64_t>& target_bytes) const;
  Status Probe(Point point) { return probe_ ? probe_(point) : Status(); }

  const Dependencies deps_;
  std::timed_mutex turn_;  // held by whatever replaces shards
  std::mutex running_mutex_;
  const ReshardControl* running_ = nullptr;  // GUARDED_BY(running_mutex_): the move that has turn_
  std::function<Status(Point)> probe_;
  size_t chunk_bytes_ = 16 * kMiB;
};

}  // namespace thermocline
