// What follows what: what is learned, what is forgotten, and that memory is fixed.

#include "engine/cache/sequence_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "engine/hash.h"

namespace thermocline {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class Table {
 public:
  explicit Table(size_t bytes = 1 << 20) : table_(bytes) {}

  void Learn(const std::string& key, const std::vector<std::string>& followers) {
    std::vector<uint64_t> hashes;
    for (const std::string& follower : followers) hashes.push_back(HashKey(follower));
    table_.Learn(key, HashKey(key), hashes.data(), hashes.size());
  }
  // Every key but the last is followed by those after it.
  void Walk(const std::vector<std::string>& keys, size_t window = 8) {
    for (size_t i = 0; i < keys.size(); i++) {
      const size_t end = std::min(keys.size(), i + 1 + window);
      Learn(keys[i],
            {keys.begin() + static_cast<long>(i) + 1, keys.begin() + static_cast<long>(end)});
    }
  }
  std::vector<std::string> Likely(const std::string& key) {
    std::array<uint64_t, SequenceTable::kLinks> followers;
    const size_t count = table_.Likely(HashKey(key), &followers);
    std::vector<std::string> keys;
    for (size_t i = 0; i < count; i++) {
      SequenceKey follower;
      keys.emplace_back(table_.KeyOf(followers[i], &follower) ? follower.view() : "(forgotten)");
    }
    return keys;
  }
  SequenceTable& operator*() { return table_; }

 private:
  SequenceTable table_;
};

TEST(SequenceTableTest, WhatWasSeenOnceIsNoPattern) {
  Table table;
  table.Walk({"a", "b", "c"});
  EXPECT_THAT(table.Likely("a"), IsEmpty());
  EXPECT_THAT(table.Likely("never"), IsEmpty());
}

TEST(SequenceTableTest, WhatFollowedTwiceIsLikelyWithinTheWindow) {
  Table table;
  for (int i = 0; i < 2; i++) table.Walk({"a", "b", "c", "d"}, /*window=*/2);
  EXPECT_THAT(table.Likely("a"), ElementsAre("b", "c"));
  EXPECT_THAT(table.Likely("c"), ElementsAre("d"));
  EXPECT_THAT(table.Likely("d"), IsEmpty());
}

TEST(SequenceTableTest, OthersBetweenDoNotHideWhatFollows) {
  Table table;
  for (int i = 0; i < 4; i++) {
    const std::string n = std::to_string(i);
    table.Walk({"a", "x" + n, "b", "y" + n, "c", "z" + n});
  }
  EXPECT_THAT(table.Likely("a"), UnorderedElementsAre("b", "c"));
}

TEST(SequenceTableTest, OfTwoWaysTheOneTakenHalfOfTheTimesIsLikely) {
  Table table;
  for (int i = 0; i < 6; i++) {
    table.Learn("a", {i % 3 == 0 ? "seldom" : "often"});
    table.Learn("often", {});
    table.Learn("seldom", {});
  }
  EXPECT_THAT(table.Likely("a"), ElementsAre("often"));
}

TEST(SequenceTableTest, AKeyThatReturnsEndsItsOwnWindow) {
  Table table;
  for (int i = 0; i < 3; i++) table.Learn("a", {"b", "a", "c"});
  for (const char* key : {"b", "c"}) table.Learn(key, {});
  EXPECT_THAT(table.Likely("a"), ElementsAre("b"));
}

TEST(SequenceTableTest, AFollowerCountsOnceAWindow) {
  Table table;
  table.Learn("b", {});
  table.Learn("a", {"b", "x", "b", "b"});
  EXPECT_THAT(table.Likely("a"), IsEmpty()) << "seen in one window only";
  table.Learn("a", {"b"});
  EXPECT_THAT(table.Likely("a"), ElementsAre("b"));
}

TEST(SequenceTableTest, ANewHabitTakesThePlaceOfAnOldOne) {
  Table table;
  for (const char* key : {"old", "new"}) table.Learn(key, {});
  for (int i = 0; i < 1000; i++) table.Learn("a", {"old"});
  EXPECT_THAT(table.Likely("a"), ElementsAre("old"));
  for (int i = 0; i < 3 * SequenceTable::kSeenMost; i++) table.Learn("a", {"new"});
  EXPECT_THAT(table.Likely("a"), ElementsAre("new")) << "a thousand times fade as thirty do";
}

TEST(SequenceTableTest, AFullNodeLearnsOnWhenItsLinksAreNotConfirmed) {
  Table table;
  for (const char* key : {"b", "c"}) table.Learn(key, {});
  for (size_t i = 0; i < SequenceTable::kLinks; i++) table.Learn("a", {"x" + std::to_string(i)});
  for (int i = 0; i < 20; i++) table.Learn("a", {"b", "c"});
  EXPECT_THAT(table.Likely("a"), UnorderedElementsAre("b", "c"));
}

TEST(SequenceTableTest, KeysUpToTheLongestAreKept) {
  Table table;
  const std::string longest(SequenceKey::kMost, 'k');
  for (const std::string& follower : {longest, std::string(), std::string("\0z", 2)}) {
    table.Learn(follower, {});
    table.Learn("before " + follower.substr(0, 1), {follower});
    table.Learn("before " + follower.substr(0, 1), {follower});
    EXPECT_THAT(table.Likely("before " + follower.substr(0, 1)), ElementsAre(follower));
  }
}

TEST(SequenceTableTest, MemoryIsFixedAndWhatIsUsedStaysWhileOthersPassThrough) {
  Table table(100'000);
  EXPECT_LE((*table).memory_bytes(), 100'000u);
  EXPECT_GE((*table).memory_bytes(), 90'000u);
  std::mt19937 random(7);
  const size_t keep = (*table).nodes() / 8;
  for (int round = 0; round < 30; round++) {
    for (size_t i = 0; i < keep; i++) {
      table.Walk({"from" + std::to_string(i), "to" + std::to_string(i)});
    }
    for (size_t i = 0; i < (*table).nodes() / 2; i++) {
      table.Learn("passing" + std::to_string(random()), {"x"});
    }
  }
  size_t kept = 0;
  for (size_t i = 0; i < keep; i++) {
    const std::vector<std::string> likely = table.Likely("from" + std::to_string(i));
    kept += likely == std::vector<std::string>{"to" + std::to_string(i)} ? 1 : 0;
  }
  EXPECT_GT(kept, keep * 6 / 10) << "by chance some sets are crowded";
}

}  // namespace
}  // namespace thermocline
