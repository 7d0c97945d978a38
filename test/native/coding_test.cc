#include "engine/record/coding.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "engine/record/crc32c.h"

namespace thermocline {
namespace {

TEST(CodingTest, FixedNumbersAreLittleEndian) {
  std::string out;
  PutFixed16(&out, 0x0201);
  PutFixed32(&out, 0x06050403);
  PutFixed64(&out, 0x0e0d0c0b0a090807);
  EXPECT_EQ(out, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e");

  const char* p = out.data();
  const char* const limit = p + out.size();
  uint16_t a;
  uint32_t b;
  uint64_t c;
  ASSERT_NE(p = GetFixed16(p, limit, &a), nullptr);
  ASSERT_NE(p = GetFixed32(p, limit, &b), nullptr);
  ASSERT_NE(p = GetFixed64(p, limit, &c), nullptr);
  EXPECT_EQ(p, limit);
  EXPECT_EQ(a, 0x0201);
  EXPECT_EQ(b, 0x06050403u);
  EXPECT_EQ(c, 0x0e0d0c0b0a090807u);
  EXPECT_EQ(GetFixed64(limit - 7, limit, &c), nullptr);
  EXPECT_EQ(GetFixed32(limit - 3, limit, &b), nullptr);
  EXPECT_EQ(GetFixed16(limit - 1, limit, &a), nullptr);
}

std::vector<uint64_t> Interesting() {
  std::vector<uint64_t> values = {0};
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t power = uint64_t{1} << bit;
    values.insert(values.end(), {power - 1, power, power + 1});
  }
  values.push_back(std::numeric_limits<uint64_t>::max());
  return values;
}

TEST(CodingTest, VarintsRoundTripAndReportTruncation) {
  for (const uint64_t value : Interesting()) {
    std::string out;
    PutVarint64(&out, value);
    EXPECT_EQ(out.size(), VarintLength(value));
    uint64_t decoded;
    const char* const limit = out.data() + out.size();
    ASSERT_EQ(GetVarint64(out.data(), limit, &decoded), limit) << value;
    EXPECT_EQ(decoded, value);
    for (size_t n = 0; n < out.size(); ++n) {
      EXPECT_EQ(GetVarint64(out.data(), out.data() + n, &decoded), nullptr) << value;
    }

    uint32_t small;
    if (value <= std::numeric_limits<uint32_t>::max()) {
      std::string out32;
      PutVarint32(&out32, static_cast<uint32_t>(value));
      EXPECT_EQ(out32, out);
      ASSERT_EQ(GetVarint32(out.data(), limit, &small), limit) << value;
      EXPECT_EQ(small, value);
    } else {
      EXPECT_EQ(GetVarint32(out.data(), limit, &small), nullptr) << value;
    }
  }
}

TEST(CodingTest, VarintDecodingStopsAtItsEnd) {
  const std::string bytes = "\xac\x02rest";
  uint32_t value;
  EXPECT_EQ(GetVarint32(bytes.data(), bytes.data() + bytes.size(), &value), bytes.data() + 2);
  EXPECT_EQ(value, 300u);
}

TEST(CodingTest, PaddedVarintsAreAcceptedUpToTheirLongestForm) {
  const std::string padded("\x81\x80\x80\x80\x00", 5);
  uint32_t small;
  ASSERT_NE(GetVarint32(padded.data(), padded.data() + 5, &small), nullptr);
  EXPECT_EQ(small, 1u);
  const std::string six("\x81\x80\x80\x80\x80\x00", 6);
  EXPECT_EQ(GetVarint32(six.data(), six.data() + 6, &small), nullptr);
  uint64_t large;
  EXPECT_NE(GetVarint64(six.data(), six.data() + 6, &large), nullptr);
  const std::string eleven("\x81\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11);
  EXPECT_EQ(GetVarint64(eleven.data(), eleven.data() + 11, &large), nullptr);
}

TEST(CodingTest, VarintBitsBeyondTheTypeAreErrors) {
  uint32_t small;
  const std::string over32 = "\xff\xff\xff\xff\x1f";
  EXPECT_EQ(GetVarint32(over32.data(), over32.data() + 5, &small), nullptr);
  uint64_t large;
  const std::string over64 = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02";
  EXPECT_EQ(GetVarint64(over64.data(), over64.data() + 10, &large), nullptr);
}

TEST(Crc32cTest, PublishedVectors) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
  // RFC 3720, B.4.
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  std::string ascending;
  for (int i = 0; i < 32; ++i) ascending += static_cast<char>(i);
  EXPECT_EQ(Crc32c(ascending), 0x46DD794Eu);
  EXPECT_EQ(Crc32c(std::string(ascending.rbegin(), ascending.rend())), 0x113FDB5Cu);
}

TEST(Crc32cTest, InstructionAndTablesAgreeWhereverTheDataIsCut) {
  std::string data;
  for (int i = 0; i < 200; ++i) data += static_cast<char>(i * 73 + 11);
  const uint32_t whole = Crc32c(data);
  for (size_t cut = 0; cut <= data.size(); ++cut) {
    const auto head = std::string_view(data).substr(0, cut);
    const auto tail = std::string_view(data).substr(cut);
    EXPECT_EQ(Crc32cExtend(Crc32c(head), tail), whole) << cut;
    EXPECT_EQ(Crc32cExtendPortable(Crc32cExtendPortable(0, head), tail), whole) << cut;
  }
}

TEST(Crc32cTest, InstructionAndTablesAgreeAtEveryLength) {
  std::string data(20'000, '\0');
  uint32_t seed = 1;
  for (char& c : data) {
    seed = seed * 1664525 + 1013904223;
    c = static_cast<char>(seed >> 24);
  }
  for (size_t size = 0; size <= data.size(); size += size % 97 + 1) {
    const auto part = std::string_view(data).substr(data.size() - size);
    ASSERT_EQ(Crc32cExtend(seed, part), Crc32cExtendPortable(seed, part)) << size;
  }
}

}  // namespace
}  // namespace thermocline
