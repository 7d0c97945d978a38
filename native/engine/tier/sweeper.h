// What moves although no tier is full: records that were not used for long, shards that were not,
// markers of deleted records, promoted copies that cooled; and tables full of deletions, which are
// compacted.
//
// Steps: Look notes what is due as jobs, each a part of a tier; every call of Step does a bounded
// piece of the first one. Jobs know their shard by its id, so a split or a merge ends them, and the
// next look finds what is left.
//
// Nothing here fights with promotion: a record is promoted because it was read, and what was read
// is neither old nor in an idle shard, nor has it cooled. That is asked again for every record, and
// for a shard at every step.
//
// Thread safety: one thread, the migrator's.
// Alternative rejected: scanning a tier for its markers. Tables count theirs (entry_counts.h), and
// one that has many names them when it is read, so the work follows what there is to tidy up.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/sst_file_reader.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/cache/heat_sketch.h"
#include "engine/cache/recency_sketch.h"
#include "engine/clock.h"
#include "engine/shard/activity.h"
#include "engine/shard/shards.h"
#include "engine/status.h"
#include "engine/tier/move_ledger.h"
#include "engine/tier/policy.h"
#include "engine/tier/stepper.h"
#include "engine/tier/tier_set.h"

namespace thermocline {

class Sweeper {
 public:
  struct Dependencies {
    Stepper* stepper = nullptr;
    TierSet* tiers = nullptr;
    HeatSketch* heat = nullptr;
    CurrentShards shards;
    rocksdb::DB* hot = nullptr;
    EngineClock* clock = nullptr;
    MoveLedger* ledger = nullptr;
    // By level; null: its records do not sink by age.
    std::vector<RecencySketch*> recency;
    // Of a shard, by index. Null: shards do not sink.
    std::function<Temperature(const Shards& shards, int shard)> temperature;
    uint64_t shards_grace_ms = 0;  // after opening, until shards sink
    uint64_t shards_look_ms = 60'000;
    uint64_t tidy_least = kTidyLeast;
    // Whether the level below `level` takes records.
    std::function<bool(int level)> takes_more;
    std::function<Status()> flush_hot;
    // Whether that level failed a moment ago and is not to be asked. Null: never.
    std::function<bool(int level)> is_left_alone = nullptr;
  };

  explicit Sweeper(Dependencies dependencies);
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;

  // Notes what is due. Cheap when nothing is.
  void Look();
  // For whenever there is time to: accesses count for the epoch of the last call.
  void AdvanceTime();
  bool HasWork() const { return !jobs_.empty() || LevelThatShrank() >= 0; }

  struct Progress {
    int to = -1;         // the level that was written to, or compacted; -1: none
    uint64_t bytes = 0;  // written to it, of keys and values
    Status status;       // of what was done there
  };
  // REQUIRES: HasWork().
  Progress Step();

  // Heat was halved, so more copies may have cooled.
  void HeatFaded() { copies_seen_.clear(); }

 private:
  struct Job {
    MoveCause cause = MoveCause::kAge;
    int from = 0;
    int to = 1;
    ShardInfo shard;
    std::string start = {};
    bool copies_alone = false;  // of kShard
    bool failed = false;        // when it was last tried
    std::string table = {};     // of kTidy: the path of the table with markers or copies
    bool compact = false;       // of kTidy: compact that table
    uint64_t hidden_bytes = 0;  // what its deletions give back, about
    std::unique_ptr<rocksdb::SstFileReader> reader = {};
    std::unique_ptr<rocksdb::Iterator> entries = {};
  };

  // What a job comes to, for now.
  enum class Outcome { kGoesOn, kEnds, kWaits };
  using Seen = std::set<std::string>;

  // The engine's time, which stands still once the system's was ahead and was set right; then that
  // of a clock that is never set.
  uint64_t Now();
  void TakeUpWaiting();
  bool IsNoted(const Job& job) const;
  void Note(Job job);
  void LookForAge(int level, uint64_t now_ms);
  void LookForIdleShards(const Shards& shards);
  void LookForUntidyTables(const Shards& shards);
  void LookAtTables(const Shards& shards, int level, int shard, size_t* tables, Seen* living);
  Outcome Advance(Job* job, int shard, const Shards& shards, Progress* progress);
  Outcome Sink(Job* job, int shard, const StepPlan& plan, Progress* progress);
  Outcome TidyTable(Job* job, int shard, Progress* progress);
  Outcome CompactTable(const Job& job, int shard, const Shards& shards, Progress* progress);
  // Deletions in memory free nothing yet. -1: there is no level where a flush pays.
  int LevelThatShrank() const;
  Progress FlushWhatShrank();
  rocksdb::DB* DbOf(const Shards& shards, int level) const;
  static rocksdb::ColumnFamilyHandle* FamilyOf(const Shards& shards, int level, int shard);

  struct Removed {
    uint64_t entries = 0;
    uint64_t bytes = 0;
  };

  const Dependencies deps_;
  uint64_t wall_ms_;
  uint64_t steady_ms_;
  uint64_t now_ms_;
  std::deque<Job> jobs_;     // bounded: filled only when empty, with kMaxTables tables
  std::deque<Job> waiting_;  // for a tier that was full or failed; no job is there twice
  uint64_t retry_ms_ = 0;
  std::vector<uint64_t> age_due_ms_;      // by level
  std::vector<uint64_t> age_vain_nanos_;  // by level: that the last sweep took where nothing sank
  uint64_t shards_due_ms_ = 0;
  uint64_t tidy_due_ms_ = 0;
  std::vector<Removed> removed_;  // by level, since it was flushed
  // Tables that were noted, until they are gone.
  Seen markers_seen_;
  Seen copies_seen_;
  Seen deletions_seen_;
};

}  // namespace thermocline
