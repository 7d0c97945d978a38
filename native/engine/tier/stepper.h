// Migration steps: moving a bounded part of one shard between two tiers (I4, I5, I8, I10).
//
// Down, from a tier to a colder one:
//   1. At a boundary between two groups of the committer: register the keys, take a snapshot of the
//      source. The boundary is acknowledged once the log is synced, so hot is durable up to the
//      snapshot before anything colder changes.
//   2. Choose, from the snapshot, a bounded number of records and every marker, but nothing that a
//      range delete covers which the colder stores have not carried out yet: that would take what
//      was written after it as well.
//   3. Apply them to the destination: records with its compression, markers as markers, or as
//      deletes where nothing lies below. Durable, and the destination's number raised.
//   4. Delete the same keys in the stores between the two: what they hold is older.
//   5. Remove the keys from the source. In hot that is the committer's work, at boundaries, and
//      skips what was written since 1; deletes are markers until then.
// Up, from a tier to a hotter one: copy what no hotter tier holds, sync, then remove from the
// source. Promotion copies to hot alone, flagged as clean copies; sinking such a copy deletes it.
//
// A crash or an error after any of these leaves a colder tier with copies that the source shadows,
// and no registration. The next step over them replaces them.
//
// Thread safety: steps run one at a time: every method takes the steps' lock. What else must not
// meet a step takes it too (Lock).
//
// Alternative rejected: a lock on keys while they move. It would stop writers for a disk's time,
// and the committer would have to ask it for every write.
#pragma once

#include <rocksdb/db.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/clock.h"
#include "engine/platform/patient_lock.h"
#include "engine/record/envelope.h"
#include "engine/shard/shards.h"
#include "engine/status.h"
#include "engine/tier/hot_store.h"
#include "engine/tier/move_ledger.h"
#include "engine/tier/step_guard.h"
#include "engine/tier/tier_set.h"

namespace thermocline {

struct StepPlan {
  int shard = 0;
  int from = 0;  // levels
  int to = 1;
  std::string start = {};  // the first key to look at
  // Chooses among the records; markers, and what has expired, always go. Null: all.
  std::function<bool(std::string_view key, const Envelope& envelope)> pick = {};
  // If set, only these keys, ascending; `start` does not count.
  const std::vector<std::string>* keys = nullptr;
  size_t max_bytes = 8 * kMiB;     // to move
  size_t max_scanned = 64 * kKiB;  // records to look at
  size_t max_scanned_bytes = 32 * kMiB;
  MoveCause cause = MoveCause::kProgram;
};

struct StepResult {
  uint64_t records = 0;  // moved
  uint64_t bytes = 0;    // of their keys and values
  uint64_t markers = 0;  // sunk or applied
  uint64_t dropped = 0;  // clean copies that needed no writing
  uint64_t freed = 0;    // bytes of keys and values chosen to sink, copies and markers too
  uint64_t dirty = 0;    // were written meanwhile and stayed
  uint64_t scanned = 0;  // records looked at
  std::string next;      // where the next step goes on
  bool done = false;     // there is nothing from `next` on
  // The shard is being split or merged: nothing was done, though `done` is set as well, and `next`
  // is where the step began.
  bool set_aside = false;
};

// What has moved since the database was opened.
struct MoveTotals {
  uint64_t records = 0;
  uint64_t bytes = 0;  // of keys and values
};

class Stepper {
 public:
  struct Dependencies {
    HotStore* hot = nullptr;
    TierSet* tiers = nullptr;
    StepGuard* guard = nullptr;
    CurrentShards shards;
    EngineClock* clock = nullptr;
    // Runs fn on the committer's thread between two groups, and returns after it; with `durable`,
    // after everything written so far, fn's writes included, is durable.
    std::function<Status(const std::function<void()>& fn, bool durable)> at_boundary;
    // Writes an internal batch to hot. REQUIRES: at a boundary.
    std::function<rocksdb::Status(rocksdb::WriteBatch*)> write;
    // Whether writes are held until there is room. May be null.
    std::function<bool()> writes_held = {};
    MoveLedger* ledger = nullptr;  // may be null
  };

