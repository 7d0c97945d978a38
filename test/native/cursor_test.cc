// Ordered walks, compared with a std::map over random data, bounds, limits and seeks.

#include "engine/read/cursor.h"

#include <algorithm>
#include <atomic>
#include <latch>
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

using test::Await;
using test::Decode;
using test::Delete;
using test::HasCode;
using test::IsOk;
using test::PackedWrites;
using test::Put;
using test::RawStore;
using test::Record;
using test::Scan;
using test::SmallOptions;
using test::TakeAll;
using test::TakeChunk;
using test::Write;

using Model = std::map<std::string, std::string>;

constexpr uint64_t kPast = 1'000'000'000'000;
constexpr uint64_t kFarFuture = 100'000'000'000'000;

// Short keys over few letters: many are prefixes of each other, and random bounds often hit one.
std::string RandomKey(std::minstd_rand& random) {
  std::string key(random() % 5, '\0');
  static const std::string letters("ab\0\xff{", 5);
  for (char& c : key) c = letters[random() % letters.size()];
  return key;
}

std::vector<Record> Expected(const Model& model, const CursorOptions& options) {
  std::vector<Record> records;
  for (const auto& [key, value] : model) {
    if (options.has_lower && key < options.lower) continue;
    if (options.has_upper && key >= options.upper) continue;
    records.emplace_back(options.keys ? key : "", options.values ? value : "");
  }
  if (options.reverse) std::reverse(records.begin(), records.end());
  if (records.size() > options.limit) records.resize(options.limit);
  return records;
}

std::vector<std::string> KeysOf(const std::vector<Record>& records) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : records) keys.push_back(key);
  return keys;
}

class CursorTest : public test::EngineTest {
 protected:
  // Random records, some overwritten, deleted or expired; partly in tables, partly in memtables.
  void Fill(uint32_t seed, int records, Model* model) {
    std::minstd_rand random(seed);
    for (int i = 0; i < records; i++) {
      PackedWrites writes;
      const std::string key = RandomKey(random);
      switch (random() % 8) {
        case 0:
          writes.Delete(key);
          model->erase(key);
          break;
        case 1:
          writes.Put(key, "expired", kPast);
          model->erase(key);
          break;
        default: {
          const std::string value(random() % 50, static_cast<char>('a' + i % 26));
          writes.Put(key, value, random() % 4 == 0 ? kFarFuture : 0);
          (*model)[key] = value;
        }
      }
      ASSERT_THAT(Write(engine(), writes), IsOk());
      if (i == records / 3 || i == records / 2) {
        ASSERT_THAT(engine()->Flush(), IsOk());
      }
    }
  }

  std::shared_ptr<Cursor> NewCursor(CursorOptions options = {}) {
    return engine()->NewCursor(engine()->NewView(), std::move(options));
  }
};

CursorOptions RandomOptions(std::minstd_rand& random) {
  CursorOptions options;
  if (random() % 2 == 0) {
    options.has_lower = true;
    options.lower = RandomKey(random);
  }
  if (random() % 2 == 0) {
    options.has_upper = true;
    options.upper = RandomKey(random);
  }
  options.reverse = random() % 2 == 0;
  options.keys = random() % 8 != 0;
  options.values = random() % 4 != 0;
  options.fill_cache = random() % 2 == 0;
  if (random() % 3 == 0) options.limit = random() % 60;
  return options;
}

class CursorModelTest : public CursorTest, public testing::WithParamInterface<int> {};

TEST_P(CursorModelTest, RandomWalksMatchASortedMap) {
  Open(SmallOptions(GetParam()));
  Model model;
  Fill(static_cast<uint32_t>(GetParam()), 700, &model);
  ASSERT_GT(model.size(), 100u);
  std::minstd_rand random(17);
  for (int round = 0; round < 150; round++) {
    const CursorOptions options = RandomOptions(random);
    ASSERT_EQ(Scan(engine(), options), Expected(model, options))
        << "round " << round << " lower " << (options.has_lower ? options.lower : "-") << " upper "
        << (options.has_upper ? options.upper : "-") << " reverse " << options.reverse;
  }
}

