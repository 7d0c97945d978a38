// The committer when the disk is slow, full or fails: what is durable, and what may go on.

#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "committer_fixture.h"

namespace thermocline::test {
namespace {

using testing::ElementsAre;

using CommitterFailureTest = CommitterTest;

// --- Failure -------------------------------------------------------------------------------------

TEST_F(CommitterFailureTest, AFailedWriteFailsItsWholeGroupAndEverythingAfter) {
  Start();
  std::vector<Pending> failed;
  std::vector<Pending> late;
  AsOneGroup([&] {
    store_.FailWrite(1, rocksdb::Status::IOError("the disk is gone"));
    for (int i = 0; i < 3; i++) {
      failed.push_back(Submit(PackedWrites().Put("k" + std::to_string(i), "v"), i == 0));
    }
    // Too large for the same group, so already accepted when that one fails.
    late.push_back(Submit(
        PackedWrites().Put("late", std::string(EngineOptions().max_group_bytes, 'v')), true));
  });
  for (Pending& p : failed) {
    const Status status = Await(std::move(p.result));
    EXPECT_THAT(status, HasCode(Code::kIo));
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("the disk is gone"));
  }
  for (Pending& p : late) EXPECT_THAT(Await(std::move(p.result)), HasCode(Code::kReadOnly));
  const Status after = Submit(PackedWrites().Put("after", "v"), false).accepted;
  EXPECT_THAT(after, HasCode(Code::kReadOnly));
  EXPECT_THAT(std::string(after.message()), testing::HasSubstr("the disk is gone"))
      << "the first cause is named";
  EXPECT_EQ(store_.Payloads(), (std::map<std::string, std::string>{{"the first group", ""}}));
  EXPECT_EQ(committer_->in_flight_bytes(), 0u);
  EXPECT_EQ(metrics_->commits.Total(), 1u) << "nothing that failed counts as committed";
}

TEST_F(CommitterFailureTest, TheCodeOfAFailedWriteReachesTheCaller) {
  for (const auto& [failure, code] : std::vector<std::pair<rocksdb::Status, Code>>{
           {rocksdb::Status::NoSpace("full"), Code::kNoSpace},
           {rocksdb::Status::Corruption("bad"), Code::kCorruption},
           {rocksdb::Status::IOError("gone"), Code::kIo}}) {
    Start();
    store_.FailWrite(0, failure);
    EXPECT_THAT(Commit(PackedWrites().Put("k", "v")), HasCode(code));
    EXPECT_THAT(Commit(PackedWrites().Put("k", "v")), HasCode(Code::kReadOnly));
    committer_.reset();
  }
}

TEST_F(CommitterFailureTest, AnExceptionInsideAGroupFailsItAndEverythingAfter) {
  Start();
  store_.ThrowNext();
  const Status status = Commit(PackedWrites().Put("k", "v"));
  EXPECT_THAT(status, HasCode(Code::kIo));
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("out of memory, say"));
  EXPECT_THAT(Commit(PackedWrites().Put("k", "v")), HasCode(Code::kReadOnly));
}

TEST_F(CommitterFailureTest, MalformedSubmissionsAreRefusedAndWriteNothing) {
  Start();
  const auto submit = [this](std::string_view bytes, uint32_t operations) {
    auto submission = std::make_unique<Submission>();
    submission->data = TakeBlock(bytes.size());
    std::copy(bytes.begin(), bytes.end(), submission->data.get());
    submission->size = bytes.size();
    submission->operations = operations;
    submission->atomic = true;
    Pending pending = Submit(std::move(submission));
    EXPECT_THAT(pending.accepted, IsOk());
    return Await(std::move(pending.result));
  };
  const std::string good = PackedWrites().Put("a", "1").Put("b", "2").bytes();
  EXPECT_THAT(submit(good, 2), IsOk());
  for (size_t n = 0; n < good.size(); n++) {
    EXPECT_THAT(submit(good.substr(0, n), 2), HasCode(Code::kInvalidArgument)) << n;
  }
  EXPECT_THAT(submit(good, 1), HasCode(Code::kInvalidArgument)) << "bytes are left over";
  EXPECT_THAT(submit(good, 3), HasCode(Code::kInvalidArgument)) << "an operation is missing";
  EXPECT_THAT(submit("\x0fxxxx", 1), HasCode(Code::kInvalidArgument)) << "an unknown type";
  EXPECT_EQ(store_.batches().size(), 1u);
  EXPECT_THAT(submit(good, 2), IsOk()) << "a caller's mistake does not end the database";
  EXPECT_EQ(committer_->in_flight_bytes(), 0u);
}

