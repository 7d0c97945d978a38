// What to move, decided from figures alone.
//
// Thread safety: pure functions.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "engine/cache/heat_sketch.h"
#include "engine/options.h"
#include "engine/shard/activity.h"

namespace thermocline {

// Shares of a tier's capacity: above `high` it sinks records until it is at `low`.
struct WaterMarks {
  double high = 0.85;
  double low = 0.75;
};

// 0: the tier is not above its high-water mark. A capacity of 0 is unknown.
inline uint64_t BytesToSink(uint64_t used, uint64_t capacity, const WaterMarks& marks = {}) {
  const double capacity_bytes = static_cast<double>(capacity);
  if (capacity == 0 || static_cast<double>(used) <= marks.high * capacity_bytes) return 0;
  return used - static_cast<uint64_t>(marks.low * capacity_bytes);
}

// Whether a tier is so far below its low-water mark, more than sinking may miss it by, that it
// could hold more of what is read.
inline bool IsRoomy(uint64_t used, uint64_t capacity, const WaterMarks& marks = {}) {
  return static_cast<double>(used) < 0.8 * marks.low * static_cast<double>(capacity);
}

// Whether a tier can take more records.
inline bool HasRoom(uint64_t used, uint64_t capacity) {
  return capacity == 0 || static_cast<double>(used) < 0.97 * static_cast<double>(capacity);
}

// Where records of a shard belong by its temperature: those of a warm one in the next tier below
// hot, those of a cold one in the lowest.
inline int LevelOfShard(Temperature temperature, int levels) {
  switch (temperature) {
    case Temperature::kHot:
      return 0;
    case Temperature::kWarm:
      return std::min(1, levels - 1);
    default:
      return levels - 1;
  }
}

// Whether so many entries of a table are of no use that going through it pays: `least` of them, and
// a quarter of all.
inline constexpr uint64_t kTidyLeast = 1024;
inline bool IsWorthTidying(uint64_t useless, uint64_t entries, uint64_t least = kTidyLeast) {
  return useless >= least && useless >= entries / 4;
}

// Few deletions may hide much, where values are large.
inline constexpr uint64_t kTidyLeastBytes = 8 * kMiB;
inline bool HidesMuch(uint64_t deletions, uint64_t entries, uint64_t hidden_bytes) {
  return hidden_bytes >= kTidyLeastBytes && deletions >= entries / 4;
}

// How large a compaction may be that gives back so much: it cannot be ended, and whoever closes the
// database waits for it, as does all other migration. `rate_limit`: bytes per second, 0: none.
inline uint64_t MostToCompact(uint64_t hidden_bytes, uint64_t rate_limit) {
  const uint64_t most = std::clamp(2 * hidden_bytes, 128 * kMiB, 512 * kMiB);
  return rate_limit == 0 ? most : std::min(most, 2 * rate_limit);
}

// Whether a promoted copy is no longer worth its room: it is read so seldom that it would not be
// promoted now. Lower than what promotion asks for, so that nothing goes up and down.
inline bool HasCooled(int heat) { return heat <= 1; }

// Threads that wait for the disks of colder tiers, for so many that read the hot one. They work
// little: a SATA disk takes 32 requests at once.
inline int ColderReadThreads(int read_threads) {
  return std::max(read_threads, std::clamp(4 * read_threads, 8, 32));
}

// How long records are not looked through for old ones after that was done; more if it took long,
// of a processor's time, where there were none: that takes a fiftieth of one at most.
inline uint64_t AgeSweepMs(uint64_t age_ms, uint64_t vain_ms = 0) {
  return std::max({uint64_t{1}, age_ms / 4, 50 * vain_ms});
}

// What writes meet when the hot tier's disk runs full (space_gate.h).
enum class SpaceState : uint8_t { kOpen, kHeld, kRefused };

struct SpaceFigures {
  uint64_t free = 0;
  uint64_t reserve = 0;
  bool hopeless = false;  // nothing makes room
};

// Held writes go on only when there is a little more than the reserve, so that they do not stop and
// go with every group; refused ones likewise.
inline SpaceState NextSpaceState(SpaceState before, const SpaceFigures& figures) {
  const uint64_t enough = figures.reserve + (before == SpaceState::kOpen ? 0 : figures.reserve / 8);
  if (figures.free >= enough) return SpaceState::kOpen;
  if (before == SpaceState::kRefused || figures.hopeless) return SpaceState::kRefused;
  return SpaceState::kHeld;
}

// Free space to keep where the options name none: a twentieth of the disk, at most 4 GiB.
inline uint64_t DefaultReserve(uint64_t disk_bytes) {
  return std::min<uint64_t>(disk_bytes / 20, uint64_t{4} << 30);
}

// The bytes of a sample of records, by their heat.
using HeatSample = std::array<uint64_t, HeatSketch::kMax + 1>;

// The smallest heat such that the records which are not hotter make up at least `share` of the
// sample; kMax if `share` is everything.
inline int HeatThreshold(const HeatSample& sample, double share) {
  double total = 0;
  for (const uint64_t bytes : sample) total += static_cast<double>(bytes);
  double below = 0;
  for (int heat = 0; heat < HeatSketch::kMax; heat++) {
    below += static_cast<double>(sample[static_cast<size_t>(heat)]);
    if (total > 0 && below >= share * total) return heat;
  }
  return HeatSketch::kMax;
}

// The `most` hottest of some offers, given how many there are of each heat: all that are hotter
// than `coolest`, and `ties` of those that are as hot as that.
struct HottestOffers {
  int coolest = -1;
  uint64_t ties = 0;
};

inline HottestOffers ChooseHottest(const HeatSample& offered, uint64_t most) {
  uint64_t taken = 0;
  for (int heat = HeatSketch::kMax; heat >= 0; heat--) {
    const uint64_t alike = offered[static_cast<size_t>(heat)];
    if (taken + alike > most) return {heat, most - taken};
    taken += alike;
  }
  return {};
}

}  // namespace thermocline
