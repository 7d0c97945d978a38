// The keys and ranges of some shards that are being written, noted while they are copied.
//
// Purpose: a split or merge copies a shard while writes to it go on. What was written since a
// copy's snapshot is noted here and copied again (shard/resharder.h).
//
// Thread safety: the committer's thread alone, between groups for whoever else calls
// (Submission::at_boundary), but for bytes().
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/options.h"

namespace thermocline {

class ChangeNotes {
 public:
  // What is remembered at most between two calls of Take.
  static constexpr size_t kMaxBytes = 64 * kMiB;

  struct Range {
    std::string start;  // inclusive
    std::string end;    // exclusive
    bool has_end = false;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const { return std::hash<std::string_view>()(key); }
  };
  struct Changes {
    std::unordered_set<std::string, Hash, std::equal_to<>> keys;
    std::vector<Range> ranges;
    bool overflowed = false;  // more was written: the rest is not known

    bool empty() const { return keys.empty() && ranges.empty(); }
  };

  // --- for the committer, before it writes

  bool active() const { return !shards_.empty(); }
  // REQUIRES: active().
  void NoteKey(int shard, std::string_view key) {
    if (shards_[static_cast<size_t>(shard)]) Note(key);
  }
  void NoteRange(std::string_view start, std::string_view end, bool has_end) {
    if (Spend(start.size() + end.size())) {
      changes_.ranges.push_back({std::string(start), std::string(end), has_end});
    }
  }

  // --- at a boundary

  // Begins to note what is written to these shards, by index.
  void Begin(std::vector<bool> shards) { shards_ = std::move(shards); }
  // What was noted since Begin or the last Take.
  Changes Take() {
    bytes_.store(0, std::memory_order_relaxed);
    return std::exchange(changes_, Changes());
  }
  void End() {
    shards_.clear();
    (void)Take();
  }

  // --- from any thread

  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kOverhead = 64;

  void Note(std::string_view key) {
    if (!changes_.keys.contains(key) && Spend(key.size())) changes_.keys.emplace(key);
  }
  bool Spend(size_t size) {
    const size_t spent = bytes_.load(std::memory_order_relaxed) + size + kOverhead;
    if (spent > kMaxBytes) {
      changes_.overflowed = true;
      return false;
    }
    bytes_.store(spent, std::memory_order_relaxed);
    return true;
  }

  std::vector<bool> shards_;  // empty: nothing is noted
  Changes changes_;
  std::atomic<size_t> bytes_{0};
};

}  // namespace thermocline
