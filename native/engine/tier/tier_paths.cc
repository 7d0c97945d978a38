#include "engine/tier/tier_paths.h"

#include <filesystem>
#include <string_view>
#include <system_error>

#include "engine/platform/file.h"
#include "engine/record/coding.h"
#include "engine/tier/meta.h"

namespace thermocline {

namespace {

constexpr size_t kUuidBytes = 16;

std::string FileOf(const std::string& location) { return location + "/" + kTierPathsFile; }

}  // namespace

Status WriteTierPaths(const std::string& location, const MovedTiers& tiers) {
  std::string payload;
  for (const auto& [tier, moved] : tiers) {
    payload.push_back(static_cast<char>(tier));
    payload += moved.uuid;
    PutVarint32(&payload, static_cast<uint32_t>(moved.path.size()));
    payload += moved.path;
  }
  return ReplaceFile(FileOf(location), SealMeta(kTierPathsFile, payload), /*durable=*/true);
}

Status ReadTierPaths(const std::string& location, MovedTiers* tiers) {
  std::string sealed;
  Status status = ReadWholeFile(FileOf(location), &sealed);
  if (status.code() == Code::kNotFound) return {};
  std::string_view payload;
  if (status.ok()) status = OpenMeta(kTierPathsFile, sealed, &payload);
  if (!status.ok()) return status;
  const char* p = payload.data();
  const char* const limit = p + payload.size();
  while (p < limit) {
    const Status damaged(Code::kCorruption, FileOf(location) + " is damaged");
    if (static_cast<size_t>(limit - p) < 1 + kUuidBytes) return damaged;
    MovedTier& moved = (*tiers)[static_cast<Tier>(*p++)];
    moved.uuid.assign(p, kUuidBytes);
    uint32_t size = 0;
    p = GetVarint32(p + kUuidBytes, limit, &size);
    if (p == nullptr || static_cast<size_t>(limit - p) < size) return damaged;
    moved.path.assign(p, size);
    p += size;
  }
  return {};
}

void DeleteTierPaths(const std::string& location) {
  std::error_code ignored;
  std::filesystem::remove(FileOf(location), ignored);
}

}  // namespace thermocline
