#include "engine/shard/slot.h"

#include <array>
#include <cstddef>

namespace thermocline {
namespace {

constexpr uint16_t kPolynomial = 0x1021;

// kTables[0] is the usual byte-wise table; kTables[n][b] is the checksum of the byte b followed by
// n zero bytes, so that eight bytes take eight independent lookups (slicing by 8) where the
// byte-wise loop would wait for each before the next.
using Table = std::array<uint16_t, 256>;

constexpr std::array<Table, 8> MakeTables() {
  std::array<Table, 8> tables{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) {
      crc = ((crc << 1) ^ ((crc & 0x8000) != 0 ? kPolynomial : 0)) & 0xffff;
    }
    tables[0][byte] = static_cast<uint16_t>(crc);
  }
  for (size_t n = 1; n < 8; ++n) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint16_t previous = tables[n - 1][byte];
      tables[n][byte] = static_cast<uint16_t>((previous << 8) ^ tables[0][previous >> 8]);
    }
  }
  return tables;
}

constexpr std::array<Table, 8> kTables = MakeTables();

}  // namespace

uint16_t Crc16(std::string_view data) {
  const auto* p = reinterpret_cast<const uint8_t*>(data.data());
  size_t n = data.size();
  uint32_t crc = 0;
  while (n >= 8) {
    crc = kTables[7][(crc >> 8) ^ p[0]] ^ kTables[6][(crc & 0xff) ^ p[1]] ^ kTables[5][p[2]] ^
          kTables[4][p[3]] ^ kTables[3][p[4]] ^ kTables[2][p[5]] ^ kTables[1][p[6]] ^
          kTables[0][p[7]];
    p += 8;
    n -= 8;
  }
  for (; n > 0; --n, ++p) crc = ((crc << 8) & 0xff00) ^ kTables[0][(crc >> 8) ^ *p];
  return static_cast<uint16_t>(crc);
}

std::string_view SlotText(std::string_view key) {
  const size_t open = key.find('{');
  if (open == std::string_view::npos) [[likely]] {
    return key;
  }
  const size_t close = key.find('}', open + 1);
  if (close == std::string_view::npos || close == open + 1) return key;
  return key.substr(open + 1, close - open - 1);
}

uint16_t SlotOf(std::string_view key) { return Crc16(SlotText(key)) & (kSlotCount - 1); }

}  // namespace thermocline
