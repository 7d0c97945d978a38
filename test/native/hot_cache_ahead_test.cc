// What the hot cache does with records that are read ahead.

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "hot_cache_fixture.h"

namespace thermocline {
namespace {

using test::Answer;
using test::Fill;
using test::Found;
using test::Get;
using test::Key;
using test::kMissed;
using test::kNegative;

bool FillAhead(HotCache& cache, std::string_view key, std::string_view value,
               uint64_t expiry_ms = 0, bool absent = false) {
  const uint64_t hash = HashKey(key);
  return cache.FillAhead(key, hash, cache.BeginFill(hash), value, expiry_ms, absent);
}

std::string Ahead(int i) { return "ahead:" + std::to_string(i); }

TEST(HotCacheAheadTest, IsServedAndCountsAsUsedOnce) {
  HotCache cache(1 << 20);
  EXPECT_TRUE(FillAhead(cache, "a", "1", 77));
  EXPECT_TRUE(FillAhead(cache, "none", "", 0, /*absent=*/true));
  EXPECT_TRUE(cache.Contains("a", HashKey("a")));
  EXPECT_FALSE(cache.Contains("b", HashKey("b")));
  EXPECT_EQ(cache.GetStats().hits, 0u);
  EXPECT_EQ(Get(cache, "a"), (Answer{Found::kValue, "1", 77}));
  EXPECT_EQ(Get(cache, "a"), (Answer{Found::kValue, "1", 77}));
  EXPECT_EQ(Get(cache, "none"), kNegative);
  EXPECT_EQ(Get(cache, "a", 77), kNegative) << "expired";
  const AheadStats ahead = cache.GetStats().ahead;
  EXPECT_EQ(ahead.filled, 2u);
  EXPECT_EQ(ahead.used, 2u);
  EXPECT_EQ(ahead.unused, 0u);
}

TEST(HotCacheAheadTest, TellsOfTheFirstUseAlone) {
  HotCache cache(1 << 20);
  FillAhead(cache, "a", "1");
  const auto used_first = [&] {
    bool first = false;
    cache.Get(
        "a", HashKey("a"), [] { return uint64_t{0}; }, [](std::string_view, uint64_t) {}, &first);
    return first;
  };
  EXPECT_TRUE(used_first());
  EXPECT_FALSE(used_first());
}

TEST(HotCacheAheadTest, AReaderThatFillsIsLateAndTakesTheEntryOver) {
  HotCache cache(1 << 20);
  FillAhead(cache, "a", "1");
  EXPECT_TRUE(Fill(cache, "a", "1"));
  EXPECT_FALSE(FillAhead(cache, "a", "1")) << "it is there";
  EXPECT_EQ(Get(cache, "a").value, "1");
  const AheadStats ahead = cache.GetStats().ahead;
  EXPECT_EQ(ahead.late, 1u);
  EXPECT_EQ(ahead.used, 0u);
  EXPECT_EQ(ahead.filled, 1u);
}

TEST(HotCacheAheadTest, IsNeverOlderThanAWrite) {
  HotCache cache(1 << 20);
  const uint64_t hash = HashKey("a");
  const HotCache::FillTicket before = cache.BeginFill(hash);
  cache.BeginWrite("a", hash);
  EXPECT_FALSE(cache.FillAhead("a", hash, before, "old", 0, false));
  cache.EndWrite();
  EXPECT_FALSE(cache.FillAhead("a", hash, before, "old", 0, false));
  EXPECT_EQ(Get(cache, "a"), kMissed);
  EXPECT_TRUE(FillAhead(cache, "a", "1"));
  cache.BeginWrite("a", hash);
  EXPECT_EQ(Get(cache, "a"), kMissed) << "being written";
  cache.Publish("a", hash, "a longer value", 0);
  cache.EndWrite();
  EXPECT_EQ(Get(cache, "a").value, "a longer value");
  EXPECT_EQ(cache.GetStats().ahead.used, 1u);
  EXPECT_TRUE(FillAhead(cache, "b", "1"));
  const uint64_t other = HashKey("b");
  cache.BeginWrite("b", other);
  cache.EndWrite();
  EXPECT_EQ(Get(cache, "b"), kMissed);
  EXPECT_EQ(cache.GetStats().ahead.unused, 1u);
}

TEST(HotCacheAheadTest, PushesOutNothingButItsKindAndATenth) {
  constexpr size_t kCapacity = 200'000;
  HotCache cache(kCapacity);
  const std::string value(100, 'v');
  int kept = 0;
  for (; cache.GetStats().evictions == 0; kept++) Fill(cache, Key(kept), value);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < kept; i++) (void)Get(cache, Key(i));
  }
  for (int i = 0; i < 100 * kept; i++) {
    FillAhead(cache, Ahead(i), value);
    ASSERT_LE(cache.GetStats().bytes, kCapacity);
  }
  int left = 0;
  for (int i = 0; i < kept; i++) left += Get(cache, Key(i)).found == Found::kValue;
  EXPECT_GE(left, kept * 85 / 100);
  const AheadStats ahead = cache.GetStats().ahead;
  EXPECT_EQ(ahead.filled, static_cast<uint64_t>(100 * kept));
  EXPECT_LE(ahead.filled - ahead.unused, static_cast<uint64_t>(kept * 12 / 100));
  EXPECT_EQ(Get(cache, Ahead(100 * kept - 1)).found, Found::kValue) << "the newest is there";
}

