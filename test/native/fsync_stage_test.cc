// The fsync stage alone, over a sync that a test can hold.

#include "engine/commit/fsync_stage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gate.h"
#include "support.h"

namespace thermocline {
namespace {

using test::HasCode;
using test::IsOk;
using testing::ElementsAre;

// A log that is synced: records are written to it, and a sync makes durable what was written
// before it began. Records are numbers from 1 on.
class FakeLog {
 public:
  // What a sync returns that begins from now on.
  void Answer(rocksdb::Status status) {
    std::lock_guard lock(mutex_);
    answer_ = std::move(status);
  }
  uint64_t Write() {
    std::lock_guard lock(mutex_);
    return ++written_;
  }
  rocksdb::Status Sync() {
    std::unique_lock lock(mutex_);
    EXPECT_FALSE(syncing_) << "two syncs at once";
    syncing_ = true;
    begun_++;
    const uint64_t covered = written_;
    const rocksdb::Status answer = answer_;
    lock.unlock();
    gate_.Pass();
    lock.lock();
    if (answer.ok()) durable_ = covered;
    syncing_ = false;
    return answer;
  }
  // Held, it holds every sync at its end.
  test::Gate& gate() { return gate_; }

  uint64_t durable() {
    std::lock_guard lock(mutex_);
    return durable_;
  }
  int syncs() {
    std::lock_guard lock(mutex_);
    return begun_;
  }

 private:
  test::Gate gate_;
  std::mutex mutex_;
  rocksdb::Status answer_;
  bool syncing_ = false;
  int begun_ = 0;
  uint64_t written_ = 0;
  uint64_t durable_ = 0;
};

class FsyncStageTest : public testing::Test {
 protected:
  FsyncStageTest() {
    stage_ = std::make_unique<FsyncStage>(FsyncStage::Dependencies{
        .sync = [this] { return log_.Sync(); },
        .stopped =
            [this] {
              std::lock_guard lock(mutex_);
              return stopped_;
            },
        .on_failure =
            [this](const Status& status) {
              std::lock_guard lock(mutex_);
              EXPECT_TRUE(failed_.empty()) << "something was reported as failed before";
              failures_.push_back(status);
            },
        .report = [this](std::unique_ptr<Submission> submission,
                         const Status& status) { Report(*submission, status); },
        .metrics = metrics_.get()});
  }

  static std::unique_ptr<Submission> Record(uint64_t number) {
    auto submission = std::make_unique<Submission>();
    submission->submitted_nanos = number;  // carries the record's number
    return submission;
  }
  // Writes records and hands them over, as the committer does with a group.
  std::vector<uint64_t> Add(int records) {
    std::vector<std::unique_ptr<Submission>> group;
    std::vector<uint64_t> numbers;
    for (int i = 0; i < records; i++) {
      numbers.push_back(log_.Write());
      group.push_back(Record(numbers.back()));
    }
    stage_->Add(&group);
    EXPECT_TRUE(group.empty());
    return numbers;
  }
  void Report(const Submission& submission, const Status& status) {
    const uint64_t number = submission.submitted_nanos;
    EXPECT_TRUE(!status.ok() || number <= log_.durable())
        << "record " << number << " is reported and not durable";
    std::lock_guard lock(mutex_);
    (status.ok() ? durable_ : failed_).push_back(number);
    reported_.notify_all();
  }
  // What the committer says of the log from now on.
  void LogStopped(Status why) {
    std::lock_guard lock(mutex_);
    stopped_ = std::move(why);
  }
  void AwaitReports(size_t count) {
    std::unique_lock lock(mutex_);
    reported_.wait(lock, [&] { return durable_.size() + failed_.size() >= count; });
  }
  std::vector<uint64_t> durable() {
    std::lock_guard lock(mutex_);
    return durable_;
  }
  std::vector<uint64_t> failed() {
    std::lock_guard lock(mutex_);
    return failed_;
  }

