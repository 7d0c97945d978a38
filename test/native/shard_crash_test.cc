// Snapshots of shards and their restoring: what a process that is killed at each step finds again.

#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/snapshot/shard_restore.h"
#include "engine/snapshot/shard_snapshot.h"
#include "shard_fixture.h"

namespace thermocline::test {
namespace {

namespace fs = std::filesystem;
using Taking = ShardSnapshotter::Point;
using Restoring = ShardRestorer::Point;

struct CrashCase {
  std::string name;
  std::optional<Taking> taking;
  std::optional<Restoring> restoring;
};

class ShardCrashTest : public ShardTest, public testing::WithParamInterface<CrashCase> {
 protected:
  static constexpr int kRecords = 400;

  static std::string KeyOf(int i) { return "key" + std::to_string(1000 + i); }
  void FillWith(const std::string& value) {
    PackedWrites writes;
    for (int i = 0; i < kRecords; i++) {
      model_[KeyOf(i)] = value + std::to_string(i);
      writes.Put(KeyOf(i), model_[KeyOf(i)]);
    }
    ASSERT_THAT(Write(engine(), writes), IsOk());
  }
  static bool InFirst(const ShardTable& table, const std::string& key) {
    return table.IndexOfKey(key) == 0;
  }
  // Records of shard 0 as in `first`, the others as in `others`.
  std::vector<Record> Mixed(const Model& first, const Model& others) {
    const ShardTable table = engine()->NewView()->shards()->table;
    Model all;
    for (const auto& record : first) {
      if (InFirst(table, record.first)) all.insert(record);
    }
    for (const auto& record : others) {
      if (!InFirst(table, record.first)) all.insert(record);
    }
    return {all.begin(), all.end()};
  }
  Status Take(Engine* engine) {
    SnapshotControl control;
    SnapshotReport report;
    return engine->snapshotter()->Take({0}, dir_, &control, &report);
  }
  Status Restore(Engine* engine) {
    SnapshotControl control;
    SnapshotManifest manifest;
    std::vector<uint32_t> ids;
    return engine->restorer()->Restore(dir_, std::nullopt, &control, &ids, &manifest);
  }
  // Takes a snapshot of shard 0 or restores it, and kills the process on the way.
  void TakeOrRestore(Engine* engine) {
    const CrashCase& c = GetParam();
    engine->snapshotter()->SetProbe([&](Taking point) {
      if (point == c.taking) raise(SIGKILL);
      return Status();
    });
    engine->restorer()->SetProbe([&](Restoring point) {
      if (point == c.restoring) raise(SIGKILL);
      return Status();
    });
    (void)(c.taking ? Take(engine) : Restore(engine));
  }

  const std::string dir_ = folder_ / "snapshot";
};

TEST_P(ShardCrashTest, TheShardIsOfOneMomentAndTheOtherLosesNothing) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "TSan knows no threads in a child of a process that has had some";
#endif
  const CrashCase& c = GetParam();
  OpenTiered();
  FillWith("old");
  Migrate(engine(), 0, 2, [](std::string_view key, const Envelope&) { return key.back() == '7'; });
  const Model old = model_;
  if (c.restoring) {
    ASSERT_THAT(Take(engine()), IsOk());
    FillWith("new");
    Migrate(engine(), 0, 1,
            [](std::string_view key, const Envelope&) { return key.back() == '5'; });
  }
  const ShardTable table = engine()->NewView()->shards()->table;
  std::string beside;
  for (int i = 0; beside.empty(); i++) {
    if (!InFirst(table, KeyOf(i))) beside = KeyOf(i);
  }
  Close();
  const int written = RunUntilKilled(beside, [&](Engine* engine) { TakeOrRestore(engine); });
  ASSERT_FALSE(HasFailure());

  ReopenTiered();
  ExpectSound();
  ExpectWritten(beside, written);
  const bool restored = c.restoring && *c.restoring >= Restoring::kPersisted;
  EXPECT_EQ(Scan(engine()), Mixed(restored ? old : model_, model_)) << "one record decides";
  for (const char* store : {"hot", "warm", "cold"}) {
    EXPECT_EQ(ShardFamiliesOf(location_ + "/" + store).size(), 2u)
        << store << ": what was filled aside, or replaced, is dropped";
  }
  const bool named = c.restoring || *c.taking == Taking::kNamed;
  EXPECT_EQ(fs::exists(dir_), named) << "it appears whole or not at all";
  // What was cut short can be done again, whatever is left of it.
  if (!named) {
    ASSERT_THAT(Take(engine()), IsOk());
  }
  EXPECT_FALSE(fs::exists(dir_ + ".partial"));
  FillWith("newest");
  ASSERT_THAT(Restore(engine()), IsOk());
  EXPECT_EQ(Scan(engine()), Mixed(old, model_));
  ExpectSound();
  ReopenTiered();
  EXPECT_EQ(Scan(engine()), Mixed(old, model_));
}

std::vector<CrashCase> CrashCases() {
  return {{"TakeSwitched", Taking::kSwitched, {}},
          {"TakeFlushed", Taking::kFlushed, {}},
          {"TakeLinked", Taking::kLinked, {}},
          {"TakeChecked", Taking::kChecked, {}},
          {"TakeDescribed", Taking::kDescribed, {}},
          {"TakeNamed", Taking::kNamed, {}},
          {"RestoreVerified", {}, Restoring::kVerified},
          {"RestorePlaced", {}, Restoring::kPlaced},
          {"RestoreCreated", {}, Restoring::kCreated},
          {"RestoreSwitching", {}, Restoring::kSwitching},
          {"RestorePersisted", {}, Restoring::kPersisted},
          {"RestoreSwitched", {}, Restoring::kSwitched},
          {"RestoreDropped", {}, Restoring::kDropped}};
}
std::string CrashName(const testing::TestParamInfo<CrashCase>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Points, ShardCrashTest, testing::ValuesIn(CrashCases()), CrashName);

}  // namespace
}  // namespace thermocline::test
