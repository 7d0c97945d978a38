// How a walk is handed out: the size and layout of chunks, limits, and what is counted.

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cursor_fixture.h"

namespace thermocline::test {
namespace {

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
}  // namespace thermocline::test
