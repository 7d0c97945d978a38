// The committer when the disk of the hot store runs full: what waits, what passes, what is refused.

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/commit/committer.h"
#include "support.h"

namespace thermocline {
namespace {

using test::Await;
using test::HasCode;
using test::IsOk;
using test::PackedWrites;

class CommitterSpaceTest : public testing::Test {
 protected:
  static constexpr uint64_t kReserve = 1'000'000;

  CommitterSpaceTest() : cache_(kMiB), metrics_(std::make_unique<Metrics>()) {
    options_.hard_in_flight_bytes = 10'000;
    Committer::Dependencies dependencies;
    dependencies.write = [this](rocksdb::WriteBatch* batch) {
      batches_++;
      records_ += batch->Count();
      return rocksdb::Status::OK();
    };
    dependencies.sync = [] { return rocksdb::Status::OK(); };
    dependencies.shards = shards_;
    dependencies.thaw = [this](const std::vector<uint32_t>& ids) { thaws_.fetch_add(ids.size()); };
    dependencies.cache = &cache_;
    dependencies.metrics = metrics_.get();
    dependencies.space = &gate_;
    committer_ = std::make_unique<Committer>(std::move(dependencies), options_, 1);
  }

  // One shard, of the whole keyspace.
  static std::shared_ptr<const Shards> OneShard(bool frozen) {
    std::vector<ShardInfo> infos = ShardTable::Equal(1).shards();
    infos[0].frozen = frozen;
    infos[0].generation = frozen ? 1 : 2;
    auto shards = std::make_shared<Shards>();
    EXPECT_THAT(ShardTable::Create(std::move(infos), &shards->table), IsOk());
    shards->handles.push_back(nullptr);
    return shards;
  }
  void SetFree(uint64_t bytes) {
    free_ = bytes;
    (void)gate_.Measure();
  }
  std::future<Status> Put(const std::string& value, Durability durability = Durability::kWal) {
    std::unique_ptr<Submission> submission =
        PackedWrites().Put("key" + std::to_string(puts_++), value).ToSubmission(false);
    submission->durability = durability;
    return Submit(std::move(submission));
  }
  std::future<Status> Boundary(bool overtakes, Durability durability = Durability::kWal) {
    auto submission = std::make_unique<Submission>();
    submission->overtakes = overtakes;
    submission->durability = durability;
    submission->at_boundary = [this](uint64_t) { at_boundary_.push_back(records_); };
    return Submit(std::move(submission));
  }
  std::future<Status> Submit(std::unique_ptr<Submission> submission) {
    auto done = std::make_shared<std::promise<Status>>();
    submission->done = [done](const Status& status) { done->set_value(status); };
    std::future<Status> result = done->get_future();
    Status accepted = committer_->Submit(std::move(submission));
    if (!accepted.ok()) {
      std::promise<Status> refused;
      refused.set_value(std::move(accepted));
      result = refused.get_future();
    }
    return result;
  }
  static bool IsDone(const std::future<Status>& result) {
    return result.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }

