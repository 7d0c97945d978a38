#include "engine/cache/hot_cache.h"

#include <gtest/gtest.h>
#if !defined(__APPLE__)
#include <malloc.h>
#endif

#include <functional>
#include <list>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/hash.h"
#include "hot_cache_fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define THERMOCLINE_OWN_MALLOC 0
#else
#define THERMOCLINE_OWN_MALLOC 1
#endif

namespace thermocline {
namespace {

using test::Answer;
using test::Fill;
using test::FillAbsent;
using test::Found;
using test::Get;
using test::Key;
using test::kMissed;
using test::kNegative;

TEST(HotCacheTest, ServesWhatWasFilled) {
  HotCache cache(1 << 20);
  EXPECT_EQ(Get(cache, "a"), kMissed);
  EXPECT_TRUE(Fill(cache, "a", "1", 77));
  EXPECT_TRUE(Fill(cache, "", ""));
  EXPECT_TRUE(Fill(cache, std::string("a\0", 2), "2"));
  EXPECT_EQ(Get(cache, "a"), (Answer{Found::kValue, "1", 77}));
  EXPECT_EQ(Get(cache, ""), (Answer{Found::kValue, "", 0}));
  EXPECT_EQ(Get(cache, std::string("a\0", 2)), (Answer{Found::kValue, "2", 0}));
  EXPECT_EQ(Get(cache, "b"), kMissed);
}

TEST(HotCacheTest, RemembersAbsentKeys) {
  HotCache cache(1 << 20);
  EXPECT_TRUE(FillAbsent(cache, "a"));
  EXPECT_EQ(Get(cache, "a"), kNegative);
  EXPECT_EQ(cache.GetStats().negative_hits, 1u);
}

TEST(HotCacheTest, ExpiredRecordIsAbsent) {
  HotCache cache(1 << 20);
  ASSERT_TRUE(Fill(cache, "a", "1", 1000));
  EXPECT_EQ(Get(cache, "a", 999).found, Found::kValue);
  EXPECT_EQ(Get(cache, "a", 1000), kNegative);
}

TEST(HotCacheTest, ClockIsReadOnlyForEntriesThatExpire) {
  HotCache cache(1 << 20);
  ASSERT_TRUE(Fill(cache, "a", "1"));
  ASSERT_TRUE(FillAbsent(cache, "b"));
  int calls = 0;
  const auto clock = [&calls] { return uint64_t(++calls); };
  const auto ignore = [](std::string_view, uint64_t) {};
  cache.Get("a", HashKey("a"), clock, ignore);
  cache.Get("b", HashKey("b"), clock, ignore);
  cache.Get("c", HashKey("c"), clock, ignore);
  EXPECT_EQ(calls, 0);
}

TEST(HotCacheTest, DisabledCacheDoesNothing) {
  HotCache cache(0);
  EXPECT_FALSE(cache.enabled());
  const auto ticket = cache.BeginFill(HashKey("a"));
  EXPECT_FALSE(ticket.can_fill());
  EXPECT_FALSE(cache.Fill("a", HashKey("a"), ticket, "1", 0));
  EXPECT_FALSE(cache.FillAbsent("a", HashKey("a"), {0, 0}));
  EXPECT_FALSE(cache.BeginWrite("a", HashKey("a")));
  EXPECT_FALSE(cache.HasPending());
  cache.Publish("a", HashKey("a"), "1", 0);
  cache.EndWrite();
  cache.BeginClear();
  cache.EndClear();
  EXPECT_EQ(Get(cache, "a"), kMissed);
  EXPECT_EQ(cache.GetStats().bytes, 0u);
}

TEST(HotCacheTest, TinyCacheRefusesEverything) {
  HotCache cache(1);
  EXPECT_FALSE(Fill(cache, "a", "1"));
  EXPECT_EQ(Get(cache, "a"), kMissed);
}

TEST(HotCacheTest, LargeValuesAreNotCached) {
  HotCache cache(1 << 20);  // one stripe
  EXPECT_TRUE(Fill(cache, "a", std::string(100000, 'v')));
  EXPECT_FALSE(Fill(cache, "b", std::string((1 << 20) / 8, 'v')));
  EXPECT_EQ(Get(cache, "b"), kMissed);
}

TEST(HotCacheWriteTest, WrittenKeyIsNotServedUntilPublished) {
  HotCache cache(1 << 20);
  const uint64_t hash = HashKey("a");
  ASSERT_TRUE(Fill(cache, "a", "old"));
  EXPECT_TRUE(cache.BeginWrite("a", hash));
  EXPECT_TRUE(cache.HasPending());
  EXPECT_EQ(Get(cache, "a"), kMissed);
  EXPECT_FALSE(cache.BeginFill(hash).can_fill());
  cache.Publish("a", hash, "new", 55);
  EXPECT_FALSE(cache.HasPending());
  EXPECT_EQ(Get(cache, "a"), (Answer{Found::kValue, "new", 55}));
  cache.EndWrite();
  EXPECT_EQ(Get(cache, "a"), (Answer{Found::kValue, "new", 55}));
  EXPECT_TRUE(cache.BeginFill(hash).can_fill());
}

TEST(HotCacheWriteTest, LastOperationOfAGroupWins) {
  HotCache cache(1 << 20);
  const uint64_t hash = HashKey("a");
  ASSERT_TRUE(Fill(cache, "a", "old"));
  // put "1", delete, put "22": published in reverse.
  EXPECT_TRUE(cache.BeginWrite("a", hash));
  EXPECT_TRUE(cache.BeginWrite("a", hash));
  EXPECT_TRUE(cache.BeginWrite("a", hash));
  cache.Publish("a", hash, "22", 0);
  cache.PublishAbsent("a", hash);
  cache.Publish("a", hash, "1", 0);
  cache.EndWrite();
  EXPECT_EQ(Get(cache, "a").value, "22");
  // put, delete.
  cache.BeginWrite("a", hash);
  cache.BeginWrite("a", hash);
  cache.PublishAbsent("a", hash);
  cache.Publish("a", hash, "3", 0);
  cache.EndWrite();
  EXPECT_EQ(Get(cache, "a"), kNegative);
}

TEST(HotCacheWriteTest, PublishDoesNotInsert) {
  HotCache cache(1 << 20);
  ASSERT_TRUE(Fill(cache, "b", "1"));
  EXPECT_FALSE(cache.BeginWrite("a", HashKey("a")));
  EXPECT_FALSE(cache.HasPending());
  EXPECT_TRUE(cache.BeginWrite("b", HashKey("b")));
  cache.Publish("b", HashKey("b"), "2", 0);
  cache.Publish("a", HashKey("a"), "2", 0);
  cache.EndWrite();
  EXPECT_EQ(Get(cache, "a"), kMissed);
  EXPECT_EQ(Get(cache, "b").value, "2");
}

TEST(HotCacheWriteTest, FillFromBeforeAWriteIsRefused) {
  HotCache cache(1 << 20);
  const uint64_t hash = HashKey("a");
  const auto before = cache.BeginFill(hash);
  cache.BeginWrite("a", hash);
  EXPECT_FALSE(cache.Fill("a", hash, before, "old", 0));
  const auto during = cache.BeginFill(hash);
  cache.EndWrite();
  EXPECT_FALSE(cache.Fill("a", hash, before, "old", 0));
  EXPECT_FALSE(cache.Fill("a", hash, during, "old", 0));
  EXPECT_FALSE(cache.FillAbsent("a", hash, before));
  EXPECT_EQ(Get(cache, "a"), kMissed);
  EXPECT_TRUE(Fill(cache, "a", "new"));
}

TEST(HotCacheWriteTest, WhatIsNotPublishedIsGone) {
  HotCache cache(1 << 20);
  for (const bool abandon : {false, true}) {
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(Fill(cache, Key(i), "old"));
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(cache.BeginWrite(Key(i), HashKey(Key(i))));
    abandon ? cache.AbandonWrite() : cache.EndWrite();
    EXPECT_FALSE(cache.HasPending());
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(Get(cache, Key(i)).found, i < 50 ? Found::kMiss : Found::kValue) << i;
    }
    EXPECT_EQ(cache.GetStats().entries, 50u);
  }
}

TEST(HotCacheWriteTest, ValueGrownTooLargeLeavesTheCache) {
  HotCache cache(1 << 20);
  ASSERT_TRUE(Fill(cache, "a", "old"));
  cache.BeginWrite("a", HashKey("a"));
  cache.Publish("a", HashKey("a"), std::string(1 << 20, 'v'), 0);
  cache.EndWrite();
  EXPECT_EQ(Get(cache, "a"), kMissed);
  EXPECT_EQ(cache.GetStats().entries, 0u);
}

TEST(HotCacheWriteTest, ClearDropsEverythingAndRefusesFillsUntilItsEnd) {
  HotCache cache(4 << 20);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Fill(cache, Key(i), "old"));
  const auto before = cache.BeginFill(HashKey("a"));
  ASSERT_TRUE(cache.BeginWrite(Key(0), HashKey(Key(0))));
  cache.BeginClear();
  EXPECT_FALSE(cache.HasPending());
  EXPECT_EQ(cache.GetStats().entries, 0u);
  EXPECT_FALSE(cache.BeginFill(HashKey("a")).can_fill());
  EXPECT_FALSE(cache.Fill("a", HashKey("a"), before, "old", 0));
  cache.Publish(Key(0), HashKey(Key(0)), "new", 0);
  cache.EndWrite();
  cache.EndClear();
  EXPECT_FALSE(cache.Fill("a", HashKey("a"), before, "old", 0));
  EXPECT_EQ(Get(cache, Key(0)), kMissed);
  EXPECT_TRUE(Fill(cache, "a", "new"));
  EXPECT_EQ(Get(cache, "a").value, "new");
}

