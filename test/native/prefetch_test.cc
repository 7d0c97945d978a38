// Predictive prefetch in an engine: what is read ahead is in the cache before it is asked for, and
// never anything but what the store holds at that moment. A model, and a race against writes,
// deletes, expiry, range deletes and migration. THERMOCLINE_PREFETCH_SECONDS sets how long the race
// lasts, THERMOCLINE_SEED where the random numbers begin.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tier_fixture.h"

namespace thermocline {
namespace {

using test::Cached;
using test::Delete;
using test::DeleteRange;
using test::Get;
using test::GetMany;
using test::IsOk;
using test::Migrate;
using test::PackedWrites;
using test::Put;
using test::Write;

using namespace std::chrono_literals;

std::string KeyOf(int i) { return "key" + std::to_string(100 + i); }

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

// The store answers out of memory here, so that it would never pay.
EngineOptions Prefetching(EngineOptions options) {
  options.prefetch_sequence = true;
  options.prefetch_rests = false;
  options.memory.prefetch = kMiB;
  return options;
}

class PrefetchTest : public test::TierTest {
 protected:
  // Drops everything that is cached.
  void EmptyCache() { ASSERT_THAT(DeleteRange(engine(), "none", "nonf"), IsOk()); }
  void Walk(int from, int to) {
    for (int i = from; i < to; i++) (void)Get(engine(), KeyOf(i));
  }
  // Twice from an empty cache, which is what it takes.
  void Learn(int from, int to) {
    for (int times = 0; times < 2; times++) {
      EmptyCache();
      Walk(from, to);
      for (int i = 0; i < 10; i++) (void)Get(engine(), "other" + std::to_string(other_++));
    }
    EmptyCache();
  }
  void AwaitFetched(uint64_t count) {
    const auto limit = std::chrono::steady_clock::now() + 60s;
    while (stats().tally.fetched < count || engine()->prefetcher()->waiting() > 0) {
      ASSERT_LT(std::chrono::steady_clock::now(), limit) << stats().tally.fetched << " fetched";
      std::this_thread::sleep_for(1ms);
    }
  }
  SequencePrefetcher::Stats stats() { return engine()->prefetcher()->GetStats(); }

