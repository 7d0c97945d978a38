// Backups that are killed or aborted at any step: whenever something is read, written, renamed or
// deleted in the folder of backups. THERMOCLINE_BACKUP_KILLS sets at how many of these steps.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/backup/backup.h"
#include "engine/backup/backup_parts.h"
#include "environment.h"
#include "tier_fixture.h"

namespace thermocline::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

using Model = std::map<std::string, std::string>;

// Nothing moves by itself.
EngineOptions UntouchedOptions() {
  EngineOptions options = SmallOptions(0);
  options.tiers.automatic = false;
  return options;
}

class BackupStepsTest : public TierTest {
 protected:
  // A database with a cold tier and a frozen shard, a backup of it, and what a second one would
  // find that is new.
  void Make() {
    OpenTiered(TieredOptions(3, /*warm=*/false));
    Fill("first");
    Migrate(engine(), 0, 1, [](std::string_view key, const Envelope&) { return key.back() < '5'; });
    SnapshotControl control;
    ASSERT_THAT(engine()->freezer()->Freeze(1, &control), IsOk());
    Backup backup;
    ASSERT_THAT(engine()->CreateBackup(backups_, 0, &backup), IsOk());
    models_[1] = model_;
    Fill("second");  // thaws
    Migrate(engine(), 0, 1, [](std::string_view key, const Envelope&) { return key.back() < '3'; });
    ASSERT_THAT(engine()->freezer()->Freeze(2, &control), IsOk());
    Close();
    fs::copy(backups_, kept_, fs::copy_options::recursive);
  }
  void Fill(const std::string& value) {
    PackedWrites writes;
    for (int i = 0; i < 120; i++) {
      const std::string key = "key" + std::to_string(i);
      model_[key] = value + " of " + key;
      writes.Put(key, model_[key]);
    }
    ASSERT_THAT(Write(engine(), writes), IsOk());
  }
  // The folder of backups as Make has left it.
  void PutBack() {
    fs::remove_all(backups_);
    fs::copy(kept_, backups_, fs::copy_options::recursive);
  }

