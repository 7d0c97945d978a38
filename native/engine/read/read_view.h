// A read view: one moment of the database (I6).
//
// Purpose: what cursors, snapshots and transactions read from: the RocksDB snapshots of all tiers,
// the range deletes that the colder ones have yet to carry out, the shard table and the engine
// clock. tier/view_latch.h says why they are one moment together.
// Thread safety: immutable; shared by shared_ptr between a JS object and the reads that use it.
// Ownership: Release() gives the RocksDB snapshots back; the session calls it for every view that
// is still alive when it closes, after the reads that use it have ended.
#pragma once

#include <rocksdb/db.h>

#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "engine/read/view_clocks.h"
#include "engine/shard/shards.h"
#include "engine/tier/range_intents.h"
#include "engine/tier/view_latch.h"

namespace thermocline {

// What a view of several tiers is taken under.
struct TieredViewSource {
  ViewLatch* latch = nullptr;
  RangeIntents* intents = nullptr;
  rocksdb::ColumnFamilyHandle* meta = nullptr;  // of the hot store
};

class ReadView {
 public:
  // `now` is asked before the snapshot is taken: a filter that runs in between keeps too much.
  // Without a latch in `tiers` nothing may change the table, and there is the hot store alone.
  template <class Clock>
  ReadView(rocksdb::DB* db, const CurrentShards& shards, Clock&& now,
           std::shared_ptr<ViewClocks> clocks, const TieredViewSource& tiers = {})
      : db_(db), clocks_(std::move(clocks)), clock_ms_(clocks_->Open(now)) {
    // Table and snapshots are of one moment: after a switch of the table the replaced families get
    // no more writes.
    std::shared_lock<std::shared_mutex> latch;
    if (tiers.latch != nullptr) latch = tiers.latch->TakingView();
    shards_ = shards.Load();
    snapshot_ = db_->GetSnapshot();
    if (!shards_->colder.empty()) TakeColder(tiers);
  }
  ~ReadView() { Release(); }
  ReadView(const ReadView&) = delete;
  ReadView& operator=(const ReadView&) = delete;

  // REQUIRES: no read uses the view, and none will.
  void Release() const {
    const rocksdb::Snapshot* snapshot = std::exchange(snapshot_, nullptr);
    if (snapshot == nullptr) return;
    db_->ReleaseSnapshot(snapshot);
    for (size_t i = 0; i < colder_.size(); i++) {
      shards_->colder[i].db->ReleaseSnapshot(colder_[i]);
    }
    clocks_->Remove(clock_ms_);
  }

  const rocksdb::Snapshot* snapshot() const { return snapshot_; }
  // Of shards()->colder[i].
  const rocksdb::Snapshot* colder_snapshot(size_t i) const { return colder_[i]; }
  // What of the colder stores is deleted in this view.
  const RangeIntents::List& intents() const { return intents_; }
  const std::shared_ptr<const Shards>& shards() const { return shards_; }
  uint64_t clock_ms() const { return clock_ms_; }

 private:
  void TakeColder(const TieredViewSource& tiers);

  rocksdb::DB* const db_;
  std::shared_ptr<const Shards> shards_;  // constant once constructed
  const std::shared_ptr<ViewClocks> clocks_;
  const uint64_t clock_ms_;
  mutable const rocksdb::Snapshot* snapshot_ = nullptr;
  std::vector<const rocksdb::Snapshot*> colder_;
  RangeIntents::List intents_;
};

}  // namespace thermocline
