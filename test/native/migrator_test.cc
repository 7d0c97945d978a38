// The migrator by itself: what it decides, and that it does it.

#include "engine/tier/migrator.h"

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "engine/tier/policy.h"
#include "fault_file_system.h"
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

TEST(TierPolicyTest, ATierSinksFromItsHighMarkToItsLowOne) {
  EXPECT_EQ(BytesToSink(850, 1000), 0u);
  EXPECT_EQ(BytesToSink(851, 1000), 101u);
  EXPECT_EQ(BytesToSink(2000, 1000), 1250u);
  EXPECT_EQ(BytesToSink(2000, 0), 0u) << "unknown";
  EXPECT_TRUE(HasRoom(969, 1000));
  EXPECT_FALSE(HasRoom(970, 1000));
  EXPECT_TRUE(HasRoom(970, 0));
}

TEST(TierPolicyTest, ATierThatSankToItsLowMarkIsNotRoomy) {
  EXPECT_FALSE(IsRoomy(750, 1000));
  EXPECT_FALSE(IsRoomy(610, 1000)) << "sinking may go a little too far";
  EXPECT_TRUE(IsRoomy(590, 1000));
}

TEST(TierPolicyTest, TheHottestOffersAreChosenThoughManyAreAlike) {
  HeatSample offered{};
  offered[9] = 100;
  HottestOffers hottest = ChooseHottest(offered, 10);
  EXPECT_EQ(hottest.coolest, 9);
  EXPECT_EQ(hottest.ties, 10u);
  offered[HeatSketch::kMax] = 4;
  offered[12] = 6;
  hottest = ChooseHottest(offered, 7);
  EXPECT_EQ(hottest.coolest, 12);
  EXPECT_EQ(hottest.ties, 3u);
  hottest = ChooseHottest(offered, 10);
  EXPECT_EQ(hottest.coolest, 9);
  EXPECT_EQ(hottest.ties, 0u);
  EXPECT_EQ(ChooseHottest(offered, 110).coolest, -1) << "there is room for all";
}

TEST(TierPolicyTest, TheThresholdIsTheSmallestThatFreesEnough) {
  HeatSample sample{};
  sample[0] = 50;
  sample[1] = 30;
  sample[7] = 20;
  EXPECT_EQ(HeatThreshold(sample, 0.1), 0);
  EXPECT_EQ(HeatThreshold(sample, 0.5), 0);
  EXPECT_EQ(HeatThreshold(sample, 0.51), 1);
  EXPECT_EQ(HeatThreshold(sample, 0.8), 1);
  EXPECT_EQ(HeatThreshold(sample, 0.9), 7);
  EXPECT_EQ(HeatThreshold(HeatSample{}, 0.5), HeatSketch::kMax) << "nothing is known";
}

class MigratorTest : public test::TierTest {
 protected:
  EngineOptions Automatic(EngineOptions options = TieredOptions(2)) {
    options.tiers.automatic = true;
    return options;
  }
  // Leaves "tepid" and "often" below, and hot, between its marks, with records that were read so
  // often in an earlier opening.
  void FillHotBetweenItsMarks(int reads) {
    EngineOptions options = TieredOptions(1, true, false);
    options.memory.hot_cache = 0;
    OpenTiered(options);
    ASSERT_THAT(Put(engine(), "tepid", "1"), IsOk());
    ASSERT_THAT(Put(engine(), "often", "1"), IsOk());
    Migrate(engine(), 0, 1);
    std::string value(1000, 'x');
    for (size_t i = 0; i < value.size(); i++) value[i] = static_cast<char>(i * 7919 >> 3);
    for (int i = 0; i < 200; i++) {
      const std::string key = "hot" + std::to_string(i);
      ASSERT_THAT(Put(engine(), key, value), IsOk());
      for (int read = 0; read < reads; read++) EXPECT_EQ(Get(engine(), key), value);
    }
    ASSERT_THAT(engine()->Flush(), IsOk());
    const uint64_t used = engine()->ReportTiers().tiers[0].LiveBytes();
    options.tiers.at(Tier::kHot).capacity_bytes = used * 5 / 4;
    Reopen(Automatic(options));
  }
};

TEST_F(MigratorTest, RangeDeletesReachTheColderTiersByThemselves) {
  OpenTiered(Automatic());
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  Migrate(engine(), 0, 2);
  ASSERT_THAT(test::DeleteRange(engine(), "a", std::nullopt), IsOk());
  EXPECT_TRUE(Becomes([&] { return !engine()->tiers().intents().any(); }));
  EXPECT_EQ(Levels(engine(), "a"), "nothing | nothing | nothing");
}