TEST(HotCacheEvictionTest, CapacityIsNeverExceeded) {
  for (const size_t capacity : {64 << 10, 1 << 20, 8 << 20}) {
    HotCache cache(capacity);
    std::mt19937 random(1);
    for (int i = 0; i < 60000; ++i) {
      const int n = static_cast<int>(random() % 40000);
      // Sizes change with time, so that tables both grow and shrink.
      const size_t size = random() % (i < 20000 ? 32 : i < 40000 ? 4000 : 500);
      if (random() % 4 == 0) {
        cache.BeginWrite(Key(n), HashKey(Key(n)));
        cache.Publish(Key(n), HashKey(Key(n)), std::string(size, 'p'), 0);
        cache.EndWrite();
      } else if (random() % 8 == 0) {
        FillAbsent(cache, Key(n));
      } else {
        Fill(cache, Key(n), std::string(size, 'f'));
      }
      if (i % 16 == 0) {
        ASSERT_LE(cache.GetStats().bytes, capacity);
      }
    }
    const auto stats = cache.GetStats();
    EXPECT_GT(stats.bytes, capacity * 8 / 10);
    EXPECT_GT(stats.evictions, 1000u);
  }
}

#if THERMOCLINE_OWN_MALLOC && defined(__GLIBC__)
TEST(HotCacheEvictionTest, BytesAreWhatMallocSpends) {
  const auto in_use = [] {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  for (const size_t value_size : {0, 100, 3000}) {
    const size_t before = in_use();
    HotCache cache(16 << 20);
    const size_t fixed = in_use() - before - cache.GetStats().bytes;
    const std::string value(value_size, 'v');
    for (int i = 0; i < 100000; ++i) Fill(cache, Key(i), value);
    const auto measured = static_cast<double>(in_use() - before - fixed);
    EXPECT_NEAR(static_cast<double>(cache.GetStats().bytes) / measured, 1, 0.02) << value_size;
  }
}
#endif

TEST(HotCacheEvictionTest, ScanDoesNotEvictTheHotSet) {
  HotCache cache(4 << 20);
  const std::string value(100, 'v');
  constexpr int kHot = 10000;  // about half the cache
  const auto read = [&](int i) {
    if (Get(cache, Key(i)).found == Found::kMiss) Fill(cache, Key(i), value);
  };
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < kHot; ++i) read(i);
  }
  for (int i = 0; i < 500000; ++i) read(kHot + i);  // 25 times what fits, each once
  int kept = 0;
  for (int i = 0; i < kHot; ++i) kept += Get(cache, Key(i)).found == Found::kValue;
  EXPECT_GT(kept, kHot * 95 / 100);
}

