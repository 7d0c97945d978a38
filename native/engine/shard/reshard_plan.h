// What a split or a merge makes of the shard table, and when one is wanted: decided from figures.
//
// Every shard that gets new data gets a generation above all that the table has, so that no name of
// a column family is ever used twice for different data.
//
// Thread safety: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/shard/shard_table.h"
#include "engine/status.h"

namespace thermocline {

// One split or merge.
struct ReshardPlan {
  ShardTable from;
  ShardTable to;
  std::vector<int> sources;  // indexes in `from` of the shards whose data is copied
  std::vector<int> targets;  // indexes in `to` of the shards that are filled
};

// Gives the slots of shard `id` from `at` on to a new shard, whose id is above all others. The
// shard keeps its id and its place in the table, the new one comes last. ERR_NOT_FOUND,
// ERR_INVALID_ARGUMENT if either part would own nothing.
Status PlanSplit(const ShardTable& table, uint32_t id, uint16_t at, ReshardPlan* plan);

// Gives all slots of shard `b` to shard `a`, which keeps its id and place. ERR_NOT_FOUND,
// ERR_INVALID_ARGUMENT if no slot of one is next to one of the other.
Status PlanMerge(const ShardTable& table, uint32_t a, uint32_t b, ReshardPlan* plan);

// Whether two shards have slots next to each other.
bool AreNeighbours(const ShardInfo& a, const ShardInfo& b);

using SlotWeights = std::array<uint64_t, kSlotCount>;

// The first slot of the upper part such that the parts' weights differ least; without any weight,
// the slot that halves their number. Nothing if the shard owns a single slot.
std::optional<uint16_t> HalvingSlot(const ShardInfo& shard, const SlotWeights& weights);

// When to split or merge without being asked. Zero: never.
struct AutoSplit {
  uint64_t max_bytes = 0;  // a larger shard is split
  uint64_t min_bytes = 0;  // of neighbours: two smaller ones become one
  bool enabled() const { return max_bytes > 0; }
};

inline constexpr int kMaxAutoShards = 1024;

struct AutoMove {
  bool split = false;  // else merge
  uint32_t id = 0;
  uint32_t other = 0;  // the shard to be merged into `id`
};

// The most urgent move, by the bytes of each shard in the order of the table: the largest shard
// above max_bytes that owns several slots is split; else the smallest two neighbours, both below
// min_bytes and together below half of max_bytes, are merged, so that what was merged is not split
// again.
std::optional<AutoMove> NextAutoMove(const ShardTable& table, const std::vector<uint64_t>& bytes,
                                     const AutoSplit& limits);

}  // namespace thermocline