  int other_ = 0;
};

TEST_F(PrefetchTest, IsThereOnlyWhereItIsAskedFor) {
  Open();
  EXPECT_EQ(engine()->prefetcher(), nullptr);
  EXPECT_FALSE(engine()->Gauges().prefetch.has_value());
  Reopen(Prefetching(test::SmallOptions(0)));
  ASSERT_TRUE(engine()->Gauges().prefetch.has_value());
  EXPECT_LE(engine()->Gauges().prefetch->memory_bytes, kMiB);
}

TEST_F(PrefetchTest, TheNextRecordsAreInTheCacheBeforeTheyAreAskedFor) {
  Open(Prefetching(test::SmallOptions()));
  for (int i = 0; i < 20; i++) ASSERT_THAT(Put(engine(), KeyOf(i), "v" + KeyOf(i)), IsOk());
  Learn(0, 20);
  const uint64_t before = stats().tally.fetched;
  EXPECT_EQ(Get(engine(), KeyOf(0)), "v" + KeyOf(0));
  AwaitFetched(before + 6);
  const uint64_t used = stats().tally.used;
  for (int i = 1; i <= 6; i++) EXPECT_EQ(Cached(engine(), KeyOf(i)), "value v" + KeyOf(i));
  EXPECT_EQ(stats().tally.used, used + 6);
}

TEST_F(PrefetchTest, RecordsOfColderTiersAreReadAheadAndNotCountedAsReads) {
  OpenTiered(Prefetching(test::TieredOptions()));
  for (int i = 0; i < 20; i++) ASSERT_THAT(Put(engine(), KeyOf(i), "v" + KeyOf(i)), IsOk());
  Migrate(engine(), 0, 2);
  Learn(0, 20);
  const uint64_t before = stats().tally.fetched;
  AwaitFetched(before);
  const auto reads = [&] {
    const TierReport report = engine()->ReportTiers();
    uint64_t sum = report.absent;
    for (const TierFigures& tier : report.tiers) sum += tier.found;
    return sum;
  };
  EmptyCache();
  const uint64_t read = reads();
  const uint64_t fetched = stats().tally.fetched;
  EXPECT_EQ(GetMany(engine(), {KeyOf(0)})[0], "v" + KeyOf(0));
  AwaitFetched(fetched + 6);
  EXPECT_EQ(reads(), read + 1);
  EXPECT_EQ(Cached(engine(), KeyOf(6)), "value v" + KeyOf(6));
}

TEST_F(PrefetchTest, DeletedAndExpiredRecordsAreReadAheadAsAbsent) {
  OpenTiered(Prefetching(test::TieredOptions()));
  for (int i = 0; i < 8; i++) ASSERT_THAT(Put(engine(), KeyOf(i), "v"), IsOk());
  Migrate(engine(), 0, 2);
  Learn(0, 8);
  ASSERT_THAT(Delete(engine(), KeyOf(1)), IsOk());
  ASSERT_THAT(Put(engine(), KeyOf(2), "expired", 1), IsOk());
  const uint64_t soon = engine()->clock().NowMs() + 200;
  ASSERT_THAT(Put(engine(), KeyOf(3), "expires", soon), IsOk());
  EmptyCache();
  const uint64_t before = stats().tally.fetched;
  (void)Get(engine(), KeyOf(0));
  AwaitFetched(before + 6);
  EXPECT_EQ(Cached(engine(), KeyOf(1)), "absent");
  EXPECT_EQ(Cached(engine(), KeyOf(2)), "absent");
  while (engine()->clock().NowMs() < soon) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(Cached(engine(), KeyOf(3)), "absent");
  EXPECT_EQ(Cached(engine(), KeyOf(4)), "value v");
}

TEST_F(PrefetchTest, ABatchPredictsWhatComesAfterIt) {
  Open(Prefetching(test::SmallOptions()));
  for (int i = 0; i < 8; i++) ASSERT_THAT(Put(engine(), KeyOf(i), "v"), IsOk());
  const auto batch = [&](int from, int to) {
    std::vector<std::string> keys;
    for (int i = from; i < to; i++) keys.push_back(KeyOf(i));
    return GetMany(engine(), keys);
  };
  for (int times = 0; times < 3; times++) {
    EmptyCache();
    batch(0, 3);
    batch(3, 6);
    for (int i = 0; i < 10; i++) (void)Get(engine(), "other" + std::to_string(other_++));
  }
  AwaitFetched(0);
  EmptyCache();
  const uint64_t before = stats().tally.fetched;
  batch(0, 3);
  AwaitFetched(before + 3);
  for (int i = 3; i < 6; i++) EXPECT_EQ(Cached(engine(), KeyOf(i)), "value v");
}

TEST_F(PrefetchTest, ReadsOfASnapshotTeachNothing) {
  Open(Prefetching(test::SmallOptions()));
  for (int i = 0; i < 8; i++) ASSERT_THAT(Put(engine(), KeyOf(i), "v"), IsOk());
  const auto view = engine()->NewView();
  for (int i = 0; i < 100; i++) (void)Get(engine(), KeyOf(i % 8), view.get());
  EXPECT_EQ(stats().tally.observed, 0u);
}

TEST_F(PrefetchTest, WhatIsThereOrFrozenIsLeftAlone) {
  Open(Prefetching(test::SmallOptions(1)));
  ASSERT_THAT(Put(engine(), KeyOf(0), "v"), IsOk());
  const uint64_t hash = HashKey(KeyOf(0));
  EXPECT_TRUE(engine()->reader().FetchAhead(KeyOf(0), hash));
  EXPECT_FALSE(engine()->reader().FetchAhead(KeyOf(0), hash)) << "it is there";
  SnapshotControl control;
  ASSERT_THAT(engine()->freezer()->Freeze(0, &control), IsOk());
  EXPECT_FALSE(engine()->reader().FetchAhead(KeyOf(0), hash)) << "nobody asked for a thaw";
}

TEST_F(PrefetchTest, TheEngineClosesWhileRecordsAreBeingReadAhead) {
  for (int round = 0; round < 5; round++) {
    Reopen(Prefetching(test::SmallOptions(round == 0 ? 4 : 0)));
    for (int i = 0; i < 50; i++) ASSERT_THAT(Put(engine(), KeyOf(i), "v"), IsOk());
    for (int times = 0; times < 3; times++) {
      EmptyCache();
      Walk(0, 50);
    }
    Close();
  }
}

// ---- the model
// -----------------------------------------------------------------------------------

TEST_F(PrefetchTest, ReadsEqualAMapWhateverIsReadAhead) {
  const uint64_t seed = FromEnvironment("THERMOCLINE_SEED", std::random_device()());
  SCOPED_TRACE("THERMOCLINE_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t n) { return static_cast<int>(random() % n); };
  struct Entry {
    std::string value;
    uint64_t expiry_ms;
  };
  std::map<std::string, Entry> model;
  EngineOptions options = Prefetching(test::TieredOptions());
  options.memory.hot_cache = 6000;  // about half of the records
  OpenTiered(options);
  options.shards = 0;
  constexpr int kKeys = 64;
  int values = 0;
  uint64_t used = 0;
  for (int step = 0; step < 800 && !HasFailure(); step++) {
    const int kind = below(100);
    const std::string key = KeyOf(below(kKeys));
    if (kind < 18) {
      const uint64_t expiry =
          below(4) == 0 ? engine()->clock().NowMs() + static_cast<uint64_t>(below(10)) : 0;
      const Entry entry{"v" + std::to_string(values++) + std::string(random() % 80, 'x'), expiry};
      ASSERT_THAT(Put(engine(), key, entry.value, expiry), IsOk());
      model[key] = entry;
    } else if (kind < 24) {
      ASSERT_THAT(Delete(engine(), key), IsOk());
      model.erase(key);
    } else if (kind < 27) {
      const std::string end = KeyOf(below(kKeys));
      ASSERT_THAT(DeleteRange(engine(), key, end), IsOk());
      if (key < end) model.erase(model.lower_bound(key), model.lower_bound(end));
    } else if (kind < 29) {
      const int from = below(3);
      Migrate(engine(), from, (from + 1 + below(2)) % 3);
    } else if (kind == 29 && below(4) == 0) {
      used += stats().tally.used;
      Reopen(options);
    } else if (kind == 30 && below(2) == 0) {
      ASSERT_THAT(engine()->Flush(), IsOk());
    } else {
      // A walk along the keys, which is what can be learned.
      std::vector<std::string> keys;
      const int from = below(8) * 8;
      for (int i = 0; i < 8; i++) keys.push_back(KeyOf(from + i));
      const uint64_t before = engine()->clock().NowMs();
      std::vector<std::optional<std::string>> found;
      if (kind < 50) {
        found = GetMany(engine(), keys);
      } else {
        for (const std::string& each : keys) {
          found.push_back(Get(engine(), each));
          if (found.size() == 1 && below(2) == 0) AwaitFetched(0);
        }
      }
      const uint64_t after = engine()->clock().NowMs();
      for (size_t i = 0; i < keys.size(); i++) {
        const auto entry = model.find(keys[i]);
        std::optional<std::string> expected;
        if (entry != model.end()) {
          const uint64_t expiry = entry->second.expiry_ms;
          if (expiry > before && expiry <= after) continue;  // may be read either way
          if (expiry == 0 || expiry > after) expected = entry->second.value;
        }
        ASSERT_EQ(found[i], expected) << keys[i] << " in step " << step;
      }
    }
  }
  EXPECT_GT(used + stats().tally.used, 20u) << "it would prove little";
}

// ---- the race
// ------------------------------------------------------------------------------------

// Versions of a key rise by one; what a version is follows from it.
constexpr int kRacing = 32;
enum class Kind { kValue, kDelete, kExpires };
Kind KindOf(uint64_t version) {
  if (version == 0 || version % 5 == 4) return Kind::kDelete;
  return version % 5 == 2 ? Kind::kExpires : Kind::kValue;
}

class PrefetchRaceTest : public PrefetchTest {
 protected:
  void Read(uint32_t seed) {
    std::minstd_rand random(seed);
    std::array<uint64_t, kRacing> seen{};
    while (!stop_ && !HasFailure()) {
      const int from = static_cast<int>(random() % 4) * 8;
      if (random() % 4 == 0) {
        std::vector<std::string> keys;
        std::array<uint64_t, 8> floors;
        for (int i = 0; i < 8; i++) {
          keys.push_back(KeyOf(from + i));
          floors[i] = FloorOf(from + i, seen);
        }
        const uint64_t clock = engine()->clock().NowMs();
        const auto found = GetMany(engine(), keys);
        for (int i = 0; i < 8; i++) Check(from + i, floors[i], clock, found[i], &seen);
      } else {
        for (int i = from; i < from + 8; i++) {
          const uint64_t floor = FloorOf(i, seen);
          const uint64_t clock = engine()->clock().NowMs();
          Check(i, floor, clock, Get(engine(), KeyOf(i)), &seen);
        }
      }
    }
  }

  uint64_t FloorOf(int key, const std::array<uint64_t, kRacing>& seen) const {
    return std::max(seen[key], acknowledged_[key].load(std::memory_order_acquire));
  }

  // `clock`: from before the read.
  void Check(int key, uint64_t floor, uint64_t clock, const std::optional<std::string>& found,
             std::array<uint64_t, kRacing>* seen) {
    const uint64_t issued = issued_[key].load(std::memory_order_acquire);
    if (found) {
      uint64_t version = 0;
      uint64_t expiry = 0;
      ASSERT_EQ(std::sscanf(found->c_str(), "%lu %lu", &version, &expiry), 2) << *found;
      ASSERT_GE(version, floor) << "an older value of " << KeyOf(key) << " came back";
      ASSERT_LE(version, issued);
      if (expiry != 0) {
        ASSERT_GT(expiry, clock) << "an expired value of " << KeyOf(key);
      }
      (*seen)[key] = version;
      return;
    }
    // The oldest version that explains it.
    uint64_t version = floor;
    while (KindOf(version) == Kind::kValue) version++;
    ASSERT_LE(version, issued) << KeyOf(key) << " is absent since version " << floor;
    (*seen)[key] = version;
  }

  void WriteSome(std::minstd_rand* random) {
    PackedWrites writes;
    std::vector<std::pair<int, uint64_t>> written;
    for (auto n = 1 + (*random)() % 3; n > 0; n--) {
      const int key = static_cast<int>((*random)() % kRacing);
      const uint64_t version = issued_[key].load(std::memory_order_relaxed) + 1;
      const uint64_t expiry =
          KindOf(version) == Kind::kExpires ? engine()->clock().NowMs() + (*random)() % 4 : 0;
      if (KindOf(version) == Kind::kDelete) {
        writes.Delete(KeyOf(key));
      } else {
        const std::string value = std::to_string(version) + " " + std::to_string(expiry) + " " +
                                  std::string((*random)() % 60, 'v');
        writes.Put(KeyOf(key), value, expiry);
      }
      issued_[key].store(version, std::memory_order_release);
      written.emplace_back(key, version);
    }
    ASSERT_THAT(Write(engine(), writes), IsOk());
    for (const auto& [key, version] : written) {
      acknowledged_[key].store(version, std::memory_order_release);
    }
  }

  std::array<std::atomic<uint64_t>, kRacing> issued_{};
  std::array<std::atomic<uint64_t>, kRacing> acknowledged_{};
  std::atomic<bool> stop_{false};
};

TEST_F(PrefetchRaceTest, NoReadIsOlderThanAnAcknowledgedWriteOrExpired) {
  EngineOptions options = Prefetching(test::TieredOptions());
  options.memory.hot_cache = 3000;  // about half of the records
  OpenTiered(options);
  const auto seconds = FromEnvironment("THERMOCLINE_PREFETCH_SECONDS", 1);
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < 3; i++) threads.emplace_back([this, i] { Read(i + 1); });
  threads.emplace_back([this] {
    for (int from = 0; !stop_ && !HasFailure(); from = (from + 1) % 3) {
      Migrate(engine(), from, (from + 1) % 3);
      std::this_thread::sleep_for(1ms);
    }
  });
  const auto began = std::chrono::steady_clock::now();
  std::minstd_rand random(static_cast<uint32_t>(FromEnvironment("THERMOCLINE_SEED", 1)));
  // The test would prove little if hardly anything raced. On a busy machine, or under TSan, that
  // takes longer.
  const auto raced_enough = [this] {
    const PrefetchTally tally = stats().tally;
    return tally.used > 50 && tally.late > 10 && tally.unused > 5;
  };
  for (auto now = began; !HasFailure() && (now < began + std::chrono::seconds(seconds) ||
                                           (now < began + 60s && !raced_enough()));
       now = std::chrono::steady_clock::now()) {
    WriteSome(&random);
    if (random() % 64 == 0) EmptyCache();
  }
  stop_ = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(raced_enough()) << stats().tally.used << " used, " << stats().tally.late << " late, "
                              << stats().tally.unused << " unused";
}

}  // namespace
}  // namespace thermocline
