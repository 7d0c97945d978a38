#include "engine/compression.h"

#include <rocksdb/options.h>

#include <string>
#include <vector>

#include "engine/options.h"
#include "support.h"

namespace thermocline {
namespace {

using test::HasCode;
using test::IsOk;

Compression Parsed(const std::vector<std::string>& levels, uint64_t dictionary = 0) {
  Compression compression;
  EXPECT_THAT(ParseCompression(levels, dictionary, &compression), IsOk());
  return compression;
}

rocksdb::ColumnFamilyOptions Applied(const Compression& compression) {
  rocksdb::ColumnFamilyOptions options;
  ApplyCompression(compression, &options);
  return options;
}

TEST(CompressionTest, NamesAreReadAndWritten) {
  for (const std::string name : {"none", "snappy", "lz4", "zstd:1", "zstd:22"}) {
    const Compression compression = Parsed({name});
    ASSERT_EQ(compression.levels.size(), 1u);
    EXPECT_EQ(CodecName(compression.levels[0]), name);
  }
  EXPECT_EQ(CodecName(Parsed({"zstd"}).levels[0]), "zstd:3");
}

TEST(CompressionTest, UnknownNamesAndLevelsAreRefusedByName) {
  for (const std::string name : {"", "gzip", "LZ4", "lz4:1", "zstd:", "zstd:0", "zstd:23",
                                 "zstd:-1", "zstd:3x", "zstd: 3", "none "}) {
    Compression compression;
    const Compression before = compression;
    const Status status = ParseCompression({"lz4", name}, 0, &compression);
    EXPECT_THAT(status, HasCode(Code::kInvalidArgument)) << name;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("'" + name + "'"));
    EXPECT_EQ(compression, before);
  }
  Compression compression;
  EXPECT_THAT(ParseCompression({}, 0, &compression), HasCode(Code::kInvalidArgument));
  EXPECT_THAT(ParseCompression(std::vector<std::string>(8, "lz4"), 0, &compression),
              HasCode(Code::kInvalidArgument));
  EXPECT_THAT(ParseCompression(std::vector<std::string>(7, "lz4"), 0, &compression), IsOk());
}

TEST(CompressionTest, ADictionaryNeedsZstdAtTheBottom) {
  Compression compression;
  EXPECT_THAT(ParseCompression({"zstd", "lz4"}, 4096, &compression),
              HasCode(Code::kInvalidArgument));
  EXPECT_THAT(ParseCompression({"zstd"}, kMaxDictionaryBytes + 1, &compression),
              HasCode(Code::kInvalidArgument));
  const auto options = Applied(Parsed({"lz4", "zstd:7"}, 16 * 1024));
  EXPECT_EQ(options.bottommost_compression_opts.max_dict_bytes, 16u * 1024);
  EXPECT_EQ(options.bottommost_compression_opts.zstd_max_train_bytes, 1600u * 1024);
  EXPECT_EQ(options.compression_opts.max_dict_bytes, 0u) << "only the bottom pays for training";
}

TEST(CompressionTest, TheLastEntryIsForTheBottomLevel) {
  const auto options = Applied(Parsed({"none", "lz4", "snappy", "zstd:9"}));
  EXPECT_EQ(options.compression_per_level, (std::vector<rocksdb::CompressionType>{
                                               rocksdb::kNoCompression, rocksdb::kLZ4Compression,
                                               rocksdb::kSnappyCompression, rocksdb::kZSTD}));
  EXPECT_EQ(options.bottommost_compression, rocksdb::kZSTD);
  EXPECT_TRUE(options.bottommost_compression_opts.enabled);
  EXPECT_EQ(options.bottommost_compression_opts.level, 9);
  EXPECT_EQ(options.compression_opts.level, 9) << "levels beyond the list take its last entry";

  const auto none = Applied(Parsed({"lz4", "none"}));
  EXPECT_EQ(none.bottommost_compression, rocksdb::kNoCompression);
}

TEST(CompressionTest, ZstdHasOneLevelAboveTheBottomAndOneThere) {
  const auto options = Applied(Parsed({"none", "zstd:2", "zstd:2", "zstd:12"}));
  EXPECT_EQ(options.compression_opts.level, 2);
  EXPECT_EQ(options.bottommost_compression_opts.level, 12);
  Compression compression;
  EXPECT_THAT(ParseCompression({"zstd:1", "zstd:2", "zstd:3"}, 0, &compression),
              HasCode(Code::kInvalidArgument));
}

TEST(CompressionTest, PresetsSetTheDocumentedCompression) {
  EngineOptions options;
  const Compression balanced = options.compression;
  EXPECT_EQ(balanced, Parsed({"none", "none", "lz4"}));
  options.compression = Parsed({"zstd"});
  ASSERT_THAT(ApplyPreset("balanced", &options), IsOk());
  EXPECT_EQ(options.compression, balanced);
}

}  // namespace
}  // namespace thermocline
