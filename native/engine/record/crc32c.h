// CRC-32C (Castagnoli), the checksum of every format of ours: one instruction per 8 bytes where
// the build's target has it (SSE4.2, ARMv8 CRC), tables elsewhere. The values are the standard
// ones, unmasked: Crc32c("123456789") == 0xE3069283.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace thermocline {

// The checksum of A followed by `data`, where `crc` is the checksum of A (0 for nothing).
uint32_t Crc32cExtend(uint32_t crc, std::string_view data);

inline uint32_t Crc32c(std::string_view data) { return Crc32cExtend(0, data); }

// The table version, for builds without the instruction; always compiled so that tests compare
// the two.
uint32_t Crc32cExtendPortable(uint32_t crc, std::string_view data);

}  // namespace thermocline
