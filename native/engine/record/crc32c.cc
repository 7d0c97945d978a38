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

#if defined(__SSE4_2__) && defined(__x86_64__)

// The instruction takes three cycles and can start every cycle, so three lanes are computed at once
// and then put one behind the other: the checksum's state is linear, and what lies behind it acts
// on it as that many zero bytes.
constexpr size_t kLaneBytes = 1024;
constexpr size_t kLineBytes = 64;

// A linear map of 32-bit states: what each bit becomes.
using Matrix = std::array<uint32_t, 32>;

constexpr uint32_t Apply(const Matrix& matrix, uint32_t state) {
  uint32_t sum = 0;
  for (size_t i = 0; state != 0; state >>= 1, ++i) {
    if ((state & 1) != 0) sum ^= matrix[i];
  }
  return sum;
}

// The map of kLaneBytes zero bytes, as a table for each byte of the state.
constexpr std::array<Table, 4> MakeLaneShift() {
  Matrix matrix{};  // of one zero bit
  matrix[0] = kReversedPolynomial;
  for (size_t i = 1; i < 32; ++i) matrix[i] = 1u << (i - 1);
  for (size_t bits = 1; bits < 8 * kLaneBytes; bits *= 2) {
    Matrix twice{};
    for (size_t i = 0; i < 32; ++i) twice[i] = Apply(matrix, matrix[i]);
    matrix = twice;
  }
  std::array<Table, 4> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    for (size_t n = 0; n < 4; ++n) tables[n][byte] = Apply(matrix, byte << (8 * n));
  }
  return tables;
}

constexpr std::array<Table, 4> kLaneShift = MakeLaneShift();

uint64_t ShiftByLane(uint64_t state) {
  return kLaneShift[0][state & 0xff] ^ kLaneShift[1][(state >> 8) & 0xff] ^
         kLaneShift[2][(state >> 16) & 0xff] ^ kLaneShift[3][(state >> 24) & 0xff];
}

#endif

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
  for (; n >= 3 * kLaneBytes; n -= 3 * kLaneBytes, p += 3 * kLaneBytes) {
    uint64_t second = 0;
    uint64_t third = 0;
    // The processor's own prefetching stops at the end of a page and needs a while to see a lane,
    // of which each has 16 lines only: the next round's lines are asked for by name. A log that
    // lies in the page cache and in no processor's is checked in 0.55 of the time.
    const bool ahead = n >= 6 * kLaneBytes;
    for (size_t line = 0; line < kLaneBytes; line += kLineBytes) {
      if (ahead) {
        for (size_t lane = 3; lane < 6; ++lane) {
          _mm_prefetch(p + lane * kLaneBytes + line, _MM_HINT_T0);
        }
      }
      for (size_t i = line; i < line + kLineBytes; i += 8) {
        state = _mm_crc32_u64(state, DecodeFixed64(p + i));
        second = _mm_crc32_u64(second, DecodeFixed64(p + kLaneBytes + i));
        third = _mm_crc32_u64(third, DecodeFixed64(p + 2 * kLaneBytes + i));
      }
    }
    state = ShiftByLane(ShiftByLane(state) ^ second) ^ third;
  }
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
