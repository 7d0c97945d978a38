#include "engine/metrics/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace thermocline {
namespace {

TEST(HistogramTest, BucketsTileTheRange) {
  for (size_t i = 0; i < Histogram::kBuckets; ++i) {
    const uint64_t low = Histogram::LowerBound(i);
    ASSERT_EQ(Histogram::BucketOf(low), i);
    if (i + 1 == Histogram::kBuckets) break;
    const uint64_t next = Histogram::LowerBound(i + 1);
    ASSERT_LT(low, next);
    ASSERT_EQ(Histogram::BucketOf(next - 1), i);
    ASSERT_LE(static_cast<double>(next - low) / 2,
              static_cast<double>(std::max<uint64_t>(low, 32)) / 64);
  }
  EXPECT_EQ(Histogram::LowerBound(Histogram::kBuckets), uint64_t{1} << Histogram::kValueBits);
  EXPECT_EQ(Histogram::BucketOf(UINT64_MAX), Histogram::kBuckets - 1);
  EXPECT_GE(uint64_t{1} << Histogram::kValueBits, uint64_t{3600} * 1000000000);  // an hour
}

TEST(HistogramTest, PercentilesAreWithinTheStatedError) {
  auto histogram = std::make_unique<Histogram>();
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> latency(11, 2);
  std::vector<uint64_t> values;
  for (int i = 0; i < 100000; ++i) {
    values.push_back(static_cast<uint64_t>(latency(random)) + 1);
    histogram->Record(values.back());
  }
  std::sort(values.begin(), values.end());
  const Histogram::Snapshot snapshot = histogram->TakeSnapshot();
  EXPECT_EQ(snapshot.count, values.size());
  EXPECT_EQ(snapshot.max_nanos, values.back());
  uint64_t sum = 0;
  for (const uint64_t value : values) sum += value;
  EXPECT_EQ(snapshot.sum_nanos, sum);
  for (const double percent : {0.001, 1.0, 50.0, 95.0, 99.0, 99.9, 99.99}) {
    const auto rank = static_cast<size_t>(std::ceil(percent / 100 * 100000));
    const auto exact = static_cast<double>(values[rank - 1]);
    EXPECT_NEAR(static_cast<double>(snapshot.Percentile(percent)), exact, exact * 0.016) << percent;
  }
  EXPECT_EQ(snapshot.Percentile(100), values.back());
}

TEST(HistogramTest, EdgesOfPercentiles) {
  auto histogram = std::make_unique<Histogram>();
  EXPECT_EQ(histogram->TakeSnapshot().Percentile(50), 0u);
  histogram->Record(0);
  EXPECT_EQ(histogram->TakeSnapshot().Percentile(99), 0u);
  histogram->Record(7);
  EXPECT_EQ(histogram->TakeSnapshot().Percentile(50), 0u);
  EXPECT_EQ(histogram->TakeSnapshot().Percentile(51), 7u);
  EXPECT_EQ(histogram->TakeSnapshot().Percentile(-1), 0u);
  EXPECT_EQ(histogram->TakeSnapshot().Percentile(101), 7u);
  const uint64_t day = uint64_t{86400} * 1000000000;
  histogram->Record(day);  // beyond the range: exact as maximum
  EXPECT_EQ(histogram->TakeSnapshot().Percentile(100), day);
}

TEST(HistogramTest, WeightCountsAsThatManyRecords) {
  auto histogram = std::make_unique<Histogram>();
  histogram->Record(1000, 99);
  histogram->Record(50000, 1);
  const Histogram::Snapshot snapshot = histogram->TakeSnapshot();
  EXPECT_EQ(snapshot.count, 100u);
  EXPECT_EQ(snapshot.sum_nanos, 99u * 1000 + 50000);
  EXPECT_NEAR(static_cast<double>(snapshot.Percentile(99)), 1000, 16);
  EXPECT_DOUBLE_EQ(snapshot.MeanNanos(), 1490);
}

TEST(HistogramTest, SnapshotsMerge) {
  auto a = std::make_unique<Histogram>();
  auto b = std::make_unique<Histogram>();
  a->Record(10);
  b->Record(20);
  b->Record(30);
  Histogram::Snapshot merged;
  merged.Merge(a->TakeSnapshot());
  merged.Merge(b->TakeSnapshot());
  EXPECT_EQ(merged.count, 3u);
  EXPECT_EQ(merged.sum_nanos, 60u);
  EXPECT_EQ(merged.Percentile(50), 20u);
  EXPECT_EQ(merged.max_nanos, 30u);
}

TEST(MetricsTest, NothingIsLostBetweenThreads) {
  auto metrics = std::make_unique<Metrics>();
  constexpr int kThreads = 4;
  constexpr int kRounds = 20000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&metrics] {
      for (int i = 0; i < kRounds; ++i) {
        metrics->put.Add(1, 100);
        metrics->put_nanos.Record(static_cast<uint64_t>(i));
      }
    });
  }
  uint64_t last = 0;
  for (int i = 0; i < 20; ++i) {
    const MetricsSnapshot snapshot = metrics->Snapshot();
    EXPECT_GE(snapshot.put.operations, last);
    last = snapshot.put.operations;
  }
  for (std::thread& thread : threads) thread.join();
  const MetricsSnapshot snapshot = metrics->Snapshot();
  EXPECT_EQ(snapshot.put.operations, uint64_t{kThreads} * kRounds);
  EXPECT_EQ(snapshot.put.bytes, uint64_t{kThreads} * kRounds * 100);
  EXPECT_EQ(snapshot.put_nanos.count, uint64_t{kThreads} * kRounds);
  EXPECT_EQ(snapshot.put_nanos.sum_nanos, uint64_t{kThreads} * kRounds * (kRounds - 1) / 2);
  EXPECT_EQ(snapshot.put_nanos.max_nanos, uint64_t{kRounds} - 1);
}

