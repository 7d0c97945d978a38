// The batch: the unit of append, compression, checksum and zero-copy reading of a topic's log.
//
// A segment file is batches one after another and nothing else. A batch is a header of fixed size
// and a body, which holds the records (record_format.h), compressed or not:
//
//    0  u32  magic "TCLB"
//    4  u8   version (1)
//    5  u8   attributes: bits 0-2 codec, bit 3 gap; the others are 0
//    6  u16  0
//    8  u64  base offset: of the first record
//   16  u32  body bytes as stored
//   20  u32  body bytes before compression
//   24  u32  number of records
//   28  u32  last offset - base offset
//   32  u64  first timestamp, Unix ms; the records' are relative to it
//   40  u64  largest timestamp, Unix ms
//   48  u64  producer id; 0: none
//   56  u64  producer's sequence number
//   64  u32  CRC-32C of the body as stored
//   68  u32  CRC-32C of (seed, bytes 0 to 67)
//   72  body
//
// All little-endian. The header has a checksum of its own, so that a damaged length is told from a
// batch that a crash cut short. The checksum is seeded with the identity of the log (topic and
// partition): a batch of another log, or one that somebody stored as a message, never passes for a
// batch of this one.
//
// A gap is a batch without records: repair leaves it where batches were lost, so that offsets stay
// dense.
//
// Layout and checksum of the first 72 bytes hold for every version.
//
// Thread safety: value types, pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace thermocline::topic {

inline constexpr uint32_t kBatchMagic = 0x424c4354;  // "TCLB"
inline constexpr uint8_t kBatchVersion = 1;
inline constexpr size_t kBatchHeaderBytes = 72;
// Of a body, compressed or not. Bounds what a reader must hold in memory at once.
inline constexpr size_t kMaxBodyBytes = size_t{64} << 20;

// The numbers are Kafka's.
enum class Codec : uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };
inline constexpr uint8_t kLastCodec = 4;

struct BatchHeader {
  Codec codec = Codec::kNone;
  bool gap = false;
  uint64_t base_offset = 0;
  uint32_t body_bytes = 0;
  uint32_t raw_bytes = 0;
  uint32_t count = 0;
  uint32_t last_offset_delta = 0;
  uint64_t first_timestamp = 0;
  uint64_t max_timestamp = 0;
  uint64_t producer_id = 0;
  uint64_t sequence = 0;
  uint32_t body_crc = 0;

  uint64_t next_offset() const { return base_offset + last_offset_delta + 1; }
  size_t total_bytes() const { return kBatchHeaderBytes + body_bytes; }

  friend bool operator==(const BatchHeader&, const BatchHeader&) = default;
};

enum class HeaderVerdict {
  kGood,
  kDamaged,
  kNewer,  // the checksum holds, and the version is one that this code does not know
};

// The checksum's seed: which log a batch belongs to.
uint32_t SeedOf(std::string_view topic_id, uint32_t partition);

// REQUIRES: kBatchHeaderBytes writable at `out`.
void EncodeHeader(const BatchHeader& header, uint32_t seed, char* out);
// REQUIRES: kBatchHeaderBytes readable at `p`. *header is unspecified unless the verdict is kGood.
HeaderVerdict DecodeHeader(const char* p, uint32_t seed, BatchHeader* header);

}  // namespace thermocline::topic
