// Who waits for shards to be replaced, and for how long: thaws, restores and writes behind a split
// that is paused, and writes that wait for a thaw while the database closes.

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/snapshot/shard_restore.h"
#include "shard_fixture.h"

namespace thermocline::test {
namespace {

class ShardWaitingTest : public ShardTest {
 protected:
  bool IsFrozen(uint32_t id) { return InfoOf(id).frozen; }
};

TEST_F(ShardWaitingTest, BehindAPausedSplitNobodyWaitsForEver) {
  Open();
  Fill(400);
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
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
}

TEST_F(ShardWaitingTest, ASplitThatIsPausedWhileOthersWaitForItLetsThemGoWithAnError) {
  Open();
  Fill(400);
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
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
}

TEST_F(ShardWaitingTest, WritesThatWaitForAThawAreRefusedWhenTheDatabaseCloses) {
  Open();
  Fill(400);
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
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
}

// Who waits for a lock that a backup, a freeze or a split holds, and is aborted while it is held.
class AbortedWaitTest : public ShardWaitingTest {
 protected:
  // Runs `wait` until it has waited for a while, aborts it, and gives what it says then.
  static Status Abort(const std::function<Status()>& wait, const std::function<void()>& abort) {
    std::future<Status> waiting = std::async(std::launch::async, wait);
    EXPECT_EQ(waiting.wait_for(std::chrono::milliseconds(60)), std::future_status::timeout)
        << "it has to wait";
    abort();
    return Await(std::move(waiting));
  }
  Status AbortJob(const std::function<Status(SnapshotControl*)>& wait) {
    SnapshotControl control;
    return Abort([&] { return wait(&control); }, [&] { control.aborted = true; });
  }
  Status AbortMove(ReshardRequest request) {
    ReshardControl control;
    std::vector<uint32_t> ids;
    return Abort([&] { return engine()->resharder()->Run(request, &control, &ids); },
                 [&] { control.Abort(); });
  }
  std::shared_ptr<const Shards> Table() { return engine()->NewView()->shards(); }
};

TEST_F(AbortedWaitTest, BehindABackupEachCanBeAbortedAndLeavesEverythingAsItWas) {
  Open(TieredOptions(4));
  Fill(400);
  ASSERT_THAT(Freeze(2), IsOk());
  SnapshotControl control;
  SnapshotReport report;
  const std::string dir = folder_ / "snapshot";
  ASSERT_THAT(engine()->snapshotter()->Take({1}, dir, &control, &report), IsOk());
  const ShardTable before = Table()->table;
  {
    // As a backup does, for as long as it takes.
    const auto steps = engine()->stepper()->Lock();
    EXPECT_THAT(AbortJob([&](SnapshotControl* job) { return engine()->freezer()->Thaw(2, job); }),
                HasCode(Code::kAborted));
    EXPECT_THAT(AbortJob([&](SnapshotControl* job) { return engine()->freezer()->Freeze(0, job); }),
                HasCode(Code::kAborted));
    EXPECT_THAT(AbortJob([&](SnapshotControl* job) {
                  std::vector<uint32_t> ids;
                  SnapshotManifest manifest;
                  return engine()->restorer()->Restore(dir, std::nullopt, job, &ids, &manifest);
                }),
                HasCode(Code::kAborted));
    EXPECT_THAT(AbortJob([&](SnapshotControl* job) {
                  SnapshotReport taken;
                  return engine()->snapshotter()->Take({0}, folder_ / "other", job, &taken);
                }),
                HasCode(Code::kAborted));
    EXPECT_THAT(AbortMove({.split = true, .id = 0, .other = 0, .at = std::nullopt}),
                HasCode(Code::kAborted));
    EXPECT_THAT(AbortMove({.split = false, .id = 0, .other = 1, .at = std::nullopt}),
                HasCode(Code::kAborted));
    Backup backup;
    EXPECT_THAT(AbortJob([&](SnapshotControl* job) {
                  return engine()->CreateBackup(folder_ / "backups", 0, &backup, job);
                }),
                HasCode(Code::kAborted));
  }
  EXPECT_EQ(Table()->table, before);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "other"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "backups"));
  ASSERT_THAT(Thaw(2), IsOk());
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
  VerifyReport found;
  ASSERT_THAT(engine()->Verify(&found), IsOk());
  EXPECT_THAT(found.problems, testing::IsEmpty());
}

TEST_F(AbortedWaitTest, BehindASplitOrAFreezeEachCanBeAborted) {
  Open();
  Fill(400);
  ASSERT_THAT(Freeze(2), IsOk());
  SnapshotControl control;
  SnapshotReport report;
  const std::string dir = folder_ / "snapshot";
  ASSERT_THAT(engine()->snapshotter()->Take({1}, dir, &control, &report), IsOk());
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::atomic<bool> noting{false};
  engine()->freezer()->SetProbe([&](ShardFreezer::Point point) {
    if (point == ShardFreezer::Point::kNoting) {
      noting = true;
      released.wait();
    }
    return Status();
  });
  // A freeze has both: the turn that splits have, and what keeps backups out.
  std::future<Status> freeze = std::async(std::launch::async, [&] { return Freeze(3); });
  while (!noting) std::this_thread::yield();
  EXPECT_THAT(AbortJob([&](SnapshotControl* job) { return engine()->freezer()->Thaw(2, job); }),
              HasCode(Code::kAborted));
  EXPECT_THAT(AbortJob([&](SnapshotControl* job) {
                std::vector<uint32_t> ids;
                SnapshotManifest manifest;
                return engine()->restorer()->Restore(dir, std::nullopt, job, &ids, &manifest);
              }),
              HasCode(Code::kAborted));
  EXPECT_THAT(AbortMove({.split = true, .id = 0, .other = 0, .at = std::nullopt}),
              HasCode(Code::kAborted));
  EXPECT_THAT(AbortMove({.split = false, .id = 0, .other = 1, .at = std::nullopt}),
              HasCode(Code::kAborted));
  Backup backup;
  EXPECT_THAT(AbortJob([&](SnapshotControl* job) {
                return engine()->CreateBackup(folder_ / "backups", 0, &backup, job);
              }),
              HasCode(Code::kAborted));
  release.set_value();
  EXPECT_THAT(Await(std::move(freeze)), IsOk());
  EXPECT_TRUE(IsFrozen(2));
  EXPECT_TRUE(IsFrozen(3));
}

}  // namespace
}  // namespace thermocline::test