  std::vector<uint32_t> Ids() {
    std::vector<Backup> found;
    EXPECT_THAT(ListBackups(backups_, &found), IsOk());
    std::vector<uint32_t> ids;
    for (const Backup& one : found) ids.push_back(one.id);
    return ids;
  }
  void ExpectVerified() {
    std::vector<Backup> found;
    std::vector<std::string> problems;
    EXPECT_THAT(VerifyBackups(backups_, &found, &problems), IsOk());
    EXPECT_THAT(problems, IsEmpty());
  }
  // Restores one, and reads all of it.
  void ExpectRestores(uint32_t id, const Model& model) {
    const std::string location = folder_ / "restored";
    ASSERT_THAT(RestoreBackup(backups_, id, location), IsOk());
    std::shared_ptr<Engine> restored;
    ASSERT_THAT(Engine::Open(location, UntouchedOptions(), &restored), IsOk());
    VerifyReport report;
    EXPECT_THAT(restored->Verify(&report), IsOk());
    EXPECT_THAT(report.problems, IsEmpty());
    SnapshotControl control;
    for (uint32_t shard = 0; shard < 3; shard++) {
      EXPECT_THAT(restored->freezer()->Thaw(shard, &control), IsOk());
    }
    EXPECT_EQ(Scan(restored.get()), std::vector<Record>(model.begin(), model.end()));
    restored->Close();
    fs::remove_all(location);
  }
  // That nothing in the folder belongs to no backup.
  void ExpectTidy(size_t backups) {
    for (const Tier tier : {Tier::kHot, Tier::kCold}) {
      std::unique_ptr<rocksdb::BackupEngineReadOnly> engine;
      ASSERT_THAT(OpenBackupsReadOnly(backups_, tier, &engine), IsOk());
      std::vector<rocksdb::BackupInfo> infos;
      engine->GetBackupInfo(&infos);
      EXPECT_EQ(infos.size(), backups) << TierName(tier);
    }
    for (const auto& entry : fs::recursive_directory_iterator(backups_)) {
      const std::string name = entry.path().filename().string();
      EXPECT_FALSE(name.ends_with(".tmp") || name.ends_with(".partial")) << entry.path();
    }
  }
  // That what a backup cut short has left is in nobody's way.
  void ExpectUsable() {
    const std::vector<uint32_t> ids = Ids();
    ASSERT_TRUE(ids == std::vector<uint32_t>({1}) || ids == std::vector<uint32_t>({1, 2}));
    ExpectVerified();
    ExpectRestores(1, models_[1]);
    if (ids.size() == 2) ExpectRestores(2, model_);
    Backup next;
    Open(UntouchedOptions());
    ASSERT_THAT(engine()->CreateBackup(backups_, 0, &next), IsOk());
    Close();
    EXPECT_EQ(next.untidied, "");
    EXPECT_EQ(Ids().size(), ids.size() + 1);
    ExpectVerified();
    ExpectTidy(ids.size() + 1);
    ExpectRestores(1, models_[1]);
    ExpectRestores(next.id, model_);
  }
  // Steps 1, ..., `count`: a few, or as many as are asked for.
  static std::vector<int> Chosen(int count) {
    const int wanted = std::min(count, EnvironmentNumber("THERMOCLINE_BACKUP_KILLS", 6));
    std::vector<int> steps;
    for (int i = 0; i < wanted; i++) {
      steps.push_back(wanted == 1 ? 1 : 1 + i * (count - 1) / (wanted - 1));
    }
    return steps;
  }
  int CountSteps() {
    std::atomic<int> steps{0};
    SnapshotControl control;
    control.closing = [&] {
      steps++;
      return false;
    };
    Backup backup;
    Open(UntouchedOptions());
    EXPECT_THAT(engine()->CreateBackup(backups_, 0, &backup, &control), IsOk());
    Close();
    ExpectRestores(2, model_);
    return steps;
  }

  const std::string backups_ = folder_ / "backups";
  const std::string kept_ = folder_ / "kept";
  Model model_;
  std::map<uint32_t, Model> models_;
};

// The next test runs this one in processes of their own, which are killed at a step; by itself it
// makes a backup of a new database.
TEST(BackupProcess, MakesABackupUnlessItIsKilledOnTheWay) {
  const TempFolder folder;
  const char* const location = std::getenv("THERMOCLINE_TEST_LOCATION");
  const char* const backups = std::getenv("THERMOCLINE_TEST_BACKUPS");
  const int step = EnvironmentNumber("THERMOCLINE_TEST_STEP", 0);
  std::shared_ptr<Engine> engine;
  ASSERT_THAT(
      Engine::Open(location != nullptr ? location : folder / "db", UntouchedOptions(), &engine),
      IsOk());
  std::atomic<int> asked{0};
  SnapshotControl control;
  control.closing = [&] {
    if (++asked == step) raise(SIGKILL);
    return false;
  };
  Backup backup;
  ASSERT_THAT(
      engine->CreateBackup(backups != nullptr ? backups : folder / "backups", 0, &backup, &control),
      IsOk());
  EXPECT_EQ(backup.id, backups != nullptr ? 2u : 1u);
  EXPECT_GT(asked, 20);
  engine->Close();
}