TEST_P(CursorModelTest, SeeksBetweenTakesMatchASortedMap) {
  Open(SmallOptions(GetParam()));
  Model model;
  Fill(static_cast<uint32_t>(GetParam()) + 5, 700, &model);
  std::minstd_rand random(23);
  for (int round = 0; round < 80; round++) {
    CursorOptions options = RandomOptions(random);
    options.limit = UINT64_MAX;
    options.keys = true;
    const std::vector<Record> all = Expected(model, options);
    const auto cursor = NewCursor(options);
    size_t at = 0;  // what comes next
    for (int step = 0; step < 12; step++) {
      if (random() % 3 == 0) {
        const std::string target = RandomKey(random);
        cursor->Seek(target, 0);
        at = 0;
        while (at < all.size() &&
               (options.reverse ? all[at].first > target : all[at].first < target)) {
          at++;
        }
        if (random() % 4 == 0) continue;  // seek again at once
      }
      const Chunk chunk = TakeChunk(cursor.get(), static_cast<uint32_t>(random() % 100));
      ASSERT_THAT(chunk.status, IsOk());
      for (const Record& record : Decode(chunk)) {
        ASSERT_LT(at, all.size()) << "more than there is";
        ASSERT_EQ(record, all[at++]) << "round " << round << " step " << step;
      }
      if (chunk.last) {
        ASSERT_EQ(at, all.size()) << "ended too early";
      }
    }
    cursor->Close();
  }
}

INSTANTIATE_TEST_SUITE_P(Shards, CursorModelTest, testing::Values(1, 4, 16));

TEST_F(CursorTest, AnEmptyDatabaseEndsAtOnce) {
  Open();
  const auto cursor = NewCursor();
  const Chunk chunk = TakeChunk(cursor.get());
  EXPECT_TRUE(chunk.last);
  EXPECT_EQ(chunk.count, 0u);
  EXPECT_THAT(chunk.status, IsOk());
  const Chunk again = TakeChunk(cursor.get());
  EXPECT_TRUE(again.last) << "the end stays the end";
  EXPECT_EQ(again.count, 0u);
  cursor->Close();
}

TEST_F(CursorTest, EmptyAndInvertedRangesHoldNothing) {
  Open();
  ASSERT_THAT(Write(engine(), PackedWrites().Put("a", "1").Put("b", "2").Put("c", "3")), IsOk());
  const auto scan = [this](std::string lower, std::string upper, bool reverse) {
    CursorOptions options;
    options.has_lower = options.has_upper = true;
    options.lower = std::move(lower);
    options.upper = std::move(upper);
    options.reverse = reverse;
    return Scan(engine(), options);
  };
  for (const bool reverse : {false, true}) {
    EXPECT_TRUE(scan("b", "b", reverse).empty());
    EXPECT_TRUE(scan("c", "a", reverse).empty());
    EXPECT_TRUE(scan("bb", "bc", reverse).empty());
    EXPECT_TRUE(scan("d", "e", reverse).empty());
    EXPECT_TRUE(scan("", "", reverse).empty());
    EXPECT_EQ(scan("b", "c", reverse), (std::vector<Record>{{"b", "2"}}));
    EXPECT_EQ(scan("a", "d", reverse).size(), 3u);
  }
}

TEST_F(CursorTest, TheEmptyKeyComesFirst) {
  Open();
  ASSERT_THAT(Write(engine(), PackedWrites().Put("", "e").Put(std::string(1, '\0'), "z")), IsOk());
  EXPECT_EQ(Scan(engine()), (std::vector<Record>{{"", "e"}, {std::string(1, '\0'), "z"}}));
}

TEST_F(CursorTest, BytesOrderAsUnsigned) {
  Open();
  PackedWrites writes;
  std::vector<std::string> keys;
  for (int byte = 0; byte < 256; byte++) {
    keys.push_back(std::string(1, static_cast<char>(byte)));
    // The first eight bytes equal: the merge must look beyond them.
    keys.push_back("prefix88" + std::string(1, static_cast<char>(byte)));
  }
  for (const std::string& key : keys) writes.Put(key, "");
  ASSERT_THAT(Write(engine(), writes), IsOk());
  std::sort(keys.begin(), keys.end(), [](const std::string& a, const std::string& b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
      return static_cast<uint8_t>(x) < static_cast<uint8_t>(y);
    });
  });
  EXPECT_EQ(KeysOf(Scan(engine())), keys);
  std::reverse(keys.begin(), keys.end());
  CursorOptions reverse;
  reverse.reverse = true;
  EXPECT_EQ(KeysOf(Scan(engine(), reverse)), keys);
}

