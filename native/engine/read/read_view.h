// A read view: one moment of the database (I6).
//
// Purpose: what cursors and snapshots read from. Today it holds the hot store's RocksDB snapshot,
// the shard table and the engine clock.
// Thread safety: immutable; shared by shared_ptr between a JS object and the reads that use it.
// Ownership: Release() gives the RocksDB snapshot back; the engine calls it for every view that is
// still alive when it closes, after the reads that use it have ended.
#pragma once

#include <rocksdb/db.h>

#include <cstdint>
#include <memory>

#include "engine/shard/shards.h"

namespace thermocline {

class ReadView {
 public:
  ReadView(rocksdb::DB* db, std::shared_ptr<const Shards> shards, uint64_t clock_ms)
      : db_(db), snapshot_(db->GetSnapshot()), shards_(std::move(shards)), clock_ms_(clock_ms) {}
  ~ReadView() { Release(); }
  ReadView(const ReadView&) = delete;
  ReadView& operator=(const ReadView&) = delete;

  // REQUIRES: no read uses the view, and none will.
  void Release() const {
    if (snapshot_ != nullptr) db_->ReleaseSnapshot(snapshot_);
    snapshot_ = nullptr;
  }

  const rocksdb::Snapshot* snapshot() const { return snapshot_; }
  const std::shared_ptr<const Shards>& shards() const { return shards_; }
  uint64_t clock_ms() const { return clock_ms_; }

 private:
  rocksdb::DB* const db_;
  mutable const rocksdb::Snapshot* snapshot_;
  const std::shared_ptr<const Shards> shards_;
  const uint64_t clock_ms_;
};

}  // namespace thermocline
