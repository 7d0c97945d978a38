// What the API's suite cannot bring about: restores that end at each of their steps, as by a crash.
#include "engine/backup/backup.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "engine/snapshot/table_files.h"
#include "engine_fixture.h"
#include "gate.h"
#include "tier_fixture.h"

namespace thermocline {
namespace {

namespace fs = std::filesystem;

using test::HasCode;
using test::IsOk;
using test::Migrate;
using test::Put;

class BackupTest : public test::EngineTest {
 protected:
  // A database with a cold tier in a folder of its own and a frozen shard, and a backup of it.
  void Make() {
    EngineOptions options = test::TieredOptions(2, /*warm=*/false);
    options.tiers.at(Tier::kCold).path = folder_ / "original-cold";
    Open(options);
    for (int i = 0; i < 200; i++) {
      ASSERT_THAT(Put(engine(), "key/" + std::to_string(i), "value"), IsOk());
    }
    Migrate(engine(), 0, 1);
    ASSERT_THAT(Put(engine(), "key/7", "newer"), IsOk());
    SnapshotControl control;
    ASSERT_THAT(engine()->freezer()->Freeze(1, &control), IsOk());
    Backup backup;
    ASSERT_THAT(engine()->CreateBackup(folder_ / "backups", 0, &backup), IsOk());
    EXPECT_EQ(backup.id, 1u);
    Close();
  }

  fs::path In(const char* name) { return fs::path(folder_ / name); }

  Status Restore(int end_at) {
    return RestoreBackup(folder_ / "backups", 0, folder_ / "restored",
                         {{Tier::kCold, folder_ / "slow"}}, [end_at](int step) {
                           return step == end_at ? Status(Code::kAborted, "killed") : Status();
                         });
  }

  void ExpectWhole() {
    EngineOptions options = test::SmallOptions(2);
    std::shared_ptr<Engine> restored;
    ASSERT_THAT(Engine::Open(folder_ / "restored", options, &restored), IsOk());
    SnapshotControl control;
    ASSERT_THAT(restored->freezer()->Thaw(1, &control), IsOk());
    for (int i = 0; i < 200; i++) {
      EXPECT_EQ(test::Get(restored.get(), "key/" + std::to_string(i)), i == 7 ? "newer" : "value");
    }
    VerifyReport report;
    ASSERT_THAT(restored->Verify(&report), IsOk());
    EXPECT_THAT(report.problems, testing::IsEmpty());
    restored->Close();
    EXPECT_FALSE(fs::exists(In("restored") / kTierPathsFile));
    EXPECT_FALSE(fs::exists(In("slow") / kRestoringMark));
  }
};

TEST_F(BackupTest, ARestoreThatEndsAtAnyStepIsDoneAgain) {
  Make();
  int ended = 0;
  for (int step = 0;; step++) {
    SCOPED_TRACE(step);
    const Status status = Restore(step);
    if (status.ok()) break;
    ASSERT_THAT(status, HasCode(Code::kAborted));
    ended++;
    const bool there = fs::exists(In("restored") / "hot");
    if (there) {
      // The database is complete: a restore must not touch it any more.
      EXPECT_THAT(Restore(-1), HasCode(Code::kInvalidArgument));
    } else {
      ASSERT_THAT(Restore(-1), IsOk());
    }
    ExpectWhole();
    fs::remove_all(folder_ / "restored");
    fs::remove_all(folder_ / "slow");
  }
  EXPECT_EQ(ended, 3 + 1 + 3 + 1) << "filled, paths, placed, marks";
  ExpectWhole();
}

TEST_F(BackupTest, WhatIsNotOfARestoreToThisPlaceIsLeftAlone) {
  Make();
  ASSERT_THAT(Restore(5), HasCode(Code::kAborted));
  // The mark names another location.
  EXPECT_THAT(RestoreBackup(folder_ / "backups", 0, folder_ / "elsewhere",
                            {{Tier::kCold, folder_ / "slow"}}),
              HasCode(Code::kInvalidArgument));
  EXPECT_FALSE(fs::exists(folder_ / "elsewhere"));
  EXPECT_TRUE(fs::exists(In("slow") / kRestoringMark));
  ASSERT_THAT(Restore(-1), IsOk());
  ExpectWhole();
}

TEST_F(BackupTest, ADatabaseWithoutItsTopicsIsNoBackup) {
  Open();
  fs::create_directories(location_ + "/topics/orders");
  Backup backup;
  EXPECT_THAT(engine()->CreateBackup(folder_ / "half", 0, &backup),
              HasCode(Code::kInvalidArgument));
  EXPECT_FALSE(fs::exists(folder_ / "half"));
}

// The committer held, a write behind it: whoever wants it written has to wait.
class AcceptedTest : public BackupTest {
 protected:
  ~AcceptedTest() override {
    gate_.Release();
    if (write_.valid()) write_.wait();
    Close();
  }
  void Hold() {
    Open();
    gate_.Hold();
    auto boundary = std::make_unique<Submission>();
    boundary->at_boundary = [this](uint64_t) { gate_.Pass(); };
    boundary->done = [](const Status&) {};
    ASSERT_THAT(engine()->Submit(std::move(boundary)), IsOk());
    gate_.AwaitVisitors();
    write_ = std::async(std::launch::async, [this] { return Put(engine(), "key", "value"); });
    ASSERT_TRUE(AwaitQueued(1, &write_));
  }