TEST(MetricsTest, EveryMemberReachesItsOwnTwin) {
  auto metrics = std::make_unique<Metrics>();
  metrics->get.Add(2, 3);
  metrics->get_many.operations.Add(4);
  metrics->del.operations.Add(5);
  metrics->batch.operations.Add(6);
  metrics->delete_range.operations.Add(7);
  metrics->scan.operations.Add(8);
  metrics->commits.Add(12);
  metrics->groups.Add(13);
  metrics->group_operations.Add(14);
  metrics->group_bytes.Add(15);
  metrics->wal_writes.Add(16);
  metrics->fsyncs.Add(17);
  metrics->backpressure_rejections.Add(18);
  metrics->stalls.Add(19);
  metrics->stall_nanos.Add(20);
  metrics->get_nanos.Record(21);
  metrics->get_many_nanos.Record(22);
  metrics->batch_nanos.Record(23);
  metrics->scan_chunk_nanos.Record(24);
  metrics->group_write_nanos.Record(25);
  metrics->fsync_nanos.Record(26);
  metrics->flush_nanos.Record(27);
  const MetricsSnapshot s = metrics->Snapshot();
  EXPECT_EQ(s.get.operations, 1u);
  EXPECT_EQ(s.get.records, 2u);
  EXPECT_EQ(s.get.bytes, 3u);
  EXPECT_EQ(s.get_many.operations, 4u);
  EXPECT_EQ(s.del.operations, 5u);
  EXPECT_EQ(s.batch.operations, 6u);
  EXPECT_EQ(s.delete_range.operations, 7u);
  EXPECT_EQ(s.scan.operations, 8u);
  EXPECT_EQ(s.commits, 12u);
  EXPECT_EQ(s.groups, 13u);
  EXPECT_EQ(s.group_operations, 14u);
  EXPECT_EQ(s.group_bytes, 15u);
  EXPECT_EQ(s.wal_writes, 16u);
  EXPECT_EQ(s.fsyncs, 17u);
  EXPECT_EQ(s.backpressure_rejections, 18u);
  EXPECT_EQ(s.stalls, 19u);
  EXPECT_EQ(s.stall_nanos, 20u);
  EXPECT_EQ(s.get_nanos.max_nanos, 21u);
  EXPECT_EQ(s.get_many_nanos.max_nanos, 22u);
  EXPECT_EQ(s.batch_nanos.max_nanos, 23u);
  EXPECT_EQ(s.scan_chunk_nanos.max_nanos, 24u);
  EXPECT_EQ(s.group_write_nanos.max_nanos, 25u);
  EXPECT_EQ(s.fsync_nanos.max_nanos, 26u);
  EXPECT_EQ(s.flush_nanos.max_nanos, 27u);
}

}  // namespace
}  // namespace thermocline