TEST_F(CommitterFailureTest, AMalformedSubmissionDoesNotHarmItsNeighbours) {
  Start();
  std::vector<Pending> good;
  std::vector<Pending> bad;
  AsOneGroup([&] {
    good.push_back(Submit(PackedWrites().Put("a", "1"), true));
    auto malformed = PackedWrites().Put("b", "1").Put("c", "1").ToSubmission(true);
    malformed->operations = 3;
    bad.push_back(Submit(std::move(malformed)));
    good.push_back(Submit(PackedWrites().Put("d", "1"), false));
  });
  for (Pending& p : good) EXPECT_THAT(Await(std::move(p.result)), IsOk());
  for (Pending& p : bad) EXPECT_THAT(Await(std::move(p.result)), HasCode(Code::kInvalidArgument));
  EXPECT_EQ(store_.Payloads(),
            (std::map<std::string, std::string>{{"the first group", ""}, {"a", "1"}, {"d", "1"}}))
      << "not even the well-formed half of it";
}

// --- Durability ----------------------------------------------------------------------------------

TEST_F(CommitterFailureTest, AnFsyncWriteIsAppliedAtOnceAndDoneAfterASync) {
  Start();
  store_.syncing.Hold();
  std::promise<Status> applied;
  auto submission = PackedWrites().Put("key", "value").ToSubmission(false);
  submission->durability = Durability::kFsync;
  submission->applied = [&](const Status& status) { applied.set_value(status); };
  Pending pending = Submit(std::move(submission));
  ASSERT_THAT(pending.accepted, IsOk());
  EXPECT_THAT(Await(applied.get_future()), IsOk());
  EXPECT_EQ(store_.Payloads().at("key"), "value");
  store_.syncing.AwaitVisitors();
  EXPECT_GT(committer_->in_flight_bytes(), 0u) << "in flight until it is durable";
  {
    std::lock_guard lock(finished_mutex_);
    EXPECT_TRUE(finished_.empty()) << "not durable yet";
  }
  store_.syncing.Release();
  EXPECT_THAT(Await(std::move(pending.result)), IsOk());
  EXPECT_TRUE(store_.IsSynced("key"));
  EXPECT_EQ(metrics_->fsyncs.Total(), 1u);
}

TEST_F(CommitterFailureTest, AWalWriteNeedsNoSync) {
  Start();
  EXPECT_THAT(Run(PackedWrites().Put("key", "value")), IsOk());
  committer_->Stop();
  EXPECT_EQ(store_.syncs(), 0);
}

TEST_F(CommitterFailureTest, GroupsGoOnWhileASyncRunsAndShareTheNextOne) {
  Start();
  store_.syncing.Hold();
  Pending first = Submit(PackedWrites().Put("first", "v"), false, Durability::kFsync);
  store_.syncing.AwaitVisitors();
  std::vector<Pending> later;
  for (int i = 0; i < 20; i++) {
    later.push_back(Submit(PackedWrites().Put("later" + std::to_string(i), "v"), i % 2 == 0,
                           Durability::kFsync));
    EXPECT_THAT(Run(PackedWrites().Put("wal" + std::to_string(i), "v")), IsOk())
        << "not held up by the sync";
  }
  store_.syncing.Release();
  EXPECT_THAT(Await(std::move(first.result)), IsOk());
  for (Pending& p : later) EXPECT_THAT(Await(std::move(p.result)), IsOk());
  for (int i = 0; i < 20; i++) EXPECT_TRUE(store_.IsSynced("later" + std::to_string(i))) << i;
  EXPECT_EQ(store_.syncs(), 2) << "one sync for all that waited";
}

