// The fsync stage: one SyncWAL for everything applied so far, while later groups go on applying.
//
// Steps: the committer hands over submissions that are applied and want kFsync. The stage's thread
// takes all that are waiting, syncs the log once, and reports them. What arrives during a sync
// waits for the next one: its record may have been written after the sync began.
//
// Invariants:
//   - done(OK) is called only after a SyncWAL that began after the record was written.
//   - After a failed sync nothing is reported as durable any more: the operating system may have
//     dropped the dirty pages, so a later sync that succeeds proves nothing (fsyncgate, 2018).
//
// Thread safety: Add by the committer's thread; Stop by one thread.
#pragma once

#include <rocksdb/status.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/commit/submission.h"
#include "engine/metrics/metrics.h"

namespace thermocline {

// RocksDB's log refuses everything once an append to it has failed. A sync that says so was never
// tried, which is not the same as one that failed.
bool LogHadFailed(const rocksdb::Status& status);

class FsyncStage {
 public:
  struct Dependencies {
    std::function<rocksdb::Status()> sync;
    // Why the log takes no more records; OK while it does. A log that has stopped is not synced.
    std::function<Status()> stopped;
    // Called once, on the stage's thread, before anything is reported as failed.
    std::function<void(const Status&)> on_failure;
    std::function<void(std::unique_ptr<Submission>, const Status&)> report;
    Metrics* metrics = nullptr;
  };

  explicit FsyncStage(Dependencies dependencies);
  ~FsyncStage() { Stop(); }
  FsyncStage(const FsyncStage&) = delete;
  FsyncStage& operator=(const FsyncStage&) = delete;

  void Add(std::vector<std::unique_ptr<Submission>>* applied);
  // Syncs what is waiting, then joins the thread. Idempotent.
  void Stop();

 private:
  void Run();
  Status WhyTheLogStopped(const Status& echo) const;

  const Dependencies deps_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::unique_ptr<Submission>> waiting_;  // GUARDED_BY(mutex_)
  bool stopping_ = false;                             // GUARDED_BY(mutex_)
  Status failed_;                                     // the stage's thread alone
  std::thread thread_;
};

}  // namespace thermocline
