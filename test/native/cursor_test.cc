// What an ordered walk shows, compared with a std::map over random data, bounds, limits and seeks;
// what it leaves out; and that it never passes for complete when something cannot be read.

#include "engine/read/cursor.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cursor_fixture.h"
#include "raw_store.h"

namespace thermocline::test {
namespace {

std::vector<std::string> KeysOf(const std::vector<Record>& records) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : records) keys.push_back(key);
  return keys;
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
  ASSERT_GT(DamageTables(hot_), 0);
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

}  // namespace
}  // namespace thermocline::test