// --- Chunks --------------------------------------------------------------------------------------

TEST_F(CursorTest, ChunksBeginSmallAndGrow) {
  Open();
  PackedWrites writes;
  for (int i = 0; i < 20000; i++) writes.Put("key" + std::to_string(100000 + i), "v");
  ASSERT_THAT(Write(engine(), writes), IsOk());
  const auto cursor = NewCursor();
  std::vector<uint32_t> counts;
  for (;;) {
    const Chunk chunk = TakeChunk(cursor.get(), 1);
    counts.push_back(chunk.count);
    EXPECT_LE(chunk.block.size(), kArenaBytes);
    if (chunk.last) break;
  }
  cursor->Close();
  EXPECT_LE(counts.front(), 16u) << "ending early must be cheap";
  EXPECT_GT(*std::max_element(counts.begin(), counts.end()), 1000u);
  EXPECT_LE(*std::max_element(counts.begin(), counts.end()), 4096u);
  uint32_t total = 0;
  for (const uint32_t count : counts) total += count;
  EXPECT_EQ(total, 20000u);
}

TEST_F(CursorTest, WhatTheConsumerWantsIsAHintForTheFirstChunk) {
  Open();
  PackedWrites writes;
  for (int i = 0; i < 2000; i++) writes.Put("key" + std::to_string(10000 + i), "v");
  ASSERT_THAT(Write(engine(), writes), IsOk());
  const auto cursor = NewCursor();
  EXPECT_EQ(TakeChunk(cursor.get(), 1000).count, 1000u);
  cursor->Close();
}

TEST_F(CursorTest, ALimitNeverProducesMore) {
  Open();
  PackedWrites writes;
  for (int i = 0; i < 1000; i++) writes.Put("key" + std::to_string(10000 + i), "v");
  ASSERT_THAT(Write(engine(), writes), IsOk());
  for (const uint64_t limit : {0, 1, 15, 16, 17, 999, 1000, 1001}) {
    CursorOptions options;
    options.limit = limit;
    EXPECT_EQ(Scan(engine(), options).size(), std::min<uint64_t>(limit, 1000)) << limit;
  }
}

TEST_F(CursorTest, TheLimitGoesOnCountingOverSeeks) {
  Open();
  PackedWrites writes;
  for (int i = 0; i < 500; i++) writes.Put("key" + std::to_string(10000 + i), "v");
  ASSERT_THAT(Write(engine(), writes), IsOk());
  CursorOptions options;
  options.limit = 300;
  const auto cursor = NewCursor(options);
  const uint32_t first = TakeChunk(cursor.get(), 1).count;
  ASSERT_GT(first, 0u);
  ASSERT_LT(first, 300u);
  cursor->Seek("key", 0);
  EXPECT_EQ(TakeAll(cursor.get()).size(), 300 - first);
  cursor->Seek("key", 0);
  EXPECT_TRUE(TakeAll(cursor.get()).empty()) << "nothing is left of the limit";
  cursor->Close();
}

TEST_F(CursorTest, WhatTheConsumerDidNotUseDoesNotCount) {
  Open();
  PackedWrites writes;
  for (int i = 0; i < 500; i++) writes.Put("key" + std::to_string(10000 + i), "v");
  ASSERT_THAT(Write(engine(), writes), IsOk());
  CursorOptions options;
  options.limit = 300;
  const auto cursor = NewCursor(options);
  const uint32_t first = TakeChunk(cursor.get(), 1).count;
  ASSERT_GT(first, 2u);
  cursor->Seek("key", first - 2);
  EXPECT_EQ(TakeAll(cursor.get()).size(), 298u);
  CursorOptions unlimited;
  const auto all = NewCursor(unlimited);
  const uint32_t taken = TakeChunk(all.get(), 1).count;
  all->Seek("key", taken);
  EXPECT_EQ(TakeAll(all.get()).size(), 500u);
  cursor->Close();
  all->Close();
}

