#include "engine/record/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

#include "engine/record/coding.h"

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace thermocline {
namespace {

constexpr uint32_t kReversedPolynomial = 0x82f63b78;

// kTables[n][b]: the checksum of the byte b followed by n zero bytes (slicing by 8).
using Table = std::array<uint32_t, 256>;

constexpr std::array<Table, 8> MakeTables() {
  std::array<Table, 8> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? kReversedPolynomial : 0);
    }
    tables[0][byte] = crc;
  }
  for (size_t n = 1; n < 8; ++n) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t previous = tables[n - 1][byte];
      tables[n][byte] = (previous >> 8) ^ tables[0][previous & 0xff];
    }
  }
  return tables;
}

constexpr std::array<Table, 8> kTables = MakeTables();

}  // namespace

uint32_t Crc32cExtendPortable(uint32_t crc, std::string_view data) {
  const char* p = data.data();
  size_t n = data.size();
  crc = ~crc;
  for (; n >= 8; n -= 8, p += 8) {
    const uint64_t word = DecodeFixed64(p) ^ crc;
    uint32_t next = 0;
    for (int i = 0; i < 8; ++i) next ^= kTables[7 - i][(word >> (8 * i)) & 0xff];
    crc = next;
  }
  for (; n > 0; --n, ++p) crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<uint8_t>(*p)) & 0xff];
  return ~crc;
}

#if defined(__SSE4_2__) && defined(__x86_64__)

uint32_t Crc32cExtend(uint32_t crc, std::string_view data) {
  const char* p = data.data();
  size_t n = data.size();
  uint64_t state = ~crc;
  for (; n >= 8; n -= 8, p += 8) state = _mm_crc32_u64(state, DecodeFixed64(p));
  auto tail = static_cast<uint32_t>(state);
  for (; n > 0; --n, ++p) tail = _mm_crc32_u8(tail, static_cast<uint8_t>(*p));
  return ~tail;
}

#elif defined(__ARM_FEATURE_CRC32)

uint32_t Crc32cExtend(uint32_t crc, std::string_view data) {
  const char* p = data.data();
  size_t n = data.size();
  uint32_t state = ~crc;
  for (; n >= 8; n -= 8, p += 8) state = __crc32cd(state, DecodeFixed64(p));
  for (; n > 0; --n, ++p) state = __crc32cb(state, static_cast<uint8_t>(*p));
  return ~state;
}

#else

uint32_t Crc32cExtend(uint32_t crc, std::string_view data) {
  return Crc32cExtendPortable(crc, data);
}

#endif

}  // namespace thermocline
