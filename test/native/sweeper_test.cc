// What sinks though nothing is full: step by step with the engine's clock in the test's hand.

#include "engine/tier/sweeper.h"

#include <gmock/gmock.h>

#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/tier/policy.h"
#include "tier_fixture.h"

namespace thermocline {
namespace {

using test::Get;
using test::IsOk;
using test::Levels;
using test::Migrate;
using test::PackedWrites;
using test::Put;
using test::Stored;
using test::TieredOptions;
using test::Write;

constexpr uint64_t kHour = 3'600'000;
constexpr uint64_t kDay = 24 * kHour;

TEST(SweepPolicyTest, ShardsBelongWhereTheirTemperatureSays) {
  using enum Temperature;
  EXPECT_EQ(LevelOfShard(kHot, 3), 0);
  EXPECT_EQ(LevelOfShard(kWarm, 3), 1);
  EXPECT_EQ(LevelOfShard(kCold, 3), 2);
  EXPECT_EQ(LevelOfShard(kFrozen, 3), 2);
  EXPECT_EQ(LevelOfShard(kWarm, 2), 1);
  EXPECT_EQ(LevelOfShard(kCold, 2), 1);
  EXPECT_EQ(LevelOfShard(kCold, 1), 0);
}

TEST(SweepPolicyTest, TidyingPaysForManyUselessEntriesThatAreAQuarter) {
  EXPECT_FALSE(IsWorthTidying(1023, 1023));
  EXPECT_TRUE(IsWorthTidying(1024, 4096));
  EXPECT_FALSE(IsWorthTidying(1024, 4100));
  EXPECT_TRUE(IsWorthTidying(1, 4, 1));
  EXPECT_FALSE(IsWorthTidying(0, 0, 1));
}

TEST(SweepPolicyTest, LookingForOldRecordsInVainTakesAFiftiethOfTheTime) {
  EXPECT_EQ(AgeSweepMs(kDay), 6 * kHour);
  EXPECT_EQ(AgeSweepMs(3), 1u);
  EXPECT_EQ(AgeSweepMs(4000, 20), 1000u);
  EXPECT_EQ(AgeSweepMs(4000, 21), 1050u);
}

TEST(SweepPolicyTest, WhatHasCooledWouldNotBePromoted) {
  EXPECT_TRUE(HasCooled(0));
  EXPECT_TRUE(HasCooled(1));
  EXPECT_FALSE(HasCooled(2)) << "promotion begins above 2";
}

class SweeperTest : public test::TierTest {
 protected:
  // The sweeper of the engine, without a thread.
  void Make() {
    std::vector<RecencySketch*> recency;
    for (size_t level = 0; level + 1 < static_cast<size_t>(engine()->tiers().levels()); level++) {
      recency.push_back(recency_[level].get());
    }
    sweeper_.emplace(Sweeper::Dependencies{
        .stepper = engine()->stepper(),
        .tiers = &engine()->tiers(),
        .heat = engine()->heat(),
        .shards = engine()->shards(),
        .hot = engine()->hot_db(),
        .clock = &engine()->clock(),
        .ledger = &ledger_,
        .recency = std::move(recency),
        .temperature = [this](const Shards&,
                              int shard) { return temperatures_[static_cast<size_t>(shard)]; },
        .tidy_least = tidy_least_,
        .takes_more = [this](int level) { return level != full_above_; },
        .flush_hot = [this] { return engine()->Flush(); },
    });
  }
  void RememberAges(size_t level, uint64_t age) {
    recency_[level] = std::make_unique<RecencySketch>(age, engine()->clock().NowMs(), 1 << 12);
    engine()->heat()->Tell(recency_[level].get());
  }
  // Time passes, an hour at a time.
  void Pass(uint64_t ms) {
    const uint64_t until = engine()->clock().NowMs() + ms;
    for (uint64_t now = until - ms; now < until; now += kHour) {
      engine()->clock().RaiseTo(now);
      if (sweeper_) sweeper_->AdvanceTime();
    }
    engine()->clock().RaiseTo(until);
  }
  // Looks, and does what there is to do. Returns the number of steps.
  int Sweep() {
    sweeper_->Look();
    int steps = 0;
    for (; sweeper_->HasWork(); steps++) {
      const Sweeper::Progress progress = sweeper_->Step();
      EXPECT_THAT(progress.status, IsOk());
      if (!progress.status.ok()) break;
    }
    return steps;
  }
  MovesByCause MovedBy(MoveCause cause) {
    return engine()->ReportTiers().moves[static_cast<size_t>(cause)];
  }
  static std::string KeyOf(int i) { return "key" + std::to_string(100'000 + i); }
  void PutMany(int count, const std::string& value = "value") {
    PackedWrites writes;
    for (int i = 0; i < count; i++) writes.Put(KeyOf(i), value);
    ASSERT_THAT(Write(engine(), writes), IsOk());
  }

  std::array<std::unique_ptr<RecencySketch>, 2> recency_;
  std::array<Temperature, 8> temperatures_ = {};
  MoveLedger ledger_;  // of what the sweeper does by itself
  int full_above_ = -1;
  uint64_t tidy_least_ = kTidyLeast;
  std::optional<Sweeper> sweeper_;
};

TEST_F(SweeperTest, RecordsThatAreNotUsedForLongSinkTierByTier) {
  EngineOptions options = TieredOptions();
  options.memory.hot_cache = 0;  // so that every read is told
  OpenTiered(options);
  RememberAges(0, kDay);
  RememberAges(1, 7 * kDay);
  Make();
  ASSERT_THAT(Put(engine(), "read", "1"), IsOk());
  ASSERT_THAT(Put(engine(), "written", "1"), IsOk());
  ASSERT_THAT(Put(engine(), "left", "1"), IsOk());
  for (int hours = 0; hours < 23; hours += 4) {
    Pass(4 * kHour);
    EXPECT_EQ(Get(engine(), "read"), "1");
    ASSERT_THAT(Put(engine(), "written", "1"), IsOk());
    Sweep();
    if (hours < 20) {
      EXPECT_EQ(Levels(engine(), "left"), "value 1 | nothing | nothing") << hours;
    }
  }
  Pass(13 * kHour);
  Sweep();
  EXPECT_EQ(Levels(engine(), "left"), "nothing | value 1 | nothing");
  EXPECT_EQ(Levels(engine(), "read"), "value 1 | nothing | nothing");
  EXPECT_EQ(Levels(engine(), "written"), "value 1 | nothing | nothing");
  EXPECT_EQ(MovedBy(MoveCause::kAge).records, 1u);
  Pass(5 * kDay);
  EXPECT_EQ(Get(engine(), "read"), "1");
  Pass(4 * kDay);
  Sweep();
  EXPECT_EQ(Levels(engine(), "left"), "nothing | nothing | value 1");
  EXPECT_EQ(Levels(engine(), "read"), "nothing | value 1 | nothing");
  EXPECT_EQ(Get(engine(), "read"), "1");
}

// Such reads make it hot and young, whether a store or the hot cache answers them.
TEST_F(SweeperTest, OnlyReadsThatFindARecordCount) {
  OpenTiered(TieredOptions(1));
  RememberAges(0, 12 * kHour);
  Make();
  for (const bool many : {false, true}) {
    const std::string prefix = many ? "many/" : "one/";
    const std::string deleted = prefix + "deleted";
    const std::vector<std::string> keys = {prefix + "hot", prefix + "below", deleted,
                                           prefix + "expired", prefix + "missing"};
    const uint64_t soon = engine()->clock().NowMs() + 1000;
    for (size_t i = 0; i < 4; i++) {
      ASSERT_THAT(Put(engine(), keys[i], "1", i == 3 ? soon : 0), IsOk());
    }
    Migrate(engine(), 0, 1, [&](std::string_view key, const Envelope&) { return key != keys[0]; });
    ASSERT_THAT(test::Delete(engine(), deleted), IsOk());
    EXPECT_EQ(Levels(engine(), deleted), "marker | value 1 | nothing");
    Pass(6 * kHour);
    sweeper_->AdvanceTime();
    const auto heat_of = [&](const std::string& key) {
      return engine()->heat()->Estimate(HashKey(key));
    };
    std::vector<int> before;
    for (const std::string& key : keys) before.push_back(heat_of(key));
    const auto read = [&] {
      if (many) return test::GetMany(engine(), keys);
      std::vector<std::optional<std::string>> values;
      for (const std::string& key : keys) values.push_back(Get(engine(), key));
      return values;
    };
    const std::vector<std::optional<std::string>> values = {"1", "1", {}, {}, {}};
    // The first time from the stores.
    for (int i = 0; i < 500; i++) ASSERT_EQ(read(), values);
    for (size_t i = 0; i < keys.size(); i++) {
      SCOPED_TRACE(keys[i]);
      EXPECT_EQ(heat_of(keys[i]) > before[i] + 1, i < 2);
      EXPECT_EQ(heat_of(keys[i]) == before[i], i >= 2);
      EXPECT_EQ(recency_[0]->EpochsSince(HashKey(keys[i])) == 0, i < 2);
    }
  }
}

TEST_F(SweeperTest, AFullTierTakesNothingAndTheSweepGoesOnLater) {
  OpenTiered();
  RememberAges(0, kDay);
  Make();
  ASSERT_THAT(Put(engine(), "left", "1"), IsOk());
  Pass(2 * kDay);
  full_above_ = 0;
  Sweep();
  EXPECT_EQ(Levels(engine(), "left"), "value 1 | nothing | nothing");
  full_above_ = -1;
  Sweep();
  EXPECT_EQ(Levels(engine(), "left"), "value 1 | nothing | nothing") << "not at once";
  Pass(60'000);
  Sweep();
  EXPECT_EQ(Levels(engine(), "left"), "nothing | value 1 | nothing") << "nor a quarter of the age";
  EXPECT_FALSE(sweeper_->HasWork());
}

TEST_F(SweeperTest, MarkersNeedNoRoomBelow) {
  OpenTiered(TieredOptions(1, false, true));
  PutMany(2000);
  Migrate(engine(), 0, 1);
  PackedWrites deletes;
  for (int i = 0; i < 2000; i++) deletes.Delete(KeyOf(i));
  ASSERT_THAT(Write(engine(), deletes), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  Make();
  full_above_ = 0;
  Pass(kHour);
  Sweep();
  EXPECT_EQ(MovedBy(MoveCause::kTidy).markers, 2000u);
  EXPECT_EQ(Levels(engine(), KeyOf(7)), "nothing | nothing");
}

TEST_F(SweeperTest, IdleShardsSinkWholeAndUsedOnesStay) {
  OpenTiered(TieredOptions(3));
  const auto shards = engine()->shards().Load();
  std::array<std::string, 3> keys;
  for (int i = 0; i < 1000; i++) keys[static_cast<size_t>(shards->IndexOf(KeyOf(i)))] = KeyOf(i);
  PutMany(1000);
  temperatures_ = {Temperature::kHot, Temperature::kWarm, Temperature::kCold};
  Make();
  Sweep();
  EXPECT_EQ(Levels(engine(), keys[0]), "value value | nothing | nothing");
  EXPECT_EQ(Levels(engine(), keys[1]), "nothing | value value | nothing");
  EXPECT_EQ(Levels(engine(), keys[2]), "nothing | nothing | value value");
  const uint64_t moved = MovedBy(MoveCause::kShard).records;
  Pass(kHour);
  Sweep();
  EXPECT_EQ(MovedBy(MoveCause::kShard).records, moved) << "there is nothing left to move";
  // The warm one becomes cold, the cold one hot: what was used does not go up by itself.
  temperatures_ = {Temperature::kHot, Temperature::kFrozen, Temperature::kHot};
  Pass(kHour);
  Sweep();
  EXPECT_EQ(Levels(engine(), keys[1]), "nothing | nothing | value value");
  EXPECT_EQ(Levels(engine(), keys[2]), "nothing | nothing | value value");
  for (int i = 0; i < 1000; i += 37) EXPECT_EQ(Get(engine(), KeyOf(i)), "value");
}

TEST_F(SweeperTest, AShardThatIsUsedWhileItSinksKeepsTheRest) {
  OpenTiered(TieredOptions(1));
  PutMany(70'000);  // more than one step looks at
  temperatures_ = {Temperature::kWarm};
  Make();
  sweeper_->Look();
  ASSERT_TRUE(sweeper_->HasWork());
  EXPECT_THAT(sweeper_->Step().status, IsOk());
  temperatures_ = {Temperature::kHot};
  while (sweeper_->HasWork()) EXPECT_THAT(sweeper_->Step().status, IsOk());
  EXPECT_EQ(Levels(engine(), KeyOf(0)), "nothing | value value | nothing");
  EXPECT_EQ(Levels(engine(), KeyOf(69'999)), "value value | nothing | nothing");
}

TEST_F(SweeperTest, CopiesInIdleShardsAreDroppedAndNotWrittenAgain) {
  OpenTiered(TieredOptions(1));
  PutMany(100);
  Migrate(engine(), 0, 2);
  std::vector<std::string> keys;
  for (int i = 0; i < 100; i++) keys.push_back(KeyOf(i));
  uint64_t copied = 0;
  ASSERT_THAT(engine()->stepper()->Promote(0, keys, &copied), IsOk());
  ASSERT_EQ(copied, 100u);
  temperatures_ = {Temperature::kCold};
  Make();
  Sweep();
  EXPECT_EQ(Levels(engine(), KeyOf(7)), "nothing | nothing | value value");
  EXPECT_EQ(MovedBy(MoveCause::kShard).copies, 100u);
  EXPECT_EQ(MovedBy(MoveCause::kShard).records, 0u);
}

TEST_F(SweeperTest, MarkersSinkAndNothingElse) {
  OpenTiered(TieredOptions(1));
  PutMany(3000);
  Migrate(engine(), 0, 2);
  Migrate(engine(), 0, 1);
  PackedWrites deletes;
  for (int i = 0; i < 2000; i++) deletes.Delete(KeyOf(i));
  deletes.Put(KeyOf(2500), "new");
  ASSERT_THAT(Write(engine(), deletes), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  // Some were written again since the table was built.
  ASSERT_THAT(Put(engine(), KeyOf(5), "again"), IsOk());
  ASSERT_EQ(engine()->ReportTiers().tiers[0].markers, 2000u);
  Make();
  Sweep();
  EXPECT_EQ(MovedBy(MoveCause::kTidy).markers, 0u) << "it is not time yet";
  for (int i = 0; i < 4; i++) {
    Pass(kHour);
    Sweep();
    ASSERT_THAT(engine()->tiers().store(1).Flush(), IsOk());
  }
  EXPECT_EQ(Levels(engine(), KeyOf(0)), "nothing | nothing | nothing");
  EXPECT_EQ(Levels(engine(), KeyOf(1999)), "nothing | nothing | nothing");
  EXPECT_EQ(Stored(engine(), 0, KeyOf(5)), "value again");
  EXPECT_EQ(Stored(engine(), 0, KeyOf(2500)), "value new");
  EXPECT_EQ(Levels(engine(), KeyOf(2999)), "nothing | nothing | value value");
  EXPECT_EQ(MovedBy(MoveCause::kTidy).records, 0u);
  EXPECT_EQ(MovedBy(MoveCause::kTidy).markers, 2 * 1999u) << "from hot, and from warm";
  ASSERT_THAT(engine()->Compact({}), IsOk());
  EXPECT_EQ(engine()->ReportTiers().tiers[0].markers, 0u);
  EXPECT_EQ(engine()->ReportTiers().tiers[1].markers, 0u);
}

TEST_F(SweeperTest, CopiesThatCooledAreDroppedAndHotOnesStay) {
  EngineOptions options = TieredOptions(1, false, true);
  options.memory.hot_cache = 0;
  OpenTiered(options);
  PutMany(2000);
  Migrate(engine(), 0, 1);
  std::vector<std::string> keys;
  for (int i = 0; i < 2000; i++) keys.push_back(KeyOf(i));
  for (int i = 0; i < 100; i++) engine()->heat()->Add(HashKey(KeyOf(i)), 40);
  for (int i = 100; i < 2000; i++) engine()->heat()->Add(HashKey(KeyOf(i)), 3);
  uint64_t copied = 0;
  ASSERT_THAT(engine()->stepper()->Promote(0, keys, &copied), IsOk());
  ASSERT_EQ(copied, 2000u);
  ASSERT_THAT(Put(engine(), KeyOf(1500), "new"), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_EQ(engine()->ReportTiers().tiers[0].copies, 1999u);
  Make();
  Pass(kHour);
  Sweep();
  EXPECT_EQ(MovedBy(MoveCause::kTidy).copies, 0u) << "all are warm";
  engine()->heat()->Halve();
  engine()->heat()->Halve();
  Pass(kHour);
  Sweep();
  EXPECT_EQ(MovedBy(MoveCause::kTidy).copies, 0u) << "the table has been gone through";
  sweeper_->HeatFaded();
  Pass(kHour);
  Sweep();
  const uint64_t dropped = MovedBy(MoveCause::kTidy).copies;
  EXPECT_GT(dropped, 1800u);
  EXPECT_LE(dropped, 1899u);
  EXPECT_EQ(MovedBy(MoveCause::kTidy).records, 0u) << "none was written";
  EXPECT_EQ(Levels(engine(), KeyOf(0)), "copy value | value value");
  EXPECT_EQ(Levels(engine(), KeyOf(1500)), "value new | value value");
  EXPECT_EQ(Get(engine(), KeyOf(1999)), "value");
}

TEST(SweepPolicyTest, ACompactionMayBeAsLargeAsItsGainAllows) {
  EXPECT_TRUE(HidesMuch(200, 200, 200 * kMiB));
  EXPECT_FALSE(HidesMuch(200, 804, 200 * kMiB));
  EXPECT_FALSE(HidesMuch(200, 200, 8 * kMiB - 1));
  EXPECT_EQ(MostToCompact(0, 0), 128 * kMiB);
  EXPECT_EQ(MostToCompact(100 * kMiB, 0), 200 * kMiB);
  EXPECT_EQ(MostToCompact(kMiB << 20, 0), 512 * kMiB);
  EXPECT_EQ(MostToCompact(0, kMiB), 2 * kMiB);
}

TEST_F(SweeperTest, FewLargeRecordsThatSankGiveTheirRoomBack) {
  OpenTiered(TieredOptions(1, false, true));
  RememberAges(0, kDay);
  std::string value(512 * kKiB, 'x');
  std::mt19937_64 random(1);
  for (char& c : value) c = static_cast<char>(random());
  PutMany(40, value);
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(engine()->Compact({}), IsOk());
  ASSERT_GT(engine()->ReportTiers().tiers[0].file_bytes, 20 * kMiB);
  Make();
  for (int i = 0; i < 4; i++) {
    Pass(kDay);
    Sweep();
  }
  EXPECT_EQ(MovedBy(MoveCause::kAge).records, 40u);
  EXPECT_LT(engine()->ReportTiers().tiers[0].file_bytes, kMiB);
}

TEST_F(SweeperTest, TheLastStepTellsWhereItWroteBeforeWhatShrankIsFlushed) {
  OpenTiered(TieredOptions(1));
  RememberAges(0, kDay);
  PutMany(2000);
  Make();
  Pass(2 * kDay);
  sweeper_->Look();
  std::vector<std::pair<int, bool>> steps;
  while (sweeper_->HasWork()) {
    const Sweeper::Progress progress = sweeper_->Step();
    EXPECT_THAT(progress.status, IsOk());
    steps.emplace_back(progress.to, progress.bytes > 0);
  }
  const std::vector<std::pair<int, bool>> expected = {{1, true}, {0, false}};
  EXPECT_EQ(steps, expected);
}

TEST_F(SweeperTest, DeletionsThatASnapshotSeesBeneathAreLeftUntilItIsGone) {
  OpenTiered(TieredOptions(1));
  PutMany(4000, std::string(100, 'x'));
  const auto view = engine()->NewView();
  PackedWrites deletes;
  for (int i = 0; i < 4000; i += 2) deletes.Delete(KeyOf(i));
  ASSERT_THAT(Write(engine(), deletes), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_GT(engine()->ReportTiers().tiers[0].deleted, 1024u);
  Make();
  const auto tables = [&] { return ledger_.Get()[static_cast<size_t>(MoveCause::kTidy)].tables; };
  for (int i = 0; i < 3; i++) {
    Pass(kHour);
    Sweep();
  }
  EXPECT_EQ(tables(), 0u);
  EXPECT_EQ(Get(engine(), KeyOf(0), view.get()), std::string(100, 'x'));
  view->Release();
  Pass(kHour);
  Sweep();
  EXPECT_EQ(tables(), 1u);
  EXPECT_EQ(engine()->ReportTiers().tiers[0].deleted, 0u);
}

TEST_F(SweeperTest, TablesWithManyDeletionsAreCompacted) {
  OpenTiered(TieredOptions(1));
  PutMany(4000, std::string(100, 'x'));
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(engine()->Compact({}), IsOk());
  const uint64_t full = engine()->ReportTiers().tiers[0].file_bytes;
  // Every third, so that RocksDB sees no need by itself: it looks for half.
  PackedWrites writes;
  for (int i = 0; i < 4000; i++) {
    if (i % 3 == 0) {
      writes.Delete(KeyOf(i));
    } else {
      writes.Put(KeyOf(i), "new");
    }
  }
  ASSERT_THAT(Write(engine(), writes), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_GT(engine()->ReportTiers().tiers[0].deleted, 1024u);
  Make();
  Pass(kHour);
  Sweep();
  const TierFigures hot = engine()->ReportTiers().tiers[0];
  EXPECT_EQ(hot.deleted, 0u);
  EXPECT_LT(hot.file_bytes, full);
  EXPECT_EQ(ledger_.Get()[static_cast<size_t>(MoveCause::kTidy)].tables, 1u);
  EXPECT_EQ(Get(engine(), KeyOf(0)), std::nullopt);
  EXPECT_EQ(Get(engine(), KeyOf(1)), "new");
  EXPECT_EQ(Get(engine(), KeyOf(2)), "new");
}

}  // namespace
}  // namespace thermocline
