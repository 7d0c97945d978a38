// Predictive prefetch: what it learns, what it fetches, and when it gives up.

#include "engine/cache/sequence_prefetcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/hash.h"
#include "engine_fixture.h"

namespace thermocline {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Prefetching {
 public:
  void Read(const std::string& key, bool hit = true) { prefetcher_.Read(key, HashKey(key), hit); }
  void ReadAll(const std::vector<std::string>& keys) {
    for (const std::string& key : keys) Read(key);
  }
  // What was asked for since the last call; all of it counts as read ahead.
  std::vector<std::string> Fetched() {
    std::vector<std::string> keys;
    for (auto& [key, hash] : asked_) {
      prefetcher_.Fetched(hash, true);
      keys.push_back(key);
    }
    asked_.clear();
    return keys;
  }
  SequencePrefetcher::Stats stats() const { return prefetcher_.GetStats(); }

 private:
  std::vector<std::pair<std::string, uint64_t>> asked_;
  SequencePrefetcher prefetcher_{{.fetch = [this](std::string key, uint64_t hash) {
    asked_.emplace_back(std::move(key), hash);
  }}};
};

TEST(SequencePrefetcherTest, WhatWasSeenOnceIsNoPattern) {
  Prefetching one;
  one.ReadAll({"a", "b", "c", "a"});
  EXPECT_THAT(one.Fetched(), IsEmpty());
}

TEST(SequencePrefetcherTest, WhatFollowedTwiceIsFetchedSomeLinksAhead) {
  Prefetching one;
  for (int i = 0; i < 2; i++) one.ReadAll({"a", "b", "c", "d", "e", "between" + std::to_string(i)});
  (void)one.Fetched();
  one.Read("a");
  EXPECT_THAT(one.Fetched(), ElementsAre("b", "c", "d"));
  one.Read("b");
  EXPECT_THAT(one.Fetched(), ElementsAre("e")) << "the others are on their way";
  EXPECT_EQ(one.stats().used, 1u);
}

TEST(SequencePrefetcherTest, TwoWaysAreFollowedWhereOneIsLikelier) {
  Prefetching one;
  for (const char* next : {"b", "c", "b", "b", "c", "b"}) one.ReadAll({"a", next});
  (void)one.Fetched();
  // What was fetched meanwhile is read.
  one.ReadAll({"x", "b", "y"});
  one.Read("a");
  const std::vector<std::string> fetched = one.Fetched();
  ASSERT_FALSE(fetched.empty());
  EXPECT_EQ(fetched[0], "b");
}

TEST(SequencePrefetcherTest, PrecisionCountsWhatIsReadAfterwards) {
  Prefetching one;
  for (int i = 0; i < 3; i++) one.ReadAll({"a", "b", "x" + std::to_string(i)});
  (void)one.Fetched();
  one.ReadAll({"x", "b", "y"});
  const auto before = one.stats();
  one.Read("a");
  ASSERT_THAT(one.Fetched(), ElementsAre("b"));
  one.Read("elsewhere");
  EXPECT_EQ(one.stats().used, before.used);
  one.Read("b");
  EXPECT_EQ(one.stats().used, before.used + 1);
  one.Read("b");
  EXPECT_EQ(one.stats().used, before.used + 1) << "once";
  one.Read("a");
  ASSERT_THAT(one.Fetched(), ElementsAre("b"));
  one.Read("b", /*hit=*/false);
  EXPECT_EQ(one.stats().used, before.used + 1) << "it came too late, or was gone already";
}

TEST(SequencePrefetcherTest, OnRandomReadsItSwitchesItselfOff) {
  Prefetching one;
  std::mt19937 random(1);
  for (uint64_t i = 0; i < 3 * SequencePrefetcher::kReadsWindow; i++) {
    one.Read("key" + std::to_string(random() % 100'000));
    (void)one.Fetched();
  }
  EXPECT_FALSE(one.stats().active);
  EXPECT_LT(one.stats().prefetched, 1000u);
}

TEST(SequencePrefetcherTest, WrongPredictionsSwitchItOffAndItTriesAgainLater) {
  Prefetching one;
  // Each pair is seen often enough to be predicted, and then never again.
  for (int i = 0; one.stats().active && i < 100'000; i++) {
    const std::string a = "a" + std::to_string(i);
    for (int n = 0; n < 3; n++) {
      one.Read(a);
      one.Read("b" + std::to_string(i) + (n < 2 ? "" : "x"));
    }
    one.Read(a);
    (void)one.Fetched();
  }
  EXPECT_FALSE(one.stats().active);
  EXPECT_EQ(one.stats().switched_off, 1u);
  const uint64_t before = one.stats().prefetched;
  for (uint64_t i = 0; i < SequencePrefetcher::kRest; i++) one.Read("same");
  EXPECT_EQ(one.stats().prefetched, before);
  EXPECT_TRUE(one.stats().active);
}

TEST(SequencePrefetcherTest, WaitingKeysAreBounded) {
  size_t asked = 0;
  SequencePrefetcher one({.fetch = [&](std::string, uint64_t) { asked++; }});
  const auto walk = [&] {
    for (int i = 0; i < 5000; i++) {
      const std::string key = "key" + std::to_string(i);
      one.Read(key, HashKey(key), false);
    }
  };
  for (int round = 0; round < 3; round++) walk();
  EXPECT_EQ(asked, SequencePrefetcher::kWaiting);
}

class PrefetchTest : public test::EngineTest {};

TEST_F(PrefetchTest, TheNextRecordsAreInTheCacheBeforeTheyAreAskedFor) {
  EngineOptions options = test::SmallOptions();
  options.prefetch_sequence = true;
  options.memory.hot_cache = 2 * kMiB;
  Open(options);
  const auto key_of = [](int i) { return "key" + std::to_string(i); };
  for (int i = 0; i < 100; i++) ASSERT_THAT(test::Put(engine(), key_of(i), "value"), test::IsOk());
  const auto walk = [&] {
    for (int i = 0; i < 100; i++) EXPECT_EQ(test::Get(engine(), key_of(i)), "value");
  };
  walk();
  walk();
  // Empties the cache.
  ASSERT_THAT(test::Write(engine(), test::PackedWrites().DeleteRange("none", "nonf")),
              test::IsOk());
  EXPECT_EQ(test::Cached(engine(), key_of(51)), "miss");
  EXPECT_EQ(test::Get(engine(), key_of(50)), "value");
  // Only the walk has been learned, and key 51 was read after key 50 twice.
  std::string cached = "miss";
  for (int i = 0; i < 5000 && cached == "miss"; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    cached = engine()->cache().Contains(key_of(52), HashKey(key_of(52))) ? "there" : "miss";
  }
  EXPECT_EQ(cached, "there");
  EXPECT_GT(engine()->prefetcher()->GetStats().prefetched, 0u);
}

}  // namespace
}  // namespace thermocline