TEST_F(CursorTest, LargeRecordsAreChunksOfTheirOwn) {
  Open();
  Model model;
  PackedWrites writes;
  for (const size_t size :
       {size_t{0}, size_t{10}, kArenaBytes - 100, kArenaBytes - 20, kArenaBytes - 19,
        kArenaBytes - 12, kArenaBytes, kArenaBytes + 1, 4 * kArenaBytes, size_t{5}}) {
    const std::string key = "key" + std::to_string(model.size());
    model[key] = std::string(size, static_cast<char>('a' + model.size()));
    writes.Put(key, model[key]);
  }
  const std::string long_key(kMaxKeyBytes, 'k');  // as large as a chunk by itself
  model[long_key] = "value of a long key";
  writes.Put(long_key, model[long_key]);
  ASSERT_THAT(Write(engine(), writes), IsOk());
  for (const bool reverse : {false, true}) {
    CursorOptions options;
    options.reverse = reverse;
    EXPECT_EQ(Scan(engine(), options), Expected(model, options));
    options.values = false;
    EXPECT_EQ(Scan(engine(), options), Expected(model, options));
  }
  const auto cursor = NewCursor();
  for (;;) {
    const Chunk chunk = TakeChunk(cursor.get(), 100);
    EXPECT_TRUE(chunk.count <= 1 || chunk.block.size() <= kArenaBytes);
    if (chunk.last) break;
  }
  cursor->Close();
}

TEST_F(CursorTest, TheAsciiFlagSpeaksOfTheKeysOfItsChunk) {
  Open();
  PackedWrites writes;
  writes.Put("plain", "\xff\xff value bytes do not count").Put("pl\xc3\xa4in", "v");
  ASSERT_THAT(Write(engine(), writes), IsOk());
  const auto flag = [this](std::string lower, std::string upper, bool keys) {
    CursorOptions options;
    options.has_lower = options.has_upper = true;
    options.lower = std::move(lower);
    options.upper = std::move(upper);
    options.keys = keys;
    const auto cursor = NewCursor(options);
    const bool ascii = TakeChunk(cursor.get()).ascii_keys;
    cursor->Close();
    return ascii;
  };
  EXPECT_TRUE(flag("pla", "plb", true));
  EXPECT_FALSE(flag("pl\x80", "q", true));
  EXPECT_FALSE(flag("a", "z", true));
  EXPECT_TRUE(flag("a", "z", false)) << "no keys, no bytes above 0x7f";
}

TEST_F(CursorTest, KeysAloneAndValuesAlone) {
  Open();
  ASSERT_THAT(Write(engine(), PackedWrites().Put("a", "1").Put("b", "22")), IsOk());
  CursorOptions keys;
  keys.values = false;
  EXPECT_EQ(Scan(engine(), keys), (std::vector<Record>{{"a", ""}, {"b", ""}}));
  CursorOptions values;
  values.keys = false;
  EXPECT_EQ(Scan(engine(), values), (std::vector<Record>{{"", "1"}, {"", "22"}}));
  CursorOptions neither;
  neither.keys = neither.values = false;
  EXPECT_EQ(Scan(engine(), neither).size(), 2u) << "counting";
}

// --- What is not shown ---------------------------------------------------------------------------

TEST_F(CursorTest, ExpiryIsJudgedAtTheViewsClock) {
  Open();
  const uint64_t expiry = engine()->clock().NowMs() + 3'600'000;
  ASSERT_THAT(Put(engine(), "key", "value", expiry), IsOk());
  const auto before = engine()->NewCursor(engine()->NewView(), {});
  const auto view = engine()->NewView();
  engine()->clock().RaiseTo(expiry);
  EXPECT_EQ(TakeAll(before.get()).size(), 1u);
  const auto late = engine()->NewCursor(view, {});
  EXPECT_EQ(TakeAll(late.get()).size(), 1u) << "the view's clock, not the cursor's";
  EXPECT_TRUE(Scan(engine()).empty());
  before->Close();
  late->Close();
}

TEST_F(CursorTest, MarkersAreSkippedAndCleanCopiesShown) {
  Open();
  Close();
  {
    RawStore raw(hot_);
    raw.Put("shard_0000_00000000", "a marker", "\x01");
    raw.Put("shard_0000_00000000", "b copy", "\x04value");
  }
  Open(SmallOptions(0));
  EXPECT_EQ(Scan(engine()), (std::vector<Record>{{"b copy", "value"}}));
}