TEST(HotCacheAheadTest, LeavesWhenNothingIsReadAheadAnyMore) {
  HotCache cache(200'000);
  const std::string value(100, 'v');
  for (int i = 0; i < 50; i++) FillAhead(cache, Ahead(i), value);
  for (int i = 0; i < 10'000; i++) Fill(cache, Key(i), value);
  const AheadStats ahead = cache.GetStats().ahead;
  EXPECT_EQ(ahead.unused, 50u);
  for (int i = 0; i < 50; i++) EXPECT_EQ(Get(cache, Ahead(i)), kMissed);
}

TEST(HotCacheAheadTest, OnceReadIsKeptAsIfItHadBeenMissed) {
  // The same reads, with and without reading ahead: the same keys stay.
  const auto left = [](bool ahead) {
    HotCache cache(100'000);
    const std::string value(100, 'v');
    const auto read = [&](const std::string& key) {
      if (Get(cache, key).found != Found::kMiss) return;
      Fill(cache, key, value);
    };
    for (int i = 0; i < 3000; i++) {
      if (ahead) FillAhead(cache, Key(i), value);
      read(Key(i));
      if (i % 10 == 0) {
        read(Key(i));
        read(Key(i));
      }
    }
    std::vector<int> keys;
    for (int i = 0; i < 3000; i++) {
      if (cache.Contains(Key(i), HashKey(Key(i)))) keys.push_back(i);
    }
    return keys;
  };
  EXPECT_EQ(left(true), left(false));
}

TEST(HotCacheAheadTest, RemovalsAndClearsKeepTheAccount) {
  HotCache cache(1 << 20);
  std::mt19937 random(5);
  const std::string value(40, 'v');
  for (int i = 0; i < 20'000; i++) {
    const std::string key = Key(static_cast<int>(random() % 500));
    const uint64_t hash = HashKey(key);
    switch (random() % 6) {
      case 0:
        FillAhead(cache, key, value);
        break;
      case 1:
        Fill(cache, key, value);
        break;
      case 2:
        cache.BeginWrite(key, hash);
        if (random() % 2 == 0) cache.Publish(key, hash, value.substr(random() % 40), 0);
        cache.EndWrite();
        break;
      case 3:
        if (random() % 200 == 0) {
          cache.BeginClear();
          cache.EndClear();
        }
        break;
      default:
        (void)Get(cache, key);
    }
  }
  cache.BeginClear();
  cache.EndClear();
  const HotCache::Stats stats = cache.GetStats();
  EXPECT_GT(stats.ahead.used, 100u);
  EXPECT_EQ(stats.ahead.filled, stats.ahead.used + stats.ahead.late + stats.ahead.unused);
  EXPECT_EQ(stats.entries, 0u);
}

}  // namespace
}  // namespace thermocline
