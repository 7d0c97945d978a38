#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "engine/metrics/history.h"

namespace thermocline {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

class MetricsHistoryTest : public testing::Test {
 protected:
  void Point(uint64_t second) {
    RecentHistograms histograms;
    histograms[static_cast<size_t>(Recent::kPut)] = puts_->TakeSnapshot();
    RateTotals totals;
    totals.put = {operations_, operations_, operations_ * 10};
    totals.stall_nanos = stalled_;
    history_.Add(second * kSecond, totals, std::move(histograms));
  }
  const Histogram::Snapshot& Puts(const MetricsWindow& window) {
    return window.latency[static_cast<size_t>(Recent::kPut)];
  }

  MetricsHistory history_;
  std::unique_ptr<Histogram> puts_ = std::make_unique<Histogram>();
  uint64_t operations_ = 0;
  uint64_t stalled_ = 0;
};

TEST_F(MetricsHistoryTest, WithoutTwoPointsThereIsNoWindow) {
  EXPECT_EQ(history_.Over(1).nanos, 0u);
  Point(0);
  EXPECT_EQ(history_.Over(60).nanos, 0u);
}

TEST_F(MetricsHistoryTest, AWindowIsTheDifferenceOfItsEnds) {
  for (uint64_t second = 0; second <= 100; second++) {
    operations_ += second;
    stalled_ += 5;
    Point(second);
  }
  for (const size_t seconds : {size_t{1}, size_t{10}, size_t{60}}) {
    const MetricsWindow window = history_.Over(seconds);
    EXPECT_EQ(window.nanos, seconds * kSecond);
    uint64_t expected = 0;
    for (uint64_t second = 101 - seconds; second <= 100; second++) expected += second;
    EXPECT_EQ(window.totals.put.operations, expected);
    EXPECT_EQ(window.totals.put.bytes, expected * 10);
    EXPECT_EQ(window.totals.get.operations, 0u);
    EXPECT_EQ(window.totals.stall_nanos, 5 * seconds);
  }
  EXPECT_EQ(history_.Over(1000).nanos, 60 * kSecond) << "older points are forgotten";
}

TEST_F(MetricsHistoryTest, AYoungDatabaseHasShorterWindows) {
  Point(0);
  operations_ = 7;
  Point(1);
  Point(2);
  const MetricsWindow window = history_.Over(60);
  EXPECT_EQ(window.nanos, 2 * kSecond);
  EXPECT_EQ(window.totals.put.operations, 7u);
}

TEST_F(MetricsHistoryTest, PercentilesOfAWindowAreThoseOfItsRecordsAlone) {
  std::mt19937_64 random(7);
  std::vector<std::vector<uint64_t>> seconds(31);
  Point(0);
  for (uint64_t second = 1; second <= 30; second++) {
    // It gets slower by the second, so that a window of the wrong length shows.
    std::lognormal_distribution<double> latency(8 + static_cast<double>(second) / 5, 1);
    for (int i = 0; i < 500; i++) {
      seconds[second].push_back(static_cast<uint64_t>(latency(random)) + 1);
      puts_->Record(seconds[second].back());
    }
    Point(second);
  }
  for (const size_t length : {size_t{1}, size_t{10}, size_t{60}}) {
    std::vector<uint64_t> all;
    uint64_t sum = 0;
    for (size_t second = 31 - std::min<size_t>(length, 30); second <= 30; second++) {
      for (const uint64_t nanos : seconds[second]) {
        all.push_back(nanos);
        sum += nanos;
      }
    }
    std::sort(all.begin(), all.end());
    const MetricsWindow window = history_.Over(length);
    const Histogram::Snapshot& snapshot = Puts(window);
    EXPECT_EQ(snapshot.count, all.size());
    EXPECT_EQ(snapshot.sum_nanos, sum);
    for (const double percent : {50.0, 95.0, 99.0, 99.9}) {
      const auto rank =
          static_cast<size_t>(std::ceil(percent / 100 * static_cast<double>(all.size())));
      const auto exact = static_cast<double>(all[rank - 1]);
      // The last record's place is known by its bucket alone.
      const double error = rank == all.size() ? 0.032 : 0.016;
      EXPECT_NEAR(static_cast<double>(snapshot.Percentile(percent)), exact, exact * error)
          << percent << " of " << length << " s";
    }
  }
}

TEST(HistogramCountTest, CountsUpToABoundAreWithinItsBucket) {
  auto histogram = std::make_unique<Histogram>();
  std::mt19937_64 random(3);
  std::lognormal_distribution<double> latency(11, 2);
  std::vector<uint64_t> values;
  for (int i = 0; i < 50000; ++i) {
    values.push_back(static_cast<uint64_t>(latency(random)) + 1);
    histogram->Record(values.back());
  }
  const Histogram::Snapshot snapshot = histogram->TakeSnapshot();
  EXPECT_EQ(Histogram::Snapshot().CountUpTo(1000), 0u);
  EXPECT_EQ(snapshot.CountUpTo(UINT64_MAX), values.size());
  uint64_t last = 0;
  for (const uint64_t bound : {1'000u, 2'500u, 50'000u, 100'000u, 2'500'000u, 1'000'000'000u}) {
    const auto within = [&](double factor) {
      const auto limit = static_cast<double>(bound) * factor;
      return static_cast<uint64_t>(std::count_if(values.begin(), values.end(), [&](uint64_t value) {
        return static_cast<double>(value) <= limit;
      }));
    };
    const uint64_t counted = snapshot.CountUpTo(bound);
    EXPECT_GE(counted, within(0.984)) << bound;
    EXPECT_LE(counted, within(1.016)) << bound;
    EXPECT_GE(counted, last);
    last = counted;
  }
}

}  // namespace
}  // namespace thermocline