  // Whether so many wait for the committer before `task` ends.
  bool AwaitQueued(uint64_t count, const std::future<Status>* task = nullptr) {
    const std::atomic<uint64_t>& queued = engine()->metrics().Work(WorkClass::kCommit).queued;
    while (queued.load() < count) {
      if (task != nullptr &&
          task->wait_for(std::chrono::milliseconds(1)) == std::future_status::ready) {
        return false;
      }
    }
    return true;
  }

  void Release() {
    gate_.Release();
    EXPECT_THAT(write_.get(), IsOk());
  }

  test::Gate gate_;
  std::future<Status> write_;
};

TEST_F(AcceptedTest, WhatWasAcceptedIsInABackup) {
  Hold();
  Backup backup;
  std::future<Status> task = std::async(
      std::launch::async, [&] { return engine()->CreateBackup(folder_ / "backups", 0, &backup); });
  EXPECT_TRUE(AwaitQueued(2, &task));
  Release();
  ASSERT_THAT(task.get(), IsOk());
  ASSERT_THAT(RestoreBackup(folder_ / "backups", 0, folder_ / "restored", {}), IsOk());
  std::shared_ptr<Engine> restored;
  ASSERT_THAT(Engine::Open(folder_ / "restored", test::SmallOptions(2), &restored), IsOk());
  EXPECT_EQ(test::Get(restored.get(), "key"), "value");
}

TEST_F(AcceptedTest, WhatWasAcceptedIsInTablesAfterAFlush) {
  Hold();
  std::future<Status> task = std::async(std::launch::async, [&] { return engine()->Flush(); });
  EXPECT_TRUE(AwaitQueued(2, &task));
  Release();
  ASSERT_THAT(task.get(), IsOk());
  // Of the records, in either shard.
  std::optional<uint64_t> in_memory;
  std::string text;
  ASSERT_TRUE(
      engine()->Property(Tier::kHot, "rocksdb.num-entries-active-mem-table", &in_memory, &text));
  EXPECT_EQ(in_memory, 0u);
}

TEST_F(AcceptedTest, ABackupThatWaitsForWritesCanBeAborted) {
  Hold();
  Backup backup;
  SnapshotControl control;
  std::future<Status> task = std::async(std::launch::async, [&] {
    return engine()->CreateBackup(folder_ / "backups", 0, &backup, &control);
  });
  EXPECT_TRUE(AwaitQueued(2, &task));
  control.aborted = true;
  EXPECT_THAT(task.get(), HasCode(Code::kAborted));
  EXPECT_FALSE(fs::exists(folder_ / "backups"));
  Release();
}

}  // namespace
}  // namespace thermocline
