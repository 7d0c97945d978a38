#include "engine/commit/group_sizer.h"

#include "support.h"

namespace thermocline {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;

TEST(GroupSizerTest, BeginsAtTheFloorAndStaysWithinItsBounds) {
  GroupSizer sizer(1000, 50'000);
  EXPECT_EQ(sizer.target_bytes(), 1000u);
  for (int i = 0; i < 100; i++) sizer.Measure(1, kMillisecond, kMillisecond);
  EXPECT_EQ(sizer.target_bytes(), 1000u) << "a trickle";
  for (int i = 0; i < 200; i++) sizer.Measure(10'000'000, kMillisecond, kMillisecond);
  EXPECT_EQ(sizer.target_bytes(), 50'000u) << "a flood";
}

TEST(GroupSizerTest, FollowsTheArrivalRateTimesTheTimeOfAWrite) {
  GroupSizer sizer(1, 1 << 30);
  for (int i = 0; i < 300; i++) sizer.Measure(2'000, kMillisecond, 4 * kMillisecond);
  // 2,000 bytes a millisecond, and a write takes four: twice what arrives meanwhile.
  EXPECT_NEAR(static_cast<double>(sizer.target_bytes()), 16'000, 100);
  for (int i = 0; i < 300; i++) sizer.Measure(2'000, kMillisecond, kMillisecond);
  EXPECT_NEAR(static_cast<double>(sizer.target_bytes()), 4'000, 100) << "and back again";
}

TEST(GroupSizerTest, OneOutlierChangesLittle) {
  GroupSizer sizer(1, 1 << 30);
  for (int i = 0; i < 300; i++) sizer.Measure(1'000, kMillisecond, kMillisecond);
  const size_t before = sizer.target_bytes();
  sizer.Measure(10'000, kMillisecond, kMillisecond);
  EXPECT_LT(sizer.target_bytes(), 2 * before);
  EXPECT_GT(sizer.target_bytes(), before);
}

TEST(GroupSizerTest, AMeasurementWithoutTimeIsNone) {
  GroupSizer sizer(10, 1000);
  sizer.Measure(1'000'000, 0, kMillisecond);
  EXPECT_EQ(sizer.target_bytes(), 10u);
}

}  // namespace
}  // namespace thermocline
