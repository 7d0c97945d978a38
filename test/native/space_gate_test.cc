// What writes meet when the hot tier's disk runs full.

#include "engine/tier/space_gate.h"

#include <gtest/gtest.h>

namespace thermocline {
namespace {

using enum SpaceState;

TEST(SpaceGateTest, WritesAreHeldBelowTheReserveAndGoOnALittleAboveIt) {
  EXPECT_EQ(NextSpaceState(kOpen, {.free = 1000, .reserve = 1000}), kOpen);
  EXPECT_EQ(NextSpaceState(kOpen, {.free = 999, .reserve = 1000}), kHeld);
  EXPECT_EQ(NextSpaceState(kHeld, {.free = 1124, .reserve = 1000}), kHeld);
  EXPECT_EQ(NextSpaceState(kHeld, {.free = 1125, .reserve = 1000}), kOpen);
}

TEST(SpaceGateTest, WithoutHopeTheyAreRefusedUntilThereIsRoom) {
  EXPECT_EQ(NextSpaceState(kOpen, {.free = 0, .reserve = 1000, .hopeless = true}), kRefused);
  EXPECT_EQ(NextSpaceState(kHeld, {.free = 0, .reserve = 1000, .hopeless = true}), kRefused);
  EXPECT_EQ(NextSpaceState(kRefused, {.free = 1000, .reserve = 1000}), kRefused);
  EXPECT_EQ(NextSpaceState(kRefused, {.free = 1125, .reserve = 1000}), kOpen);
}

TEST(SpaceGateTest, TheDefaultReserveIsATwentiethAndBounded) {
  EXPECT_EQ(DefaultReserve(100 << 20), uint64_t{5} << 20);
  EXPECT_EQ(DefaultReserve(uint64_t{1} << 40), uint64_t{4} << 30);
}

struct Gate {
  uint64_t free = 10'000;
  bool known = true;
  int held = 0;
  SpaceGate gate{{.available =
                      [this](uint64_t* bytes) {
                        *bytes = free;
                        return known;
                      },
                  .on_held = [this] { held++; },
                  .reserve_bytes = 1600,
                  .patience_nanos = ~uint64_t{0} >> 1}};
};

TEST(SpaceGateTest, TheDiskIsMeasuredAsWritesGoOn) {
  Gate disk;
  disk.free = 1000;
  EXPECT_TRUE(disk.gate.MayWrite(99));
  EXPECT_EQ(disk.gate.state(), kOpen) << "not looked at yet";
  EXPECT_TRUE(disk.gate.MayWrite(1));
  EXPECT_EQ(disk.gate.state(), kHeld);
  EXPECT_EQ(disk.gate.free_bytes(), 1000u);
  disk.gate.MeasureAndTell();
  EXPECT_EQ(disk.held, 1) << "told once";
  disk.free = 5000;
  disk.gate.Measure();
  EXPECT_EQ(disk.gate.state(), kOpen);
}

TEST(SpaceGateTest, HopeIsForgottenOnceThereIsRoom) {
  Gate disk;
  disk.free = 0;
  disk.gate.Measure();
  disk.gate.SetHopeless(true);
  EXPECT_EQ(disk.gate.state(), kRefused);
  EXPECT_FALSE(disk.gate.MayWrite(1));
  disk.free = 5000;
  disk.gate.Measure();
  EXPECT_EQ(disk.gate.state(), kOpen);
  disk.free = 0;
  disk.gate.Measure();
  EXPECT_EQ(disk.gate.state(), kHeld) << "the migrator may find something this time";
}

TEST(SpaceGateTest, ADiskThatCannotBeMeasuredHoldsNobody) {
  Gate disk;
  disk.free = 0;
  disk.known = false;
  disk.gate.Measure();
  EXPECT_EQ(disk.gate.state(), kOpen);
}

}  // namespace
}  // namespace thermocline
