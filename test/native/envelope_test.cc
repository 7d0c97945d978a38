#include "engine/record/envelope.h"

#include <gtest/gtest.h>

#include <string>

namespace thermocline {
namespace {

std::string Store(uint8_t flags, uint64_t expiry_ms, std::string_view payload) {
  return std::string(EncodeEnvelopeHeader(flags, expiry_ms).view()) + std::string(payload);
}

TEST(EnvelopeTest, BytesAreAsTheFormatSays) {
  EXPECT_EQ(Store(0, 0, "v"), std::string("\x00v", 2));
  EXPECT_EQ(Store(kEnvelopeTombstone, 0, ""), std::string("\x01", 1));
  EXPECT_EQ(Store(kEnvelopeCleanCopy, 0, "v"), std::string("\x04v", 2));
  EXPECT_EQ(Store(0, 0x060504030201, "v"), std::string("\x02\x01\x02\x03\x04\x05\x06v", 8));
}

TEST(EnvelopeTest, RoundTrip) {
  for (const uint8_t flags : {0, 1, 4, 5}) {
    for (const uint64_t expiry :
         {uint64_t{0}, uint64_t{1}, uint64_t{1764000000000}, kMaxExpiryMs}) {
      for (const std::string& payload :
           {std::string(), std::string("value"), std::string(9, '\0')}) {
        const std::string stored = Store(flags, expiry, payload);
        Envelope envelope;
        ASSERT_TRUE(DecodeEnvelope(stored, &envelope));
        EXPECT_EQ(envelope.expiry_ms, expiry);
        EXPECT_EQ(envelope.payload, payload);
        EXPECT_EQ(envelope.flags, flags | (expiry != 0 ? kEnvelopeHasExpiry : 0));
        EXPECT_EQ(envelope.is_tombstone(), (flags & kEnvelopeTombstone) != 0);
        EXPECT_EQ(envelope.clean_copy(), (flags & kEnvelopeCleanCopy) != 0);
      }
    }
  }
}

TEST(EnvelopeTest, FlagsOfADecodedEnvelopeCanBeEncodedAgain) {
  const std::string stored = Store(kEnvelopeCleanCopy, 77, "v");
  Envelope envelope;
  ASSERT_TRUE(DecodeEnvelope(stored, &envelope));
  EXPECT_EQ(Store(envelope.flags, envelope.expiry_ms, envelope.payload), stored);
}

TEST(EnvelopeTest, DamageIsReported) {
  Envelope envelope;
  EXPECT_FALSE(DecodeEnvelope("", &envelope));
  for (int flags = 8; flags < 256; ++flags) {
    const std::string stored = std::string(1, static_cast<char>(flags)) + "0123456789";
    EXPECT_FALSE(DecodeEnvelope(stored, &envelope)) << flags;
  }
  const std::string with_expiry = Store(0, 12345, "");
  ASSERT_TRUE(DecodeEnvelope(with_expiry, &envelope));
  for (size_t n = 0; n < with_expiry.size(); ++n) {
    EXPECT_FALSE(DecodeEnvelope(with_expiry.substr(0, n), &envelope)) << n;
  }
  EXPECT_FALSE(DecodeEnvelope(std::string("\x02\0\0\0\0\0\0v", 8), &envelope));
}

TEST(EnvelopeTest, ExpiresAtItsMillisecond) {
  Envelope envelope;
  envelope.expiry_ms = 1000;
  EXPECT_FALSE(IsExpired(envelope, 999));
  EXPECT_TRUE(IsExpired(envelope, 1000));
  EXPECT_TRUE(IsExpired(envelope, 1001));
  envelope.expiry_ms = 0;
  EXPECT_FALSE(IsExpired(envelope, kMaxExpiryMs));
}

}  // namespace
}  // namespace thermocline
