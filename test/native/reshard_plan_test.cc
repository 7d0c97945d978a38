#include "engine/shard/reshard_plan.h"

#include <vector>

#include "support.h"

namespace thermocline {
namespace {

using test::HasCode;
using test::IsOk;
using Slots = std::vector<SlotRange>;

ShardTable TableOf(std::vector<ShardInfo> shards) {
  ShardTable table;
  EXPECT_THAT(ShardTable::Create(std::move(shards), &table), IsOk());
  return table;
}

TEST(ReshardPlanTest, ASplitGivesTheUpperSlotsToANewShard) {
  const ShardTable table = ShardTable::Equal(4);
  ReshardPlan plan;
  ASSERT_THAT(PlanSplit(table, 1, 5000, &plan), IsOk());
  EXPECT_EQ(plan.sources, std::vector<int>{1});
  EXPECT_EQ(plan.targets, (std::vector<int>{1, 4}));
  EXPECT_EQ(plan.to.size(), 5);
  EXPECT_EQ(plan.to.shards()[1], (ShardInfo{1, 1, {{4096, 4999}}}));
  EXPECT_EQ(plan.to.shards()[4], (ShardInfo{4, 1, {{5000, 8191}}}));
  for (const int other : {0, 2, 3}) EXPECT_EQ(plan.to.shards()[other], table.shards()[other]);
}

TEST(ReshardPlanTest, ASplitMayFallIntoAnyOfAShardsRanges) {
  const ShardTable table =
      TableOf({{7, 3, {{0, 99}, {200, 299}, {400, 16383}}}, {9, 5, {{100, 199}, {300, 399}}}});
  ReshardPlan plan;
  ASSERT_THAT(PlanSplit(table, 7, 250, &plan), IsOk());
  EXPECT_EQ(plan.to.shards()[0], (ShardInfo{7, 6, {{0, 99}, {200, 249}}}));
  EXPECT_EQ(plan.to.shards()[2], (ShardInfo{10, 6, {{250, 299}, {400, 16383}}}));
  ASSERT_THAT(PlanSplit(table, 7, 150, &plan), IsOk());
  EXPECT_EQ(plan.to.shards()[0].slots, (Slots{{0, 99}}));
  EXPECT_EQ(plan.to.shards()[2].slots, (Slots{{200, 299}, {400, 16383}}));
}

TEST(ReshardPlanTest, NeitherPartOfASplitMayBeEmpty) {
  const ShardTable table = ShardTable::Equal(2);
  ReshardPlan plan;
  for (const uint16_t at : {0, 8192, 16383}) {
    EXPECT_THAT(PlanSplit(table, 0, at, &plan), HasCode(Code::kInvalidArgument)) << at;
  }
  EXPECT_THAT(PlanSplit(table, 0, 1, &plan), IsOk());
  EXPECT_THAT(PlanSplit(table, 0, 8191, &plan), IsOk());
  EXPECT_THAT(PlanSplit(table, 2, 1, &plan), HasCode(Code::kNotFound));
}

TEST(ReshardPlanTest, AMergeJoinsNeighboursInEitherOrder) {
  const ShardTable table = ShardTable::Equal(4);
  ReshardPlan plan;
  ASSERT_THAT(PlanMerge(table, 1, 2, &plan), IsOk());
  EXPECT_EQ(plan.sources, (std::vector<int>{1, 2}));
  EXPECT_EQ(plan.targets, std::vector<int>{1});
  EXPECT_EQ(plan.to.shards()[1], (ShardInfo{1, 1, {{4096, 12287}}}));
  EXPECT_EQ(plan.to.shards()[2], table.shards()[3]);
  ASSERT_THAT(PlanMerge(table, 2, 1, &plan), IsOk());
  EXPECT_EQ(plan.sources, (std::vector<int>{2, 1}));
  EXPECT_EQ(plan.targets, std::vector<int>{1}) << "its place moves up";
  EXPECT_EQ(plan.to.shards()[1], (ShardInfo{2, 1, {{4096, 12287}}}));
}

TEST(ReshardPlanTest, OnlyTwoNeighboursCanBeMerged) {
  const ShardTable table = ShardTable::Equal(4);
  ReshardPlan plan;
  EXPECT_THAT(PlanMerge(table, 0, 2, &plan), HasCode(Code::kInvalidArgument));
  EXPECT_THAT(PlanMerge(table, 1, 1, &plan), HasCode(Code::kInvalidArgument));
  EXPECT_THAT(PlanMerge(table, 0, 4, &plan), HasCode(Code::kNotFound));
  EXPECT_THAT(PlanMerge(table, 4, 0, &plan), HasCode(Code::kNotFound));
}

TEST(ReshardPlanTest, GenerationsOnlyEverGrow) {
  ShardTable table = ShardTable::Equal(2);
  uint32_t last = 0;
  for (int i = 0; i < 20; i++) {
    ReshardPlan plan;
    ASSERT_THAT(i % 2 == 0 ? PlanSplit(table, 0, 4096, &plan) : PlanMerge(table, 0, 2, &plan),
                IsOk());
    table = plan.to;
    for (const int target : plan.targets) {
      EXPECT_EQ(table.shards()[target].generation, last + 1);
    }
    last++;
  }
}

TEST(ReshardPlanTest, TheHalvingSlotHalvesTheBytes) {
  const ShardInfo shard{0, 0, {{100, 199}, {300, 399}}};
  const auto weights = std::make_unique<SlotWeights>();
  weights->fill(0);
  EXPECT_EQ(HalvingSlot(shard, *weights), 300) << "nothing is known: half of the slots";
  for (int slot = 100; slot < 200; slot++) (*weights)[slot] = 1;
  EXPECT_EQ(HalvingSlot(shard, *weights), 150);
  for (int slot = 300; slot < 400; slot++) (*weights)[slot] = 3;
  EXPECT_EQ(HalvingSlot(shard, *weights), 333);
  (*weights)[0] = 1'000'000;  // another shard's
  EXPECT_EQ(HalvingSlot(shard, *weights), 333);
  (*weights)[399] = 1'000'000;
  EXPECT_EQ(HalvingSlot(shard, *weights), 399) << "a heavy slot stands alone";
  EXPECT_EQ(HalvingSlot({0, 0, {{5, 5}}}, *weights), std::nullopt);
}

TEST(ReshardPlanTest, TheLargestShardAboveTheLimitIsSplitFirst) {
  const ShardTable table = ShardTable::Equal(3);
  const AutoSplit limits{.max_bytes = 100, .min_bytes = 10};
  auto move = NextAutoMove(table, {101, 300, 5}, limits);
  ASSERT_TRUE(move);
  EXPECT_TRUE(move->split);
  EXPECT_EQ(move->id, 1u);
  EXPECT_FALSE(NextAutoMove(table, {100, 100, 100}, limits));
  EXPECT_FALSE(NextAutoMove(table, {300, 300, 300}, AutoSplit{}));
  const ShardTable narrow = TableOf({{0, 0, {{0, 0}}}, {1, 0, {{1, 16383}}}});
  EXPECT_FALSE(NextAutoMove(narrow, {300, 50}, limits)) << "a single slot cannot be split";
}

TEST(ReshardPlanTest, TheSmallestNeighboursAreMerged) {
  const ShardTable table = ShardTable::Equal(4);
  const AutoSplit limits{.max_bytes = 100, .min_bytes = 40};
  auto move = NextAutoMove(table, {20, 30, 9, 8}, limits);
  ASSERT_TRUE(move);
  EXPECT_FALSE(move->split);
  EXPECT_EQ(move->id, 2u);
  EXPECT_EQ(move->other, 3u);
  EXPECT_FALSE(NextAutoMove(table, {20, 50, 20, 50}, limits)) << "no two small ones are neighbours";
  EXPECT_FALSE(NextAutoMove(table, {30, 30, 60, 60}, limits)) << "more than half of the limit";
}

}  // namespace
}  // namespace thermocline