// Every promise of durability against what the store had synced when it was made.
TEST_F(CommitterFailureTest, NothingIsDurableBeforeASyncThatBeganAfterItsWrite) {
  FixGroupSize(200);
  Start();
  std::vector<std::thread> threads;
  std::atomic<int> early{0};
  for (int t = 0; t < 3; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; i++) {
        const std::string key = std::to_string(t) + "/" + std::to_string(i);
        auto submission = PackedWrites().Put(key, "v").ToSubmission(false);
        submission->durability = i % 4 == 0 ? Durability::kWal : Durability::kFsync;
        const bool durable = submission->durability == Durability::kFsync;
        std::promise<void> done;
        submission->done = [&, durable](const Status& status) {
          EXPECT_THAT(status, IsOk());
          if (durable && !store_.IsSynced(key)) early++;
          done.set_value();
        };
        ASSERT_THAT(committer_->Submit(std::move(submission)), IsOk());
        Await(done.get_future());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(early, 0);
}

TEST_F(CommitterFailureTest, AFailedSyncFailsItsWritesAndEndsWriting) {
  Start();
  store_.FailSync(rocksdb::Status::IOError("the disk lies"));
  Pending pending = Submit(PackedWrites().Put("key", "value"), false, Durability::kFsync);
  const Status status = Await(std::move(pending.result));
  EXPECT_THAT(status, HasCode(Code::kIo));
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("the disk lies"));
  EXPECT_THAT(Submit(PackedWrites().Put("k", "v"), false).accepted, HasCode(Code::kReadOnly));
  EXPECT_THAT(Submit(PackedWrites().Put("k", "v"), false, Durability::kFsync).accepted,
              HasCode(Code::kReadOnly));
  EXPECT_THAT(committer_->Resume(), HasCode(Code::kReadOnly)) << "only reopening heals this";
  EXPECT_EQ(resumes_, 0);
}

TEST_F(CommitterFailureTest, AfterAFailedSyncNothingIsEverCalledDurable) {
  Start();
  store_.syncing.Hold();
  Pending first = Submit(PackedWrites().Put("first", "v"), false, Durability::kFsync);
  store_.syncing.AwaitVisitors();
  Pending second = Submit(PackedWrites().Put("second", "v"), false, Durability::kFsync);
  Settle();  // the second is applied and waits for the next sync
  store_.FailSync(rocksdb::Status::IOError("once"));
  store_.syncing.Release();
  EXPECT_THAT(Await(std::move(first.result)), HasCode(Code::kIo));
  EXPECT_FALSE(Await(std::move(second.result)).ok()) << "a later sync would prove nothing";
  EXPECT_EQ(store_.syncs(), 1);
}

TEST_F(CommitterFailureTest, WithoutALogNothingCanBeSynced) {
  Start(1, /*with_log=*/false);
  const Status refused = Submit(PackedWrites().Put("k", "v"), false, Durability::kFsync).accepted;
  EXPECT_THAT(refused, HasCode(Code::kInvalidArgument));
  EXPECT_EQ(committer_->in_flight_bytes(), 0u);
  EXPECT_THAT(Run(PackedWrites().Put("k", "v")), IsOk());
}

TEST_F(CommitterFailureTest, StopSyncsWhatWaits) {
  Start();
  store_.syncing.Hold();
  std::vector<Pending> pending;
  for (int i = 0; i < 50; i++) {
    pending.push_back(
        Submit(PackedWrites().Put("key" + std::to_string(i), "v"), false, Durability::kFsync));
  }
  store_.syncing.AwaitVisitors();
  std::thread stopper([this] { committer_->Stop(); });
  store_.syncing.Release();
  stopper.join();
  for (int i = 0; i < 50; i++) {
    Pending& p = pending[static_cast<size_t>(i)];
    ASSERT_EQ(p.result.wait_for(std::chrono::seconds(0)), std::future_status::ready);
    EXPECT_THAT(p.result.get(), IsOk());
    EXPECT_TRUE(store_.IsSynced("key" + std::to_string(i)));
  }
}

