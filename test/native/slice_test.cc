// How much of a migration step comes between two groups of writes.

#include "engine/tier/slice.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tier_fixture.h"

namespace thermocline {
namespace {

using test::IsOk;
using test::Levels;
using test::Migrate;
using test::PackedWrites;
using test::Write;

TEST(SliceTest, ASliceHasFewKeysAndFewBytesAndOneKeyAtLeast) {
  EXPECT_EQ(SliceEnd(0, 1000, [](size_t) { return size_t{10}; }), kSliceKeys);
  EXPECT_EQ(SliceEnd(990, 1000, [](size_t) { return size_t{10}; }), 1000u);
  EXPECT_EQ(SliceEnd(0, 1000, [](size_t) { return kSliceBytes / 4; }), 4u);
  EXPECT_EQ(SliceEnd(3, 1000, [](size_t) { return 100 * kSliceBytes; }), 4u);
  EXPECT_EQ(SliceEnd(5, 5, [](size_t) { return size_t{1}; }), 5u);
}

TEST(SliceTest, ARestIsAsLongAsWhatWasDoneButBounded) {
  EXPECT_EQ(RestAfterSlice(0, false), 0u);
  EXPECT_EQ(RestAfterSlice(100'000, false), kRestPerSlice * 100'000);
  EXPECT_EQ(RestAfterSlice(~uint64_t{0}, false), kMaxRestNanos);
  EXPECT_EQ(RestAfterSlice(100'000, true), 0u) << "held writes wait for the step";
}

class SliceOfAStepTest : public test::TierTest {
 protected:
  // How many operations each commit in hot's log had, since a moment.
  std::vector<size_t> CommitsSince(rocksdb::SequenceNumber sequence) {
    std::vector<size_t> counts;
    std::unique_ptr<rocksdb::TransactionLogIterator> log;
    const rocksdb::Status s = engine()->hot_db()->GetUpdatesSince(sequence + 1, &log);
    EXPECT_TRUE(s.ok()) << s.ToString();
    for (; s.ok() && log->Valid(); log->Next()) {
      counts.push_back(static_cast<size_t>(log->GetBatch().writeBatchPtr->Count()));
    }
    return counts;
  }
  void ExpectSlices(const std::vector<size_t>& commits, size_t records) {
    size_t in_all = 0;
    for (const size_t count : commits) {
      EXPECT_LE(count, kSliceKeys);
      in_all += count;
    }
    EXPECT_GE(in_all, records);
    EXPECT_GE(commits.size(), records / kSliceKeys);
  }
};

TEST_F(SliceOfAStepTest, WhatMovesLeavesAndEntersHotInSmallCommits) {
  constexpr size_t kRecords = 1000;
  OpenTiered(test::TieredOptions(1));
  PackedWrites writes;
  for (size_t i = 0; i < kRecords; i++) writes.Put("key" + std::to_string(i), "value");
  ASSERT_THAT(Write(engine(), writes), IsOk());

  rocksdb::SequenceNumber before = engine()->hot_db()->GetLatestSequenceNumber();
  EXPECT_EQ(Migrate(engine(), 0, 1).records, kRecords);
  ExpectSlices(CommitsSince(before), kRecords);
  EXPECT_EQ(Levels(engine(), "key999"), "nothing | value value | nothing");

  before = engine()->hot_db()->GetLatestSequenceNumber();
  EXPECT_EQ(Migrate(engine(), 1, 0).records, kRecords);
  ExpectSlices(CommitsSince(before), kRecords);
  EXPECT_EQ(Levels(engine(), "key999"), "value value | nothing | nothing");
}

}  // namespace
}  // namespace thermocline
