#include "engine/shard/reshard_plan.h"

#include <algorithm>
#include <string>
#include <utility>

namespace thermocline {

namespace {

uint32_t NextGeneration(const ShardTable& table) {
  uint32_t generation = 0;
  for (const ShardInfo& shard : table.shards()) generation = std::max(generation, shard.generation);
  return generation + 1;
}

Status NoShard(uint32_t id) { return {Code::kNotFound, "there is no shard " + std::to_string(id)}; }

int SlotsOf(const ShardInfo& shard) {
  int slots = 0;
  for (const SlotRange& range : shard.slots) slots += range.last - range.first + 1;
  return slots;
}

}  // namespace

Status PlanSplit(const ShardTable& table, uint32_t id, uint16_t at, ReshardPlan* plan) {
  const int index = table.IndexOfId(id);
  if (index < 0) return NoShard(id);
  const ShardInfo& shard = table.shards()[static_cast<size_t>(index)];
  if (shard.frozen) return FrozenError(shard);
  ShardInfo lower{.id = id, .generation = NextGeneration(table), .slots = {}};
  ShardInfo upper{.id = 0, .generation = lower.generation, .slots = {}};
  for (const ShardInfo& other : table.shards()) upper.id = std::max(upper.id, other.id + 1);
  for (const SlotRange& range : shard.slots) {
    if (range.first < at) {
      lower.slots.push_back(
          {range.first, std::min<uint16_t>(range.last, static_cast<uint16_t>(at - 1))});
    }
    if (range.last >= at) upper.slots.push_back({std::max(range.first, at), range.last});
  }
  if (lower.slots.empty() || upper.slots.empty()) {
    return {Code::kInvalidArgument, "splitting shard " + std::to_string(id) + " at slot " +
                                        std::to_string(at) + " would leave one part without slots"};
  }
  std::vector<ShardInfo> shards = table.shards();
  shards[static_cast<size_t>(index)] = std::move(lower);
  shards.push_back(std::move(upper));
  plan->from = table;
  plan->sources = {index};
  plan->targets = {index, static_cast<int>(shards.size()) - 1};
  return ShardTable::Create(std::move(shards), &plan->to);
}

bool AreNeighbours(const ShardInfo& a, const ShardInfo& b) {
  for (const SlotRange& one : a.slots) {
    for (const SlotRange& other : b.slots) {
      if (one.last + 1 == other.first || other.last + 1 == one.first) return true;
    }
  }
  return false;
}

Status PlanMerge(const ShardTable& table, uint32_t a, uint32_t b, ReshardPlan* plan) {
  const int into = table.IndexOfId(a);
  const int gone = table.IndexOfId(b);
  if (into < 0) return NoShard(a);
  if (gone < 0) return NoShard(b);
  for (const int index : {into, gone}) {
    if (table.IsFrozen(index)) return FrozenError(table.shards()[static_cast<size_t>(index)]);
  }
  const auto name = [&] { return std::to_string(a) + " and " + std::to_string(b); };
  if (into == gone) {
    return {Code::kInvalidArgument, "a shard cannot be merged with itself"};
  }
  std::vector<ShardInfo> shards = table.shards();
  ShardInfo& merged = shards[static_cast<size_t>(into)];
  const ShardInfo& other = shards[static_cast<size_t>(gone)];
  if (!AreNeighbours(merged, other)) {
    return {Code::kInvalidArgument, "shards " + name() + " have no slots next to each other"};
  }
  merged.generation = NextGeneration(table);
  merged.slots.insert(merged.slots.end(), other.slots.begin(), other.slots.end());
  shards.erase(shards.begin() + gone);
  plan->from = table;
  plan->sources = {into, gone};
  plan->targets = {into - (gone < into ? 1 : 0)};
  return ShardTable::Create(std::move(shards), &plan->to);
}

std::optional<uint16_t> HalvingSlot(const ShardInfo& shard, const SlotWeights& weights) {
  const int slots = SlotsOf(shard);
  if (slots < 2) return std::nullopt;
  uint64_t total = 0;
  for (const SlotRange& range : shard.slots) {
    for (int slot = range.first; slot <= range.last; slot++) total += weights[slot];
  }
  uint16_t best = 0;
  uint64_t best_difference = 0;
  int best_imbalance = 0;
  uint64_t below = 0;
  int seen = 0;
  bool any = false;
  for (const SlotRange& range : shard.slots) {
    for (int slot = range.first; slot <= range.last; slot++) {
      if (seen > 0) {
        const uint64_t above = total - below;
        const uint64_t difference = std::max(below, above) - std::min(below, above);
        // Among equals, as without any weight, the one in the middle.
        const int imbalance = std::abs(2 * seen - slots);
        if (!any || difference < best_difference ||
            (difference == best_difference && imbalance < best_imbalance)) {
          any = true;
          best = static_cast<uint16_t>(slot);
          best_difference = difference;
          best_imbalance = imbalance;
        }
      }
      below += weights[slot];
      seen++;
    }
  }
  return best;
}

std::optional<AutoMove> NextAutoMove(const ShardTable& table, const std::vector<uint64_t>& bytes,
                                     const AutoSplit& limits) {
  if (!limits.enabled()) return std::nullopt;
  const std::vector<ShardInfo>& shards = table.shards();
  std::optional<size_t> largest;
  for (size_t i = 0; i < shards.size(); i++) {
    if (shards[i].frozen || bytes[i] <= limits.max_bytes || SlotsOf(shards[i]) < 2) continue;
    if (!largest || bytes[i] > bytes[*largest]) largest = i;
  }
  if (largest && table.size() < kMaxAutoShards) {
    return AutoMove{.split = true, .id = shards[*largest].id};
  }
  std::optional<AutoMove> merge;
  uint64_t least = 0;
  for (size_t i = 0; i < shards.size(); i++) {
    for (size_t j = i + 1; j < shards.size(); j++) {
      if (shards[i].frozen || shards[j].frozen) continue;
      if (bytes[i] >= limits.min_bytes || bytes[j] >= limits.min_bytes) continue;
      const uint64_t together = bytes[i] + bytes[j];
      if (together > limits.max_bytes / 2 || !AreNeighbours(shards[i], shards[j])) continue;
      if (merge && together >= least) continue;
      least = together;
      merge = AutoMove{.split = false, .id = shards[i].id, .other = shards[j].id};
    }
  }
  return merge;
}

}  // namespace thermocline