  explicit Stepper(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  // Runs one step. `plan.from` and `plan.to` differ and exist.
  Status Run(const StepPlan& plan, StepResult* result);
  // Copies keys, ascending, of one shard to hot, if hot has nothing for them. *copied counts.
  Status Promote(int shard, const std::vector<std::string>& keys, uint64_t* copied);
  // Carries out all pending range deletes in the colder stores. ERR_ABORTED if `stopped` says so
  // while it waits for its turn.
  Status ApplyIntents(const std::function<bool()>& stopped = nullptr);

  // Between two levels; a level to itself: never anything.
  MoveTotals totals(int from, int to) const {
    const MoveCounters& counters = moves_[static_cast<size_t>(from)][static_cast<size_t>(to)];
    return {counters.records.load(std::memory_order_relaxed),
            counters.bytes.load(std::memory_order_relaxed)};
  }
  uint64_t promoted() const { return promoted_.load(std::memory_order_relaxed); }

  // While shards are being split or merged no step touches them, and range deletes stay pending in
  // all of them: what colder stores hold of them does not change. By index.
  // REQUIRES: Lock() is held; so it is when the table changes.
  void SetAside(std::vector<int> shards) {
    const std::lock_guard lock(aside_mutex_);
    set_aside_ = std::move(shards);
  }
  // Needs no lock: a step that runs keeps away from what was set aside when it began.
  void EndSetAside() { SetAside({}); }

  // No step runs while it is held. A backup holds it for as long as it takes.
  std::unique_lock<std::timed_mutex> Lock() { return std::unique_lock(mutex_); }
  // ERR_ABORTED if `stopped` says so first.
  Status Lock(const std::function<bool()>& stopped, std::unique_lock<std::timed_mutex>* lock) {
    return LockUnless(stopped, mutex_, lock);
  }

  // For tests: called between the parts of a step, in its thread. A step that is told to stop
  // leaves everything as a crash would, but for the registration.
  enum class Point { kRegistered, kChosen, kApplied, kCleared };
  void SetProbe(std::function<Status(Point)> probe) { probe_ = std::move(probe); }

 private:
  class Registration;
  struct Choice {
    std::vector<TierChange> changes;                // of the destination
    std::vector<std::string> remove;                // from the source
    std::vector<std::vector<std::string>> between;  // from the levels between, by level
  };

  using Visit = std::function<Status(std::string_view key, std::string_view stored,
                                     const Envelope& envelope, bool* moves)>;

  bool IsSetAside(int shard) const;
  bool AnySetAside() const;
  Status RunLocked(const StepPlan& plan, StepResult* result);
  Status ApplyIntentsLocked();
  Status Down(const StepPlan& plan, StepResult* result);
  Status Up(const StepPlan& plan, StepResult* result);
  // Visits the records of the source until the plan's bounds are reached.
  Status Scan(const StepPlan& plan, const rocksdb::Snapshot* snapshot, StepResult* result,
              const Visit& visit);
  Status ScanKeys(const StepPlan& plan, const rocksdb::Snapshot* snapshot, StepResult* result,
                  const Visit& visit);
  Status ChooseDown(const StepPlan& plan, const rocksdb::Snapshot* snapshot, Choice* choice,
                    StepResult* result);
  Status ChooseUp(const StepPlan& plan, const std::vector<const rocksdb::Snapshot*>& snapshots,
                  Choice* choice, StepResult* result);
  // Whether any level hotter than the source, but for hot, holds the key.
  Status HeldBetween(const StepPlan& plan, const std::vector<const rocksdb::Snapshot*>& snapshots,
                     std::string_view key, bool* held) const;
  Status RemoveFromHot(int shard, const std::vector<std::string>& keys, StepResult* result);
  // *skipped: keys, ascending, that were written since they were registered.
  Status CopyToHot(int shard, const std::vector<TierChange>& changes, bool durable,
                   std::vector<std::string>* skipped);
  Status RemoveFrom(int level, int shard, std::vector<std::string> keys);
  // Records in hot's meta how far the colder stores have come.
  Status NoteChanges();
  bool IsUncertain(int level, int shard) const;
  Status ReadStored(int level, int shard, std::string_view key, const rocksdb::Snapshot* snapshot,
                    std::string* stored, bool* found) const;
  rocksdb::DB* DbOf(int level) const;
  rocksdb::ColumnFamilyHandle* FamilyOf(int level, int shard) const;
  // A pending range delete will take the key from the colder stores, so nothing that may be newer
  // must come to lie there before.
  bool IsCovered(std::string_view key) const { return !covered_.empty() && Covers(covered_, key); }
  // Writes one slice, and rests if more follow.
  Status WriteSlice(bool last, const std::function<Status()>& write) const;
  Status Probe(Point point) { return probe_ ? probe_(point) : Status(); }

  const Dependencies deps_;
  std::timed_mutex mutex_;
  std::function<Status(Point)> probe_;
  struct MoveCounters {
    std::atomic<uint64_t> records{0};
    std::atomic<uint64_t> bytes{0};
  };
  MoveCounters moves_[kTierCount][kTierCount];
  std::atomic<uint64_t> promoted_{0};
  RangeIntents::List covered_;   // of the step that runs
  std::vector<uint64_t> noted_;  // last_step by level, as recorded in hot's meta; 0: not known
  mutable std::mutex aside_mutex_;
  std::vector<int> set_aside_;  // GUARDED_BY(aside_mutex_)
};

}  // namespace thermocline
