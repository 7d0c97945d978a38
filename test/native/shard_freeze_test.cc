// Freezing and thawing shards: what readers and writers see, what else may be done with a frozen
// shard, what errors leave, and what a process that is killed at any point finds again.
// THERMOCLINE_SEQUENCES sets how many operations the concurrent tests run, in hundreds.

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/snapshot/auto_freezer.h"
#include "engine/snapshot/shard_freezer.h"
#include "fault_file_system.h"
#include "tier_fixture.h"

namespace thermocline::test {
namespace {

namespace fs = std::filesystem;
using Point = ShardFreezer::Point;
using Model = std::map<std::string, std::string>;

std::vector<Record> RecordsOf(const Model& model) { return {model.begin(), model.end()}; }

class ShardFreezeTest : public TierTest {
 protected:
  void Fill(int records) {
    PackedWrites writes;
    for (int i = 0; i < records; i++) {
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
  ShardInfo InfoOf(uint32_t id) {
    const ShardTable table = engine()->NewView()->shards()->table;
    return table.shards().at(static_cast<size_t>(table.IndexOfId(id)));
  }
  // The n-th key of a shard's.
  std::string KeyIn(uint32_t id, int n = 0) {
    const ShardTable table = engine()->NewView()->shards()->table;
    for (int i = 0;; i++) {
      std::string key = "key" + std::to_string(i);
      if (table.shards()[static_cast<size_t>(table.IndexOfKey(key))].id == id && n-- == 0) {
        return key;
      }
    }
  }
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
  std::future<Status> Submit(const PackedWrites& writes, bool atomic = true) {
    auto done = std::make_shared<std::promise<Status>>();
    std::unique_ptr<Submission> submission = writes.ToSubmission(atomic);
    submission->done = [done](const Status& status) { done->set_value(status); };
    EXPECT_THAT(engine()->Submit(std::move(submission)), IsOk());
    return done->get_future();
  }
  void ExpectSound() {
    VerifyReport report;
    ASSERT_THAT(engine()->Verify(&report), IsOk());
    EXPECT_EQ(report.problem_count, 0u) << (report.problems.empty() ? "" : report.problems[0]);
  }
  std::set<std::string> Archives() const {
    std::set<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(archives_, error)) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }
  static EngineOptions ThawingOptions(EngineOptions options) {
    options.freeze.thaw_on_access = true;
    return options;
  }

  const std::string archives_ = location_ + "/archive";
  Model model_;
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

// --- Concurrent

class ShardFreezeModelTest : public ShardFreezeTest, public testing::WithParamInterface<int> {};

TEST_P(ShardFreezeModelTest, EveryOperationAgreesWithAMapWhileShardsAreFrozenAndThawed) {
  EngineOptions options = GetParam() == 2 ? TieredOptions(3) : SmallOptions(3);
  options.without_log = GetParam() == 1;
  options.log_given = options.without_log;
  Open(ThawingOptions(options));
  std::mt19937_64 random(static_cast<uint64_t>(GetParam()) + 11);
  std::atomic<bool> stop{false};
  int frozen = 0;
  // Its freezes mostly end with ERR_CONFLICT, as others write.
  std::thread mover([&] {
    std::mt19937_64 moves(7);
    while (!stop.load()) {
      const uint32_t id = static_cast<uint32_t>(moves() % 3);
      const Status status = moves() % 2 == 0 ? Thaw(id) : Freeze(id);
      EXPECT_TRUE(status.ok() || status.code() == Code::kConflict || status.code() == Code::kLocked)
          << status.message();
      std::this_thread::sleep_for(std::chrono::milliseconds(moves() % 8));
    }
  });
  const int operations = 100 * EnvironmentNumber("THERMOCLINE_SEQUENCES", 4);
  const auto key = [&] { return "key" + std::to_string(random() % 300); };
  for (int i = 0; i < operations && !HasFatalFailure(); i++) {
    const uint64_t kind = random() % 100;
    if (kind < 40) {
      const std::string k = key();
      model_[k] = std::to_string(i);
      EXPECT_THAT(Put(engine(), k, model_[k]), IsOk());
    } else if (kind < 50) {
      const std::string k = key();
      model_.erase(k);
      EXPECT_THAT(Delete(engine(), k), IsOk());
    } else if (kind < 60) {
      // Without waiting in between.
      std::vector<std::future<Status>> results;
      for (int n = 0; n < 5; n++) {
        PackedWrites writes;
        for (int m = 0; m < 3; m++) {
          const std::string k = key();
          model_[k] = std::to_string(i) + "." + std::to_string(n) + "." + std::to_string(m);
          writes.Put(k, model_[k]);
        }
        results.push_back(Submit(writes));
      }
      for (auto& result : results) EXPECT_THAT(Await(std::move(result)), IsOk());
    } else if (kind < 64) {
      const std::string from = key();
      const std::string to = from + "5";
      model_.erase(model_.lower_bound(from), model_.lower_bound(to));
      EXPECT_THAT(DeleteRange(engine(), from, to), IsOk());
    } else if (kind < 90) {
      const std::vector<std::string> keys = {key(), key(), key()};
      const auto values = GetMany(engine(), keys);
      for (size_t n = 0; n < keys.size(); n++) {
        const auto expected = model_.find(keys[n]);
        if (expected == model_.end()) {
          EXPECT_FALSE(values[n]) << keys[n];
        } else {
          EXPECT_EQ(values[n], expected->second) << keys[n];
        }
      }
    } else if (kind < 93) {
      Status status;
      do {
        status = Freeze(static_cast<uint32_t>(random() % 3));
      } while (status.code() == Code::kLocked);  // the other thread is at it
      EXPECT_THAT(status, IsOk());
      frozen++;
    } else if (kind < 95 && GetParam() == 2) {
      StepPlan plan{.shard = static_cast<int>(random() % 3), .from = 0, .to = 2, .pick = nullptr};
      StepResult result;
      EXPECT_THAT(engine()->stepper()->Run(plan, &result), IsOk());
    } else {
      const auto cursor = engine()->NewCursor(engine()->NewView(), {});
      Status status;
      const std::vector<Record> all = TakeAll(cursor.get(), &status);
      cursor->Close();
      if (status.ok()) {
        EXPECT_EQ(all, RecordsOf(model_));
      } else {
        EXPECT_EQ(status.code(), Code::kFrozen) << status.message();
      }
    }
  }
  stop.store(true);
  mover.join();
  EXPECT_GT(frozen, 3);
  ExpectSound();
  EngineOptions again = SmallOptions(0);
  again.tiers.automatic = false;
  again.without_log = options.without_log;
  Reopen(again);
  for (uint32_t id = 0; id < 3; id++) ASSERT_THAT(Thaw(id), IsOk());
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
  ExpectSound();
  EXPECT_FALSE(fs::exists(archives_));
}

std::string ModelName(const testing::TestParamInfo<int>& info) {
  static const char* const kNames[] = {"Hot", "WithoutALog", "Tiered"};
  return kNames[info.param];
}
INSTANTIATE_TEST_SUITE_P(Stores, ShardFreezeModelTest, testing::Values(0, 1, 2), ModelName);

// --- Killed

struct CrashCase {
  std::string name;
  std::optional<Point> freezing;
  std::optional<ShardRestorer::Point> thawing;
};

class ShardFreezeCrashTest : public ShardFreezeTest, public testing::WithParamInterface<CrashCase> {
 protected:
  // A process that freezes shard 0, or thaws it by writing to it, and is killed on the way, while
  // another thread writes to the other shard.
  [[noreturn]] void RunChild(const std::string& in_frozen, const std::string& beside,
                             std::atomic<int>* written) {
    EngineOptions options = SmallOptions(0);
    options.tiers.automatic = false;
    std::shared_ptr<Engine> engine;
    if (!Engine::Open(location_, options, &engine).ok()) _exit(1);
    std::thread([&] {
      for (int i = 1;; i++) {
        if (!Put(engine.get(), beside, std::to_string(i)).ok()) _exit(2);
        written->store(i);
      }
    }).detach();
    while (written->load() == 0) std::this_thread::yield();
    const CrashCase& c = GetParam();
    engine->freezer()->SetProbe([&](Point point) {
      if (point == c.freezing) raise(SIGKILL);
      return Status();
    });
    engine->restorer()->SetProbe([&](ShardRestorer::Point point) {
      if (point == c.thawing) raise(SIGKILL);
      return Status();
    });
    if (c.freezing) {
      SnapshotControl control;
      (void)engine->freezer()->Freeze(0, &control);
    } else {
      (void)Put(engine.get(), in_frozen, "the write that thaws");
      // It is written before the thaw has quite ended.
      sleep(60);
    }
    _exit(3);
  }
};

TEST_P(ShardFreezeCrashTest, NothingIsLostAndNothingIsDoubled) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "TSan knows no threads in a child of a process that has had some";
#endif
  const CrashCase& c = GetParam();
  void* const shared = mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto* const written = new (shared) std::atomic<int>(0);
  OpenTiered();
  Fill(400);
  Migrate(engine(), 0, 2, [](std::string_view key, const Envelope&) { return key.back() == '7'; });
  const std::string in_frozen = KeyIn(0);
  const std::string beside = KeyIn(1);
  if (c.thawing) {
    ASSERT_THAT(Freeze(0), IsOk());
  }
  Close();
  const pid_t child = fork();
  if (child == 0) RunChild(in_frozen, beside, written);
  int result = 0;
  ASSERT_EQ(waitpid(child, &result, 0), child);
  ASSERT_TRUE(WIFSIGNALED(result)) << "ended by itself with " << WEXITSTATUS(result);

  ReopenTiered();
  const bool frozen =
      c.freezing ? *c.freezing >= Point::kPersisted : *c.thawing < ShardRestorer::Point::kPersisted;
  EXPECT_EQ(InfoOf(0).frozen, frozen) << "one record decides";
  EXPECT_EQ(Archives().size(), frozen ? 1u : 0u);
  for (const char* store : {"hot", "warm", "cold"}) {
    std::vector<std::string> names;
    ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, location_ + "/" + store, &names).ok());
    int families = 0;
    for (const std::string& name : names) families += name.starts_with("shard_") ? 1 : 0;
    EXPECT_EQ(families, 2) << store;
  }
  ExpectSound();
  if (frozen) {
    ASSERT_THAT(Thaw(0), IsOk());
  }
  const std::string last = Get(engine(), beside).value_or("nothing");
  EXPECT_TRUE(last == std::to_string(written->load()) ||
              last == std::to_string(written->load() + 1))
      << last << " instead of " << written->load();
  model_[beside] = last;
  if (c.thawing && !frozen) {
    // The write that has thawed it came through or not.
    const std::string value = Get(engine(), in_frozen).value_or("nothing");
    EXPECT_TRUE(value == model_[in_frozen] || value == "the write that thaws") << value;
    model_[in_frozen] = value;
  }
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
  ExpectSound();
  ASSERT_THAT(Freeze(0), IsOk()) << "what was cut short can be done again";
  ASSERT_THAT(Thaw(0), IsOk());
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
  munmap(shared, sizeof(std::atomic<int>));
}

std::vector<CrashCase> CrashCases() {
  using Thawing = ShardRestorer::Point;
  return {{"FreezeNoting", Point::kNoting, {}},       {"FreezeArchived", Point::kArchived, {}},
          {"FreezeDescribed", Point::kDescribed, {}}, {"FreezeCreated", Point::kCreated, {}},
          {"FreezeSwitching", Point::kSwitching, {}}, {"FreezePersisted", Point::kPersisted, {}},
          {"FreezeSwitched", Point::kSwitched, {}},   {"ThawVerified", {}, Thawing::kVerified},
          {"ThawPlaced", {}, Thawing::kPlaced},       {"ThawCreated", {}, Thawing::kCreated},
          {"ThawSwitching", {}, Thawing::kSwitching}, {"ThawPersisted", {}, Thawing::kPersisted},
          {"ThawSwitched", {}, Thawing::kSwitched},   {"ThawDropped", {}, Thawing::kDropped}};
}
std::string CrashName(const testing::TestParamInfo<CrashCase>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Points, ShardFreezeCrashTest, testing::ValuesIn(CrashCases()), CrashName);

}  // namespace
}  // namespace thermocline::test
