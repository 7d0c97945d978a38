// Who waits for shards to be replaced, and for how long: thaws, restores and writes behind a split
// that is paused, and writes that wait for a thaw while the database closes.

#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/shard/resharder.h"
#include "engine/snapshot/shard_freezer.h"
#include "tier_fixture.h"

namespace thermocline::test {
namespace {

using Model = std::map<std::string, std::string>;

class ShardWaitingTest : public EngineTest {
 protected:
  void Fill() {
    PackedWrites writes;
    for (int i = 0; i < 400; i++) {
      const std::string key = "key" + std::to_string(i);
      model_[key] = "value of " + key;
      writes.Put(key, model_[key]);
    }
    ASSERT_THAT(Write(engine(), writes), IsOk());
  }
  Status Freeze(uint32_t id) {
    SnapshotControl control;
    return engine()->freezer()->Freeze(id, &control);
  }
  Status Thaw(uint32_t id) {
    SnapshotControl control;
    return engine()->freezer()->Thaw(id, &control);
  }
  bool IsFrozen(uint32_t id) {
    const ShardTable table = engine()->NewView()->shards()->table;
    return table.IsFrozen(table.IndexOfId(id));
  }
  std::string KeyIn(uint32_t id) {
    const ShardTable table = engine()->NewView()->shards()->table;
    for (const auto& [key, value] : model_) {
      if (table.shards()[static_cast<size_t>(table.IndexOfKey(key))].id == id) return key;
    }
    return "";
  }
  std::future<Status> Submit(const PackedWrites& writes) {
    auto done = std::make_shared<std::promise<Status>>();
    std::unique_ptr<Submission> submission = writes.ToSubmission(/*atomic=*/true);
    submission->done = [done](const Status& status) { done->set_value(status); };
    EXPECT_THAT(engine()->Submit(std::move(submission)), IsOk());
    return done->get_future();
  }
  std::vector<Record> Records() const { return {model_.begin(), model_.end()}; }

  Model model_;
};

TEST_F(ShardWaitingTest, BehindAPausedSplitNobodyWaitsForEver) {
  Open();
  Fill();
  const std::string dir = folder_ / "snapshot";
  SnapshotControl control;
  SnapshotReport report;
  SnapshotManifest manifest;
  std::vector<uint32_t> ids;
  ASSERT_THAT(engine()->snapshotter()->Take({1}, dir, &control, &report), IsOk());
  ASSERT_THAT(Freeze(2), IsOk());
  ReshardControl move;
  move.Pause(true);
  std::vector<uint32_t> halves;
  std::future<Status> split = std::async(std::launch::async, [&] {
    return engine()->resharder()->Run({.split = true, .id = 0, .other = 0, .at = std::nullopt},
                                      &move, &halves);
  });
  while (move.progress().phase == ReshardPhase::kWaiting) std::this_thread::yield();
  EXPECT_THAT(engine()->restorer()->Restore(dir, std::nullopt, &control, &ids, &manifest),
              HasCode(Code::kLocked));
  EXPECT_THAT(Thaw(2), HasCode(Code::kLocked));
  EXPECT_THAT(Freeze(3), HasCode(Code::kLocked));
  EXPECT_THAT(Put(engine(), KeyIn(2), "refused"), HasCode(Code::kLocked));
  EXPECT_TRUE(IsFrozen(2));
  model_[KeyIn(0)] = "written to the shard that is split";
  EXPECT_THAT(Put(engine(), KeyIn(0), model_[KeyIn(0)]), IsOk()) << "others go on";
  move.Pause(false);
  EXPECT_THAT(Await(std::move(split)), IsOk());
  EXPECT_EQ(halves.size(), 2u);
  model_[KeyIn(2)] = "accepted";
  EXPECT_THAT(Put(engine(), KeyIn(2), "accepted"), IsOk());
  EXPECT_THAT(engine()->restorer()->Restore(dir, std::nullopt, &control, &ids, &manifest), IsOk());
  EXPECT_EQ(Scan(engine()), Records());
}

TEST_F(ShardWaitingTest, ASplitThatIsPausedWhileOthersWaitForItLetsThemGoWithAnError) {
  Open();
  Fill();
  ASSERT_THAT(Freeze(2), IsOk());
  ReshardControl move;
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::atomic<bool> created{false};
  engine()->resharder()->SetProbe([&](Resharder::Point point) {
    if (point == Resharder::Point::kCreated) {
      created = true;
      released.wait();
    }
    return Status();
  });
  std::vector<uint32_t> halves;
  std::future<Status> split = std::async(std::launch::async, [&] {
    return engine()->resharder()->Run({.split = true, .id = 0, .other = 0, .at = std::nullopt},
                                      &move, &halves);
  });
  while (!created) std::this_thread::yield();
  const std::string key = KeyIn(2);
  std::future<Status> write = Submit(PackedWrites().Put(key, "v"));
  std::future<Status> thaw = std::async(std::launch::async, [&] { return Thaw(2); });
  EXPECT_EQ(write.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout)
      << "a split that runs is waited for";
  move.Pause(true);
  EXPECT_THAT(Await(std::move(write)), HasCode(Code::kLocked));
  EXPECT_THAT(Await(std::move(thaw)), HasCode(Code::kLocked));
  move.Abort();
  release.set_value();
  EXPECT_THAT(Await(std::move(split)), HasCode(Code::kAborted));
  engine()->resharder()->SetProbe(nullptr);
  EXPECT_THAT(Put(engine(), key, "v"), IsOk()) << "an aborted move is in nobody's way";
  model_[key] = "v";
  EXPECT_EQ(Scan(engine()), Records());
}

TEST_F(ShardWaitingTest, WritesThatWaitForAThawAreRefusedWhenTheDatabaseCloses) {
  Open();
  Fill();
  const std::string frozen = KeyIn(1);
  const std::string other = KeyIn(0);
  ASSERT_THAT(Freeze(1), IsOk());
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::promise<void> thawing;
  engine()->restorer()->SetProbe([&](ShardRestorer::Point point) {
    if (point == ShardRestorer::Point::kCreated) {
      thawing.set_value();
      released.wait();
    }
    return Status();
  });
  std::vector<std::future<Status>> parked;
  parked.push_back(Submit(PackedWrites().Put(frozen, "1").Put(other, "torn")));
  parked.push_back(Submit(PackedWrites().Put(other, "behind it")));
  std::future<void> began = thawing.get_future();
  ASSERT_EQ(began.wait_for(std::chrono::seconds(60)), std::future_status::ready);
  std::future<void> closing = std::async(std::launch::async, [this] { engine()->Close(); });
  for (auto& write : parked) {
    EXPECT_THAT(Await(std::move(write)), HasCode(Code::kClosed)) << "before the thaw has ended";
  }
  release.set_value();
  closing.get();
  Reopen(SmallOptions(0));
  EXPECT_TRUE(IsFrozen(1)) << "no boundary came any more";
  EXPECT_EQ(Get(engine(), other), model_[other]) << "a batch is written whole or not at all";
  ASSERT_THAT(Thaw(1), IsOk());
  EXPECT_EQ(Scan(engine()), Records());
}

}  // namespace
}  // namespace thermocline::test
