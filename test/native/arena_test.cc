#include "engine/read/arena.h"

#include <algorithm>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support.h"

namespace thermocline {
namespace {

constexpr size_t kOffsetMask = 0xffff;

// As JavaScript reads a result.
std::string_view At(ResultArenas& out, ResultRef ref) {
  const Arena& arena = out.arenas().at(ref.location >> 16);
  const size_t offset = ref.location & kOffsetMask;
  EXPECT_LE(offset + ref.length, arena.size());
  return {arena.data() + offset, ref.length};
}

// Recognisable bytes, different for every `seed`.
std::string Value(size_t size, uint32_t seed) {
  std::string value(size, '\0');
  std::minstd_rand random(seed + 1);
  for (char& c : value) c = static_cast<char>(random());
  return value;
}

TEST(ArenaTest, AReferenceBeginsAsAbsent) { EXPECT_EQ(ResultRef{}.length, ResultRef::kAbsent); }

TEST(ArenaTest, ValuesOfEverySizeAroundTheLimitsComeBack) {
  const std::vector<size_t> sizes = {0,
                                     1,
                                     2,
                                     kStandaloneBytes - 1,
                                     kStandaloneBytes,
                                     kStandaloneBytes + 1,
                                     kArenaBytes - 1,
                                     kArenaBytes,
                                     kArenaBytes + 1,
                                     3 * kArenaBytes,
                                     0,
                                     1};
  ResultArenas out;
  std::vector<std::pair<ResultRef, std::string>> appended;
  {
    ArenaWriter writer(&out);
    for (size_t i = 0; i < sizes.size(); i++) {
      std::string value = Value(sizes[i], static_cast<uint32_t>(i));
      const ResultRef ref = writer.Append(value);
      appended.emplace_back(ref, std::move(value));
    }
  }
  for (const auto& [ref, value] : appended) EXPECT_EQ(At(out, ref), value) << value.size();
}

TEST(ArenaTest, AValueAboveTheLimitStandsAloneInABlockOfItsSize) {
  ResultArenas out;
  {
    ArenaWriter writer(&out);
    const ResultRef small = writer.Append(Value(kStandaloneBytes, 1));
    const ResultRef large = writer.Append(Value(kStandaloneBytes + 1, 2));
    const ResultRef after = writer.Append("x");
    EXPECT_NE(large.location >> 16, small.location >> 16);
    EXPECT_EQ(large.location & kOffsetMask, 0u);
    EXPECT_EQ(after.location, small.location + kStandaloneBytes) << "the shared arena stays open";
  }
  ASSERT_EQ(out.arenas().size(), 2u);
  EXPECT_EQ(out.arenas()[1].size(), kStandaloneBytes + 1);
  EXPECT_EQ(out.arenas()[1].capacity(), kStandaloneBytes + 1);
}

TEST(ArenaTest, AnArenaIsFilledToItsLastByte) {
  ResultArenas out;
  {
    ArenaWriter writer(&out);
    for (size_t used = 0; used < kArenaBytes; used += kStandaloneBytes) {
      EXPECT_EQ(writer.Append(Value(kStandaloneBytes, 7)).location, used);
    }
    // Full to the byte: even an empty value needs an offset, and 65,536 is not one.
    EXPECT_EQ(writer.Append("").location, 1u << 16);
    EXPECT_EQ(writer.Append("").location, 1u << 16);
    EXPECT_EQ(writer.Append("y").location, 1u << 16);
  }
  ASSERT_EQ(out.arenas().size(), 2u);
  EXPECT_EQ(out.arenas()[0].size(), kArenaBytes);
  EXPECT_EQ(out.arenas()[1].size(), 1u);
}

TEST(ArenaTest, AValueThatDoesNotFitOpensTheNextArena) {
  ResultArenas out;
  ArenaWriter writer(&out);
  for (int i = 0; i < 3; i++) writer.Append(Value(kStandaloneBytes, 1));
  writer.Append(Value(kStandaloneBytes - 1, 1));
  EXPECT_EQ(writer.Append("12").location, 1u << 16) << "one byte is left, two are needed";
  writer.Finish();
  EXPECT_EQ(out.arenas()[0].size(), kArenaBytes - 1);
}

TEST(ArenaTest, WhatWasReservedAndNotUsedIsGivenBack) {
  ResultArenas out;
  {
    ArenaWriter writer(&out);
    writer.Append("a few bytes");
  }
  ASSERT_EQ(out.arenas().size(), 1u);
  EXPECT_EQ(out.arenas()[0].capacity(), 11u);
  EXPECT_EQ(std::string_view(out.arenas()[0].data(), out.arenas()[0].size()), "a few bytes");
}

TEST(ArenaTest, AnArenaMoreThanHalfFullKeepsItsBlock) {
  Arena arena(100);
  arena.set_size(50);
  arena.Shrink();
  EXPECT_EQ(arena.capacity(), 100u);
  arena.set_size(49);
  arena.Shrink();
  EXPECT_EQ(arena.capacity(), 49u);
  arena.set_size(0);
  arena.Shrink();
  EXPECT_EQ(arena.capacity(), 0u);
}

TEST(ArenaTest, MovingHandsTheBlockOver) {
  Arena from(8);
  from.set_size(3);
  char* const block = from.data();
  Arena to(std::move(from));
  EXPECT_EQ(to.data(), block);
  EXPECT_EQ(to.size(), 3u);
  EXPECT_EQ(to.capacity(), 8u);
  EXPECT_EQ(from.data(), nullptr);  // NOLINT(bugprone-use-after-move): what this test is about
  Arena assigned(1);
  assigned = std::move(to);
  EXPECT_EQ(assigned.data(), block);
}

TEST(ArenaTest, AWriterThatWroteNothingLeavesNothing) {
  ResultArenas out;
  {
    ArenaWriter writer(&out);
    writer.Finish();
    writer.Finish();
  }
  EXPECT_TRUE(out.arenas().empty());
}

TEST(ArenaTest, AWriterMayGoOnAfterFinish) {
  ResultArenas out;
  ArenaWriter writer(&out);
  const ResultRef first = writer.Append("one");
  writer.Finish();
  const ResultRef second = writer.Append("two");
  writer.Finish();
  EXPECT_EQ(At(out, first), "one");
  EXPECT_EQ(At(out, second), "two");
  EXPECT_NE(first.location >> 16, second.location >> 16);
}

TEST(ArenaTest, ManyValuesOfRandomSizesComeBackAndDoNotOverlap) {
  ResultArenas out;
  std::vector<std::pair<ResultRef, std::string>> appended;
  std::minstd_rand random(3);
  {
    ArenaWriter writer(&out);
    for (uint32_t i = 0; i < 5000; i++) {
      const size_t size = i % 50 == 0 ? random() % (2 * kStandaloneBytes) : random() % 300;
      std::string value = Value(size, i);
      const ResultRef ref = writer.Append(value);
      appended.emplace_back(ref, std::move(value));
    }
  }
  std::set<uint32_t> locations;
  for (const auto& [ref, value] : appended) {
    ASSERT_EQ(At(out, ref), value);
    if (value.empty()) continue;
    ASSERT_TRUE(locations.insert(ref.location).second);
  }
  for (const Arena& arena : out.arenas()) {
    EXPECT_LE(arena.size(), std::max(kArenaBytes, 2 * kStandaloneBytes));
  }
}

TEST(ArenaTest, WritersOnManyThreadsShareTheResult) {
  constexpr uint32_t kThreads = 4;
  constexpr uint32_t kEach = 2000;
  ResultArenas out;
  std::vector<ResultRef> refs(kThreads * kEach);
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      ArenaWriter writer(&out);
      for (uint32_t i = 0; i < kEach; i++) {
        const uint32_t n = t * kEach + i;
        refs[n] = writer.Append(Value(n % 200 == 0 ? kStandaloneBytes + n : n % 500, n));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (uint32_t n = 0; n < kThreads * kEach; n++) {
    ASSERT_EQ(At(out, refs[n]), Value(n % 200 == 0 ? kStandaloneBytes + n : n % 500, n));
  }
}

// A location has 16 bits for the arena. A value more must fail, not alias the first arena.
TEST(ArenaTest, MoreArenasThanALocationCanNameAreRefused) {
  ResultArenas out;
  for (size_t i = 0; i < ResultArenas::kMaxArenas; i++) ASSERT_EQ(out.Reserve(), i);
  ArenaWriter writer(&out);
  EXPECT_THROW(writer.Append("one more"), std::length_error);
  EXPECT_THROW(writer.Append(std::string(kStandaloneBytes + 1, 'x')), std::length_error);
}

}  // namespace
}  // namespace thermocline
