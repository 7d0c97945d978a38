// The copying of one split or merge: steps 2 to 4 of shard/resharder.h.
//
// Thread safety: one thread, but for Apply, which the committer's thread calls at the switch while
// the other one waits. Ownership: holds the new families and the Shards that are copied from.
#pragma once

#include <rocksdb/db.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/commit/change_notes.h"
#include "engine/shard/families.h"
#include "engine/shard/resharder.h"
#include "engine/status.h"

namespace thermocline {

class ReshardCopy {
 public:
  struct Dependencies {
    Resharder* owner = nullptr;       // its probe
    std::vector<FamilyStore> stores;  // by level
    bool has_log = true;
    size_t chunk_bytes = 0;
    ChangeNotes* notes = nullptr;
    std::function<Status(const std::function<void()>& fn, bool durable)> at_boundary;
    std::function<uint64_t()> queue_age_nanos;
  };

  ReshardCopy(Dependencies dependencies, const ReshardPlan& plan,
              std::shared_ptr<const Shards> before, ReshardControl* control);
  ReshardCopy(const ReshardCopy&) = delete;
  ReshardCopy& operator=(const ReshardCopy&) = delete;

  // Makes the new families in every tier.
  Status Create();
  Status CopyColder();
  // Returns when everything is copied and little is being written. ChangeNotes is active then.
  Status CopyHot();
  // Copies again, as of `snapshot` or of now, what was noted below the position. REQUIRES: nothing
  // was noted above it, or it will be copied in a newer chunk.
  Status Apply(const ChangeNotes::Changes& changes, const rocksdb::Snapshot* snapshot);
  // Makes what Apply has written durable where there is no log.
  Status FlushUnlogged();
  // Drops the new families.
  void Discard();

  // By level, then by target.
  const std::vector<std::vector<FamilyPtr>>& families() const { return families_; }
  // What was copied to each target.
  const std::vector<uint64_t>& target_bytes() const { return target_bytes_; }

 private:
  struct Change {
    rocksdb::ColumnFamilyHandle* family;
    const std::string* key;
    std::string stored;
    bool found;
  };

  // Of the new table; -1 if none owns the key.
  int TargetOf(std::string_view key) const;
  rocksdb::ColumnFamilyHandle* SourceOf(int level, size_t source) const;
  Status CopyChunk(int level, const rocksdb::Snapshot* snapshot, std::string* position, bool* all);
  Status ApplyRanges(const std::vector<ChangeNotes::Range>& ranges);
  Status WriteChanges(const std::vector<Change>& changes);
  Status Write(rocksdb::WriteBatch* batch);
  Status Stopped() const;
  // Waits while the caller has paused the move and little was written, and while writes wait.
  // False: there is enough to catch up with, and nothing may be copied.
  bool Pace();
  uint64_t EstimateBytes() const;

  const Dependencies deps_;
  const ReshardPlan& plan_;
  const std::shared_ptr<const Shards> before_;
  ReshardControl* const control_;
  std::vector<int> target_of_;  // by index in the new table
  std::vector<std::vector<FamilyPtr>> families_;
  std::vector<uint64_t> target_bytes_;
  // Of hot: keys below it are copied; all_: every key is.
  std::string position_;
  bool all_ = false;
};

}  // namespace thermocline