TEST_F(CursorTest, ADamagedEnvelopeEndsTheWalkWithCorruption) {
  Open();
  ASSERT_THAT(Put(engine(), "a", "good"), IsOk());
  Close();
  RawStore(hot_).Put("shard_0002_00000000", "b", "\x80unknown");
  Open(SmallOptions(0));
  const auto cursor = NewCursor();
  Status status;
  const std::vector<Record> records = TakeAll(cursor.get(), &status);
  EXPECT_THAT(status, HasCode(Code::kCorruption));
  EXPECT_LE(records.size(), 1u);
  cursor->Close();
}

// One shard cannot be read. However the walk goes, it must not pass for complete.
TEST_F(CursorTest, AShardThatCannotBeReadFailsTheWalk) {
  Open(SmallOptions(2));
  const ShardTable table = ShardTable::Equal(2);
  // Only the first shard has a table file to damage; the other stays readable in the log.
  PackedWrites first;
  PackedWrites second;
  int in_second = 0;
  for (int i = 0; i < 200; i++) {
    const std::string key = "key" + std::to_string(1000 + i);
    if (table.IndexOfKey(key) == 0) {
      first.Put(key, "value");
    } else {
      second.Put(key, "value");
      in_second++;
    }
  }
  ASSERT_GT(in_second, 20);
  ASSERT_THAT(Write(engine(), first), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(Write(engine(), second), IsOk());
  Close();
  ASSERT_GT(test::DamageTables(hot_), 0);
  Open(SmallOptions(0));

  for (const bool reverse : {false, true}) {
    for (const uint64_t limit : {uint64_t{10}, UINT64_MAX}) {
      CursorOptions options;
      options.reverse = reverse;
      options.limit = limit;
      const auto cursor = NewCursor(options);
      Status status;
      TakeAll(cursor.get(), &status);
      EXPECT_THAT(status, HasCode(Code::kCorruption))
          << "reverse " << reverse << " limit " << limit
          << ": records of the damaged shard are missing, and nobody says so";
      cursor->Close();
    }
  }
  const auto cursor = NewCursor();
  const Chunk chunk = TakeChunk(cursor.get());
  EXPECT_THAT(chunk.status, HasCode(Code::kCorruption)) << "already the first chunk has gaps";
  cursor->Close();
}

// --- Snapshots -----------------------------------------------------------------------------------

TEST_F(CursorTest, ACursorSeesTheMomentOfItsView) {
  Open();
  ASSERT_THAT(Write(engine(), PackedWrites().Put("a", "1").Put("b", "1")), IsOk());
  const auto view = engine()->NewView();
  ASSERT_THAT(Write(engine(), PackedWrites().Put("a", "2").Delete("b").Put("c", "2")), IsOk());
  const auto cursor = engine()->NewCursor(view, {});
  EXPECT_EQ(TakeAll(cursor.get()), (std::vector<Record>{{"a", "1"}, {"b", "1"}}));
  cursor->Seek("b", 0);
  EXPECT_EQ(TakeAll(cursor.get()), (std::vector<Record>{{"b", "1"}}));
  cursor->Close();
  EXPECT_EQ(Scan(engine()), (std::vector<Record>{{"a", "2"}, {"c", "2"}}));
}

// Every commit writes one number under all keys at once, over all shards: a walk that shows two
// numbers has torn a commit apart.
TEST_F(CursorTest, WalksDuringWritesNeverTearACommit) {
  Open(SmallOptions(8));
  constexpr int kKeys = 40;
  const auto commit = [this](int version) {
    PackedWrites writes;
    for (int i = 0; i < kKeys; i++) writes.Put("key" + std::to_string(i), std::to_string(version));
    return Write(engine(), writes);
  };
  ASSERT_THAT(commit(0), IsOk());
  std::atomic<bool> stop{false};
  std::atomic<int> walks{0};
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; r++) {
    readers.emplace_back([&, r] {
      int newest = 0;
      while (!stop) {
        CursorOptions options;
        options.reverse = r == 1;
        const std::vector<Record> records = Scan(engine(), options);
        ASSERT_EQ(records.size(), static_cast<size_t>(kKeys));
        for (const Record& record : records) ASSERT_EQ(record.second, records[0].second);
        const int version = std::stoi(records[0].second);
        ASSERT_GE(version, newest) << "a later view is older";
        newest = version;
        walks++;
      }
    });
  }
  for (int version = 1; version < 300 || (walks < 40 && !HasFailure()); version++) {
    ASSERT_THAT(commit(version), IsOk());
    if (version == 100) {
      ASSERT_THAT(engine()->Flush(), IsOk());
    }
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
}

// --- Closing, and being in the middle of things --------------------------------------------------

TEST_F(CursorTest, AClosedCursorSaysSo) {
  Open();
  ASSERT_THAT(Put(engine(), "key", "value"), IsOk());
  const auto cursor = NewCursor();
  cursor->Close();
  cursor->Close();
  const Chunk chunk = TakeChunk(cursor.get());
  EXPECT_TRUE(chunk.last);
  EXPECT_THAT(chunk.status, HasCode(Code::kClosed));
  cursor->Seek("key", 0);
  EXPECT_THAT(TakeChunk(cursor.get()).status, HasCode(Code::kClosed));
}

// Keeps every read thread busy until it is let go, so that what a cursor posts has to wait.
class BusyPool {
 public:
  explicit BusyPool(ThreadPool* pool) : started_(pool->threads()), gone_(pool->threads()) {
    for (int i = 0; i < pool->threads(); i++) {
      pool->Post([this] {
        started_.count_down();
        release_.wait();
        gone_.count_down();
      });
    }
    started_.wait();
  }
  ~BusyPool() {
    release_.count_down();
    gone_.wait();
  }

 private:
  std::latch started_;
  std::latch release_{1};
  std::latch gone_;
};

TEST_F(CursorTest, CloseAnswersAConsumerThatWaits) {
  Open();
  ASSERT_THAT(Put(engine(), "key", "value"), IsOk());
  const auto cursor = NewCursor();
  std::promise<void> ready;
  std::thread closer;
  {
    BusyPool busy(&engine()->read_pool());
    Chunk chunk;
    ASSERT_FALSE(cursor->Take(1, &chunk, [&ready] { ready.set_value(); }));
    closer = std::thread([&cursor] { cursor->Close(); });
  }
  Await(ready.get_future());  // by the chunk or by the closing, whichever came first
  closer.join();
  EXPECT_THAT(TakeChunk(cursor.get()).status, HasCode(Code::kClosed));
}

TEST_F(CursorTest, CloseWhileProducingWaitsAndIsSafe) {
  Open();
  PackedWrites writes;
  for (int i = 0; i < 5000; i++) writes.Put("key" + std::to_string(i), std::string(100, 'v'));
  ASSERT_THAT(Write(engine(), writes), IsOk());
  for (int round = 0; round < 50; round++) {
    const auto cursor = NewCursor();
    // The first chunk is handed out while the next ones are being filled.
    EXPECT_GT(TakeChunk(cursor.get(), 16).count, 0u);
    cursor->Close();
    EXPECT_THAT(TakeChunk(cursor.get()).status, HasCode(Code::kClosed));
  }
}

// A session that closes and a program that closes its iterator do so on two threads.
TEST_F(CursorTest, SeveralThreadsMayCloseAtOnce) {
  Open(SmallOptions(64));
  PackedWrites writes;
  for (int i = 0; i < 500; i++) writes.Put("key" + std::to_string(i), "value");
  ASSERT_THAT(Write(engine(), writes), IsOk());
  for (int round = 0; round < 100; round++) {
    const auto cursor = NewCursor();
    TakeChunk(cursor.get());
    constexpr int kClosers = 3;
    std::latch together(kClosers);
    std::vector<std::thread> closers;
    for (int i = 0; i < kClosers; i++) {
      closers.emplace_back([&] {
        together.arrive_and_wait();
        cursor->Close();
      });
    }
    for (std::thread& closer : closers) closer.join();
    ASSERT_THAT(TakeChunk(cursor.get()).status, HasCode(Code::kClosed));
  }
}

TEST_F(CursorTest, ASeekWhileProducingLeavesNothingOfThePast) {
  Open();
  PackedWrites writes;
  for (int i = 0; i < 3000; i++) writes.Put("a" + std::to_string(10000 + i), std::string(50, 'v'));
  for (int i = 0; i < 100; i++) writes.Put("b" + std::to_string(10000 + i), "v");
  ASSERT_THAT(Write(engine(), writes), IsOk());
  for (int round = 0; round < 40; round++) {
    const auto cursor = NewCursor();
    if (round % 2 == 0) TakeChunk(cursor.get(), 16);
    cursor->Seek("b", 0);
    const std::vector<Record> records = TakeAll(cursor.get());
    ASSERT_EQ(records.size(), 100u);
    EXPECT_EQ(records.front().first, "b10000");
    cursor->Close();
  }
}

TEST_F(CursorTest, ASeekAnswersAConsumerThatWaitedBefore) {
  Open();
  ASSERT_THAT(Write(engine(), PackedWrites().Put("a", "1").Put("b", "2")), IsOk());
  const auto cursor = NewCursor();
  std::promise<void> ready;
  {
    BusyPool busy(&engine()->read_pool());
    Chunk chunk;
    ASSERT_FALSE(cursor->Take(1, &chunk, [&ready] { ready.set_value(); }));
    cursor->Seek("b", 0);
  }
  Await(ready.get_future());
  EXPECT_EQ(TakeAll(cursor.get()), (std::vector<Record>{{"b", "2"}}));
  cursor->Close();
}

TEST_F(CursorTest, OnlyTheLastOfSeveralSeeksCounts) {
  Open();
  ASSERT_THAT(Write(engine(), PackedWrites().Put("a", "1").Put("b", "2").Put("c", "3")), IsOk());
  const auto cursor = NewCursor();
  cursor->Seek("a", 0);
  cursor->Seek("c", 0);
  cursor->Seek("b", 0);
  EXPECT_EQ(TakeAll(cursor.get()), (std::vector<Record>{{"b", "2"}, {"c", "3"}}));
  cursor->Seek("a", 0);
  EXPECT_EQ(TakeAll(cursor.get()).size(), 3u) << "an ended walk can be taken up again";
  cursor->Close();
}

TEST_F(CursorTest, ManyCursorsWalkAtOnce) {
  Open();
  Model model;
  Fill(77, 500, &model);
  std::vector<std::shared_ptr<Cursor>> cursors;
  std::vector<CursorOptions> options;
  std::minstd_rand random(5);
  for (int i = 0; i < 60; i++) {
    options.push_back(RandomOptions(random));
    cursors.push_back(NewCursor(options.back()));
  }
  // A chunk of each in turn, so that all are in the middle of their walk together.
  std::vector<std::vector<Record>> results(cursors.size());
  std::vector<bool> ended(cursors.size());
  for (size_t left = cursors.size(); left > 0;) {
    for (size_t i = 0; i < cursors.size(); i++) {
      if (ended[i]) continue;
      const Chunk chunk = TakeChunk(cursors[i].get(), 8);
      ASSERT_THAT(chunk.status, IsOk());
      for (Record& record : Decode(chunk)) results[i].push_back(std::move(record));
      if (chunk.last) {
        ended[i] = true;
        left--;
      }
    }
  }
  for (size_t i = 0; i < cursors.size(); i++) {
    EXPECT_EQ(results[i], Expected(model, options[i])) << i;
    cursors[i]->Close();
  }
}

TEST_F(CursorTest, CursorsOfManyThreadsShareThePool) {
  Open();
  Model model;
  Fill(78, 400, &model);
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(t + 1);
      for (int round = 0; round < 20; round++) {
        const CursorOptions options = RandomOptions(random);
        ASSERT_EQ(Scan(engine(), options), Expected(model, options));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(CursorTest, ADroppedCursorGivesItsViewBack) {
  Open();
  ASSERT_THAT(Put(engine(), "key", "value"), IsOk());
  std::weak_ptr<const ReadView> watched;
  {
    auto view = engine()->NewView();
    watched = view;
    const auto cursor = engine()->NewCursor(std::move(view), {});
    EXPECT_EQ(TakeAll(cursor.get()).size(), 1u);
  }
  // A pool thread may hold the last reference to the cursor for a moment.
  std::promise<void> idle;
  engine()->read_pool().Post([&idle] { idle.set_value(); });
  Await(idle.get_future());
  engine()->read_pool().Shutdown();
  EXPECT_TRUE(watched.expired());
}

TEST_F(CursorTest, ScansAreCounted) {
  Open();
  ASSERT_THAT(Write(engine(), PackedWrites().Put("a", "12345").Put("b", "1")), IsOk());
  Scan(engine());
  const MetricsSnapshot metrics = engine()->Snapshot();
  EXPECT_EQ(metrics.scan.operations, 1u);
  EXPECT_EQ(metrics.scan.records, 2u);
  EXPECT_EQ(metrics.scan_chunk_nanos.count, 1u);
}

}  // namespace
}  // namespace thermocline
