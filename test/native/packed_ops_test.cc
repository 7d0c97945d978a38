#include "engine/commit/packed_ops.h"

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support.h"

namespace thermocline {
namespace {

using test::PackedWrites;

// Decodes from a block of exactly the given size, so that AddressSanitizer sees a read past it.
struct Decoded {
  explicit Decoded(std::string_view bytes)
      : block(std::make_unique<char[]>(bytes.size())), size(bytes.size()) {
    std::copy(bytes.begin(), bytes.end(), block.get());
    end = DecodeOp(block.get(), block.get() + size, &op);
  }
  bool ok() const { return end != nullptr; }
  size_t length() const { return static_cast<size_t>(end - block.get()); }

  std::unique_ptr<char[]> block;
  size_t size;
  PackedOp op;
  const char* end;
};

std::string Op(uint8_t head, std::string_view rest) {
  return static_cast<char>(head) + std::string(rest);
}

TEST(PackedOpsTest, APutRoundTrips) {
  const Decoded put(PackedWrites().Put("key", "value").bytes());
  ASSERT_TRUE(put.ok());
  EXPECT_EQ(put.length(), put.size);
  EXPECT_EQ(put.op.type, OpType::kPut);
  EXPECT_EQ(put.op.key, "key");
  EXPECT_EQ(put.op.value, "value");
  EXPECT_EQ(put.op.expiry_ms, 0u);
  EXPECT_FALSE(put.op.has_end);
}

TEST(PackedOpsTest, AnExpiryIsSixBytesLittleEndian) {
  const uint64_t expiry = 0x0000'1234'5678'9abc;
  const std::string bytes = PackedWrites().Put("k", "v", expiry).bytes();
  EXPECT_EQ(bytes, std::string("\x10\x01k\x01v\xbc\x9a\x78\x56\x34\x12", 11));
  const Decoded put(bytes);
  ASSERT_TRUE(put.ok());
  EXPECT_EQ(put.op.expiry_ms, expiry);
  const Decoded largest(PackedWrites().Put("k", "v", (uint64_t{1} << 48) - 1).bytes());
  ASSERT_TRUE(largest.ok());
  EXPECT_EQ(largest.op.expiry_ms, (uint64_t{1} << 48) - 1);
}

TEST(PackedOpsTest, ADeleteIsAKeyAlone) {
  const Decoded del(PackedWrites().Delete("key").bytes());
  ASSERT_TRUE(del.ok());
  EXPECT_EQ(del.length(), del.size);
  EXPECT_EQ(del.op.type, OpType::kDelete);
  EXPECT_EQ(del.op.key, "key");
  EXPECT_EQ(del.op.value, "");
}

TEST(PackedOpsTest, ADeleteRangeHasAnEndOrNone) {
  const Decoded bounded(PackedWrites().DeleteRange("a", "z").bytes());
  ASSERT_TRUE(bounded.ok());
  EXPECT_EQ(bounded.op.type, OpType::kDeleteRange);
  EXPECT_TRUE(bounded.op.has_end);
  EXPECT_EQ(bounded.op.key, "a");
  EXPECT_EQ(bounded.op.value, "z");
  const Decoded open(PackedWrites().DeleteRange("a", std::nullopt).bytes());
  ASSERT_TRUE(open.ok());
  EXPECT_FALSE(open.op.has_end);
  EXPECT_EQ(open.op.value, "");
  EXPECT_EQ(open.length(), open.size);
}

TEST(PackedOpsTest, EmptyKeysAndValuesAreKept) {
  const Decoded put(PackedWrites().Put("", "").bytes());
  ASSERT_TRUE(put.ok());
  EXPECT_EQ(put.length(), 3u);
  EXPECT_EQ(put.op.key, "");
  EXPECT_EQ(put.op.value, "");
  EXPECT_TRUE(Decoded(PackedWrites().Delete("").bytes()).ok());
  EXPECT_TRUE(Decoded(PackedWrites().DeleteRange("", "").bytes()).ok());
}

TEST(PackedOpsTest, NothingOfTheOperationBeforeStays) {
  PackedWrites writes;
  writes.Put("key", "value", 77).DeleteRange("a", "b").Delete("d");
  const char* p = writes.bytes().data();
  const char* const limit = p + writes.bytes().size();
  PackedOp op;
  ASSERT_NE(p = DecodeOp(p, limit, &op), nullptr);
  ASSERT_NE(p = DecodeOp(p, limit, &op), nullptr);
  EXPECT_EQ(op.expiry_ms, 0u);
  ASSERT_EQ(p = DecodeOp(p, limit, &op), limit);
  EXPECT_FALSE(op.has_end);
  EXPECT_EQ(op.value, "");
  EXPECT_EQ(DecodeOp(p, limit, &op), nullptr) << "nothing is left";
}

TEST(PackedOpsTest, EveryTruncationIsRefused) {
  const std::string long_text(300, 'x');  // its length takes two bytes
  for (const PackedWrites& writes :
       {PackedWrites().Put("key", "value"), PackedWrites().Put("key", "value", 1234567),
        PackedWrites().Put(long_text, long_text, 1), PackedWrites().Delete("key"),
        PackedWrites().Delete(long_text), PackedWrites().DeleteRange("a", "z"),
        PackedWrites().DeleteRange("a", std::nullopt), PackedWrites().Put("", "")}) {
    const std::string& bytes = writes.bytes();
    ASSERT_TRUE(Decoded(bytes).ok());
    for (size_t n = 0; n < bytes.size(); n++) {
      EXPECT_FALSE(Decoded(bytes.substr(0, n)).ok()) << n << " of " << bytes.size();
    }
    const Decoded more(bytes + "rest");
    ASSERT_TRUE(more.ok());
    EXPECT_EQ(more.length(), bytes.size()) << "what follows is the next operation's";
  }
}

TEST(PackedOpsTest, UnknownTypesAreRefused) {
  const std::string rest("\x01k\x01v\x01w", 6);
  for (int type = 0; type <= 0x0f; type++) {
    EXPECT_EQ(Decoded(Op(static_cast<uint8_t>(type), rest)).ok(), type <= 2) << type;
  }
}

// "Unknown flag bits are corruption, never ignored" holds for what crosses the boundary too: the
// two halves of the library may be of different versions.
TEST(PackedOpsTest, FlagsThatTheTypeDoesNotHaveAreRefused) {
  const std::string rest("\x01k\x01v\x01\x02\x03\x04\x05\x06", 10);
  const uint8_t put = 0;
  const uint8_t del = 1;
  const uint8_t range = 2;
  for (const uint8_t unknown : {0x40, 0x80, 0xc0}) {
    EXPECT_FALSE(Decoded(Op(put | unknown, rest)).ok());
    EXPECT_FALSE(Decoded(Op(del | unknown, rest)).ok());
    EXPECT_FALSE(Decoded(Op(range | unknown, rest)).ok());
  }
  EXPECT_FALSE(Decoded(Op(put | kOpHasEnd, rest)).ok());
  EXPECT_FALSE(Decoded(Op(del | kOpHasEnd, rest)).ok());
  EXPECT_FALSE(Decoded(Op(del | kOpHasExpiry, rest)).ok());
  EXPECT_FALSE(Decoded(Op(range | kOpHasExpiry, rest)).ok());
  EXPECT_FALSE(Decoded(Op(range | kOpHasEnd | kOpHasExpiry, rest)).ok());
}

TEST(PackedOpsTest, KeysAboveTheLimitAreRefused) {
  const std::string most(kMaxKeyBytes, 'k');
  EXPECT_TRUE(Decoded(PackedWrites().Put(most, "v").bytes()).ok());
  EXPECT_TRUE(Decoded(PackedWrites().Delete(most).bytes()).ok());
  EXPECT_FALSE(Decoded(PackedWrites().Put(most + "k", "v").bytes()).ok());
  EXPECT_FALSE(Decoded(PackedWrites().Delete(most + "k").bytes()).ok());
  // The bound of a range may lie just behind the longest key.
  EXPECT_TRUE(Decoded(PackedWrites().DeleteRange(most + "k", "z").bytes()).ok());
  EXPECT_FALSE(Decoded(PackedWrites().DeleteRange(most + "kk", "z").bytes()).ok());
}

TEST(PackedOpsTest, LengthsBeyondTheBufferAreRefused) {
  EXPECT_FALSE(Decoded(Op(0, std::string("\xff\xff\xff\xff\x0f", 5))).ok());
  EXPECT_FALSE(Decoded(Op(0, std::string("\x01k\xff\xff\xff\xff\x0f", 7))).ok());
  EXPECT_FALSE(Decoded(Op(0, std::string("\x01k\xff\xff\xff\xff\x1f", 7))).ok()) << "no uint32";
  EXPECT_FALSE(Decoded(Op(0, std::string("\x05key", 4))).ok());
}

TEST(PackedOpsTest, AMillionRandomInputsStayWithinTheirLimits) {
  std::minstd_rand random(11);
  // One buffer; the operation begins at different distances from its end.
  constexpr size_t kRoom = 64;
  const auto block = std::make_unique<char[]>(kRoom);
  char* const limit = block.get() + kRoom;
  uint64_t accepted = 0;
  for (int round = 0; round < 1'000'000; round++) {
    const size_t size = random() % (kRoom + 1);
    char* const begin = limit - size;
    for (char* p = begin; p < limit; p++) {
      // Mostly small numbers, or hardly any length would fit.
      *p = static_cast<char>(random() % 4 != 0 ? random() % 20 : random());
    }
    PackedOp op;
    const char* const end = DecodeOp(begin, limit, &op);
    if (end == nullptr) continue;
    accepted++;
    ASSERT_GT(end, begin);
    ASSERT_LE(end, limit);
    const auto inside = [&](std::string_view text) {
      return text.empty() || (text.data() > begin && text.data() + text.size() <= end);
    };
    ASSERT_TRUE(inside(op.key));
    ASSERT_TRUE(inside(op.value));
    ASSERT_LE(static_cast<uint8_t>(op.type), 2);
    ASSERT_LT(op.expiry_ms, uint64_t{1} << 48);
  }
  EXPECT_GT(accepted, 50'000u) << "too few well-formed inputs to prove anything";
}

}  // namespace
}  // namespace thermocline
