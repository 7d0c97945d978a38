#include "engine/tier/log_check.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string_view>

#include "engine/record/coding.h"
#include "engine/record/crc32c.h"

namespace thermocline {

namespace {

constexpr size_t kBlockBytes = 32 * 1024;
constexpr size_t kHeaderBytes = 7;  // masked CRC-32C of type and payload, u16 length, u8 type
constexpr uint8_t kLastType = 15;   // RocksDB uses fewer; 0 is space that was never written

uint32_t Masked(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }

size_t LengthAt(std::string_view block, size_t at) {
  return static_cast<uint8_t>(block[at + 4]) |
         static_cast<size_t>(static_cast<uint8_t>(block[at + 5])) << 8;
}

bool IsWhole(std::string_view block, size_t at) {
  const auto type = static_cast<uint8_t>(block[at + 6]);
  const size_t length = LengthAt(block, at);
  if (type == 0 || type > kLastType || at + kHeaderBytes + length > block.size()) return false;
  return DecodeFixed32(block.data() + at) == Masked(Crc32c(block.substr(at + 6, 1 + length)));
}

}  // namespace

Status CheckLogEnd(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file.tellg();
  if (!file || size < 0) return {Code::kIo, "reading " + path + " failed: " + std::strerror(errno)};
  const std::streamoff start = size - size % static_cast<std::streamoff>(kBlockBytes);
  std::string bytes(static_cast<size_t>(size - start), '\0');
  file.seekg(start);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file) return {Code::kIo, "reading " + path + " failed: " + std::strerror(errno)};
  const std::string_view block(bytes);

  size_t at = 0;
  while (at + kHeaderBytes <= block.size() && block[at + 6] != 0) {
    const size_t end = at + kHeaderBytes + LengthAt(block, at);
    if (end > block.size()) break;
    at = end;  // whether its checksum matches is for RocksDB to say
  }
  for (size_t next = at + 1; next + kHeaderBytes <= block.size(); next++) {
    if (!IsWhole(block, next)) continue;
    return {Code::kCorruption,
            path + " is damaged at byte " +
                std::to_string(start + static_cast<std::streamoff>(at)) +
                ": whole records follow. Nothing was changed; restore the file, or the database "
                "from a backup"};
  }
  return {};
}

}  // namespace thermocline