  const std::unique_ptr<Metrics> metrics_ = std::make_unique<Metrics>();
  FakeLog log_;
  std::mutex mutex_;
  std::condition_variable reported_;
  std::vector<uint64_t> durable_;
  std::vector<uint64_t> failed_;
  std::vector<Status> failures_;
  Status stopped_;
  std::unique_ptr<FsyncStage> stage_;
};

TEST_F(FsyncStageTest, ARecordIsReportedAfterASyncThatBeganAfterIt) {
  Add(1);
  AwaitReports(1);
  EXPECT_THAT(durable(), ElementsAre(1));
  EXPECT_EQ(log_.syncs(), 1);
  EXPECT_EQ(metrics_->Snapshot().fsyncs, 1u);
}

TEST_F(FsyncStageTest, WhatIsHandedOverTogetherSharesASyncAndKeepsItsOrder) {
  Add(100);
  AwaitReports(100);
  EXPECT_EQ(log_.syncs(), 1);
  const std::vector<uint64_t> order = durable();
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_F(FsyncStageTest, WhatArrivesDuringASyncWaitsForTheNextAndSharesIt) {
  log_.gate().Hold();
  Add(1);
  log_.gate().AwaitVisitors();
  for (int i = 0; i < 20; i++) Add(3);
  EXPECT_THAT(durable(), ElementsAre());
  log_.gate().Release();
  AwaitReports(61);
  EXPECT_EQ(log_.syncs(), 2);
  EXPECT_THAT(failed(), ElementsAre());
}

TEST_F(FsyncStageTest, AFailedSyncFailsAllThatSharedItAndEverythingAfter) {
  Add(1);
  AwaitReports(1);
  log_.Answer(rocksdb::Status::IOError("the disk is gone"));
  Add(3);
  AwaitReports(4);
  log_.Answer(rocksdb::Status::OK());
  Add(2);
  AwaitReports(6);
  EXPECT_THAT(durable(), ElementsAre(1));
  EXPECT_THAT(failed(), ElementsAre(2, 3, 4, 5, 6));
  EXPECT_EQ(log_.syncs(), 2) << "a later sync would prove nothing";
  ASSERT_EQ(failures_.size(), 1u);
  EXPECT_THAT(failures_[0], HasCode(Code::kIo));
}

TEST_F(FsyncStageTest, WhatArrivesDuringASyncThatFailsIsNotSyncedAnyMore) {
  log_.Answer(rocksdb::Status::IOError("the disk is gone"));
  log_.gate().Hold();
  Add(1);
  log_.gate().AwaitVisitors();
  log_.Answer(rocksdb::Status::OK());
  Add(1);
  log_.gate().Release();
  AwaitReports(2);
  EXPECT_THAT(failed(), ElementsAre(1, 2));
  EXPECT_EQ(log_.syncs(), 1);
}

// After a full disk resume() may follow: nothing was lost by a sync that was never tried.
TEST_F(FsyncStageTest, ALogThatHasStoppedIsNotSyncedAndMayGoOnLater) {
  LogStopped({Code::kReadOnly, "the disk is full"});
  Add(2);
  AwaitReports(2);
  EXPECT_THAT(failed(), ElementsAre(1, 2));
  EXPECT_EQ(log_.syncs(), 0);
  LogStopped({});
  Add(1);
  AwaitReports(3);
  EXPECT_THAT(durable(), ElementsAre(3));
  EXPECT_TRUE(failures_.empty());
}

TEST_F(FsyncStageTest, TheEchoOfAFailedAppendIsNoFailedSync) {
  log_.Answer(rocksdb::Status::IOError("Writer has previous error."));
  Add(1);
  AwaitReports(1);
  EXPECT_THAT(failed(), ElementsAre(1));
  log_.Answer(rocksdb::Status::OK());
  Add(1);
  AwaitReports(2);
  EXPECT_THAT(durable(), ElementsAre(2));
  EXPECT_TRUE(failures_.empty());
}

TEST_F(FsyncStageTest, StopSyncsWhatWaits) {
  log_.gate().Hold();
  Add(1);
  log_.gate().AwaitVisitors();
  Add(5);
  std::thread stopping([this] { stage_->Stop(); });
  log_.gate().Release();
  stopping.join();
  EXPECT_EQ(durable().size(), 6u);
  EXPECT_EQ(log_.syncs(), 2);
  stage_->Stop();  // again: nothing to do
  EXPECT_EQ(log_.syncs(), 2);
}

TEST_F(FsyncStageTest, StoppingWithNothingToDoSyncsNothing) {
  stage_->Stop();
  EXPECT_EQ(log_.syncs(), 0);
}

TEST_F(FsyncStageTest, DestructionReportsEverything) {
  Add(10);
  stage_.reset();
  EXPECT_EQ(durable().size(), 10u);
}

// Report() above checks every record against the log.
TEST_F(FsyncStageTest, ManyGroupsAreEachReportedOnceAndInOrder) {
  std::minstd_rand random(1);
  size_t added = 0;
  for (int i = 0; i < 5'000; i++) {
    const int records = 1 + static_cast<int>(random() % 4);
    Add(records);
    added += static_cast<size_t>(records);
    if (random() % 16 == 0) std::this_thread::yield();
    if (random() % 512 == 0) AwaitReports(added);
  }
  AwaitReports(added);
  const std::vector<uint64_t> order = durable();
  ASSERT_EQ(order.size(), added);
  for (size_t i = 0; i < added; i++) ASSERT_EQ(order[i], i + 1);
  EXPECT_LE(static_cast<size_t>(log_.syncs()), added);
}

}  // namespace
}  // namespace thermocline
