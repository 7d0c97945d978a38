// Feeds what RocksDB reports of its background work into the metrics.
//
// Thread safety: called by RocksDB from several threads; locks its own state.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/listener.h>

#include <map>
#include <mutex>
#include <string>

#include "engine/commit/fsync_stage.h"
#include "engine/metrics/metrics.h"
#include "engine/platform/time.h"

namespace thermocline {

class RocksListener : public rocksdb::EventListener {
 public:
  explicit RocksListener(Metrics* metrics) : metrics_(metrics) {}

  void OnFlushBegin(rocksdb::DB*, const rocksdb::FlushJobInfo& info) override {
    std::lock_guard lock(mutex_);
    flush_began_[info.job_id] = NowNanos();
  }

  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo& info) override {
    std::lock_guard lock(mutex_);
    const auto began = flush_began_.find(info.job_id);
    if (began == flush_began_.end()) return;
    metrics_->flush_nanos.Record(NowNanos() - began->second);
    flush_began_.erase(began);
  }

  void OnMemTableSealed(const rocksdb::MemTableInfo&) override {
    metrics_->memtable_switches.Add();
  }

  // Writes go on when the program says so (Committer::Resume). RocksDB's own poll for space, every
  // five seconds, would answer Busy to that meanwhile; a compaction that failed is tried again
  // without it.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }

  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override {
    if (LogHadFailed(*error)) {
      // The echo of an append that failed, whose own error is on record or about to be: recorded
      // as a failed sync it would be fatal, and a full disk would not be one to resume from.
      *error = rocksdb::Status::OK();
    } else if (reason == rocksdb::BackgroundErrorReason::kMemTable && error->IsNoSpace()) {
      // RocksDB calls a full disk fatal where a new log is begun: a resume() before there is room
      // would be the last. Nothing is lost there, since no log is buffered (manual_wal_flush).
      *error = rocksdb::Status(*error, rocksdb::Status::Severity::kHardError);
    }
  }

  void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) override {
    const bool stalled = info.condition.cur != rocksdb::WriteStallCondition::kNormal;
    const bool was_stalled = info.condition.prev != rocksdb::WriteStallCondition::kNormal;
    if (stalled && !was_stalled) {
      if (metrics_->stall_tracker.Begin(info.cf_name, NowNanos())) metrics_->stalls.Add();
    } else if (!stalled && was_stalled) {
      EndStall(info.cf_name);
    }
  }

  // A family that is dropped while it stalls, since its shard was split, merged or restored, is
  // never said to go on.
  void OnColumnFamilyHandleDeletionStarted(rocksdb::ColumnFamilyHandle* handle) override {
    EndStall(handle->GetName());
  }

 private:
  void EndStall(const std::string& family) {
    uint64_t nanos = 0;
    if (metrics_->stall_tracker.End(family, NowNanos(), &nanos)) metrics_->stall_nanos.Add(nanos);
  }

  Metrics* const metrics_;
  std::mutex mutex_;
  std::map<int, uint64_t> flush_began_;  // GUARDED_BY(mutex_), by job
};

}  // namespace thermocline
