// How tables are compressed, level by level.
//
// Purpose: the one type for the compression of a store, its parser, and its translation into
// RocksDB's options; every tier uses it.
// Thread safety: pure functions on value types.
//
// Levels are counted from where records arrive, not by RocksDB's numbers, which begin with the
// deepest: entry 0 is for tables just flushed, entry 1 for the level they are merged into, and so
// on. The last entry is for the bottom level, which holds most of the data of any store, however
// many levels there are, and for every level that has no entry of its own. A small store has the
// first and the bottom level alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/status.h"

namespace rocksdb {
struct ColumnFamilyOptions;
}

namespace thermocline {

enum class Codec : uint8_t { kNone, kSnappy, kLz4, kZstd };

inline constexpr int kDefaultZstdLevel = 3;
inline constexpr int kMinZstdLevel = 1;
inline constexpr int kMaxZstdLevel = 22;
inline constexpr size_t kMaxCompressionLevels = 7;
inline constexpr uint32_t kMaxDictionaryBytes = 1024 * 1024;

struct LevelCompression {
  Codec codec = Codec::kNone;
  int zstd_level = 0;  // of kZstd alone: 1 to 22

  bool operator==(const LevelCompression&) const = default;
};

struct Compression {
  // 1 to kMaxCompressionLevels entries. The first levels are rewritten soon, so compressing them is
  // lost work.
  std::vector<LevelCompression> levels = {{}, {}, {Codec::kLz4, 0}};
  // The size of the dictionary that zstd trains for each table of the bottom level; 0: none.
  uint32_t dictionary_bytes = 0;

  bool operator==(const Compression&) const = default;
};

// Reads names such as "none", "lz4", "snappy", "zstd" and "zstd:9", one per level.
// ERR_INVALID_ARGUMENT for an unknown name, too many levels, a zstd level or a dictionary out of
// range, a dictionary without zstd in the last entry, and two zstd levels before the last entry,
// for which RocksDB has one setting.
Status ParseCompression(const std::vector<std::string>& levels, uint64_t dictionary_bytes,
                        Compression* out);

// The names that ParseCompression reads.
std::string CodecName(const LevelCompression& level);

void ApplyCompression(const Compression& compression, rocksdb::ColumnFamilyOptions* options);

}  // namespace thermocline
