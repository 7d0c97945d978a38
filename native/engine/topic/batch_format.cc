#include "engine/topic/batch_format.h"

#include "engine/record/coding.h"
#include "engine/record/crc32c.h"

namespace thermocline::topic {

namespace {

constexpr uint8_t kCodecMask = 0x07;
constexpr uint8_t kGapBit = 0x08;
constexpr size_t kHeaderCrcAt = 68;

// What a writer never writes, although the checksum holds.
bool IsConsistent(const BatchHeader& header) {
  if (header.body_bytes > kMaxBodyBytes || header.raw_bytes > kMaxBodyBytes) return false;
  if (header.base_offset + header.last_offset_delta + 1 < header.base_offset) return false;
  if (header.gap) {
    return header.count == 0 && header.body_bytes == 0 && header.raw_bytes == 0 &&
           header.codec == Codec::kNone;
  }
  if (header.codec == Codec::kNone && header.raw_bytes != header.body_bytes) return false;
  return header.count > 0 && header.last_offset_delta == header.count - 1;
}

}  // namespace

uint32_t SeedOf(std::string_view topic_id, uint32_t partition) {
  char number[4];
  EncodeFixed32(number, partition);
  return Crc32cExtend(Crc32c(topic_id), {number, sizeof number});
}

void EncodeHeader(const BatchHeader& header, uint32_t seed, char* out) {
  char* p = EncodeFixed32(out, kBatchMagic);
  *p++ = static_cast<char>(kBatchVersion);
  *p++ = static_cast<char>(static_cast<uint8_t>(header.codec) | (header.gap ? kGapBit : 0));
  p = EncodeFixed16(p, 0);
  p = EncodeFixed64(p, header.base_offset);
  p = EncodeFixed32(p, header.body_bytes);
  p = EncodeFixed32(p, header.raw_bytes);
  p = EncodeFixed32(p, header.count);
  p = EncodeFixed32(p, header.last_offset_delta);
  p = EncodeFixed64(p, header.first_timestamp);
  p = EncodeFixed64(p, header.max_timestamp);
  p = EncodeFixed64(p, header.producer_id);
  p = EncodeFixed64(p, header.sequence);
  p = EncodeFixed32(p, header.body_crc);
  EncodeFixed32(p, Crc32cExtend(seed, {out, kHeaderCrcAt}));
}

HeaderVerdict DecodeHeader(const char* p, uint32_t seed, BatchHeader* header) {
  if (DecodeFixed32(p) != kBatchMagic) return HeaderVerdict::kDamaged;
  if (DecodeFixed32(p + kHeaderCrcAt) != Crc32cExtend(seed, {p, kHeaderCrcAt})) {
    return HeaderVerdict::kDamaged;
  }
  if (static_cast<uint8_t>(p[4]) > kBatchVersion) return HeaderVerdict::kNewer;
  const auto attributes = static_cast<uint8_t>(p[5]);
  if (p[4] == 0 || (attributes & ~(kCodecMask | kGapBit)) != 0 || DecodeFixed16(p + 6) != 0 ||
      (attributes & kCodecMask) > kLastCodec) {
    return HeaderVerdict::kDamaged;
  }
  header->codec = static_cast<Codec>(attributes & kCodecMask);
  header->gap = (attributes & kGapBit) != 0;
  header->base_offset = DecodeFixed64(p + 8);
  header->body_bytes = DecodeFixed32(p + 16);
  header->raw_bytes = DecodeFixed32(p + 20);
  header->count = DecodeFixed32(p + 24);
  header->last_offset_delta = DecodeFixed32(p + 28);
  header->first_timestamp = DecodeFixed64(p + 32);
  header->max_timestamp = DecodeFixed64(p + 40);
  header->producer_id = DecodeFixed64(p + 48);
  header->sequence = DecodeFixed64(p + 56);
  header->body_crc = DecodeFixed32(p + 64);
  return IsConsistent(*header) ? HeaderVerdict::kGood : HeaderVerdict::kDamaged;
}

}  // namespace thermocline::topic
