#include <string>
#include <thread>
#include <vector>

#include "engine/shard/activity.h"
#include "engine_fixture.h"

namespace thermocline {
namespace {

using test::HasCode;
using test::IsOk;

constexpr uint64_t kNow = 1'800'000'000'000;

TEST(ShardActivityTest, CountsAndLastAccessAreOfTheShardAlone) {
  ShardActivity activity(3);
  activity.Read(1, 5, kNow);
  activity.Write(1, 2, kNow + 10);
  activity.Read(1, 1, kNow + 5);  // threads may come late
  const auto busy = activity.Get(1, kNow + 10);
  EXPECT_EQ(busy.reads, 6u);
  EXPECT_EQ(busy.writes, 2u);
  EXPECT_EQ(busy.last_access_ms, kNow + 10);
  for (const size_t idle : {0, 2}) {
    EXPECT_EQ(activity.Get(idle, kNow).reads, 0u);
    EXPECT_EQ(activity.Get(idle, kNow).last_access_ms, 0u);
  }
}

TEST(ShardActivityTest, RatesFollowASteadyLoadAndFade) {
  ShardActivity activity(1);
  for (uint64_t ms = 0; ms < 600'000; ms += 100) activity.Read(0, 10, kNow + ms);
  EXPECT_NEAR(activity.Get(0, kNow + 600'000).reads_per_second, 100, 1);
  EXPECT_NEAR(activity.Get(0, kNow + 660'000).reads_per_second, 100 / 2.718, 1);
  EXPECT_LT(activity.Get(0, kNow + 3'600'000).reads_per_second, 1e-9);
  EXPECT_EQ(activity.Get(0, kNow).writes_per_second, 0);
}

TEST(ShardActivityTest, TimesSurviveEncodingAndFollowTheGeneration) {
  const ShardTable table = ShardTable::Equal(3);
  ShardActivity activity(3);
  activity.SetCreated(kNow);
  activity.Write(2, 1, kNow + 7);
  const std::string encoded = activity.Encode(table);

  ShardActivity same(3);
  ASSERT_THAT(same.Decode(encoded, table), IsOk());
  EXPECT_EQ(same.Get(0, kNow).created_ms, kNow);
  EXPECT_EQ(same.Get(2, kNow).last_access_ms, kNow + 7);
  EXPECT_EQ(same.Get(2, kNow).writes, 0u) << "counts begin with the opening";

  std::vector<ShardInfo> shards = table.shards();
  shards[2].generation = 1;
  ShardTable replaced;
  ASSERT_THAT(ShardTable::Create(std::move(shards), &replaced), IsOk());
  ShardActivity other(3);
  ASSERT_THAT(other.Decode(encoded, replaced), IsOk());
  EXPECT_EQ(other.Get(1, kNow).created_ms, kNow);
  EXPECT_EQ(other.Get(2, kNow).last_access_ms, 0u);
}

TEST(ShardActivityTest, DamageIsToldFromData) {
  const ShardTable table = ShardTable::Equal(2);
  const std::string encoded = ShardActivity(2).Encode(table);
  ShardActivity activity(2);
  for (size_t size = 0; size < encoded.size(); size++) {
    EXPECT_THAT(activity.Decode(encoded.substr(0, size), table), HasCode(Code::kCorruption));
  }
  EXPECT_THAT(activity.Decode(encoded + "x", table), HasCode(Code::kCorruption));
  EXPECT_THAT(activity.Decode("\x02" + encoded.substr(1), table), HasCode(Code::kCorruption));
}

TEST(ShardActivityTest, ManyThreadsLoseNothing) {
  ShardActivity activity(1);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      for (uint64_t n = 0; n < 10'000; n++) {
        activity.Read(0, 1, kNow + n);
        activity.Write(0, 1, kNow + n);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(activity.Get(0, kNow).reads, 40'000u);
  EXPECT_EQ(activity.Get(0, kNow).writes, 40'000u);
}

TEST(TemperatureTest, AgesAreInclusive) {
  const TemperatureAges ages{.hot_ms = 10, .warm_ms = 20, .cold_ms = 30};
  EXPECT_EQ(TemperatureOf(0, ages), Temperature::kHot);
  EXPECT_EQ(TemperatureOf(10, ages), Temperature::kHot);
  EXPECT_EQ(TemperatureOf(11, ages), Temperature::kWarm);
  EXPECT_EQ(TemperatureOf(20, ages), Temperature::kWarm);
  EXPECT_EQ(TemperatureOf(30, ages), Temperature::kCold);
  EXPECT_EQ(TemperatureOf(31, ages), Temperature::kFrozen);
}

}  // namespace
}  // namespace thermocline
