// What the committer does for the tiers: the half of I3, I4 and I8 that has to happen in the order
// of the writes.
//
// A migration step registers a part of a shard. While it is registered the committer notes every
// key and range written there, and a delete there is a marker: the step may be about to make a
// colder store hold the key. At the end the step removes from its source what stayed clean.
//
// Thread safety: the committer's thread alone (a step calls through Submission::at_boundary), so
// there is no lock.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "engine/cache/heat_sketch.h"
#include "engine/options.h"
#include "engine/shard/shards.h"
#include "engine/status.h"
#include "engine/tier/range_intents.h"

namespace thermocline {

class StepGuard {
 public:
  struct Dependencies {
    CurrentShards shards;
    RangeIntents* intents = nullptr;
    rocksdb::DB* hot = nullptr;
    rocksdb::ColumnFamilyHandle* meta = nullptr;
    HeatSketch* heat = nullptr;       // counts writes; may be null
    std::function<void()> on_intent;  // a range delete was written; may be null
  };

  explicit StepGuard(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  // --- for the committer

  // Whether deleting `key` needs a marker: not if every colder store certainly lacks it, as far as
  // memory alone can tell, and no step may be bringing it there.
  bool DeleteNeedsMarker(int shard, std::string_view key) const;

  void NoteHeat(uint64_t hash) {
    if (deps_.heat != nullptr) deps_.heat->TouchWrite(hash);
  }
  void NoteKey(int shard, std::string_view key) {
    if (registered_ && shard == shard_ && key >= start_) NoteCoveredKey(key);
  }
  void NoteRange(std::string_view start, std::string_view end, bool has_end);

  // Adds the intent of a range delete to its batch. Then, around the batch's write: Writing,
  // WriteEnded.
  Status AppendIntent(rocksdb::WriteBatch* batch, uint64_t commit_id, std::string_view start,
                      std::string_view end, bool has_end);
  void Writing();
  void WriteEnded(bool written);

  // --- for steps, at a boundary between two groups

  // Registers the keys of the shard from `start` on. REQUIRES: nothing is registered.
  void Register(int shard, std::string_view start);
  void Unregister();
  // Whether nothing was written to a covered key since it was registered.
  bool IsClean(std::string_view key) const;

 private:
  struct Range {
    std::string start;
    std::string end;
    bool has_end;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const { return std::hash<std::string_view>()(key); }
  };
  void NoteCoveredKey(std::string_view key);

  const Dependencies deps_;
  bool registered_ = false;
  int shard_ = 0;
  std::string start_;
  std::unordered_set<std::string, Hash, std::equal_to<>> dirty_;
  std::vector<Range> dirty_ranges_;
  size_t dirty_bytes_ = 0;
  bool all_dirty_ = false;  // more was written than is worth remembering
  std::vector<std::pair<std::string, RangeIntentRecord>> appended_;
  std::vector<std::shared_ptr<RangeIntent>> writing_;
};

}  // namespace thermocline
