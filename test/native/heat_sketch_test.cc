// The heat sketch: what was counted is never forgotten too soon, and little is made up.

#include "engine/cache/heat_sketch.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/hash.h"

namespace thermocline {
namespace {

uint64_t HashOf(int i) { return HashKey("key" + std::to_string(i)); }

TEST(HeatSketchTest, AnEstimateIsNeverBelowTheCount) {
  HeatSketch sketch(1 << 14);
  for (int i = 0; i < 2000; i++) {
    for (int n = 0; n < i % 7; n++) sketch.Add(HashOf(i));
  }
  for (int i = 0; i < 2000; i++) EXPECT_GE(sketch.Estimate(HashOf(i)), i % 7) << i;
}

TEST(HeatSketchTest, FewKeysThatWereNeverSeenLookHot) {
  HeatSketch sketch(1 << 16);
  for (int i = 0; i < 2000; i++) {
    for (int n = 0; n < 5; n++) sketch.Add(HashOf(i));
  }
  int wrong = 0;
  for (int i = 10'000; i < 20'000; i++) wrong += sketch.Estimate(HashOf(i)) > 0 ? 1 : 0;
  EXPECT_LT(wrong, 200) << "of 10,000";
}

TEST(HeatSketchTest, CountsEndAtTheirMaximum) {
  HeatSketch sketch(64);
  for (int n = 0; n < 1000; n++) sketch.Add(HashOf(1));
  EXPECT_EQ(sketch.Estimate(HashOf(1)), HeatSketch::kMax);
}

TEST(HeatSketchTest, AboutOneWriteInEightCountsInWhateverOrder) {
  HeatSketch sketch(1 << 16);
  for (int round = 0; round < 100 * HeatSketch::kWriteSampling; round++) {
    for (int i = 0; i < 8; i++) sketch.TouchWrite(HashOf(i));
  }
  for (int i = 0; i < 8; i++) {
    EXPECT_GT(sketch.Estimate(HashOf(i)), 50) << i;
    EXPECT_LT(sketch.Estimate(HashOf(i)), 150) << i;
  }
}

TEST(HeatSketchTest, OneCountMayStandForSeveralReads) {
  HeatSketch sketch(1 << 14);
  for (int i = 0; i < 100; i++) sketch.Add(HashOf(i), 16);
  sketch.Add(HashOf(5));
  EXPECT_EQ(sketch.Estimate(HashOf(5)), 17);
  for (int n = 0; n < 20; n++) sketch.Add(HashOf(7), 16);
  EXPECT_EQ(sketch.Estimate(HashOf(7)), HeatSketch::kMax);
}

TEST(HeatSketchTest, HalvingLetsThePastFade) {
  HeatSketch sketch(64);
  for (int n = 0; n < 512; n++) sketch.Add(HashOf(n));
  EXPECT_TRUE(sketch.IsDue());
  for (int n = 0; n < 9; n++) sketch.Add(HashOf(1));
  const int before = sketch.Estimate(HashOf(1));
  sketch.Halve();
  EXPECT_EQ(sketch.Estimate(HashOf(1)), before / 2);
  EXPECT_FALSE(sketch.IsDue());
}

TEST(HeatSketchTest, ReadsOfWhatCanGetNoHotterLetThePastFade) {
  HeatSketch sketch(64);
  for (int n = 0; n < 512; n++) sketch.Add(HashOf(1));
  EXPECT_EQ(sketch.Estimate(HashOf(1)), HeatSketch::kMax);
  EXPECT_TRUE(sketch.IsDue());
}

TEST(HeatSketchTest, WhatIsKeptComesBack) {
  HeatSketch sketch(1 << 12);
  for (int i = 0; i < 300; i++) {
    for (int n = 0; n <= i % 5; n++) sketch.Add(HashOf(i));
  }
  const std::string kept = sketch.Encode();
  HeatSketch again(1 << 12);
  ASSERT_TRUE(again.Decode(kept));
  for (int i = 0; i < 1000; i++) {
    EXPECT_EQ(again.Estimate(HashOf(i)), sketch.Estimate(HashOf(i))) << i;
  }
  EXPECT_EQ(again.Encode(), kept);
}

TEST(HeatSketchTest, ItFadesAsOftenHoweverOftenItIsReopened) {
  HeatSketch sketch(64);
  const auto reopen = [](const HeatSketch& before, HeatSketch* after) {
    return after->Decode(before.Encode());
  };
  for (int n = 0; n < 511; n++) sketch.Add(HashOf(n));
  HeatSketch once(64);
  ASSERT_TRUE(reopen(sketch, &once));
  HeatSketch twice(64);
  ASSERT_TRUE(reopen(once, &twice));
  EXPECT_FALSE(twice.IsDue());
  twice.Add(HashOf(1));
  EXPECT_TRUE(twice.IsDue());
}

TEST(HeatSketchTest, WhatAnEarlierVersionKeptComesBackAndFades) {
  HeatSketch sketch(64);
  for (int n = 0; n < 3; n++) sketch.Add(HashOf(1));
  std::string kept = sketch.Encode();
  kept[0] = 2;  // which did not say how much was counted
  kept.erase(2, sizeof(uint64_t));
  HeatSketch again(64);
  ASSERT_TRUE(again.Decode(kept));
  EXPECT_EQ(again.Estimate(HashOf(1)), 3);
  EXPECT_TRUE(again.IsDue());
}

TEST(HeatSketchTest, OtherSizesMakeNothingCooler) {
  for (const size_t from : {1 << 8, 1 << 12}) {
    HeatSketch sketch(from);
    for (int i = 0; i < 300; i++) {
      for (int n = 0; n <= i % 9; n++) sketch.Add(HashOf(i));
    }
    for (const size_t to : {1 << 6, 1 << 10, 1 << 14}) {
      HeatSketch other(to);
      other.Add(HashOf(301), 50);  // what is decoded replaces it
      ASSERT_TRUE(other.Decode(sketch.Encode()));
      for (int i = 0; i < 1000; i++) {
        if (to > from) {
          EXPECT_EQ(other.Estimate(HashOf(i)), sketch.Estimate(HashOf(i))) << i;
        } else {
          EXPECT_GE(other.Estimate(HashOf(i)), sketch.Estimate(HashOf(i))) << i;
        }
      }
    }
  }
}

TEST(HeatSketchTest, ItHasTwoCountersToARecordWithinItsBounds) {
  EXPECT_EQ(HeatSketch::CountersFor(0), HeatSketch::kMinCounters);
  EXPECT_EQ(HeatSketch::CountersFor(HeatSketch::kMinCounters / 2), HeatSketch::kMinCounters);
  EXPECT_EQ(HeatSketch::CountersFor(2'000'000), HeatSketch::kMaxCounters);
  EXPECT_EQ(HeatSketch::CountersFor(~uint64_t{0}), HeatSketch::kMaxCounters);
}

TEST(HeatSketchTest, DamageIsRefused) {
  HeatSketch sketch(1 << 12);
  sketch.Add(HashOf(1));
  const std::string kept = sketch.Encode();
  HeatSketch same(1 << 12);
  EXPECT_FALSE(same.Decode(""));
  EXPECT_FALSE(same.Decode(kept.substr(0, kept.size() - 1)));
  EXPECT_FALSE(same.Decode(kept + std::string("\xff\xff\xff\xff\x0f\x01", 6)));
  std::string size = kept;
  for (const char log2 : {0, 5, 23, 31, -1}) {
    size[1] = log2;
    EXPECT_FALSE(same.Decode(size)) << int{log2};
  }
  EXPECT_EQ(same.Estimate(HashOf(1)), 0) << "as before";
}

}  // namespace
}  // namespace thermocline
