#include "engine/cache/recency_sketch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "engine/cache/heat_sketch.h"
#include "engine/hash.h"

namespace thermocline {
namespace {

constexpr uint64_t kHour = 3'600'000;
constexpr uint64_t kNow = 1'800'000'000'000;
constexpr size_t kFewCells = size_t{1} << 12;

uint64_t HashOf(int i) { return HashKey("key" + std::to_string(i)); }

// Time passes, and Advance is called in each epoch.
void Pass(RecencySketch* sketch, uint64_t from, uint64_t to) {
  for (uint64_t now = from; now < to; now += sketch->epoch_ms()) sketch->Advance(now);
  sketch->Advance(to);
}

std::vector<std::string> PagesOf(const RecencySketch& sketch) {
  std::vector<std::string> pages;
  for (size_t page = 0; page < sketch.pages(); page++) pages.push_back(sketch.EncodePage(page));
  return pages;
}

TEST(RecencySketchTest, AKeyIsOldOnceItsAgeHasPassedAndAQuarterMore) {
  for (const uint64_t age : {1ull, 11ull, 23ull, 1000ull, 24ull * kHour, 400 * 24ull * kHour}) {
    for (uint64_t offset = 0; offset < 40; offset++) {
      const uint64_t start = kNow + offset * (age / 37 + 1);
      RecencySketch sketch(age, start, kFewCells);
      sketch.Touch(HashOf(1));
      const uint64_t until = age + 3 * sketch.epoch_ms();
      EXPECT_LE(sketch.epoch_ms(), age / 12 + 1);
      for (uint64_t passed = 0; passed <= until; passed += std::max<uint64_t>(1, age / 29)) {
        sketch.Advance(start + passed);
        EXPECT_LE(sketch.IsOld(HashOf(1)), passed >= age) << age << " after " << passed;
      }
      sketch.Advance(start + until);
      EXPECT_TRUE(sketch.IsOld(HashOf(1))) << age;
      sketch.Touch(HashOf(1));
      EXPECT_FALSE(sketch.IsOld(HashOf(1)));
    }
  }
}

TEST(RecencySketchTest, WhatIsVeryOldStaysOldHoweverOftenTheEpochsGoRound) {
  RecencySketch sketch(12, kNow, kFewCells);
  sketch.Touch(HashOf(1));
  uint64_t now = kNow + 15;
  Pass(&sketch, kNow, now);
  for (; now < kNow + 3000; now += 7) {
    sketch.Advance(now);
    ASSERT_TRUE(sketch.IsOld(HashOf(1))) << now - kNow;
  }
  sketch.Advance(now + 1'000'000'007);
  EXPECT_TRUE(sketch.IsOld(HashOf(1)));
  EXPECT_EQ(sketch.EpochsSince(HashOf(1)), RecencySketch::kOldest);
}

TEST(RecencySketchTest, OldKeysLookYoungAsRarelyAsTheBoundSays) {
  RecencySketch sketch(12 * kHour, kNow, kFewCells);
  Pass(&sketch, kNow, kNow + 15 * kHour);
  constexpr int kYoung = kFewCells / 19;
  for (int i = 0; i < kYoung; i++) sketch.Touch(HashOf(i));
  for (int i = 0; i < kYoung; i++) EXPECT_FALSE(sketch.IsOld(HashOf(i)));
  int young = 0;
  constexpr int kOld = 100'000;
  for (int i = kYoung; i < kYoung + kOld; i++) young += sketch.IsOld(HashOf(i)) ? 0 : 1;
  const double filled = 1 - std::exp(-2.0 * kYoung / kFewCells);
  EXPECT_NEAR(static_cast<double>(young) / kOld, filled * filled, 0.004);
}

TEST(RecencySketchTest, ItSurvivesARestartAndTimePassesMeanwhile) {
  RecencySketch sketch(12 * kHour, kNow, kFewCells);
  sketch.Touch(HashOf(1));
  Pass(&sketch, kNow, kNow + 8 * kHour);
  sketch.Touch(HashOf(2));
  RecencySketch again(12 * kHour, kNow + 8 * kHour, kFewCells);
  again.Restore(PagesOf(sketch));
  EXPECT_EQ(again.EpochsSince(HashOf(1)), 8);
  EXPECT_EQ(again.EpochsSince(HashOf(2)), 0);
  RecencySketch later(12 * kHour, kNow + 15 * kHour, kFewCells);
  later.Restore(PagesOf(sketch));
  EXPECT_TRUE(later.IsOld(HashOf(1)));
  EXPECT_FALSE(later.IsOld(HashOf(2)));
  EXPECT_EQ(later.EpochsSince(HashOf(2)), 7);
}

TEST(RecencySketchTest, WhatIsUsedWhileNobodyCallsAdvanceIsNotOld) {
  RecencySketch sketch(12, kNow, kFewCells);
  Pass(&sketch, kNow, kNow + 20);
  sketch.Touch(HashOf(1));  // at any time until the next call
  sketch.Advance(kNow + 100'000);
  EXPECT_FALSE(sketch.IsOld(HashOf(1)));
  EXPECT_TRUE(sketch.IsOld(HashOf(2)));
  Pass(&sketch, kNow + 100'000, kNow + 100'015);
  EXPECT_TRUE(sketch.IsOld(HashOf(1)));
}

// Against the times themselves: whatever sizes and ages a sketch is restored with, nothing is
// called old before it is.
TEST(RecencySketchTest, OtherSizesAndAgesMakeNothingOlder) {
  std::mt19937_64 random(7);
  const auto below = [&](uint64_t n) { return random() % n; };
  for (int round = 0; round < 200; round++) {
    uint64_t now = kNow + below(100 * kHour);
    const auto any = [&](uint64_t start) {
      return std::make_unique<RecencySketch>(1 + below(48) * kHour + below(kHour), start,
                                             size_t{1} << (8 + below(5)));
    };
    auto sketch = any(now);
    std::vector<uint64_t> accessed(64, now);
    for (int step = 0; step < 60; step++) {
      now += below(3 * kHour);
      if (below(3) > 0) sketch->Advance(now);
      const size_t key = below(accessed.size());
      sketch->Touch(HashOf(static_cast<int>(key)));
      accessed[key] = now;
      if (below(10) == 0) {
        now += below(2 * kHour);
        sketch->Advance(now);
        auto next = any(now);
        next->Restore(PagesOf(*sketch));
        sketch = std::move(next);
      }
      for (size_t i = 0; i < accessed.size(); i++) {
        if (sketch->IsOld(HashOf(static_cast<int>(i)))) {
          ASSERT_GE(now - accessed[i], sketch->age_ms()) << "round " << round;
        }
      }
    }
  }
}

TEST(RecencySketchTest, WhatIsDamagedCountsAsUsedNow) {
  RecencySketch sketch(12 * kHour, kNow, kFewCells);
  Pass(&sketch, kNow, kNow + 20 * kHour);
  const std::string page = sketch.EncodePage(0);
  const auto restored = [&](std::vector<std::string> pages) {
    RecencySketch again(12 * kHour, kNow + 20 * kHour, kFewCells);
    again.Restore(pages);
    return again.EpochsSince(HashOf(1));
  };
  EXPECT_EQ(restored({page}), RecencySketch::kOldest);
  EXPECT_EQ(restored({}), 0);
  EXPECT_EQ(restored({""}), 0);
  EXPECT_EQ(restored({page.substr(0, page.size() - 1)}), 0);
  for (const size_t at : {size_t{0}, size_t{1}}) {
    std::string other = page;
    other[at] = static_cast<char>(other[at] ^ 0x7f);
    EXPECT_EQ(restored({other}), 0) << at;
  }
}

TEST(RecencySketchTest, SizesFollowTheRecordsAndPagesTheSizes) {
  EXPECT_EQ(RecencySketch::CellsFor(0), RecencySketch::kMinCells);
  EXPECT_EQ(RecencySketch::CellsFor(1'000'000), size_t{1} << 22);
  EXPECT_EQ(RecencySketch::CellsFor(~uint64_t{0}), RecencySketch::kMaxCells);
  RecencySketch sketch(12 * kHour, kNow, size_t{1} << 21);
  EXPECT_EQ(sketch.pages(), 2u);
  sketch.Advance(kNow + kHour);
  sketch.Advance(kNow + 20 * kHour);
  for (int i = 0; i < 1000; i++) sketch.Touch(HashOf(i));
  RecencySketch again(12 * kHour, kNow + 20 * kHour, size_t{1} << 21);
  again.Restore(PagesOf(sketch));
  for (int i = 0; i < 2000; i++) EXPECT_EQ(again.IsOld(HashOf(i)), sketch.IsOld(HashOf(i))) << i;
  EXPECT_TRUE(again.IsOld(HashOf(1999)));
}

TEST(RecencySketchTest, HeatTellsItOfReadsAndOfEveryWrite) {
  HeatSketch heat;
  RecencySketch sketch(12 * kHour, kNow, kFewCells);
  heat.Tell(&sketch);
  Pass(&sketch, kNow, kNow + 20 * kHour);
  EXPECT_TRUE(sketch.IsOld(HashOf(1)));
  heat.Add(HashOf(1));
  EXPECT_FALSE(sketch.IsOld(HashOf(1)));
  EXPECT_TRUE(sketch.IsOld(HashOf(2)));
  heat.TouchWrite(HashOf(2));
  EXPECT_FALSE(sketch.IsOld(HashOf(2)));
  // Hot as can be: heat counts no further, but the access is told.
  for (int i = 0; i < 300; i++) heat.Add(HashOf(3));
  Pass(&sketch, kNow + 20 * kHour, kNow + 40 * kHour);
  heat.Add(HashOf(3));
  EXPECT_FALSE(sketch.IsOld(HashOf(3)));
}

}  // namespace
}  // namespace thermocline
