// The recency sketch: nothing looks older than it is, and most of what is old looks old.

#include "engine/cache/recency_sketch.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <unordered_map>

#include "engine/hash.h"
#include "engine/tier/policy.h"

namespace thermocline {
namespace {

uint64_t HashOf(int i) { return HashKey("key" + std::to_string(i)); }
constexpr uint64_t kEpoch = 1000;

TEST(RecencySketchTest, AgesAreCountedFromTheLastAccess) {
  RecencySketch sketch(kEpoch, 5 * kEpoch, 1 << 10);
  EXPECT_EQ(sketch.EpochsSince(HashOf(1)), 0) << "everything begins young";
  sketch.Advance(8 * kEpoch);
  EXPECT_EQ(sketch.EpochsSince(HashOf(1)), 3);
  sketch.Touch(HashOf(1));
  EXPECT_EQ(sketch.EpochsSince(HashOf(1)), 0);
  EXPECT_EQ(sketch.EpochsSince(HashOf(2)), 3);
  sketch.Advance(8 * kEpoch + kEpoch / 2);
  EXPECT_EQ(sketch.EpochsSince(HashOf(1)), 0);
}

TEST(RecencySketchTest, AgesStopAtTheGreatestHoweverLongItTakes) {
  RecencySketch sketch(kEpoch, 0, 1 << 10);
  for (uint64_t epoch : {100, 128, 129, 300, 383, 384, 1000, 1256}) {
    sketch.Advance(epoch * kEpoch);
    EXPECT_EQ(sketch.EpochsSince(HashOf(1)),
              std::min<int>(static_cast<int>(epoch), RecencySketch::kGreatestAge));
  }
}

TEST(RecencySketchTest, NothingLooksOlderThanItIsInAnyOrderOfAccesses) {
  std::mt19937 random(1);
  RecencySketch sketch(kEpoch, 0, 1 << 10);
  std::unordered_map<int, uint64_t> last;
  uint64_t epoch = 0;
  for (int i = 0; i < 20'000; i++) {
    const int key = static_cast<int>(random() % 3000);
    sketch.Touch(HashOf(key));
    last[key] = epoch;
    if (random() % 50 == 0) {
      epoch += random() % 4 == 0 ? random() % 200 : 1;
      sketch.Advance(epoch * kEpoch);
    }
    const int other = static_cast<int>(random() % 3000);
    const auto found = last.find(other);
    if (found == last.end()) continue;
    ASSERT_LE(static_cast<uint64_t>(sketch.EpochsSince(HashOf(other))), epoch - found->second);
  }
}

TEST(RecencySketchTest, MostOfWhatIsOldLooksOldBesideWhatIsNot) {
  RecencySketch sketch(kEpoch, 0, 1 << 16);
  sketch.Advance(50 * kEpoch);
  for (int i = 0; i < 5000; i++) sketch.Touch(HashOf(i));
  int young = 0;
  for (int i = 10'000; i < 20'000; i++) young += sketch.EpochsSince(HashOf(i)) < 50 ? 1 : 0;
  EXPECT_LT(young, 500) << "of 10,000";
}

TEST(RecencySketchTest, WhatIsKeptComesBackAndHasAged) {
  RecencySketch sketch(kEpoch, 10 * kEpoch, 1 << 10);
  sketch.Advance(30 * kEpoch);
  sketch.Touch(HashOf(1));
  const std::string kept = sketch.Encode();
  RecencySketch again(kEpoch, 37 * kEpoch, 1 << 10);
  ASSERT_TRUE(again.Decode(kept));
  EXPECT_EQ(again.EpochsSince(HashOf(1)), 7);
  EXPECT_EQ(again.EpochsSince(HashOf(2)), 27);
  RecencySketch late(kEpoch, 900 * kEpoch, 1 << 10);
  ASSERT_TRUE(late.Decode(kept));
  EXPECT_EQ(late.EpochsSince(HashOf(1)), RecencySketch::kGreatestAge);
}

TEST(RecencySketchTest, DamageAndOtherShapesAreRefused) {
  RecencySketch sketch(kEpoch, 0, 1 << 10);
  const std::string kept = sketch.Encode();
  RecencySketch other(kEpoch, 5 * kEpoch, 1 << 11);
  EXPECT_FALSE(other.Decode(kept));
  RecencySketch slower(2 * kEpoch, 0, 1 << 10);
  EXPECT_FALSE(slower.Decode(kept));
  EXPECT_FALSE(sketch.Decode(""));
  EXPECT_FALSE(sketch.Decode(kept.substr(0, kept.size() - 1)));
  EXPECT_FALSE(sketch.Decode(kept + kept.substr(17)));
}

TEST(RecencySketchTest, AnEpochIsFineEnoughAndCoarseEnough) {
  EXPECT_EQ(EpochFor({0, 0}), 0u);
  EXPECT_EQ(EpochFor({8000, 0}), 1000u);
  EXPECT_EQ(EpochFor({8000, 80'000}), 1000u);
  EXPECT_EQ(EpochFor({8000, 1'200'000}), 10'000u);
  EXPECT_EQ(EpochFor({1, 0}), 1u);
  for (const uint64_t age : {uint64_t{1}, uint64_t{999}, uint64_t{86'400'000}}) {
    const uint64_t epoch = EpochFor({0, age});
    EXPECT_TRUE(IsOlder(RecencySketch::kGreatestAge, epoch, age)) << age;
    EXPECT_FALSE(IsOlder(0, epoch, age));
    // Accessed at the end of an epoch: so many later it may be younger than it seems by one.
    EXPECT_FALSE(IsOlder(static_cast<int>(age / epoch), epoch, age));
  }
}

}  // namespace
}  // namespace thermocline