TEST_F(BackupStepsTest, ABackupThatIsKilledLeavesTheOthersAndIsNone) {
  Make();
  const int count = CountSteps();
  ASSERT_GT(count, 20);
  int killed = 0;
  for (const int step : Chosen(count)) {
    SCOPED_TRACE("killed at step " + std::to_string(step) + " of " + std::to_string(count));
    PutBack();
    const pid_t child = fork();
    if (child == 0) {
      // RocksDB's threads are not there after a fork alone, and a backup waits for them.
      setenv("THERMOCLINE_TEST_LOCATION", location_.c_str(), 1);
      setenv("THERMOCLINE_TEST_BACKUPS", backups_.c_str(), 1);
      setenv("THERMOCLINE_TEST_STEP", std::to_string(step).c_str(), 1);
      for (const char* name : {"GTEST_TOTAL_SHARDS", "GTEST_SHARD_INDEX", "GTEST_OUTPUT"}) {
        unsetenv(name);
      }
      execl("/proc/self/exe", "tests", "--gtest_filter=BackupProcess.*", "--gtest_brief=1",
            nullptr);
      _exit(127);
    }
    int result = 0;
    ASSERT_EQ(waitpid(child, &result, 0), child);
    // Files are copied by several threads, so there may be a step less now and then.
    ASSERT_TRUE(WIFSIGNALED(result) || WEXITSTATUS(result) == 0) << WEXITSTATUS(result);
    killed += WIFSIGNALED(result) ? 1 : 0;
    ExpectUsable();
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(killed, 2);
}

TEST_F(BackupStepsTest, ABackupThatIsAbortedLeavesNothing) {
  Make();
  const int count = CountSteps();
  int aborted = 0;
  for (const int step : Chosen(count)) {
    SCOPED_TRACE("aborted at step " + std::to_string(step) + " of " + std::to_string(count));
    PutBack();
    std::atomic<int> asked{0};
    SnapshotControl control;
    control.closing = [&] { return ++asked >= step; };
    Backup backup;
    Open(UntouchedOptions());
    const Status status = engine()->CreateBackup(backups_, 0, &backup, &control);
    Close();
    if (status.ok()) {
      // Nothing but older backups was left to look at.
      EXPECT_THAT(Ids(), ElementsAre(1, 2));
    } else {
      ASSERT_THAT(status, HasCode(Code::kAborted));
      aborted++;
      EXPECT_THAT(Ids(), ElementsAre(1));
      ExpectTidy(1);
    }
    ExpectVerified();
    ExpectRestores(1, models_[1]);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(aborted, 2);
}

TEST_F(BackupStepsTest, ARestoreThatIsAbortedIsDoneAgain) {
  Make();
  const std::string location = folder_ / "restored";
  std::atomic<int> asked{0};
  SnapshotControl counting;
  counting.closing = [&] {
    asked++;
    return false;
  };
  ASSERT_THAT(RestoreBackup(backups_, 1, location, {}, nullptr, &counting), IsOk());
  const int count = asked;
  fs::remove_all(location);
  int aborted = 0;
  for (const int step : Chosen(count)) {
    SCOPED_TRACE("aborted at step " + std::to_string(step) + " of " + std::to_string(count));
    asked = 0;
    SnapshotControl control;
    control.closing = [&] { return ++asked >= step; };
    const Status status = RestoreBackup(backups_, 1, location, {}, nullptr, &control);
    if (status.ok()) {
      fs::remove_all(location);
    } else {
      ASSERT_THAT(status, HasCode(Code::kAborted));
      EXPECT_FALSE(fs::exists(location + "/hot"));
      aborted++;
    }
    ExpectRestores(1, models_[1]);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(aborted, 2);
}

TEST_F(BackupStepsTest, ABackupIsThereAlthoughOlderOnesCannotBeTidied) {
  Make();
  // A warm tier that the database had once, whose backups cannot be opened any more.
  fs::create_directories(backups_ + "/warm");
  WriteFile(backups_ + "/warm/meta", "not a folder");
  Open(UntouchedOptions());
  Backup backup;
  ASSERT_THAT(engine()->CreateBackup(backups_, 1, &backup), IsOk());
  EXPECT_EQ(backup.id, 2u);
  EXPECT_THAT(backup.untidied, testing::HasSubstr("warm"));
  EXPECT_THAT(Ids(), ElementsAre(2));
  Close();
  ExpectRestores(2, model_);
}

}  // namespace
}  // namespace thermocline::test
