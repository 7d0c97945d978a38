#include "engine/shard/slot.h"

#include <gtest/gtest.h>

#include <string>

namespace thermocline {
namespace {

// The bit-wise definition, to hold the tables against.
uint16_t Crc16Reference(std::string_view data) {
  uint16_t crc = 0;
  for (const char c : data) {
    crc = static_cast<uint16_t>(crc ^ (static_cast<uint8_t>(c) << 8));
    for (int bit = 0; bit < 8; ++bit) {
      crc = static_cast<uint16_t>((crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1);
    }
  }
  return crc;
}

TEST(SlotTest, Crc16MatchesPublishedCheckValue) {
  EXPECT_EQ(Crc16("123456789"), 0x31C3);
  EXPECT_EQ(Crc16(""), 0);
  EXPECT_EQ(Crc16("A"), 0x58E5);
}

TEST(SlotTest, Crc16MatchesTheDefinitionAtEveryLengthAndAlignment) {
  std::string data;
  for (int i = 0; i < 300; ++i) data += static_cast<char>(i * 37 + 200);
  for (size_t start = 0; start < 9; ++start) {
    for (size_t length = 0; start + length <= data.size(); ++length) {
      const auto part = std::string_view(data).substr(start, length);
      ASSERT_EQ(Crc16(part), Crc16Reference(part)) << start << "+" << length;
    }
  }
}

TEST(SlotTest, SlotsAreThoseOfRedisCluster) {
  EXPECT_EQ(SlotOf("foo"), 12182);
  EXPECT_EQ(SlotOf("bar"), 5061);
  EXPECT_EQ(SlotOf("hello"), 866);
  EXPECT_EQ(SlotOf("123456789"), 12739);
  EXPECT_EQ(SlotOf(""), 0);
}

TEST(SlotTest, HashTagDecidesAlone) {
  EXPECT_EQ(SlotText("{user1000}.following"), "user1000");
  EXPECT_EQ(SlotOf("{user1000}.following"), SlotOf("{user1000}.followers"));
  EXPECT_EQ(SlotOf("{user1000}.following"), SlotOf("user1000"));
  EXPECT_EQ(SlotOf("{user1000}.following"), 3443);  // CLUSTER KEYSLOT user1000
  EXPECT_EQ(SlotText("foo{bar}{zap}"), "bar");
  EXPECT_EQ(SlotText("foo{bar"), "foo{bar");
  EXPECT_EQ(SlotText("foo}bar{"), "foo}bar{");
  EXPECT_EQ(SlotText("}{a}"), "a");
}

TEST(SlotTest, EmptyTagCountsAsNone) {
  EXPECT_EQ(SlotText("{}"), "{}");
  EXPECT_EQ(SlotText("foo{}{bar}"), "foo{}{bar}");
  EXPECT_EQ(SlotOf("foo{}{bar}"), Crc16Reference("foo{}{bar}") % kSlotCount);
}

TEST(SlotTest, TagEndsAtTheFirstClosingBrace) {
  EXPECT_EQ(SlotText("foo{{bar}}zap"), "{bar");
  EXPECT_EQ(SlotOf("foo{{bar}}zap"), SlotOf("{bar"));
}

TEST(SlotTest, BinaryKeysAreHashedWhole) {
  const std::string key("a\0b{\0}c", 7);
  EXPECT_EQ(SlotText(key), std::string_view("\0", 1));
  EXPECT_EQ(SlotOf(std::string_view("\xff\x00\xff", 3)),
            Crc16Reference(std::string_view("\xff\x00\xff", 3)) % kSlotCount);
}

}  // namespace
}  // namespace thermocline