TEST_F(MigratorTest, ARecordThatIsReadOftenComesUp) {
  EngineOptions options = Automatic();
  options.memory.hot_cache = 0;  // so that every read reaches the stores
  OpenTiered(options);
  ASSERT_THAT(Put(engine(), "often", "1"), IsOk());
  ASSERT_THAT(Put(engine(), "once", "1"), IsOk());
  Migrate(engine(), 0, 2);
  EXPECT_EQ(Get(engine(), "once"), "1");
  for (int i = 0; i < 100; i++) EXPECT_EQ(Get(engine(), "often"), "1");
  EXPECT_TRUE(Becomes([&] { return Stored(engine(), 0, "often") == "copy 1"; }));
  EXPECT_EQ(Levels(engine(), "often"), "copy 1 | nothing | value 1");
  EXPECT_EQ(Levels(engine(), "once"), "nothing | nothing | value 1");
}

TEST_F(MigratorTest, AFullTierSinksWhatIsColdest) {
  EngineOptions options = Automatic();
  options.tiers.at(Tier::kHot).capacity_bytes = 2 * kMiB;
  options.memory.hot_cache = 0;
  OpenTiered(options);
  constexpr int kRecords = 4000;
  const auto key_of = [](int i) { return "key" + std::to_string(10'000 + i); };
  std::string value(1000, 'x');
  for (size_t i = 0; i < value.size(); i++) value[i] = static_cast<char>(i * 7919 >> 3);
  PackedWrites writes;
  for (int i = 0; i < kRecords; i++) writes.Put(key_of(i), value);
  ASSERT_THAT(Write(engine(), writes), IsOk());
  for (int round = 0; round < 100; round++) {
    for (int i = 0; i < 50; i++) EXPECT_TRUE(Get(engine(), key_of(i * 7)).has_value());
  }
  ASSERT_THAT(engine()->Flush(), IsOk());
  const auto used = [&] {
    const TierFigures hot = engine()->ReportTiers().tiers[0];
    return hot.LiveBytes();
  };
  EXPECT_TRUE(Becomes([&] { return engine()->migrator()->status().rounds > 0; }));
  EXPECT_TRUE(Becomes([&] { return used() < 2 * kMiB; })) << used();
  int hot = 0;
  for (int i = 0; i < 50; i++) hot += Stored(engine(), 0, key_of(i * 7)) != "nothing" ? 1 : 0;
  EXPECT_GT(hot, 40) << "of the 50 that are read";
  int cold = 0;
  for (int i = 0; i < kRecords; i++) cold += Stored(engine(), 0, key_of(i)) == "nothing" ? 1 : 0;
  EXPECT_GT(cold, kRecords / 4);
  for (int i = 0; i < kRecords; i += 97) {
    EXPECT_EQ(Get(engine(), key_of(i), engine()->NewView().get()), value) << i;
  }
  EXPECT_EQ(engine()->ReportTiers().trouble, "");
}

TEST_F(MigratorTest, WhatIsReadAFewTimesDoesNotPushOutWhatIsReadOften) {
  FillHotBetweenItsMarks(30);
  for (int i = 0; i < 10; i++) EXPECT_EQ(Get(engine(), "tepid"), "1");
  for (int i = 0; i < 100; i++) EXPECT_EQ(Get(engine(), "often"), "1");
  EXPECT_TRUE(Becomes([&] { return Stored(engine(), 0, "often") == "copy 1"; }));
  EXPECT_EQ(Levels(engine(), "tepid"), "nothing | value 1");
}

TEST_F(MigratorTest, WhatIsReadOftenComesUpHoweverHotTheOthersAre) {
  FillHotBetweenItsMarks(HeatSketch::kMax + 10);
  for (int i = 0; i < HeatSketch::kMax + 10; i++) EXPECT_EQ(Get(engine(), "often"), "1");
  EXPECT_TRUE(Becomes([&] { return Stored(engine(), 0, "often") == "copy 1"; }));
}

TEST_F(MigratorTest, AFullColderTierIsLeftAloneAndSaysSo) {
  EngineOptions options = Automatic(TieredOptions(1, false, true));
  options.tiers.at(Tier::kHot).capacity_bytes = 1 * kMiB;
  options.tiers.at(Tier::kCold).capacity_bytes = 1;
  OpenTiered(options);
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  Migrate(engine(), 0, 1);
  for (int i = 0; i < 2000; i++) {
    ASSERT_THAT(Put(engine(), "key" + std::to_string(i), std::string(1000, 'x')), IsOk());
  }
  ASSERT_THAT(engine()->Flush(), IsOk());
  EXPECT_TRUE(Becomes([&] { return !engine()->ReportTiers().trouble.empty(); }));
  EXPECT_THAT(engine()->ReportTiers().trouble, testing::HasSubstr("the cold tier is full"));
  EXPECT_THAT(Put(engine(), "b", "1"), IsOk()) << "writes go on";
}

// Markers sink into a full tier, until its disk refuses to take them.
TEST_F(MigratorTest, AFullTierWhoseDiskRefusesWritesIsLeftAloneByMarkersToo) {
  test::TempFolder aside;
  test::FaultFileSystem disk(aside / "aside");
  EngineOptions options = TieredOptions(4, false, true);
  options.tiers.at(Tier::kCold).env = disk.env();
  OpenTiered(options);
  constexpr int kRecords = 8000;
  const auto key_of = [](int i) { return "key" + std::to_string(10'000 + i); };
  PackedWrites puts;
  PackedWrites deletes;
  for (int i = 0; i < kRecords; i++) puts.Put(key_of(i), "value");
  for (int i = 0; i < kRecords; i++) deletes.Delete(key_of(i));
  ASSERT_THAT(Write(engine(), puts), IsOk());
  Migrate(engine(), 0, 1);
  ASSERT_THAT(Write(engine(), deletes), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());  // a table of markers for each shard
  options = Automatic(options);
  options.tiers.at(Tier::kCold).capacity_bytes = 1;
  options.tiers.at(Tier::kHot).capacity_bytes = 1;  // so that it is asked whether records can sink
  Reopen(options);
  std::atomic<int> tried{0};
  engine()->stepper()->SetProbe([&](Stepper::Point point) {
    if (point == Stepper::Point::kChosen) tried++;
    return Status();
  });
  const auto trouble = [&] { return engine()->ReportTiers().trouble; };
  EXPECT_TRUE(Becomes([&] { return trouble().find("tier is full") != std::string::npos; }));
  using enum test::FaultFileSystem::Call;
  disk.Inject(
      {.calls = {kNewFile, kAppend, kSync, kSyncDirectory}, .no_space = true, .lasting = true});
  const auto pass_time = [&] { engine()->clock().RaiseTo(engine()->clock().NowMs() + 60'000); };
  EXPECT_TRUE(Becomes([&] {
    pass_time();
    return tried > 0;
  }));
  EXPECT_TRUE(Becomes([&] { return trouble().find("tier is full") == std::string::npos; }))
      << trouble();
  // The others wait, though their time to be tried again passes.
  for (int i = 0; i < 30; i++) {
    pass_time();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(tried, 1);
  EXPECT_NE(trouble(), "");
  engine()->migrator()->Stop();
  disk.Heal();
  Close();
}

TEST_F(MigratorTest, MarkersThatSinkIntoAFullTierDoNotMakeItLookRoomy) {
  EngineOptions options = TieredOptions(2, false, true);
  OpenTiered(options);
  PackedWrites puts;
  PackedWrites deletes;
  for (int i = 0; i < 8000; i++) puts.Put("key" + std::to_string(i), "value");
  for (int i = 0; i < 6000; i++) deletes.Delete("key" + std::to_string(i));
  ASSERT_THAT(Write(engine(), puts), IsOk());
  Migrate(engine(), 0, 1);
  ASSERT_THAT(Write(engine(), deletes), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  options = Automatic(options);
  options.tiers.at(Tier::kCold).capacity_bytes = 1;
  options.tiers.at(Tier::kHot).capacity_bytes = 1;
  Reopen(options);
  const auto is_full = [&] {
    return engine()->ReportTiers().trouble.find("tier is full") != std::string::npos;
  };
  EXPECT_TRUE(Becomes(is_full));
  EXPECT_TRUE(Becomes([&] {
    engine()->clock().RaiseTo(engine()->clock().NowMs() + 60'000);
    return engine()->ReportTiers().moves[static_cast<size_t>(MoveCause::kTidy)].markers == 6000;
  }));
  engine()->migrator()->Stop();  // after it has noted how that ended
  EXPECT_TRUE(is_full());
}

TEST_F(MigratorTest, WritesAreRefusedOnceNothingMakesRoomOnAFullHotDisk) {
  OpenTiered(TieredOptions(2, true, false));
  ASSERT_THAT(Put(engine(), "below", "1"), IsOk());
  Migrate(engine(), 0, 1);
  ASSERT_THAT(Put(engine(), "above", "1"), IsOk());
  EngineOptions options = Automatic(TieredOptions(2, true, false));
  options.tiers.at(Tier::kWarm).capacity_bytes = 1;                // full, so nothing can sink
  options.tiers.at(Tier::kHot).reserve_bytes = ~uint64_t{0} >> 1;  // no disk has so much
  Reopen(options);
  (void)engine()->space_gate()->Measure();
  EXPECT_THAT(Put(engine(), "new", "1"), test::HasCode(Code::kNoSpace));
  EXPECT_THAT(engine()->ReportTiers().trouble, testing::HasSubstr("full but for its reserve"));
  EXPECT_EQ(Get(engine(), "new"), std::nullopt) << "nothing of it was written";
  EXPECT_EQ(Get(engine(), "above"), "1");
  EXPECT_EQ(Get(engine(), "below"), "1");
  // What the program moves itself moves on.
  Migrate(engine(), 0, 1);
  EXPECT_EQ(Levels(engine(), "above"), "nothing | value 1");
}

TEST_F(MigratorTest, HeatSurvivesAReopening) {
  OpenTiered();
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  for (int i = 0; i < 200; i++) EXPECT_EQ(Get(engine(), "a"), "1");
  const int heat = engine()->heat()->Estimate(HashKey("a"));
  EXPECT_GT(heat, 5) << "hits in the hot cache count";
  ReopenTiered();
  EXPECT_EQ(engine()->heat()->Estimate(HashKey("a")), heat);
}

}  // namespace
}  // namespace thermocline
