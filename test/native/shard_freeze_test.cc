// Freezing and thawing shards: what readers and writers see, what else may be done with a frozen
// shard, and what errors leave.

#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/snapshot/auto_freezer.h"
#include "fault_file_system.h"
#include "shard_fixture.h"

namespace thermocline::test {
namespace {

namespace fs = std::filesystem;
using Point = ShardFreezer::Point;

class ShardFreezeTest : public ShardTest {
 protected:
  Status ReadStatus(const std::string& key, std::shared_ptr<const ReadView> view = nullptr) {
    const auto batch = BatchOf({key}, std::move(view));
    RunBatch(engine(), batch);
    return batch->status;
  }
  Status ScanStatus(CursorOptions options = {}) {
    const auto cursor = engine()->NewCursor(engine()->NewView(), std::move(options));
    Status status;
    TakeAll(cursor.get(), &status);
    cursor->Close();
    return status;
  }
  static EngineOptions ThawingOptions(EngineOptions options) {
    options.freeze.thaw_on_access = true;
    return options;
  }
};

TEST_F(ShardFreezeTest, AFrozenShardLiesInTheArchiveAloneAndComesBackWithAllItsTiers) {
  OpenTiered();
  Fill(600);
  Migrate(engine(), 0, 2, [](std::string_view key, const Envelope&) { return key.back() == '7'; });
  Migrate(engine(), 0, 1, [](std::string_view key, const Envelope&) { return key.back() == '5'; });
  ASSERT_THAT(Delete(engine(), "key17"), IsOk());
  ASSERT_THAT(Put(engine(), "key27", "newer"), IsOk());
  model_.erase("key17");
  model_["key27"] = "newer";
  std::map<std::string, std::string> levels;
  for (int i = 0; i < 600; i++) {
    const std::string key = "key" + std::to_string(i);
    levels[key] = Levels(engine(), key);
  }
  const uint32_t generation = InfoOf(0).generation;
  ASSERT_THAT(Freeze(0), IsOk());
  const ShardInfo frozen = InfoOf(0);
  EXPECT_TRUE(frozen.frozen);
  EXPECT_GT(frozen.generation, generation);
  EXPECT_EQ(Archives(), std::set<std::string>{ShardColumnFamilyName(0, frozen.generation)});
  auto view = engine()->NewView();
  for (int level = 0; level < 3; level++) {
    rocksdb::DB* const db = level == 0 ? engine()->hot_db() : view->shards()->colder[level - 1].db;
    rocksdb::ColumnFamilyHandle* const family =
        level == 0 ? view->shards()->handles[0] : view->shards()->colder[level - 1].handles[0];
    const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator({}, family));
    it->SeekToFirst();
    EXPECT_FALSE(it->Valid()) << "level " << level;
  }
  view.reset();
  const ShardReport report = engine()->ShardReports()[0];
  EXPECT_EQ(report.temperature, Temperature::kFrozen);
  EXPECT_GT(report.archive.keys, 200u);
  EXPECT_GT(report.archive.bytes, 0u);
  ExpectSound();
  ASSERT_THAT(Freeze(0), IsOk()) << "once is enough";
  EXPECT_EQ(InfoOf(0), frozen);

