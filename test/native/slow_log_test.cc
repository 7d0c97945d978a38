#include "engine/metrics/slow_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

namespace thermocline {
namespace {

SlowOperation Took(uint64_t nanos) {
  SlowOperation operation;
  operation.total_nanos = nanos;
  return operation;
}

TEST(SlowLogTest, KeepsTheSlowestAndGivesThemSlowestFirst) {
  SlowLog log(10, 4);
  std::mt19937_64 random(1);
  std::vector<uint64_t> all;
  for (int i = 0; i < 1000; i++) {
    all.push_back(random() % 100000 + 1);
    if (log.Wants(all.back())) log.Add(Took(all.back()));
  }
  std::sort(all.rbegin(), all.rend());
  const std::vector<SlowOperation> kept = log.Snapshot();
  ASSERT_EQ(kept.size(), 10u);
  for (size_t i = 0; i < 10; i++) EXPECT_EQ(kept[i].total_nanos, all[i]);
  EXPECT_GT(kept[0].ended_ms, 0u);
}

TEST(SlowLogTest, WantsEverythingUntilItIsFullAndAgainOnceCleared) {
  SlowLog log(2, 4);
  EXPECT_TRUE(log.Wants(1));
  log.Add(Took(5));
  EXPECT_TRUE(log.Wants(1));
  log.Add(Took(9));
  EXPECT_FALSE(log.Wants(5));
  EXPECT_TRUE(log.Wants(6));
  log.Clear();
  EXPECT_TRUE(log.Wants(1));
  EXPECT_TRUE(log.Snapshot().empty());
}

TEST(SlowLogTest, KeysAreCutToThePrefix) {
  const SlowLog log(1, 4);
  EXPECT_EQ(log.PrefixOf("abcdef"), "abcd");
  EXPECT_EQ(log.PrefixOf("ab"), "ab");
  EXPECT_EQ(SlowLog(1, 0).PrefixOf("ab"), "");
}

TEST(SlowLogTest, ThreadsThatAddAtOnceLoseNoneOfTheSlowest) {
  SlowLog log(8, 4);
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; t++) {
    threads.emplace_back([&log, t] {
      for (uint64_t i = 0; i < 5000; i++) {
        const uint64_t nanos = i * 4 + t + 1;
        if (log.Wants(nanos)) log.Add(Took(nanos));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::vector<SlowOperation> kept = log.Snapshot();
  ASSERT_EQ(kept.size(), 8u);
  for (uint64_t i = 0; i < 8; i++) EXPECT_EQ(kept[i].total_nanos, 20000 - i);
}

}  // namespace
}  // namespace thermocline
