// Point reads through a real store: single keys and batches, with and without the hot cache.

#include "engine/read/point_reader.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine_fixture.h"
#include "raw_store.h"

namespace thermocline {
namespace {

using test::BatchOf;
using test::Cached;
using test::Delete;
using test::Get;
using test::GetMany;
using test::HasCode;
using test::IsOk;
using test::PackedWrites;
using test::Put;
using test::RawStore;
using test::ResultsOf;
using test::RunBatch;
using test::SmallOptions;
using test::Write;

constexpr uint64_t kPast = 1'000'000'000'000;         // September 2001
constexpr uint64_t kFarFuture = 100'000'000'000'000;  // the year 5138

class PointReaderTest : public test::EngineTest {
 protected:
  static EngineOptions WithoutHotCache(int shards = 4) {
    EngineOptions options = SmallOptions(shards);
    options.memory.hot_cache = 0;
    return options;
  }
  // Writes stored values as they are, behind the engine's back.
  void PutStored(const std::vector<std::pair<std::string, std::string>>& records) {
    Close();
    RawStore raw(hot_);
    const ShardTable table = ShardTable::Equal(4);
    for (const auto& [key, stored] : records) {
      const ShardInfo& shard = table.shards()[static_cast<size_t>(table.IndexOfKey(key))];
      raw.Put(ShardColumnFamilyName(shard.id, shard.generation), key, stored);
    }
  }
};

std::string Key(int i) { return "key" + std::to_string(i); }

TEST_F(PointReaderTest, KeysOfEveryShardAreFoundAndOthersAreNot) {
  Open(SmallOptions(16));
  PackedWrites writes;
  for (int i = 0; i < 200; i += 2) writes.Put(Key(i), "value" + std::to_string(i));
  ASSERT_THAT(Write(engine(), writes), IsOk());
  for (int pass = 0; pass < 2; pass++) {  // from the store, then from the cache
    for (int i = 0; i < 200; i++) {
      const auto expected = i % 2 == 0 ? std::optional("value" + std::to_string(i)) : std::nullopt;
      EXPECT_EQ(Get(engine(), Key(i)), expected) << i;
    }
  }
}

TEST_F(PointReaderTest, EmptyKeysAndValuesAreKept) {
  Open();
  EXPECT_EQ(Get(engine(), ""), std::nullopt);
  ASSERT_THAT(Put(engine(), "", "of the empty key"), IsOk());
  ASSERT_THAT(Put(engine(), "empty", ""), IsOk());
  EXPECT_EQ(Get(engine(), ""), "of the empty key");
  EXPECT_EQ(Get(engine(), "empty"), "");
  EXPECT_EQ(GetMany(engine(), {"empty", "none", ""}),
            (std::vector<std::optional<std::string>>{"", std::nullopt, "of the empty key"}));
}

TEST_F(PointReaderTest, AMissFillsTheCacheWithTheValueOrItsAbsence) {
  Open();
  ASSERT_THAT(Put(engine(), "here", "value"), IsOk());
  EXPECT_EQ(Cached(engine(), "here"), "miss") << "a write fills nothing";
  EXPECT_EQ(Cached(engine(), "gone"), "miss");
  Get(engine(), "here");
  Get(engine(), "gone");
  EXPECT_EQ(Cached(engine(), "here"), "value value");
  EXPECT_EQ(Cached(engine(), "gone"), "absent");
  // From here on writes keep the entries right.
  ASSERT_THAT(Put(engine(), "gone", "back"), IsOk());
  ASSERT_THAT(Delete(engine(), "here"), IsOk());
  EXPECT_EQ(Cached(engine(), "gone"), "value back");
  EXPECT_EQ(Cached(engine(), "here"), "absent");
}

TEST_F(PointReaderTest, ABatchFillsTheCacheToo) {
  Open();
  ASSERT_THAT(Put(engine(), "one", "1"), IsOk());
  ASSERT_THAT(Put(engine(), "two", "2"), IsOk());
  const std::vector<std::optional<std::string>> expected = {"1", std::nullopt, "2"};
  EXPECT_EQ(GetMany(engine(), {"one", "none", "two"}), expected);
  EXPECT_EQ(Cached(engine(), "one"), "value 1");
  EXPECT_EQ(Cached(engine(), "none"), "absent");
  const auto batch = BatchOf({"one", "none", "two"});
  EXPECT_FALSE(RunBatch(engine(), batch)) << "all are cached: answered on the calling thread";
  EXPECT_EQ(ResultsOf(batch.get()), expected);
}

TEST_F(PointReaderTest, ABatchMayBeToldNotToAskTheCache) {
  Open();
  ASSERT_THAT(Put(engine(), "one", "1"), IsOk());
  Get(engine(), "one");
  const uint64_t hits = engine()->Snapshot().hot_cache_hits;
  const auto batch = BatchOf({"one"});
  batch->ask_cache = false;
  EXPECT_TRUE(RunBatch(engine(), batch));
  EXPECT_EQ(ResultsOf(batch.get()).at(0), "1");
  EXPECT_EQ(engine()->Snapshot().hot_cache_hits, hits);
}

TEST_F(PointReaderTest, ABatchWithoutKeysIsDoneAtOnce) {
  Open();
  const auto batch = BatchOf({});
  EXPECT_FALSE(RunBatch(engine(), batch));
  EXPECT_THAT(batch->status, IsOk());
  EXPECT_TRUE(batch->results.empty());
}

TEST_F(PointReaderTest, LargeBatchesComeBackInTheOrderAsked) {
  for (const int shards : {1, 4, 16}) {
    Close();
    std::filesystem::remove_all(location_);
    Open(WithoutHotCache(shards));
    constexpr int kRecords = 3000;
    PackedWrites writes;
    std::map<std::string, std::string> model;
    for (int i = 0; i < kRecords; i++) {
      const std::string value(static_cast<size_t>(i % 300), static_cast<char>('a' + i % 26));
      writes.Put(Key(i), value);
      model[Key(i)] = value;
    }
    ASSERT_THAT(Write(engine(), writes), IsOk());
    if (shards == 4) {
      ASSERT_THAT(engine()->Flush(), IsOk());
    }
    // Around the limits of chunks (32 and 128 keys), with absent and repeated keys.
    std::minstd_rand random(static_cast<uint32_t>(shards));
    for (const size_t count : {1, 2, 31, 32, 33, 64, 127, 128, 129, 1000, 5000}) {
      std::vector<std::string> keys;
      std::vector<std::optional<std::string>> expected;
      for (size_t i = 0; i < count; i++) {
        keys.push_back(Key(static_cast<int>(random() % (kRecords + kRecords / 4))));
        const auto found = model.find(keys.back());
        expected.push_back(found == model.end() ? std::nullopt : std::optional(found->second));
      }
      EXPECT_EQ(GetMany(engine(), keys), expected) << count << " of " << shards << " shards";
    }
  }
}

TEST_F(PointReaderTest, LargeValuesStandAloneInABatch) {
  Open();
  const std::string large(3 * kArenaBytes, 'L');
  const std::string limit(kStandaloneBytes, 'S');
  ASSERT_THAT(Write(engine(), PackedWrites().Put("large", large).Put("limit", limit)), IsOk());
  for (int pass = 0; pass < 2; pass++) {
    EXPECT_EQ(GetMany(engine(), {"limit", "large", "none", "limit"}),
              (std::vector<std::optional<std::string>>{limit, large, std::nullopt, limit}));
  }
}

TEST_F(PointReaderTest, PresenceIsToldWithoutCopying) {
  Open();
  ASSERT_THAT(Put(engine(), "here", std::string(1000, 'x')), IsOk());
  for (int pass = 0; pass < 2; pass++) {  // from the store, then from the cache
    const auto batch = BatchOf({"here", "gone"});
    batch->presence_only = true;
    EXPECT_EQ(RunBatch(engine(), batch), pass == 0);
    EXPECT_NE(batch->results[0].length, ResultRef::kAbsent);
    EXPECT_EQ(batch->results[1].length, ResultRef::kAbsent);
    EXPECT_TRUE(batch->arenas.arenas().empty()) << "nothing was copied";
  }
}

TEST_F(PointReaderTest, MalformedBatchesAreRefusedWithoutReading) {
  Open();
  struct Case {
    std::string packed;
    uint32_t count;
  };
  const std::vector<Case> cases = {
      {"", 1},  // a key is missing
      {"\x03"
       "ab",
       1},  // a key is cut
      {"\x02"
       "ab",
       2},                                              // one too few
      {std::string("\xff\xff\xff\xff\x0f", 5), 1},      // a length beyond everything
      {std::string("\xff\xff\xff\xff\xff\x01", 6), 1},  // no length at all
      {"\x80", 1},                                      // a length that is cut
  };
  for (const Case& c : cases) {
    auto batch = std::make_shared<ReadBatch>();
    batch->packed = TakeBlock(c.packed.size());
    std::copy(c.packed.begin(), c.packed.end(), batch->packed.get());
    batch->packed_size = c.packed.size();
    batch->count = c.count;
    EXPECT_FALSE(RunBatch(engine(), batch));
    EXPECT_THAT(batch->status, HasCode(Code::kInvalidArgument));
  }
}

// --- Expiry --------------------------------------------------------------------------------------

TEST_F(PointReaderTest, ExpiredRecordsReadAsMissing) {
  Open();
  ASSERT_THAT(Put(engine(), "past", "value", kPast), IsOk());
  ASSERT_THAT(Put(engine(), "future", "value", kFarFuture), IsOk());
  for (int pass = 0; pass < 2; pass++) {
    EXPECT_EQ(Get(engine(), "past"), std::nullopt);
    EXPECT_EQ(Get(engine(), "future"), "value");
    EXPECT_EQ(GetMany(engine(), {"future", "past"}),
              (std::vector<std::optional<std::string>>{"value", std::nullopt}));
  }
}

TEST_F(PointReaderTest, ACachedRecordExpiresToo) {
  Open();
  const uint64_t expiry = engine()->clock().NowMs() + 3'600'000;
  ASSERT_THAT(Put(engine(), "key", "value", expiry), IsOk());
  ASSERT_EQ(Get(engine(), "key"), "value");
  ASSERT_EQ(Cached(engine(), "key"), "value value");
  engine()->clock().RaiseTo(expiry - 1);
  EXPECT_EQ(Get(engine(), "key"), "value");
  engine()->clock().RaiseTo(expiry);
  EXPECT_EQ(Cached(engine(), "key"), "absent");
  EXPECT_EQ(GetMany(engine(), {"key"}).at(0), std::nullopt);
}

TEST_F(PointReaderTest, AViewReadsAtItsOwnClock) {
  Open();
  const uint64_t expiry = engine()->clock().NowMs() + 3'600'000;
  ASSERT_THAT(Put(engine(), "key", "value", expiry), IsOk());
  const auto before = engine()->NewView();
  engine()->clock().RaiseTo(expiry);
  const auto after = engine()->NewView();
  EXPECT_EQ(Get(engine(), "key", before.get()), "value");
  EXPECT_EQ(Get(engine(), "key", after.get()), std::nullopt);
  EXPECT_EQ(GetMany(engine(), {"key"}, before).at(0), "value");
  EXPECT_EQ(GetMany(engine(), {"key"}, after).at(0), std::nullopt);
  EXPECT_EQ(Get(engine(), "key"), std::nullopt);
}

// --- Views ---------------------------------------------------------------------------------------

TEST_F(PointReaderTest, AViewSeesItsMomentAndNeitherAsksNorFillsTheCache) {
  Open();
  ASSERT_THAT(Put(engine(), "changed", "old"), IsOk());
  ASSERT_THAT(Put(engine(), "deleted", "old"), IsOk());
  const auto view = engine()->NewView();
  ASSERT_THAT(Put(engine(), "changed", "new"), IsOk());
  ASSERT_THAT(Put(engine(), "added", "new"), IsOk());
  ASSERT_THAT(Delete(engine(), "deleted"), IsOk());
  for (int pass = 0; pass < 2; pass++) {
    EXPECT_EQ(Get(engine(), "changed", view.get()), "old");
    EXPECT_EQ(Get(engine(), "deleted", view.get()), "old");
    EXPECT_EQ(Get(engine(), "added", view.get()), std::nullopt);
    EXPECT_EQ(GetMany(engine(), {"added", "changed", "deleted"}, view),
              (std::vector<std::optional<std::string>>{std::nullopt, "old", "old"}));
    if (pass == 0) {
      for (const char* key : {"changed", "deleted", "added"}) {
        EXPECT_EQ(Cached(engine(), key), "miss") << key << ": a view fills nothing";
      }
      EXPECT_EQ(Get(engine(), "changed"), "new");
      EXPECT_EQ(Get(engine(), "added"), "new");
      EXPECT_EQ(Get(engine(), "deleted"), std::nullopt);
    }
  }
}

// --- Stored values that are not plain records ----------------------------------------------------

TEST_F(PointReaderTest, ADamagedEnvelopeIsCorruption) {
  Open();
  PutStored({{"empty", ""},
             {"unknown", "\x80value"},
             {"cut", std::string("\x02\x01\x02", 3)},
             {"good", std::string("\0value", 6)}});
  Open(SmallOptions(0));
  for (const char* key : {"empty", "unknown", "cut"}) {
    bool found = true;
    EXPECT_THAT(engine()->reader().Get(key, HashKey(key), nullptr, &found, [](auto) {}),
                HasCode(Code::kCorruption))
        << key;
    EXPECT_FALSE(found);
    const auto batch = BatchOf({"good", key, "none"});
    batch->ask_cache = false;
    RunBatch(engine(), batch);
    EXPECT_THAT(batch->status, HasCode(Code::kCorruption)) << key;
    EXPECT_EQ(batch->results[0].length, 5u) << "what can be read is read";
    EXPECT_EQ(batch->results[1].length, ResultRef::kFailed);
    EXPECT_EQ(batch->results[2].length, ResultRef::kAbsent);
  }
  EXPECT_EQ(Get(engine(), "good"), "value");
}

TEST_F(PointReaderTest, MarkersReadAsMissingAndCleanCopiesAsRecords) {
  Open();
  PutStored({{"marker", "\x01"}, {"copy", "\x04value"}});
  Open(SmallOptions(0));
  for (int pass = 0; pass < 2; pass++) {
    EXPECT_EQ(Get(engine(), "marker"), std::nullopt);
    EXPECT_EQ(GetMany(engine(), {"marker", "copy"}),
              (std::vector<std::optional<std::string>>{std::nullopt, "value"}));
    EXPECT_EQ(Get(engine(), "copy"), "value");
  }
}

TEST_F(PointReaderTest, ADamagedTableIsCorruptionForOneKeyAndForABatch) {
  Open(WithoutHotCache());
  PackedWrites writes;
  for (int i = 0; i < 100; i++) writes.Put(Key(i), "value");
  ASSERT_THAT(Write(engine(), writes), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  Close();
  ASSERT_GT(test::DamageTables(hot_), 0);
  Open(WithoutHotCache(0));
  bool found = true;
  EXPECT_THAT(engine()->reader().Get(Key(1), HashKey(Key(1)), nullptr, &found, [](auto) {}),
              HasCode(Code::kCorruption));
  EXPECT_FALSE(found);
  const auto batch = BatchOf({Key(1), Key(2), Key(3), Key(4), Key(5)});
  RunBatch(engine(), batch);
  EXPECT_THAT(batch->status, HasCode(Code::kCorruption));
}

// --- I9 ------------------------------------------------------------------------------------------

// Versions of a few keys only ever rise. Readers, by every way of reading, must never see one fall,
// nor one older than what was acknowledged before they began.
TEST_F(PointReaderTest, NoReaderSeesAVersionGoBackwards) {
  Open();
  constexpr int kKeys = 8;
  constexpr int kVersions = 1500;
  constexpr int kAbsent = -1;
  std::array<std::atomic<int>, kKeys> acknowledged{};
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> reads{0};
  const auto version_of = [](const std::optional<std::string>& value) {
    return value ? std::stoi(*value) : kAbsent;
  };

  std::vector<std::thread> threads;
  for (uint32_t reader = 0; reader < 3; reader++) {
    threads.emplace_back([&, reader] {
      std::array<int, kKeys> seen{};
      std::minstd_rand random(reader + 1);
      while (!stop) {
        std::array<int, kKeys> floor{};
        for (int i = 0; i < kKeys; i++) floor[i] = std::max(seen[i], acknowledged[i].load());
        const auto check = [&](int i, const std::optional<std::string>& value) {
          const int version = version_of(value);
          if (version == kAbsent) {
            // Never written, or deleted by some tenth version from the floor on.
            seen[i] = (floor[i] + 9) / 10 * 10;
          } else {
            ASSERT_GT(version, 0) << "a value overwritten within its own commit was seen";
            ASSERT_GE(version, floor[i]) << "key " << i;
            seen[i] = version;
          }
        };
        if (reader == 0) {
          const int i = static_cast<int>(random() % kKeys);
          check(i, Get(engine(), Key(i)));
        } else {
          std::vector<std::string> keys;
          for (int i = 0; i < kKeys; i++) keys.push_back(Key(i));
          const auto batch = BatchOf(keys);
          batch->ask_cache = reader == 1;
          RunBatch(engine(), batch);
          const auto results = ResultsOf(batch.get());
          for (int i = 0; i < kKeys; i++) check(i, results[static_cast<size_t>(i)]);
        }
        if (HasFatalFailure()) return;
        reads++;
      }
    });
  }
  std::minstd_rand random(99);
  for (int version = 1; version <= kVersions || (reads < 300 && !HasFailure()); version++) {
    PackedWrites writes;
    const int first = static_cast<int>(random() % kKeys);
    const int count = 1 + static_cast<int>(random() % 3);
    for (int n = 0; n < count; n++) {
      const std::string key = Key((first + n) % kKeys);
      if (version % 10 == 0) {
        writes.Delete(key);
      } else {
        writes.Put(key, "0");  // overwritten within its own commit: nobody may see it
        writes.Put(key, std::to_string(version));
      }
    }
    ASSERT_THAT(Write(engine(), writes), IsOk());
    for (int n = 0; n < count; n++) acknowledged[(first + n) % kKeys] = version;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace thermocline
