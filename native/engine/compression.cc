#include "engine/compression.h"

#include <rocksdb/options.h>

#include <charconv>

namespace thermocline {

namespace {

// What zstd's trainer is given, in dictionaries: its manual asks for about a hundred.
constexpr uint32_t kTrainingFactor = 100;

Status Refused(const std::string& why) { return {Code::kInvalidArgument, "compression: " + why}; }

Status ParseLevel(std::string_view text, LevelCompression* out) {
  if (text == "none") {
    *out = {Codec::kNone, 0};
  } else if (text == "snappy") {
    *out = {Codec::kSnappy, 0};
  } else if (text == "lz4") {
    *out = {Codec::kLz4, 0};
  } else if (text == "zstd") {
    *out = {Codec::kZstd, kDefaultZstdLevel};
  } else if (text.starts_with("zstd:")) {
    const std::string_view number = text.substr(5);
    int level = 0;
    const auto [end, error] = std::from_chars(number.begin(), number.end(), level);
    if (error != std::errc() || end != number.end() || level < kMinZstdLevel ||
        level > kMaxZstdLevel) {
      return Refused("the level in '" + std::string(text) + "' must be from 1 to 22");
    }
    *out = {Codec::kZstd, level};
  } else {
    return Refused("unknown name '" + std::string(text) +
                   "'; use none, lz4, snappy, zstd or zstd:<level>");
  }
  return {};
}

rocksdb::CompressionType TypeOf(Codec codec) {
  switch (codec) {
    case Codec::kNone:
      return rocksdb::kNoCompression;
    case Codec::kSnappy:
      return rocksdb::kSnappyCompression;
    case Codec::kLz4:
      return rocksdb::kLZ4Compression;
    case Codec::kZstd:
      return rocksdb::kZSTD;
  }
  return rocksdb::kNoCompression;
}

}  // namespace

Status ParseCompression(const std::vector<std::string>& levels, uint64_t dictionary_bytes,
                        Compression* out) {
  if (levels.empty() || levels.size() > kMaxCompressionLevels) {
    return Refused("give a name, or a list of 1 to 7 names");
  }
  Compression parsed;
  parsed.levels.clear();
  for (const std::string& text : levels) {
    LevelCompression level;
    Status status = ParseLevel(text, &level);
    if (!status.ok()) return status;
    parsed.levels.push_back(level);
  }
  int upper_zstd_level = 0;
  for (size_t i = 0; i + 1 < parsed.levels.size(); i++) {
    const LevelCompression& level = parsed.levels[i];
    if (level.codec != Codec::kZstd) continue;
    if (upper_zstd_level != 0 && level.zstd_level != upper_zstd_level) {
      return Refused("zstd can have one level for the bottom and one for all others");
    }
    upper_zstd_level = level.zstd_level;
  }
  if (dictionary_bytes > kMaxDictionaryBytes) {
    return Refused("a dictionary can have at most 1MB");
  }
  if (dictionary_bytes > 0 && parsed.levels.back().codec != Codec::kZstd) {
    return Refused("a dictionary needs zstd as the last level's compression");
  }
  parsed.dictionary_bytes = static_cast<uint32_t>(dictionary_bytes);
  *out = std::move(parsed);
  return {};
}

std::string CodecName(const LevelCompression& level) {
  switch (level.codec) {
    case Codec::kNone:
      return "none";
    case Codec::kSnappy:
      return "snappy";
    case Codec::kLz4:
      return "lz4";
    case Codec::kZstd:
      return "zstd:" + std::to_string(level.zstd_level);
  }
  return "none";
}

void ApplyCompression(const Compression& compression, rocksdb::ColumnFamilyOptions* options) {
  options->compression_per_level.clear();
  for (const LevelCompression& level : compression.levels) {
    options->compression_per_level.push_back(TypeOf(level.codec));
    if (level.codec == Codec::kZstd && &level != &compression.levels.back()) {
      options->compression_opts.level = level.zstd_level;
    }
  }
  // RocksDB counts compression_per_level from the level that flushed tables are merged into: in a
  // small store that is the bottom, which must not get the second entry for it.
  const LevelCompression& bottom = compression.levels.back();
  options->bottommost_compression = TypeOf(bottom.codec);
  options->bottommost_compression_opts = rocksdb::CompressionOptions();
  options->bottommost_compression_opts.enabled = true;
  if (bottom.codec == Codec::kZstd) {
    options->bottommost_compression_opts.level = bottom.zstd_level;
    // Where the last entry also stands for levels above the bottom.
    if (options->compression_opts.level == rocksdb::CompressionOptions::kDefaultCompressionLevel) {
      options->compression_opts.level = bottom.zstd_level;
    }
  }
  const uint32_t dictionary = compression.dictionary_bytes;
  options->bottommost_compression_opts.max_dict_bytes = dictionary;
  options->bottommost_compression_opts.zstd_max_train_bytes = dictionary * kTrainingFactor;
  // RocksDB holds a table's blocks back until it has seen this much of it, then trains.
  options->bottommost_compression_opts.max_dict_buffer_bytes = dictionary * kTrainingFactor;
}

}  // namespace thermocline
