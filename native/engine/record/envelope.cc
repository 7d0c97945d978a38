#include "engine/record/envelope.h"

#include <cassert>

namespace thermocline {

EnvelopeHeader EncodeEnvelopeHeader(uint8_t flags, uint64_t expiry_ms) {
  assert((flags & ~kEnvelopeKnownFlags) == 0);
  assert((flags & kEnvelopeHasExpiry) == 0 || expiry_ms != 0);
  assert(expiry_ms <= kMaxExpiryMs);
  EnvelopeHeader header;
  header.bytes[0] = static_cast<char>(flags);
  header.size = 1;
  if (expiry_ms != 0) {
    header.bytes[0] = static_cast<char>(flags | kEnvelopeHasExpiry);
    for (int i = 0; i < 6; ++i) header.bytes[1 + i] = static_cast<char>(expiry_ms >> (8 * i));
    header.size = kMaxEnvelopeHeader;
  }
  return header;
}

}  // namespace thermocline
