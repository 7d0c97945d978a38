// What the API's suite cannot bring about: restores that end at each of their steps, as by a crash.
#include "engine/backup/backup.h"

#include <filesystem>

#include "engine/snapshot/table_files.h"
#include "engine_fixture.h"
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

}  // namespace
}  // namespace thermocline
