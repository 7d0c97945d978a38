// A snapshot of one store that is given back even if something throws.
//
// Thread safety: one thread at a time. The store outlives it.
#pragma once

#include <rocksdb/db.h>

namespace thermocline {

class HeldSnapshot {
 public:
  explicit HeldSnapshot(rocksdb::DB* db) : db_(db) {}
  ~HeldSnapshot() {
    if (snapshot_ != nullptr) db_->ReleaseSnapshot(snapshot_);
  }
  HeldSnapshot(const HeldSnapshot&) = delete;
  HeldSnapshot& operator=(const HeldSnapshot&) = delete;
  // REQUIRES: once at most.
  void Take() { snapshot_ = db_->GetSnapshot(); }
  const rocksdb::Snapshot* get() const { return snapshot_; }

 private:
  rocksdb::DB* const db_;
  const rocksdb::Snapshot* snapshot_ = nullptr;
};

}  // namespace thermocline
