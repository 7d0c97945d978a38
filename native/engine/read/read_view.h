// A read view: one moment of the database (I6).
//
// Purpose: what cursors, snapshots and transactions read from. Today it holds the hot store's
// RocksDB snapshot, the shard table and the engine clock.
// Thread safety: immutable; shared by shared_ptr between a JS object and the reads that use it.
// Ownership: Release() gives the RocksDB snapshot back; the session calls it for every view that is
// still alive when it closes, after the reads that use it have ended.
#pragma once

#include <rocksdb/db.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "engine/read/view_clocks.h"
#include "engine/shard/shards.h"

namespace thermocline {

class ReadView {
 public:
  // `now` is asked before the snapshot is taken: a filter that runs in between keeps too much.
  template <class Clock>
  ReadView(rocksdb::DB* db, std::shared_ptr<const Shards> shards, Clock&& now,
           std::shared_ptr<ViewClocks> clocks)
      : db_(db),
        shards_(std::move(shards)),
        clocks_(std::move(clocks)),
        clock_ms_(clocks_->Open(now)) {
    snapshot_ = db_->GetSnapshot();
  }
  ~ReadView() { Release(); }
  ReadView(const ReadView&) = delete;
  ReadView& operator=(const ReadView&) = delete;

  // REQUIRES: no read uses the view, and none will.
  void Release() const {
    const rocksdb::Snapshot* snapshot = std::exchange(snapshot_, nullptr);
    if (snapshot == nullptr) return;
    db_->ReleaseSnapshot(snapshot);
    clocks_->Remove(clock_ms_);
  }

  const rocksdb::Snapshot* snapshot() const { return snapshot_; }
  const std::shared_ptr<const Shards>& shards() const { return shards_; }
  uint64_t clock_ms() const { return clock_ms_; }

 private:
  rocksdb::DB* const db_;
  const std::shared_ptr<const Shards> shards_;
  const std::shared_ptr<ViewClocks> clocks_;
  const uint64_t clock_ms_;
  mutable const rocksdb::Snapshot* snapshot_ = nullptr;
};

}  // namespace thermocline
