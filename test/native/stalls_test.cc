#include "engine/metrics/stalls.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace thermocline {
namespace {

constexpr StallLimits kLimits{
    .immutable_memtables = 3, .level0_files = 20, .pending_compaction_bytes = 1000};

TEST(StallCauseTest, WhatIsBeyondItsLimitFirstInOrderIsTheCause) {
  EXPECT_EQ(StallCauseOf({3, 20, 1000}, kLimits), StallCause::kMemtables);
  EXPECT_EQ(StallCauseOf({2, 20, 1000}, kLimits), StallCause::kLevel0Files);
  EXPECT_EQ(StallCauseOf({2, 19, 1000}, kLimits), StallCause::kPendingCompaction);
  EXPECT_EQ(StallCauseOf({2, 19, 999}, kLimits), StallCause::kUnknown);
  EXPECT_EQ(StallCauseOf({2, 19, 999}, {3, 20, 0}), StallCause::kUnknown) << "0 is no limit";
}

TEST(StallTrackerTest, AgesAndTotalsOfFamiliesThatStallAtOnce) {
  StallTracker tracker;
  tracker.SetProbe([](const std::string& family) {
    return family == "one" ? StallCause::kMemtables : StallCause::kLevel0Files;
  });
  EXPECT_TRUE(tracker.Begin("one", 100));
  EXPECT_FALSE(tracker.Begin("one", 110)) << "it stalls already";
  EXPECT_TRUE(tracker.Begin("two", 200));
  StallSnapshot now = tracker.Snapshot(300);
  EXPECT_EQ(now.running, 2u);
  EXPECT_EQ(now.oldest_nanos, 200u);
  EXPECT_EQ(now.oldest_cause, StallCause::kMemtables);
  EXPECT_EQ(now.by_cause[0].count, 1u);
  EXPECT_EQ(now.by_cause[0].nanos, 200u);
  EXPECT_EQ(now.by_cause[1].nanos, 100u);

  uint64_t nanos = 0;
  EXPECT_TRUE(tracker.End("one", 350, &nanos));
  EXPECT_EQ(nanos, 250u);
  EXPECT_FALSE(tracker.End("one", 360, &nanos));
  now = tracker.Snapshot(400);
  EXPECT_EQ(now.running, 1u);
  EXPECT_EQ(now.oldest_nanos, 200u);
  EXPECT_EQ(now.oldest_cause, StallCause::kLevel0Files);
  EXPECT_EQ(now.by_cause[0].nanos, 250u) << "it has ended";
  EXPECT_TRUE(tracker.End("two", 500, &nanos));
  now = tracker.Snapshot(600);
  EXPECT_EQ(now.running, 0u);
  EXPECT_EQ(now.oldest_nanos, 0u);
  EXPECT_EQ(now.by_cause[1].nanos, 300u);
}

TEST(StallTrackerTest, WithoutAProbeTheCauseIsUnknown) {
  StallTracker tracker;
  tracker.Begin("one", 1);
  EXPECT_EQ(tracker.Snapshot(2).oldest_cause, StallCause::kUnknown);
}

TEST(StallTrackerTest, NoProbeRunsAfterItWasTakenAway) {
  StallTracker tracker;
  std::atomic<bool> alive{true};
  std::atomic<bool> wrong{false};
  tracker.SetProbe([&](const std::string&) {
    if (!alive) wrong = true;
    return StallCause::kMemtables;
  });
  std::thread stalls([&] {
    uint64_t nanos = 0;
    for (uint64_t i = 0; i < 20000; i++) {
      tracker.Begin("one", i);
      tracker.End("one", i + 1, &nanos);
    }
  });
  tracker.SetProbe(nullptr);
  alive = false;
  stalls.join();
  EXPECT_FALSE(wrong);
  const StallSnapshot snapshot = tracker.Snapshot(0);
  EXPECT_EQ(snapshot.by_cause[0].count + snapshot.by_cause[3].count, 20000u);
}

}  // namespace
}  // namespace thermocline
