#include "engine/shard/shard_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/record/coding.h"
#include "engine/record/crc32c.h"

namespace thermocline {
namespace {

// A valid checksum around any body, to reach the checks behind it.
std::string Sealed(std::string body) {
  PutFixed32(&body, Crc32c(body));
  return body;
}

TEST(ShardTableTest, EqualTablesCoverEverySlotInEqualRanges) {
  for (int shards = 1; shards <= ShardTable::kMaxInitialShards; ++shards) {
    const ShardTable table = ShardTable::Equal(shards);
    ASSERT_EQ(table.size(), shards);
    std::vector<int> owned(static_cast<size_t>(shards));
    int previous = 0;
    for (int slot = 0; slot < kSlotCount; ++slot) {
      const int index = table.IndexOfSlot(static_cast<uint16_t>(slot));
      ASSERT_GE(index, previous);
      ASSERT_LT(index, shards);
      previous = index;
      ++owned[index];
    }
    const auto [least, most] = std::minmax_element(owned.begin(), owned.end());
    EXPECT_LE(*most - *least, 1) << shards;
    for (int i = 0; i < shards; ++i) {
      EXPECT_EQ(table.shards()[i].id, static_cast<uint32_t>(i));
      EXPECT_EQ(table.shards()[i].slots.size(), 1u);
    }
  }
}

TEST(ShardTableTest, KeysGoToTheShardOfTheirSlot) {
  const ShardTable table = ShardTable::Equal(4);
  EXPECT_EQ(table.IndexOfKey("foo"), 12182 / 4096);
  EXPECT_EQ(table.IndexOfKey("{foo}.x"), 12182 / 4096);
}

TEST(ShardTableTest, EncodingRoundTrips) {
  for (const int shards : {1, 3, 4, 256}) {
    const ShardTable table = ShardTable::Equal(shards);
    ShardTable decoded;
    ASSERT_TRUE(ShardTable::Decode(table.Encode(), &decoded).ok());
    EXPECT_EQ(decoded, table);
    EXPECT_EQ(decoded.IndexOfSlot(9999), table.IndexOfSlot(9999));
  }
}

TEST(ShardTableTest, RangesAreSortedAndJoined) {
  ShardTable table;
  ASSERT_TRUE(
      ShardTable::Create({{7, 3, {{200, 16383}, {0, 49}, {50, 99}}}, {9, 0, {{100, 199}}}}, &table)
          .ok());
  const std::vector<SlotRange> joined = {{0, 99}, {200, 16383}};
  EXPECT_EQ(table.shards()[0].slots, joined);
  EXPECT_EQ(table.IndexOfSlot(99), 0);
  EXPECT_EQ(table.IndexOfSlot(100), 1);
  EXPECT_EQ(table.IndexOfSlot(200), 0);
  EXPECT_EQ(table.IndexOfId(9), 1);
  EXPECT_EQ(table.IndexOfId(8), -1);
  ShardTable decoded;
  ASSERT_TRUE(ShardTable::Decode(table.Encode(), &decoded).ok());
  EXPECT_EQ(decoded, table);
}

TEST(ShardTableTest, ImpossibleTablesAreRefused) {
  const std::vector<std::pair<std::string, std::vector<ShardInfo>>> cases = {
      {"no shards", {}},
      {"gap", {{0, 0, {{0, 99}}}, {1, 0, {{101, 16383}}}}},
      {"gap at the end", {{0, 0, {{0, 16382}}}}},
      {"overlap of two shards", {{0, 0, {{0, 100}}}, {1, 0, {{100, 16383}}}}},
      {"overlap within a shard", {{0, 0, {{0, 16383}, {5, 5}}}}},
      {"duplicate id", {{1, 0, {{0, 99}}}, {1, 1, {{100, 16383}}}}},
      {"shard without slots", {{0, 0, {{0, 16383}}}, {1, 0, {}}}},
      {"range upside down", {{0, 0, {{0, 16383}}}, {1, 0, {{5, 4}}}}},
      {"slot out of range", {{0, 0, {{0, 16384}}}}},
  };
  for (const auto& [name, shards] : cases) {
    ShardTable table = ShardTable::Equal(2);
    EXPECT_EQ(ShardTable::Create(shards, &table).code(), Code::kInvalidArgument) << name;
    EXPECT_EQ(table, ShardTable::Equal(2)) << name << " changed the table";
  }
}

TEST(ShardTableTest, EveryChangedBitAndEveryTruncationIsCorruption) {
  const std::string good = ShardTable::Equal(3).Encode();
  ShardTable table;
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(ShardTable::Decode(bad, &table).code(), Code::kCorruption) << bit;
  }
  for (size_t n = 0; n < good.size(); ++n) {
    EXPECT_EQ(ShardTable::Decode(good.substr(0, n), &table).code(), Code::kCorruption) << n;
  }
  EXPECT_EQ(ShardTable::Decode(good + "x", &table).code(), Code::kCorruption);
}

TEST(ShardTableTest, DecodingChecksWhatTheChecksumCannot) {
  const std::string one_shard("\x01\x01\x00\x00\x01\x00\xff\x7f", 8);
  ShardTable table;
  ASSERT_TRUE(ShardTable::Decode(Sealed(one_shard), &table).ok());
  EXPECT_EQ(table, ShardTable::Equal(1));

  const auto code = [&table](const std::string& body) {
    return ShardTable::Decode(Sealed(body), &table).code();
  };
  EXPECT_EQ(code("\x03" + one_shard.substr(1)), Code::kFormatVersion);
  EXPECT_EQ(code(one_shard + '\0'), Code::kCorruption);                            // left over
  EXPECT_EQ(code(std::string("\x01\x00", 2)), Code::kCorruption);                  // no shards
  EXPECT_EQ(code(std::string("\x01\xff\xff\xff\xff\x0f", 6)), Code::kCorruption);  // too many
  EXPECT_EQ(code(std::string("\x01\x01\x00\x00\x00", 5)), Code::kCorruption);      // no range
  EXPECT_EQ(code(std::string("\x01\x01\x00\x00\x01\x00\xfe\x7f", 8)), Code::kCorruption);  // gap
  EXPECT_EQ(code(std::string("\x01\x01\x00\x00\x01\x01\xff\x7f", 8)), Code::kCorruption);  // past
}

TEST(ShardTableTest, ColumnFamilyNamesRoundTrip) {
  EXPECT_EQ(ShardColumnFamilyName(0, 0), "shard_0000_00000000");
  EXPECT_EQ(ShardColumnFamilyName(0xab, 0x1234), "shard_00ab_00001234");
  for (const uint32_t id : {0u, 255u, 0xffffu, 0x12345u, 0xffffffffu}) {
    for (const uint32_t generation : {0u, 1u, 0xffffffffu}) {
      uint32_t parsed_id;
      uint32_t parsed_generation;
      ASSERT_TRUE(ParseShardColumnFamilyName(ShardColumnFamilyName(id, generation), &parsed_id,
                                             &parsed_generation));
      EXPECT_EQ(parsed_id, id);
      EXPECT_EQ(parsed_generation, generation);
    }
  }
}

TEST(ShardTableTest, OtherColumnFamilyNamesAreNotShards) {
  uint32_t id;
  uint32_t generation;
  for (const char* name :
       {"", "default", "meta", "shard_", "shard_0000", "shard_0000_", "shard_0_00000000",
        "shard_0000_0000000", "shard_0000_000000000", "shard_00AB_00000000", "shard_-001_00000000",
        "shard_0000_00000000x", "xshard_0000_00000000", "shard_0000_0000_000"}) {
    EXPECT_FALSE(ParseShardColumnFamilyName(name, &id, &generation)) << name;
  }
}

}  // namespace
}  // namespace thermocline
