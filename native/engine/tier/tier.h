// The tiers by name, and their options.
//
// A database has the hot tier and any of the colder ones. Where the engine works on those that
// exist it counts levels: 0 is hot, 1 the next colder one that is configured, and so on.
// Thread safety: value types and pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/compression.h"

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace thermocline {

enum class Tier : uint8_t { kHot = 0, kWarm = 1, kCold = 2 };
inline constexpr int kTierCount = 3;

inline constexpr std::string_view TierName(Tier tier) {
  constexpr std::string_view kNames[kTierCount] = {"hot", "warm", "cold"};
  return kNames[static_cast<size_t>(tier)];
}

// For trials and benchmarks: how slow the tier's disk is made (platform/slow_disk.h).
enum class SimulatedDisk : uint8_t { kNone, kSata, kHdd };

struct TierOptions {
  // What opening shall do about the tier. kAsRecorded: open it if the database has it. The hot tier
  // is always there.
  enum class Presence : uint8_t { kAsRecorded, kWanted, kRemoved };

  Presence presence = Presence::kAsRecorded;
  std::string path;             // empty: as recorded, or <location>/<name> for a new tier
  uint64_t capacity_bytes = 0;  // 0: what the file system has
  double cost_per_tb = -1;      // per month, any currency; below 0: the tier's default
  std::optional<Compression> compression;  // absent: the tier's default; of hot: `compression`
  size_t block_cache_bytes = 0;            // 0: the tier's default; of hot: memory.block_cache
  size_t write_buffer_bytes = 0;           // likewise
  double filter_bits = 0;                  // per key; 0: the tier's default
  uint64_t rate_limit_bytes = 0;           // per second, of what the tier writes by itself; 0: none
  uint64_t max_age_ms = 0;     // what was not used for so long sinks; 0, or the lowest tier: never
  uint64_t reserve_bytes = 0;  // of hot: free space of its disk kept for compaction; 0: a default
  SimulatedDisk simulated = SimulatedDisk::kNone;
  rocksdb::Env* env = nullptr;  // of a colder tier's files; not owned. Null: EngineOptions::env
};

struct TiersOptions {
  std::array<TierOptions, kTierCount> tier;
  // Whether the migrator works by itself; without it records move when the program says so, and
  // range deletes reach the colder stores with the next step.
  bool automatic = true;
  // Shards that were not used for long sink whole (LevelOfShard in policy.h).
  bool sink_idle_shards = false;

  TierOptions& at(Tier which) { return tier[static_cast<size_t>(which)]; }
  const TierOptions& at(Tier which) const { return tier[static_cast<size_t>(which)]; }
};

// The options with every default filled in: hot for NVMe, warm for a SATA SSD, cold for a disk.
//   warm  no compression on levels 0 and 1, lz4 below; 32 MiB block cache, 8 MiB write buffer
//   cold  zstd level 10 with a 16 KiB dictionary; 16 MiB block cache, 8 MiB write buffer
//   cost per TB and month: 300, 100, 20; filters of 10 bits, cold 14
TierOptions WithDefaults(Tier tier, TierOptions options);

}  // namespace thermocline