TEST_F(CommitterFailureTest, AppliedIsCalledOnceBeforeDoneWhateverTheEnd) {
  Start();
  const auto submit = [this](Durability durability) {
    std::vector<std::string> calls;
    std::promise<void> end;
    auto submission = PackedWrites().Put("k", "v").ToSubmission(false);
    submission->durability = durability;
    submission->applied = [&calls](const Status& status) {
      calls.push_back(status.ok() ? "applied" : "not applied");
    };
    submission->done = [&](const Status& status) {
      calls.push_back(status.ok() ? "done" : "failed");
      end.set_value();
    };
    EXPECT_THAT(committer_->Submit(std::move(submission)), IsOk());
    Await(end.get_future());
    return calls;
  };
  EXPECT_THAT(submit(Durability::kWal), ElementsAre("applied", "done"));
  EXPECT_THAT(submit(Durability::kFsync), ElementsAre("applied", "done"));
  store_.FailWrite(0, rocksdb::Status::NoSpace("full"));
  EXPECT_THAT(submit(Durability::kFsync), ElementsAre("not applied", "failed"));
}

// --- A full disk ---------------------------------------------------------------------------------

TEST_F(CommitterFailureTest, AfterAFullDiskResumeLetsWritesGoOn) {
  Start();
  store_.FailWrite(0, rocksdb::Status::NoSpace("full"));
  EXPECT_THAT(Commit(PackedWrites().Put("lost", "v")), HasCode(Code::kNoSpace));
  const Status refused = Commit(PackedWrites().Put("refused", "v"));
  EXPECT_THAT(refused, HasCode(Code::kReadOnly));
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("resume()"));
  resume_answer_ = rocksdb::Status::NoSpace("still full");
  EXPECT_THAT(committer_->Resume(), HasCode(Code::kNoSpace));
  EXPECT_THAT(Commit(PackedWrites().Put("refused", "v")), HasCode(Code::kReadOnly));
  EXPECT_THAT(committer_->Resume(), IsOk());
  EXPECT_THAT(Commit(PackedWrites().Put("after", "v")), IsOk());
  EXPECT_EQ(resumes_, 2);
  EXPECT_EQ(store_.Payloads(), (std::map<std::string, std::string>{{"after", "v"}}));
}

TEST_F(CommitterFailureTest, AFailureThatIsNotAFullDiskCannotBeResumed) {
  Start();
  store_.FailWrite(0, rocksdb::Status::IOError("gone"));
  EXPECT_THAT(Commit(PackedWrites().Put("k", "v")), HasCode(Code::kIo));
  EXPECT_THAT(committer_->Resume(), HasCode(Code::kReadOnly));
  EXPECT_THAT(Commit(PackedWrites().Put("k", "v")), HasCode(Code::kReadOnly));
}

// Ids follow RocksDB's sequence numbers, from which the next opening goes on counting.
TEST_F(CommitterFailureTest, IdsOfAGroupThatWasNotWrittenAreGivenAgain) {
  Start(10);
  ASSERT_THAT(Run(PackedWrites().Put("a", "1").Put("b", "1")), IsOk());
  store_.FailWrite(0, rocksdb::Status::NoSpace("full"));
  ASSERT_THAT(Run(PackedWrites().Put("c", "1").Put("d", "1").Put("e", "1")),
              HasCode(Code::kNoSpace));
  ASSERT_THAT(committer_->Resume(), IsOk());
  ASSERT_THAT(Commit(PackedWrites().Put("f", "1")), IsOk());
  EXPECT_EQ(store_.batch(1)[0].header.first_commit_id, 12u);
  store_.FailLastKey({Code::kCorruption, "a bad block"});
  ASSERT_THAT(Commit(PackedWrites().Put("g", "1").DeleteRange("a", std::nullopt)),
              HasCode(Code::kCorruption));
  ASSERT_THAT(Commit(PackedWrites().Put("h", "1")), IsOk());
  EXPECT_EQ(store_.batch(2)[0].header.first_commit_id, 13u);
  EXPECT_EQ(Settle(), 13u);
}

}  // namespace
}  // namespace thermocline::test
