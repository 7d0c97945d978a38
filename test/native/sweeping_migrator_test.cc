// What sinks though nothing is full, by the migrator's own thread, and what it keeps of heat and
// ages when it is reopened.
#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "engine/hash.h"
#include "engine/tier/migrator.h"
#include "tier_fixture.h"

namespace thermocline {
namespace {

using test::Get;
using test::IsOk;
using test::Levels;
using test::Put;
using test::Stored;
using test::TieredOptions;

constexpr uint64_t kHour = 3'600'000;
constexpr uint64_t kDay = 24 * kHour;

class SweepingMigratorTest : public test::TierTest {
 protected:
  MovesByCause MovedBy(MoveCause cause) {
    return engine()->ReportTiers().moves[static_cast<size_t>(cause)];
  }
  EngineOptions Automatic() {
    EngineOptions options = TieredOptions(2);
    options.tiers.automatic = true;
    return options;
  }
  // Lets the thread see that time has passed.
  bool BecomesAsTimePasses(const std::string& key, const std::string& levels) {
    return Becomes([&] {
      engine()->clock().RaiseTo(engine()->clock().NowMs() + kHour);
      return Levels(engine(), key) == levels;
    });
  }
};

TEST_F(SweepingMigratorTest, AgesAreKeptAcrossReopeningsUnlessNobodyAsksForThemForLong) {
  EngineOptions options = Automatic();
  OpenTiered(options);
  EXPECT_EQ(engine()->recency(0), nullptr) << "nothing is remembered unless it is asked for";
  options.tiers.at(Tier::kHot).max_age_ms = 1000 * kDay;
  Reopen(options);
  ASSERT_NE(engine()->recency(0), nullptr);
  EXPECT_EQ(engine()->recency(1), nullptr);
  ASSERT_THAT(Put(engine(), "left", "1"), IsOk());
  const auto pass = [&](int times) {
    for (int i = 0; i < times; i++) {
      engine()->clock().RaiseTo(engine()->clock().NowMs() + 80 * kDay);
      Reopen(options);
    }
  };
  pass(2);
  ASSERT_THAT(Put(engine(), "later", "1"), IsOk());
  pass(1);
  // An epoch is 84 days.
  EXPECT_GE(engine()->recency(0)->EpochsSince(HashKey("left")), 2);
  EXPECT_LE(engine()->recency(0)->EpochsSince(HashKey("left")), 3);
  EXPECT_LE(engine()->recency(0)->EpochsSince(HashKey("later")), 1);
  const auto reopen_without_for = [&](uint64_t ms) {
    options.tiers.at(Tier::kHot).max_age_ms = 0;
    Reopen(options);
    EXPECT_EQ(engine()->recency(0), nullptr);
    engine()->clock().RaiseTo(engine()->clock().NowMs() + ms);
    options.tiers.at(Tier::kHot).max_age_ms = 1000 * kDay;
    Reopen(options);
  };
  // As by a command.
  reopen_without_for(240'000);
  EXPECT_GE(engine()->recency(0)->EpochsSince(HashKey("left")), 2);
  // What passes for long without being told must not be believed later.
  reopen_without_for(300'000);
  EXPECT_EQ(engine()->recency(0)->EpochsSince(HashKey("left")), 0);
}

TEST_F(SweepingMigratorTest, HeatAndAgesMeanTheSameInAnotherProcess) {
  EngineOptions options = Automatic();
  options.tiers.at(Tier::kHot).max_age_ms = 1000 * kDay;
  OpenTiered(options);
  for (int i = 0; i < 3; i++) {
    engine()->clock().RaiseTo(engine()->clock().NowMs() + 80 * kDay);
    Reopen(options);
  }
  const auto age = [&](int i) {
    return engine()->recency(0)->EpochsSince(HashKey("key" + std::to_string(i)));
  };
  const auto heat = [&](int i) {
    return engine()->heat()->Estimate(HashKey("key" + std::to_string(i)));
  };
  // Those that are used, and others.
  constexpr int kUsed = 100;
  for (int i = 0; i < kUsed; i++) engine()->heat()->Add(HashKey("key" + std::to_string(i)), 7);
  const auto expect_all = [&](int used_heat, bool others_are_old) {
    for (int i = 0; i < kUsed; i++) {
      EXPECT_EQ(heat(i), used_heat);
      EXPECT_EQ(age(i), 0);
      EXPECT_EQ(age(kUsed + i) >= 2, others_are_old) << i;
    }
  };
  expect_all(7, true);
  Close();
  ForgetHashSeed();
  Reopen(options);
  expect_all(7, true);
  // Where another database has been opened first.
  Close();
  ForgetHashSeed();
  FixHashSeed(std::nullopt);
  Reopen(options);
  expect_all(0, false);
  for (int i = 0; i < kUsed; i++) engine()->heat()->Add(HashKey("key" + std::to_string(i)), 5);
  Close();
  ForgetHashSeed();
  Reopen(options);
  expect_all(5, false);
}

TEST_F(SweepingMigratorTest, AgesThatNobodyIsToldOfAreNotBelievedLater) {
  using enum TierOptions::Presence;
  EngineOptions options = Automatic();
  options.tiers.at(Tier::kHot).max_age_ms = 1000 * kDay;
  options.tiers.at(Tier::kWarm).max_age_ms = 1000 * kDay;
  OpenTiered(options);
  const auto age = [&](size_t level) {
    return engine()->recency(level)->EpochsSince(HashKey("left"));
  };
  const auto grow_old = [&] {
    for (int i = 0; i < 3; i++) {
      engine()->clock().RaiseTo(engine()->clock().NowMs() + 80 * kDay);
      Reopen(options);
    }
    EXPECT_GE(age(0), 2);
    EXPECT_GE(age(1), 2);
  };
  const auto without = [&](bool warm, bool cold, uint64_t ms) {
    EngineOptions less = options;
    less.tiers.at(Tier::kWarm).max_age_ms = 0;
    if (!warm && !cold) less.tiers.at(Tier::kHot).max_age_ms = 0;
    less.tiers.at(Tier::kWarm).presence = warm ? kWanted : kRemoved;
    less.tiers.at(Tier::kCold).presence = cold ? kWanted : kRemoved;
    Reopen(less);
    EXPECT_EQ(engine()->recency(1), nullptr);
    engine()->clock().RaiseTo(engine()->clock().NowMs() + ms);
    Reopen(options);
  };
  grow_old();
  without(/*warm=*/true, /*cold=*/false, 300'000);
  EXPECT_GE(age(0), 2);
  EXPECT_EQ(age(1), 0) << "it was the lowest tier";
  grow_old();
  without(/*warm=*/false, /*cold=*/true, 0);
  EXPECT_GE(age(0), 2);
  EXPECT_EQ(age(1), 0) << "it was not there";
  grow_old();
  without(/*warm=*/false, /*cold=*/false, 0);
  EXPECT_EQ(age(0), 0) << "there was nowhere to sink to";
  EXPECT_EQ(age(1), 0);
  grow_old();
  options.tiers.automatic = false;
  Reopen(options);
  engine()->clock().RaiseTo(engine()->clock().NowMs() + 300'000);
  options.tiers.automatic = true;
  Reopen(options);
  EXPECT_EQ(age(0), 0) << "no thread was there to be told";
}

TEST_F(SweepingMigratorTest, OldRecordsSinkByThemselves) {
  EngineOptions options = Automatic();
  options.tiers.at(Tier::kHot).max_age_ms = kDay;
  OpenTiered(options);
  ASSERT_THAT(Put(engine(), "left", "1"), IsOk());
  EXPECT_TRUE(BecomesAsTimePasses("left", "nothing | value 1 | nothing"));
  EXPECT_TRUE(Becomes([&] { return MovedBy(MoveCause::kAge).records == 1; }));
  options.tiers.at(Tier::kHot).max_age_ms = 0;
  Reopen(options);
  EXPECT_EQ(MovedBy(MoveCause::kAge).records, 1u) << "the count is kept";
}

TEST_F(SweepingMigratorTest, IdleShardsSinkByThemselvesAndComeUpWhenTheyAreRead) {
  EngineOptions options = Automatic();
  options.tiers.sink_idle_shards = true;
  options.memory.hot_cache = 0;
  OpenTiered(options);
  ASSERT_THAT(Put(engine(), "idle", "1"), IsOk());
  EXPECT_TRUE(Becomes([&] {
    engine()->clock().RaiseTo(engine()->clock().NowMs() + 6 * kHour);
    return Stored(engine(), 0, "idle") == "nothing";
  }));
  EXPECT_TRUE(BecomesAsTimePasses("idle", "nothing | nothing | value 1"));
  // Reads make the shard hot: the record comes up and stays.
  EXPECT_TRUE(Becomes([&] {
    for (int i = 0; i < 10; i++) EXPECT_EQ(Get(engine(), "idle"), "1");
    return Stored(engine(), 0, "idle") == "copy 1";
  }));
  const MovesByCause before = MovedBy(MoveCause::kShard);
  for (int i = 0; i < 20; i++) {
    engine()->clock().RaiseTo(engine()->clock().NowMs() + 4 * kHour);
    EXPECT_EQ(Get(engine(), "idle"), "1");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_EQ(Stored(engine(), 0, "idle"), "copy 1");
  EXPECT_EQ(MovedBy(MoveCause::kShard).copies, before.copies);
}

}  // namespace
}  // namespace thermocline
