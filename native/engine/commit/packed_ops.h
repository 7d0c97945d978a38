// The packed form in which write operations cross the boundary, and its decoder.
//
//   u8 type | flags, varint key length, key, then
//     put           varint value length, value, [u48 expiry if kHasExpiry]
//     delete        nothing
//     delete range  [varint end length, end if kHasEnd]; the key is the inclusive start
//
// Expiry is Unix milliseconds, little-endian. lib/packer.ts writes this form.
// Thread safety: pure functions over memory the caller keeps alive.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/options.h"
#include "engine/record/coding.h"

namespace thermocline {

enum class OpType : uint8_t { kPut = 0, kDelete = 1, kDeleteRange = 2 };

inline constexpr uint8_t kOpTypeMask = 0x0f;
inline constexpr uint8_t kOpHasExpiry = 0x10;
inline constexpr uint8_t kOpHasEnd = 0x20;

struct PackedOp {
  OpType type = OpType::kPut;
  bool has_end = false;    // delete range only
  uint64_t expiry_ms = 0;  // 0: none
  std::string_view key;    // the start of a delete range
  std::string_view value;  // the end of a delete range
};

// Decodes one operation at `p`. Returns the position behind it, or nullptr if the bytes are not a
// well-formed operation within `limit` and the limits of a record.
inline const char* DecodeOp(const char* p, const char* limit, PackedOp* op) {
  if (p >= limit) return nullptr;
  const uint8_t head = static_cast<uint8_t>(*p++);
  const uint8_t type = head & kOpTypeMask;
  if (type > static_cast<uint8_t>(OpType::kDeleteRange)) return nullptr;
  op->type = static_cast<OpType>(type);
  const uint8_t allowed = op->type == OpType::kPut           ? kOpHasExpiry
                          : op->type == OpType::kDeleteRange ? kOpHasEnd
                                                             : 0;
  if ((head & ~kOpTypeMask & ~allowed) != 0) return nullptr;
  op->has_end = (head & kOpHasEnd) != 0;
  op->expiry_ms = 0;
  uint32_t size = 0;
  p = GetVarint32(p, limit, &size);
  // The bound of a range may be the longest key and a byte, to lie just behind it.
  const size_t key_limit = kMaxKeyBytes + (op->type == OpType::kDeleteRange ? 1 : 0);
  if (p == nullptr || size > key_limit || static_cast<size_t>(limit - p) < size) return nullptr;
  op->key = {p, size};
  p += size;
  op->value = {};
  const bool has_second = op->type == OpType::kPut || op->has_end;
  if (!has_second) return p;
  p = GetVarint32(p, limit, &size);
  if (p == nullptr || size > kMaxValueBytes || static_cast<size_t>(limit - p) < size) {
    return nullptr;
  }
  op->value = {p, size};
  p += size;
  if (head & kOpHasExpiry) {
    if (limit - p < 6) return nullptr;
    uint64_t expiry = 0;
    for (int i = 0; i < 6; i++) {
      expiry |= static_cast<uint64_t>(static_cast<uint8_t>(p[i])) << (8 * i);
    }
    op->expiry_ms = expiry;
    p += 6;
  }
  return p;
}

}  // namespace thermocline
