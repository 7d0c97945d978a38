// Rolling and retention: the pure decisions, and what a partition makes of them under a clock that
// the test holds.
#include <gtest/gtest.h>

#include <vector>

#include "engine/topic/retention_policy.h"
#include "engine/topic/roll_policy.h"
#include "engine/topic/topic_options.h"
#include "topic_fixture.h"

namespace thermocline::topic {
namespace {

using test::IsOk;
using test::kStartMs;
using test::PartitionTest;

TEST(TopicRollPolicy, BySize) {
  const RollBySize policy(1000);
  EXPECT_FALSE(policy.ShouldRoll({.bytes = 900, .records = 1, .next_bytes = 100}));
  EXPECT_TRUE(policy.ShouldRoll({.bytes = 901, .records = 1, .next_bytes = 100}));
}

TEST(TopicRollPolicy, ByTime) {
  const RollByTime policy(1000);
  EXPECT_FALSE(policy.ShouldRoll({.records = 1, .opened_ms = 5000, .now_ms = 5999}));
  EXPECT_TRUE(policy.ShouldRoll({.records = 1, .opened_ms = 5000, .now_ms = 6000}));
  EXPECT_FALSE(policy.ShouldRoll({.records = 1, .opened_ms = 5000, .now_ms = 0}));
}

TEST(TopicRollPolicy, ByCount) {
  const RollByCount policy(10);
  EXPECT_FALSE(policy.ShouldRoll({.records = 9}));
  EXPECT_TRUE(policy.ShouldRoll({.records = 10}));
  EXPECT_FALSE(policy.ShouldRoll({.records = 4, .next_records = 6}));
  EXPECT_TRUE(policy.ShouldRoll({.records = 4, .next_records = 7}));
}

TEST(TopicRollPolicy, ATopicRollsWhenAnyOfItsPoliciesSaysSo) {
  const auto policy =
      MakeRollPolicy({.segment_bytes = 4096, .segment_ms = 1000, .segment_records = 10});
  EXPECT_FALSE(policy->ShouldRoll({.bytes = 1, .records = 9, .opened_ms = 1, .now_ms = 1000}));
  EXPECT_TRUE(policy->ShouldRoll({.bytes = 1, .records = 10, .opened_ms = 1, .now_ms = 1}));
  EXPECT_TRUE(policy->ShouldRoll({.bytes = 1, .records = 1, .opened_ms = 1, .now_ms = 1001}));
  EXPECT_TRUE(policy->ShouldRoll({.bytes = 4097, .records = 1, .opened_ms = 1, .now_ms = 1}));
}

const std::vector<SegmentFacts> kSegments = {
    {.base_offset = 0, .end_offset = 10, .bytes = 100, .max_timestamp = 1000},
    {.base_offset = 10, .end_offset = 20, .bytes = 200, .max_timestamp = 2000},
    {.base_offset = 20, .end_offset = 30, .bytes = 300, .max_timestamp = 1500},
    {.base_offset = 30, .end_offset = 40, .bytes = 400, .max_timestamp = 4000},
};

TEST(TopicRetention, ByAgeStopsAtTheFirstSegmentWithAYoungMessage) {
  const RetainByAge policy(500);
  EXPECT_EQ(policy.CountExpired(kSegments, 1499), 0u);
  EXPECT_EQ(policy.CountExpired(kSegments, 1500), 1u);
  EXPECT_EQ(policy.CountExpired(kSegments, 2499), 1u) << "the third is older than the second";
  EXPECT_EQ(policy.CountExpired(kSegments, 2500), 3u);
  EXPECT_EQ(policy.CountExpired(kSegments, 1'000'000), 3u) << "never the active one";
  EXPECT_EQ(policy.CountExpired(kSegments, 0), 0u) << "a clock that was set back";
}

TEST(TopicRetention, BySizeKeepsAtLeastThatMuch) {
  EXPECT_EQ(RetainBySize(1000).CountExpired(kSegments, 0), 0u);
  EXPECT_EQ(RetainBySize(900).CountExpired(kSegments, 0), 1u);
  EXPECT_EQ(RetainBySize(899).CountExpired(kSegments, 0), 1u);
  EXPECT_EQ(RetainBySize(700).CountExpired(kSegments, 0), 2u);
  EXPECT_EQ(RetainBySize(1).CountExpired(kSegments, 0), 3u);
}

TEST(TopicRetention, ByOffsetTakesWholeSegments) {
  EXPECT_EQ(RetainFromOffset(9).CountExpired(kSegments, 0), 0u);
  EXPECT_EQ(RetainFromOffset(10).CountExpired(kSegments, 0), 1u);
  EXPECT_EQ(RetainFromOffset(29).CountExpired(kSegments, 0), 2u);
  EXPECT_EQ(RetainFromOffset(1000).CountExpired(kSegments, 0), 3u);
  EXPECT_EQ(RetainFromOffset(1000).CountExpired({}, 0), 0u);
}

TEST(TopicRetention, ATopicWithoutLimitsKeepsEverything) {
  EXPECT_EQ(MakeRetentionPolicy({})->CountExpired(kSegments, 1'000'000'000), 0u);
}

class TopicRolling : public PartitionTest {
 protected:
  void Apply() {
    size_t deleted = 0;
    ASSERT_THAT(partition()->DeleteExpired(*MakeRetentionPolicy(options_), &deleted), IsOk());
    deleted_ += deleted;
  }
  size_t deleted_ = 0;
};

TEST_F(TopicRolling, ByCountAndTheSegmentsAreNamedByTheirOffsets) {
  options_.segment_records = 10;
  Open();
  for (int i = 0; i < 7; i++) Append(5);
  EXPECT_EQ(Files(".log"),
            (std::vector<std::string>{"00000000000000000000.log", "00000000000000000010.log",
                                      "00000000000000000020.log", "00000000000000000030.log"}));
  ExpectRun(ReadFrom(0), 0, 35);
}

TEST_F(TopicRolling, BySizeAndAHugeBatchHasItsOwnSegment) {
  options_.segment_bytes = 4096;
  Open();
  Append(1);
  Append(1000);
  Append(1);
  const std::vector<SegmentFacts> segments = partition()->Segments();
  ASSERT_EQ(segments.size(), 3u);
  EXPECT_GT(segments[1].bytes, 4096u);
  EXPECT_EQ(segments[1].base_offset, 1u);
  EXPECT_EQ(segments[2].base_offset, 1001u);
  ExpectRun(ReadFrom(0), 0, 1002);
}

TEST_F(TopicRolling, WithinOneGroupOfAppends) {
  options_.segment_records = 3;
  Open();
  BodyBuilder bodies[10];
  BatchAppend batches[10];
  std::vector<BatchAppend*> group;
  for (uint64_t i = 0; i < 10; i++) {
    bodies[i].Add(test::PayloadOf(i));
    batches[i].body = bodies[i].bytes();
    batches[i].count = 1;
    group.push_back(&batches[i]);
  }
  partition()->Append(group);
  for (uint64_t i = 0; i < 10; i++) {
    EXPECT_THAT(batches[i].status, IsOk());
    EXPECT_EQ(batches[i].base_offset, i);
  }
  EXPECT_EQ(partition()->Segments().size(), 4u);
  ExpectRun(ReadFrom(0), 0, 10);
}

TEST_F(TopicRolling, ByTimeAlsoWithoutANewMessage) {
  options_.segment_ms = 1000;
  Open();
  Append();
  now_ms_ += 999;
  Append();
  ASSERT_THAT(partition()->RollIfDue(), IsOk());
  EXPECT_EQ(partition()->Segments().size(), 1u);
  now_ms_ += 1;
  ASSERT_THAT(partition()->RollIfDue(), IsOk());
  EXPECT_EQ(partition()->Segments().size(), 2u);
  now_ms_ += 100'000;
  ASSERT_THAT(partition()->RollIfDue(), IsOk());
  EXPECT_EQ(partition()->Segments().size(), 2u) << "an empty segment stays";
  Append();
  now_ms_ += 999;
  Append();
  EXPECT_EQ(partition()->Segments().size(), 2u) << "its time runs from its first message";
  ExpectRun(ReadFrom(0), 0, 4);
}

TEST_F(TopicRolling, TheTimeOfASegmentGoesOnAfterReopening) {
  options_.segment_ms = 1000;
  Open();
  Append();
  now_ms_ += 600;
  Open();
  now_ms_ += 400;
  Append();
  EXPECT_EQ(partition()->Segments().size(), 2u);
}

TEST_F(TopicRolling, OldSegmentsGoAndTheOffsetsStay) {
  options_.segment_records = 10;
  options_.retention_ms = 1000;
  Open();
  for (int i = 0; i < 5; i++) {
    Append(10);
    now_ms_ += 400;
  }
  Apply();
  // At 2000 ms the messages of 0, 400 and 800 are 1000 ms old and more.
  EXPECT_EQ(deleted_, 3u);
  EXPECT_EQ(partition()->start_offset(), 30u);
  EXPECT_EQ(partition()->end_offset(), 50u);
  ExpectRun(ReadFrom(0), 30, 50);
  ExpectRun(ReadFrom(35), 35, 50);
  EXPECT_EQ(Files(".log").size(), 2u);
  now_ms_ += 1'000'000;
  Apply();
  EXPECT_EQ(partition()->start_offset(), 40u) << "the active segment stays";
  Open();
  EXPECT_EQ(partition()->start_offset(), 40u);
  EXPECT_EQ(partition()->end_offset(), 50u);
  EXPECT_EQ(Append().base_offset, 50u);
}

TEST_F(TopicRolling, ASegmentThatIsHeldStaysReadable) {
  options_.segment_records = 1000;
  Open();
  for (int i = 0; i < 30; i++) Append(100);
  ASSERT_EQ(partition()->Segments().size(), 3u);
  PartitionReader reader(partition_);
  ReadResult held;
  ASSERT_THAT(reader.Read({.max_bytes = 1000}, &held), IsOk());
  ASSERT_LT(held.next_offset, 500u);
  ASSERT_TRUE(held.block->mapped());
  size_t deleted = 0;
  ASSERT_THAT(partition()->DeleteExpired(RetainFromOffset(2500), &deleted), IsOk());
  EXPECT_EQ(deleted, 2u);
  EXPECT_EQ(Files(".log").size(), 1u);
  // What was handed out, the rest of the segment, and then what is left.
  const std::vector<test::Message> first = test::MessagesOf(held);
  ExpectRun(first, 0, held.next_offset);
  std::vector<test::Message> rest = ReadOn(&reader);
  ASSERT_FALSE(rest.empty());
  EXPECT_EQ(rest.front().offset, held.next_offset);
  for (uint64_t offset = held.next_offset, i = 0; i < rest.size(); i++, offset++) {
    if (offset == 1000) offset = 2000;
    ASSERT_EQ(rest[i].offset, offset);
    ASSERT_EQ(rest[i].payload, test::PayloadOf(offset));
  }
  EXPECT_EQ(rest.back().offset, 2999u);
}

TEST_F(TopicRolling, WhatOneReaderWritesIntoHisMessagesNobodyElseSees) {
  options_.segment_records = 100;
  Open();
  Append(100);
  Append(1);
  PartitionReader reader(partition_);
  ReadResult mine;
  ASSERT_THAT(reader.Read({}, &mine), IsOk());
  ASSERT_TRUE(mine.block->mapped());
  std::fill_n(mine.block->data(), mine.block->size(), 'x');
  ExpectRun(ReadFrom(0), 0, 101);
}

}  // namespace
}  // namespace thermocline::topic
