// Range deletes that the colder stores have not carried out yet (I8).
//
// Purpose: a range delete is one commit in hot: range tombstones, and a record in meta, the intent.
// Until the colder stores have dropped the range too, whoever reads them asks here what is deleted.
//
// Steps: the committer calls Add before it writes the batch that holds the intent's record, then
// Written or Withdraw. The migrator deletes the range in the colder stores, deletes the record, and
// calls Clear.
//
// Invariants:
//   - A reader of the present who loads the list before it reads the hot store sees every range
//     delete that was acknowledged before it began.
//   - A read view has exactly the intents whose batch its hot snapshot shows.
//
// Thread safety: Add, Written and Withdraw by the committer's thread; all else from any.
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

#include "engine/status.h"
#include "engine/tier/meta.h"

namespace thermocline {

struct RangeIntent {
  std::string key;  // of its record in meta
  RangeIntentRecord range;
  uint64_t before = 0;                            // a sequence number below its batch's
  std::atomic<uint64_t> written_by = UINT64_MAX;  // one not below its batch's; max: not written

  bool Covers(std::string_view k) const {
    return k >= range.start && (!range.has_end || k < range.end);
  }
};

class RangeIntents {
 public:
  using List = std::vector<std::shared_ptr<const RangeIntent>>;

  // Fast: false if there is none at all, which is nearly always.
  bool any() const { return count_.load(std::memory_order_acquire) != 0; }

  std::shared_ptr<RangeIntent> Add(std::string key, RangeIntentRecord range, uint64_t before);
  void Written(RangeIntent* intent, uint64_t sequence);
  void Withdraw(const std::shared_ptr<RangeIntent>& intent);
  // One that was found when the database was opened.
  void Recover(std::string key, RangeIntentRecord range);
  // REQUIRES: the colder stores have dropped the range, and the view latch is held exclusively.
  void Clear(const List& applied);

  // Those whose commit readers see.
  List Pending() const;
  // Those in a snapshot of the hot store. `in_meta` says whether a meta record exists there; it is
  // asked only about commits that were being written when the snapshot was taken.
  // REQUIRES: the view latch is held since before the snapshot was taken.
  List At(uint64_t sequence, const std::function<bool(const std::string& key)>& in_meta) const;

 private:
  std::atomic<size_t> count_{0};
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<RangeIntent>> intents_;  // GUARDED_BY(mutex_)
};

inline bool Covers(const RangeIntents::List& intents, std::string_view key) {
  for (const auto& intent : intents) {
    if (intent->Covers(key)) return true;
  }
  return false;
}

}  // namespace thermocline
