#include "engine/tier/tier_paths.h"

#include <filesystem>
#include <string_view>
#include <system_error>

#include "engine/platform/file.h"
#include "engine/record/coding.h"
#include "engine/tier/meta.h"

namespace thermocline {

namespace {

std::string FileOf(const std::string& location) { return location + "/" + kTierPathsFile; }

}  // namespace

Status WriteTierPaths(const std::string& location, const TierPaths& paths) {
  std::string payload;
  for (const auto& [tier, path] : paths) {
    payload.push_back(static_cast<char>(tier));
    PutVarint32(&payload, static_cast<uint32_t>(path.size()));
    payload += path;
  }
  return ReplaceFile(FileOf(location), SealMeta(kTierPathsFile, payload), /*durable=*/true);
}

Status ReadTierPaths(const std::string& location, TierPaths* paths) {
  std::string sealed;
  Status status = ReadWholeFile(FileOf(location), &sealed);
  if (status.code() == Code::kNotFound) return {};
  std::string_view payload;
  if (status.ok()) status = OpenMeta(kTierPathsFile, sealed, &payload);
  if (!status.ok()) return status;
  const char* p = payload.data();
  const char* const limit = p + payload.size();
  while (p < limit) {
    const auto tier = static_cast<Tier>(*p++);
    uint32_t size = 0;
    p = GetVarint32(p, limit, &size);
    if (p == nullptr || static_cast<size_t>(limit - p) < size) {
      return {Code::kCorruption, FileOf(location) + " is damaged"};
    }
    (*paths)[tier].assign(p, size);
    p += size;
  }
  return {};
}

void DeleteTierPaths(const std::string& location) {
  std::error_code ignored;
  std::filesystem::remove(FileOf(location), ignored);
}

}  // namespace thermocline
