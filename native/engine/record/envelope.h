// The envelope around every stored value: one flags byte, the expiry if there is one, the payload.
//
//   byte 0      flags: 0x01 tombstone marker, 0x02 has expiry, 0x04 clean copy
//   bytes 1-6   if 0x02: expiry, Unix milliseconds, 48 bits little-endian, never 0
//   the rest    payload
//
// Any other flag bit is corruption, never ignored: an older engine must not serve a newer record
// as if it understood it. Compare payloads, never envelopes: the same record may be stored with
// and without the clean copy flag.
//
// Thread safety: pure functions. An Envelope borrows the bytes it was decoded from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace thermocline {

inline constexpr uint8_t kEnvelopeTombstone = 0x01;
inline constexpr uint8_t kEnvelopeHasExpiry = 0x02;
inline constexpr uint8_t kEnvelopeCleanCopy = 0x04;
inline constexpr uint8_t kEnvelopeKnownFlags =
    kEnvelopeTombstone | kEnvelopeHasExpiry | kEnvelopeCleanCopy;

inline constexpr uint64_t kMaxExpiryMs = (uint64_t{1} << 48) - 1;
inline constexpr size_t kMaxEnvelopeHeader = 7;

struct Envelope {
  uint8_t flags = 0;
  uint64_t expiry_ms = 0;  // Unix milliseconds; 0 = never expires
  std::string_view payload;

  // A marker: the key is deleted here, whatever colder tiers hold.
  bool is_tombstone() const { return (flags & kEnvelopeTombstone) != 0; }
  // A colder tier holds the same payload, so dropping this record loses nothing.
  bool clean_copy() const { return (flags & kEnvelopeCleanCopy) != 0; }
};

// The bytes that go before the payload. Fixed size, so that values are written as two parts
// (rocksdb::SliceParts) without joining them in a string first.
struct EnvelopeHeader {
  char bytes[kMaxEnvelopeHeader];
  uint8_t size;

  std::string_view view() const { return {bytes, size}; }
};

// `flags` are the tombstone and clean copy bits; the expiry bit follows from `expiry_ms`.
// REQUIRES: no other bits in `flags` (the expiry bit is allowed if expiry_ms != 0);
// expiry_ms <= kMaxExpiryMs.
EnvelopeHeader EncodeEnvelopeHeader(uint8_t flags, uint64_t expiry_ms);

// Decodes a stored value. False means corruption (empty, unknown flags, a truncated or zero
// expiry); *out is then unspecified.
inline bool DecodeEnvelope(std::string_view stored, Envelope* out) {
  if (stored.empty()) return false;
  const auto flags = static_cast<uint8_t>(stored[0]);
  if ((flags & ~kEnvelopeKnownFlags) != 0) return false;
  out->flags = flags;
  if ((flags & kEnvelopeHasExpiry) == 0) [[likely]] {
    out->expiry_ms = 0;
    out->payload = stored.substr(1);
    return true;
  }
  if (stored.size() < kMaxEnvelopeHeader) return false;
  uint64_t expiry = 0;
  for (int i = 6; i >= 1; --i) expiry = (expiry << 8) | static_cast<uint8_t>(stored[i]);
  if (expiry == 0) return false;
  out->expiry_ms = expiry;
  out->payload = stored.substr(kMaxEnvelopeHeader);
  return true;
}

// Expired from the millisecond of the expiry on.
inline bool IsExpired(const Envelope& envelope, uint64_t now_ms) {
  return envelope.expiry_ms != 0 && now_ms >= envelope.expiry_ms;
}

}  // namespace thermocline