  ReopenTiered();
  EXPECT_EQ(InfoOf(0), frozen);
  EXPECT_EQ(engine()->ShardReports()[0].archive.keys, report.archive.keys);
  EXPECT_THAT(ReadStatus(KeyIn(0)), HasCode(Code::kFrozen));
  ASSERT_THAT(Thaw(0), IsOk());
  EXPECT_FALSE(InfoOf(0).frozen);
  EXPECT_FALSE(fs::exists(archives_));
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
  for (const auto& [key, there] : levels) EXPECT_EQ(Levels(engine(), key), there) << key;
  ASSERT_THAT(Thaw(0), IsOk()) << "it is not frozen any more";
  ExpectSound();
  ReopenTiered();
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
}

TEST_F(ShardFreezeTest, ReadsOfAFrozenShardAreRefusedByNameAndOlderViewsGoOn) {
  Open();
  Fill(400);
  std::shared_ptr<const ReadView> before = engine()->NewView();
  ASSERT_THAT(Freeze(1), IsOk());
  const std::string frozen = KeyIn(1);
  EXPECT_THAT(ReadStatus(frozen), HasCode(Code::kFrozen));
  bool found = false;
  EXPECT_THAT(engine()->reader().Get(frozen, HashKey(frozen), nullptr, &found, [](auto) {}),
              HasCode(Code::kFrozen));
  EXPECT_EQ(Get(engine(), KeyIn(0)), model_[KeyIn(0)]);
  EXPECT_THAT(ScanStatus(), HasCode(Code::kFrozen));
  CursorOptions others;
  others.first_slot = InfoOf(0).slots[0].first;
  others.last_slot = InfoOf(0).slots[0].last;
  EXPECT_THAT(ScanStatus(others), IsOk()) << "other shards' slots";
  EXPECT_EQ(GetMany(engine(), {frozen}, before)[0], model_[frozen]);
  const auto cursor = engine()->NewCursor(before, {});
  EXPECT_EQ(TakeAll(cursor.get()), RecordsOf(model_));
  cursor->Close();
  std::shared_ptr<const ReadView> during = engine()->NewView();
  ASSERT_THAT(Thaw(1), IsOk());
  EXPECT_THAT(ReadStatus(frozen, during), HasCode(Code::kFrozen)) << "its moment has no records";
  EXPECT_EQ(Get(engine(), frozen), model_[frozen]);
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
}

TEST_F(ShardFreezeTest, TheFirstReadThawsIfTheOptionsSaySo) {
  Open(ThawingOptions(SmallOptions()));
  Fill(400);
  ASSERT_THAT(Freeze(1), IsOk());
  ASSERT_THAT(Freeze(2), IsOk());
  std::vector<std::string> keys;
  for (const auto& [key, value] : model_) keys.push_back(key);
  const auto values = GetMany(engine(), keys);
  for (size_t i = 0; i < keys.size(); i++) EXPECT_EQ(values[i], model_[keys[i]]);
  EXPECT_FALSE(InfoOf(1).frozen);
  EXPECT_FALSE(InfoOf(2).frozen);
  ASSERT_THAT(Freeze(3), IsOk());
  EXPECT_THAT(ScanStatus(), HasCode(Code::kFrozen)) << "a walk never thaws";
  EXPECT_TRUE(InfoOf(3).frozen);
}

TEST_F(ShardFreezeTest, AReadThatWaitsForAThawIsAnsweredAlthoughTheEngineCloses) {
  Open(ThawingOptions(SmallOptions()));
  Fill(400);
  ASSERT_THAT(Freeze(1), IsOk());
  const std::string frozen = KeyIn(1);
  const auto batch = test::BatchOf({frozen, "nowhere"});
  std::promise<void> done;
  batch->done = [&done] { done.set_value(); };
  ASSERT_FALSE(engine()->reader().Start(batch));
  engine()->Close();
  Await(done.get_future());
  if (batch->status.ok()) {
    EXPECT_EQ(test::ResultsOf(batch.get()),
              (std::vector<std::optional<std::string>>{model_[frozen], std::nullopt}));
  } else {
    EXPECT_THAT(batch->status, HasCode(Code::kClosed));
  }
}

TEST_F(ShardFreezeTest, WritesThawAndKeepTheirOrder) {
  Open();
  Fill(400);
  const std::string frozen = KeyIn(2);
  const std::string other = KeyIn(0);
  ASSERT_THAT(Freeze(2), IsOk());
  std::vector<std::future<Status>> results;
  results.push_back(Submit(PackedWrites().Put(frozen, "1")));
  results.push_back(Submit(PackedWrites().Put(frozen, "2").Put(other, "2")));
  results.push_back(Submit(PackedWrites().Put(other, "3")));
  results.push_back(Submit(PackedWrites().Put(KeyIn(1), "free"), /*atomic=*/false));
  results.push_back(Submit(PackedWrites().Delete(KeyIn(2, 1))));
  for (auto& result : results) EXPECT_THAT(Await(std::move(result)), IsOk());
  model_[frozen] = "2";
  model_[other] = "3";
  model_[KeyIn(1)] = "free";
  model_.erase(KeyIn(2, 1));
  EXPECT_FALSE(InfoOf(2).frozen);
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
  // A range delete is a write to every shard.
  ASSERT_THAT(Freeze(0), IsOk());
  ASSERT_THAT(Freeze(3), IsOk());
  ASSERT_THAT(DeleteRange(engine(), "key1", "key3"), IsOk());
  model_.erase(model_.lower_bound("key1"), model_.lower_bound("key3"));
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
  Reopen();
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
  ExpectSound();
}

TEST_F(ShardFreezeTest, AWriteMeanwhileEndsAFreeze) {
  Open();
  Fill(400);
  const std::string key = KeyIn(0);
  for (const Point at : {Point::kNoting, Point::kCreated}) {
    engine()->freezer()->SetProbe([&](Point point) {
      if (point == at) {
        EXPECT_THAT(Put(engine(), key, "written"), IsOk());
      }
      return Status();
    });
    EXPECT_THAT(Freeze(0), HasCode(Code::kConflict));
    EXPECT_FALSE(InfoOf(0).frozen);
    EXPECT_FALSE(fs::exists(archives_));
  }
  model_[key] = "written";
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
  // Writes to other shards do not.
  engine()->freezer()->SetProbe([&](Point point) {
    if (point == Point::kCreated) {
      EXPECT_THAT(Put(engine(), KeyIn(1), "too"), IsOk());
    }
    return Status();
  });
  EXPECT_THAT(Freeze(0), IsOk());
  engine()->freezer()->SetProbe(nullptr);
  model_[KeyIn(1)] = "too";
  ASSERT_THAT(Thaw(0), IsOk());
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
}

TEST_F(ShardFreezeTest, AnErrorBeforeTheSwitchLeavesTheShardAsItWas) {
  Open();
  Fill(400);
  for (const Point failing :
       {Point::kNoting, Point::kArchived, Point::kDescribed, Point::kCreated, Point::kSwitching}) {
    engine()->freezer()->SetProbe([failing](Point point) {
      return point == failing ? Status(Code::kIo, "failed here") : Status();
    });
    EXPECT_THAT(Freeze(2), HasCode(Code::kIo)) << static_cast<int>(failing);
    EXPECT_EQ(Scan(engine()), RecordsOf(model_)) << static_cast<int>(failing);
    EXPECT_FALSE(fs::exists(archives_)) << static_cast<int>(failing);
  }
  engine()->freezer()->SetProbe(nullptr);
  SnapshotControl aborted;
  aborted.aborted = true;
  EXPECT_THAT(engine()->freezer()->Freeze(2, &aborted), HasCode(Code::kAborted));
  EXPECT_THAT(Freeze(77), HasCode(Code::kNotFound));
  EXPECT_THAT(Thaw(77), HasCode(Code::kNotFound));
  ASSERT_THAT(Freeze(2), IsOk());
  EXPECT_THAT(engine()->freezer()->Thaw(2, &aborted), HasCode(Code::kAborted));
  EXPECT_TRUE(InfoOf(2).frozen);
  ASSERT_THAT(Thaw(2), IsOk());
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
}

TEST_F(ShardFreezeTest, WhatElseIsDoneWithAFrozenShardIsRefusedByName) {
  Open();
  Fill(400);
  SnapshotControl control;
  SnapshotReport report;
  ASSERT_THAT(engine()->snapshotter()->Take({1}, folder_ / "before", &control, &report), IsOk());
  ASSERT_THAT(Freeze(1), IsOk());
  EXPECT_THAT(engine()->snapshotter()->Take({0, 1}, folder_ / "snapshot", &control, &report),
              HasCode(Code::kFrozen));
  EXPECT_FALSE(fs::exists(folder_ / "snapshot"));
  EXPECT_THAT(engine()->snapshotter()->Take({0}, folder_ / "other", &control, &report), IsOk());
  ReshardControl move;
  std::vector<uint32_t> ids;
  for (const bool split : {true, false}) {
    EXPECT_THAT(engine()->resharder()->Run(
                    {.split = split, .id = 1, .other = 2, .at = std::nullopt}, &move, &ids),
                HasCode(Code::kFrozen));
  }
  // Others are split beside it, and it comes back after that.
  ids.clear();
  ASSERT_THAT(engine()->resharder()->Run({.split = true, .id = 0, .other = 0, .at = std::nullopt},
                                         &move, &ids),
              IsOk());
  EXPECT_TRUE(InfoOf(1).frozen);
  ASSERT_THAT(Thaw(1), IsOk());
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
  // A snapshot restored in its place replaces the archive too.
  ASSERT_THAT(Freeze(1), IsOk());
  SnapshotManifest manifest;
  ASSERT_THAT(
      engine()->restorer()->Restore(folder_ / "before", std::nullopt, &control, &ids, &manifest),
      IsOk());
  EXPECT_TRUE(Archives().empty());
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
}

TEST_F(ShardFreezeTest, MigrationLeavesAFrozenShardAlone) {
  OpenTiered();
  Fill(400);
  ASSERT_THAT(Freeze(0), IsOk());
  Migrate(engine(), 0, 2);
  EXPECT_TRUE(InfoOf(0).frozen);
  ASSERT_THAT(Thaw(0), IsOk());
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
  EXPECT_EQ(Stored(engine(), 0, KeyIn(0)), "value " + model_[KeyIn(0)]);
  EXPECT_EQ(Stored(engine(), 2, KeyIn(1)), "value " + model_[KeyIn(1)]);
}

TEST_F(ShardFreezeTest, ARangeDeleteThatColderTiersHaveNotSeenIsInTheArchive) {
  OpenTiered();
  Fill(400);
  Migrate(engine(), 0, 2);
  ASSERT_THAT(DeleteRange(engine(), "key1", "key3"), IsOk());
  model_.erase(model_.lower_bound("key1"), model_.lower_bound("key3"));
  ASSERT_TRUE(engine()->tiers().intents().any());
  ASSERT_THAT(Freeze(0), IsOk());
  ASSERT_THAT(Thaw(0), IsOk());
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
}

TEST_F(ShardFreezeTest, ADamagedArchiveIsReportedAndNothingIsTouched) {
  Open();
  Fill(400);
  ASSERT_THAT(Freeze(1), IsOk());
  const std::string folder = archives_ + "/" + *Archives().begin();
  const std::string table = folder + "/hot-1.sst";
  {
    std::fstream file(table, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(20);
    file.put('\x7f');
  }
  EXPECT_THAT(Thaw(1), HasCode(Code::kCorruption));
  EXPECT_THAT(Put(engine(), KeyIn(1), "v"), HasCode(Code::kCorruption)) << "the write learns why";
  EXPECT_THAT(Put(engine(), KeyIn(0), model_[KeyIn(0)]), IsOk()) << "others go on";
  VerifyReport report;
  ASSERT_THAT(engine()->Verify(&report), IsOk());
  EXPECT_EQ(report.problem_count, 1u);
  EXPECT_TRUE(InfoOf(1).frozen);
  fs::remove_all(folder);
  Reopen();
  EXPECT_TRUE(InfoOf(1).frozen);
  EXPECT_THAT(Thaw(1), HasCode(Code::kNotFound));
  EXPECT_EQ(Get(engine(), KeyIn(0)), model_[KeyIn(0)]);
}

TEST_F(ShardFreezeTest, ShardsThatNobodyUsesAreFrozenIfTheOptionsSaySo) {
  EngineOptions options = SmallOptions();
  options.freeze.automatic = true;
  options.temperature_ages = {.hot_ms = 1, .warm_ms = 2, .cold_ms = 200};
  Open(options);
  Fill(400);
  const auto all_frozen = [this] {
    for (const ShardReport& shard : engine()->ShardReports()) {
      if (!shard.info.frozen) return false;
    }
    return true;
  };
  // The fixture's deadline of a test ends it otherwise.
  while (!all_frozen()) std::this_thread::yield();
  Reopen(SmallOptions(0));
  for (uint32_t id = 0; id < 4; id++) ASSERT_THAT(Thaw(id), IsOk());
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
  Close();
  ASSERT_THAT(Engine::Destroy(location_), IsOk());
  EXPECT_FALSE(fs::exists(location_));
}

TEST(AutoFreezer, ChoosesWhatIsFrozenByTemperatureLiveAndNotEmpty) {
  std::vector<ShardReport> shards(4);
  for (uint32_t i = 0; i < 4; i++) {
    shards[i].info.id = i;
    shards[i].temperature = Temperature::kFrozen;
  }
  shards[1].temperature = Temperature::kCold;
  shards[2].empty = true;
  shards[3].info.frozen = true;
  EXPECT_EQ(ShardsToFreeze(shards), std::vector<uint32_t>{0});
}

}  // namespace
}  // namespace thermocline::test
