// The slot of a key: exactly Redis Cluster's rule, so that clients and tools which already
// partition by it agree with us.
//
// A key with a hash tag (a non-empty text between the first `{` and the next `}`) is placed by the
// tag alone, which keeps related keys in one shard. `foo{}` has an empty tag and counts whole.
//
// The function is part of the on-disk format: it decides which shard holds a record.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace thermocline {

inline constexpr int kSlotCount = 16384;

// CRC16-XMODEM: polynomial 0x1021, initial value 0, no reflection.
uint16_t Crc16(std::string_view data);

// What decides the slot: the hash tag if there is one, else the whole key.
std::string_view SlotText(std::string_view key);

// 0 to kSlotCount - 1.
uint16_t SlotOf(std::string_view key);

}  // namespace thermocline