  int puts_ = 0;
  std::atomic<uint64_t> free_{10 * kReserve};
  std::atomic<int> held_{0};
  std::atomic<uint64_t> batches_{0};
  std::atomic<uint64_t> records_{0};
  std::vector<uint64_t> at_boundary_;  // records written before each; of the committer's thread
  SpaceGate gate_{{.available =
                       [this](uint64_t* bytes) {
                         *bytes = free_;
                         return true;
                       },
                   .on_held = [this] { held_++; },
                   .reserve_bytes = kReserve,
                   .patience_nanos = ~uint64_t{0} >> 1}};
  std::atomic<size_t> thaws_{0};  // shards that were asked for
  CurrentShards shards_{OneShard(/*frozen=*/false)};
  EngineOptions options_;
  HotCache cache_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<Committer> committer_;  // last: its thread uses the others
};

TEST_F(CommitterSpaceTest, HeldWritesWaitAndGoOnInOrderOnceThereIsRoom) {
  SetFree(kReserve / 2);
  std::vector<std::future<Status>> writes;
  for (int i = 0; i < 5; i++) writes.push_back(Put(std::to_string(i), Durability::kFsync));
  // It passes the writes; one that does not would come after them.
  EXPECT_THAT(Await(Boundary(/*overtakes=*/true)), IsOk());
  std::future<Status> behind = Boundary(/*overtakes=*/false);
  EXPECT_THAT(Await(Boundary(/*overtakes=*/true, Durability::kFsync)), IsOk());
  for (const auto& write : writes) EXPECT_FALSE(IsDone(write));
  EXPECT_FALSE(IsDone(behind));
  EXPECT_EQ(batches_, 0u);
  free_ = 2 * kReserve;  // which the committer sees by itself
  for (auto& write : writes) EXPECT_THAT(Await(std::move(write)), IsOk());
  EXPECT_THAT(Await(std::move(behind)), IsOk());
  EXPECT_EQ(records_, 5u);
  committer_->Stop();
  EXPECT_THAT(at_boundary_, testing::ElementsAre(0, 0, 5));
}

TEST_F(CommitterSpaceTest, ABoundaryOvertakesWritesThatFillTheQueue) {
  SetFree(0);
  std::future<Status> write = Put(std::string(9'900, 'x'));
  EXPECT_THAT(Await(Put(std::string(500, 'x'))), HasCode(Code::kBackpressure));
  for (int i = 0; i < 100; i++) EXPECT_THAT(Await(Boundary(/*overtakes=*/true)), IsOk());
  EXPECT_FALSE(IsDone(write));
  SetFree(2 * kReserve);
  EXPECT_THAT(Await(std::move(write)), IsOk());
}

TEST_F(CommitterSpaceTest, WithoutHopeWritesAreRefusedWholeAndTakenAgainOnceThereIsRoom) {
  SetFree(0);
  std::future<Status> held = Put("a");
  gate_.SetHopeless(true);
  EXPECT_THAT(Await(std::move(held)), HasCode(Code::kNoSpace));
  EXPECT_THAT(Await(Put("b")), HasCode(Code::kNoSpace));
  EXPECT_THAT(Await(Boundary(/*overtakes=*/true)), IsOk());
  EXPECT_EQ(batches_, 0u);
  SetFree(2 * kReserve);
  EXPECT_THAT(Await(Put("c")), IsOk());
  EXPECT_EQ(records_, 1u);
}

TEST_F(CommitterSpaceTest, WritingIsWhatFindsOutThatTheDiskIsFull) {
  free_ = 0;  // nobody has looked
  // A sixteenth of the reserve later.
  for (int i = 0; i < 7; i++) EXPECT_THAT(Await(Put(std::string(8'000, 'x'))), IsOk());
  std::future<Status> write = Put(std::string(8'000, 'x'));
  while (gate_.state() != SpaceState::kHeld) std::this_thread::yield();
  std::future<Status> next = Put("x");
  EXPECT_THAT(Await(Boundary(/*overtakes=*/true)), IsOk());
  EXPECT_EQ(held_, 1);
  EXPECT_FALSE(IsDone(next));
  free_ = 2 * kReserve;
  EXPECT_THAT(Await(std::move(write)), IsOk());
  EXPECT_THAT(Await(std::move(next)), IsOk());
}

TEST_F(CommitterSpaceTest, StoppingDoesNotWaitForRoom) {
  SetFree(0);
  std::vector<std::future<Status>> writes;
  for (int i = 0; i < 3; i++) writes.push_back(Put("x"));
  EXPECT_THAT(Await(Boundary(/*overtakes=*/true)), IsOk());
  committer_->Stop();
  for (auto& write : writes) EXPECT_THAT(Await(std::move(write)), IsOk());
  EXPECT_EQ(records_, 3u);
}

TEST_F(CommitterSpaceTest, AThawEndsWhileWritesAreHeldAndItsWritesWaitForRoomInTheirOrder) {
  shards_.Publish(OneShard(/*frozen=*/true));
  std::vector<std::future<Status>> writes;
  writes.push_back(Put("parked"));
  while (thaws_ == 0) std::this_thread::yield();
  SetFree(0);
  writes.push_back(Put("held"));
  // As the thaw's switch, and then what tells how it went.
  const auto boundary = [this](std::function<void()> fn) {
    auto submission = std::make_unique<Submission>();
    submission->overtakes = true;
    submission->at_boundary = [fn = std::move(fn)](uint64_t) { fn(); };
    return Submit(std::move(submission));
  };
  EXPECT_THAT(Await(boundary([this] { shards_.Publish(OneShard(/*frozen=*/false)); })), IsOk());
  EXPECT_THAT(Await(boundary([this] { committer_->SettleFrozen(0, {}); })), IsOk());
  EXPECT_THAT(Await(Boundary(/*overtakes=*/true)), IsOk());
  for (const auto& write : writes) EXPECT_FALSE(IsDone(write));
  EXPECT_EQ(batches_, 0u) << "what was parked is held like the others";
  SetFree(2 * kReserve);
  for (auto& write : writes) EXPECT_THAT(Await(std::move(write)), IsOk());
  EXPECT_EQ(records_, 2u);
  EXPECT_EQ(thaws_, 1u);
}

TEST_F(CommitterSpaceTest, AThawThatFailsRefusesItsWritesWhileOthersAreHeld) {
  shards_.Publish(OneShard(/*frozen=*/true));
  std::future<Status> parked = Put("parked");
  while (thaws_ == 0) std::this_thread::yield();
  SetFree(0);
  auto submission = std::make_unique<Submission>();
  submission->overtakes = true;
  submission->at_boundary = [this](uint64_t) {
    committer_->SettleFrozen(0, {Code::kCorruption, "the archive is damaged"});
  };
  EXPECT_THAT(Await(Submit(std::move(submission))), IsOk());
  EXPECT_THAT(Await(std::move(parked)), HasCode(Code::kCorruption));
  std::future<Status> held = Put("held");
  EXPECT_THAT(Await(Boundary(/*overtakes=*/true)), IsOk());
  EXPECT_FALSE(IsDone(held));
  committer_->Stop();
  EXPECT_THAT(Await(std::move(held)), HasCode(Code::kClosed)) << "its shard is still frozen";
  EXPECT_EQ(batches_, 0u);
}

}  // namespace
}  // namespace thermocline