TEST(HotCacheEvictionTest, KeyThatReturnsSoonAfterEvictionStays) {
  HotCache cache(1 << 20);
  const std::string value(100, 'v');
  int next = 1000000;
  const auto scan = [&](int n) {
    while (n-- > 0) Fill(cache, Key(next++), value);
  };
  scan(20000);
  for (int i = 0; i < 100; ++i) Fill(cache, Key(i), value);
  scan(7000);  // pushes them out of the small queue, not out of the ghosts' memory
  // A fingerprint that matches by chance sends a new key to the main queue at once: one in 2,000.
  int missed = 0;
  for (int i = 0; i < 100; ++i) {
    missed += Get(cache, Key(i)).found == Found::kMiss;
    Fill(cache, Key(i), value);  // into the main queue now
  }
  EXPECT_GT(missed, 95);
  scan(2000);
  int kept = 0;
  for (int i = 0; i < 100; ++i) kept += Get(cache, Key(i)).found == Found::kValue;
  EXPECT_GT(kept, 90);
}

// What a cache of `entries` keys would be under least-recently-used eviction.
class Lru {
 public:
  explicit Lru(size_t entries) : entries_(entries) {}

  bool Read(int key) {
    const auto found = places_.find(key);
    const bool hit = found != places_.end();
    if (hit) {
      order_.erase(found->second);
    } else if (places_.size() == entries_) {
      places_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(key);
    places_[key] = order_.begin();
    return hit;
  }

 private:
  const size_t entries_;
  std::list<int> order_;
  std::unordered_map<int, std::list<int>::iterator> places_;
};

TEST(HotCacheEvictionTest, SkewedReadsHitMoreOftenThanUnderLru) {
  // Zipf over 100,000 keys, with room for about an eighth of them.
  std::vector<double> cumulative;
  double sum = 0;
  for (int i = 1; i <= 100000; ++i) cumulative.push_back(sum += 1.0 / i);
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(0, sum);
  std::vector<int> reads;
  for (int i = 0; i < 200000; ++i) {
    const auto rank = std::lower_bound(cumulative.begin(), cumulative.end(), uniform(random));
    reads.push_back(static_cast<int>(rank - cumulative.begin()));
  }

  HotCache cache(2 << 20);
  for (const int n : reads) {
    if (Get(cache, Key(n)).found == Found::kMiss) Fill(cache, Key(n), std::string(100, 'v'));
  }
  const HotCache::Stats stats = cache.GetStats();
  Lru lru(stats.entries);
  uint64_t lru_hits = 0;
  for (const int n : reads) lru_hits += lru.Read(n);
  EXPECT_GT(stats.hits, lru_hits);
  EXPECT_LT(stats.entries, 15000u);
}

// The cache against a plain map: it may forget, but what it says must be what the map holds.
// `hash` may be as poor as it likes: collisions are then the rule.
void CompareWithModel(size_t capacity, const std::function<uint64_t(std::string_view)>& hash,
                      int steps) {
  struct Record {
    std::string value;
    uint64_t expiry_ms;
  };
  std::map<std::string, Record> store;
  HotCache cache(capacity);
  std::mt19937 random(42);
  uint64_t now_ms = 1000;
  int answered = 0;
  int fillable = 0;
  const auto some_key = [&] { return Key(static_cast<int>(random() % 400)); };
  const auto some_record = [&] {
    return Record{std::string(random() % 200, static_cast<char>('a' + random() % 26)),
                  random() % 4 == 0 ? now_ms + random() % 500 : 0};
  };
  for (int step = 0; step < steps; ++step, ++now_ms) {
    const unsigned dice = random() % 100;
    if (dice < 70) {
      const std::string key = some_key();
      const auto record = store.find(key);
      Answer answer;
      answer.found = cache.Get(
          key, hash(key), [&] { return now_ms; },
          [&answer](std::string_view value, uint64_t expiry_ms) {
            answer.value = value;
            answer.expiry_ms = expiry_ms;
          });
      const bool live = record != store.end() &&
                        (record->second.expiry_ms == 0 || now_ms < record->second.expiry_ms);
      if (answer.found == Found::kMiss) {
        const auto ticket = cache.BeginFill(hash(key));
        ASSERT_TRUE(ticket.can_fill());
        const bool filled =
            record != store.end()
                ? cache.Fill(key, hash(key), ticket, record->second.value, record->second.expiry_ms)
                : cache.FillAbsent(key, hash(key), ticket);
        ASSERT_TRUE(filled);
        ++fillable;
      } else if (live) {
        ASSERT_EQ(answer, (Answer{Found::kValue, record->second.value, record->second.expiry_ms}));
        ++answered;
      } else {
        ASSERT_EQ(answer, kNegative);
        ++answered;
      }
    } else if (dice < 98) {
      std::vector<std::pair<std::string, std::optional<Record>>> group(1 + random() % 6);
      for (auto& [key, record] : group) {
        key = some_key();
        if (random() % 3 != 0) record = some_record();
        cache.BeginWrite(key, hash(key));
      }
      if (random() % 10 == 0) {
        cache.AbandonWrite();
        continue;
      }
      for (const auto& [key, record] : group) {
        if (record) {
          store[key] = *record;
        } else {
          store.erase(key);
        }
      }
      if (cache.HasPending() && random() % 10 != 0) {
        for (auto op = group.rbegin(); op != group.rend(); ++op) {
          const auto& [key, record] = *op;
          if (record) {
            cache.Publish(key, hash(key), record->value, record->expiry_ms);
          } else {
            cache.PublishAbsent(key, hash(key));
          }
        }
      }
      cache.EndWrite();
    } else if (random() % 20 == 0) {
      cache.BeginClear();
      store.clear();
      cache.EndClear();
    }
  }
  const auto stats = cache.GetStats();
  EXPECT_EQ(stats.hits + stats.negative_hits, static_cast<uint64_t>(answered));
  EXPECT_EQ(stats.misses, static_cast<uint64_t>(fillable));
  EXPECT_GT(answered, steps / 10);
}

TEST(HotCacheModelTest, AgreesWithAMap) { CompareWithModel(1 << 20, HashKey, 100000); }

TEST(HotCacheModelTest, AgreesWithAMapWhileEvicting) {
  CompareWithModel(24 << 10, HashKey, 100000);
}

TEST(HotCacheModelTest, AgreesWithAMapWhenHashesCollide) {
  CompareWithModel(
      1 << 20, [](std::string_view key) { return HashKey(key) & 7; }, 50000);
  // At the end of the tag's range, so that runs of slots wrap around.
  CompareWithModel(
      24 << 10, [](std::string_view key) { return (HashKey(key) & 3) | 0xffffc; }, 50000);
}

}  // namespace
}  // namespace thermocline
