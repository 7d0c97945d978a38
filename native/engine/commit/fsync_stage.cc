#include "engine/commit/fsync_stage.h"

#include <chrono>
#include <iterator>
#include <string>
#include <utility>

#include "engine/platform/thread_pool.h"
#include "engine/platform/time.h"

namespace thermocline {

namespace {
constexpr int kMostEchoMillis = 1000;
}  // namespace

bool LogHadFailed(const rocksdb::Status& status) {
  return status.IsIOError() &&
         status.ToString().find("Writer has previous error") != std::string::npos;
}

FsyncStage::FsyncStage(Dependencies dependencies)
    : deps_(std::move(dependencies)), thread_([this] { Run(); }) {
  deps_.metrics->Work(WorkClass::kFsync).threads = 1;
}

void FsyncStage::Add(std::vector<std::unique_ptr<Submission>>* applied) {
  const uint64_t now = NowNanos();
  for (const auto& submission : *applied) submission->applied_nanos = now;
  deps_.metrics->Work(WorkClass::kFsync)
      .queued.fetch_add(applied->size(), std::memory_order_relaxed);
  {
    std::lock_guard lock(mutex_);
    waiting_.insert(waiting_.end(), std::make_move_iterator(applied->begin()),
                    std::make_move_iterator(applied->end()));
  }
  applied->clear();
  wake_.notify_one();
}

void FsyncStage::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

// An append has failed, and whoever made it is about to say so: that is the error to report.
Status FsyncStage::WhyTheLogStopped(const Status& echo) const {
  for (int waited = 0; waited < kMostEchoMillis; waited++) {
    Status cause = deps_.stopped();
    if (!cause.ok()) return cause;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return echo;
}

void FsyncStage::Run() {
  NameThisThread("tc-fsync");
  std::vector<std::unique_ptr<Submission>> syncing;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return !waiting_.empty() || stopping_; });
      if (waiting_.empty()) return;
      syncing.swap(waiting_);
    }
    const uint64_t taken = NowNanos();
    WorkMetrics& work = deps_.metrics->Work(WorkClass::kFsync);
    work.queued.fetch_sub(syncing.size(), std::memory_order_relaxed);
    work.running.store(1, std::memory_order_relaxed);
    for (const auto& submission : syncing) {
      work.wait_nanos.Record(taken - submission->applied_nanos);
    }
    Status status = failed_;
    if (status.ok() && deps_.stopped) status = deps_.stopped();
    if (status.ok()) {
      const uint64_t began = NowNanos();
      const rocksdb::Status synced = deps_.sync();
      deps_.metrics->fsync_nanos.Record(NowNanos() - began);
      deps_.metrics->fsyncs.Add();
      status = Status::From(synced, "syncing the log");
      if (!synced.ok() && !LogHadFailed(synced)) {
        failed_ = status;
        deps_.on_failure(failed_);
      } else if (!synced.ok() && deps_.stopped) {
        status = WhyTheLogStopped(status);
      }
    }
    for (auto& submission : syncing) deps_.report(std::move(submission), status);
    syncing.clear();
    work.run_nanos.Record(NowNanos() - taken);
    work.running.store(0, std::memory_order_relaxed);
    work.tasks.Add();
  }
}

}  // namespace thermocline
