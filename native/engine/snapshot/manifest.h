// The manifest of a shard snapshot: what it holds, and the checksum of every file
// (docs/on-disk-format.md).
//
// Purpose: a snapshot that is damaged, cut short or not ours is told from a good one before
// anything of it is used. The manifest is written last; without one there is no snapshot.
//
// Thread safety: pure functions, but for those that read or write a file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/shard/shard_table.h"
#include "engine/status.h"
#include "engine/tier/meta.h"
#include "engine/tier/tier.h"

namespace thermocline {

// One table. The figures after `crc` are RocksDB's, which takes the file in by them.
struct SnapshotFile {
  std::string name;  // in the snapshot's folder
  uint64_t size = 0;
  uint32_t crc = 0;  // CRC-32C of all its bytes
  uint32_t level = 0;
  uint64_t smallest_sequence = 0;
  uint64_t largest_sequence = 0;
  uint64_t epoch = 0;
  std::string smallest;  // internal keys
  std::string largest;
};

struct SnapshotTier {
  Tier tier = Tier::kHot;
  std::vector<SnapshotFile> files;
};

struct SnapshotShard {
  ShardInfo info;                   // as it was: id, generation, slots
  uint64_t keys = 0;                // roughly: entries less deletions
  std::vector<SnapshotTier> tiers;  // hotter first; the hot one is always there
};

struct SnapshotManifest {
  uint64_t created_ms = 0;
  uint64_t clock_ms = 0;  // the engine's at that moment: what had expired by then is gone
  std::string source;     // UUID of the hot store
  // Range deletes that the colder files have not seen.
  std::vector<RangeIntentRecord> intents;
  std::vector<SnapshotShard> shards;

  uint64_t bytes() const;
  uint64_t files() const;
};

inline constexpr const char* kManifestName = "SHARDS";

std::string EncodeManifest(const SnapshotManifest& manifest);
// ERR_INVALID_ARGUMENT if it is no manifest at all, ERR_FORMAT_VERSION, ERR_CORRUPTION. Names of
// files that could lie outside of the folder are corruption.
Status DecodeManifest(std::string_view encoded, SnapshotManifest* manifest);

// ERR_NOT_FOUND if `dir` holds no manifest.
Status ReadManifest(const std::string& dir, SnapshotManifest* manifest);

}  // namespace thermocline
