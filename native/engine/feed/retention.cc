#include "engine/feed/retention.h"

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace thermocline {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOptionsPrefix = "OPTIONS-";

uint64_t NumberOf(std::string_view text, std::string_view name) {
  const std::string wanted = "\n  " + std::string(name) + "=";
  const size_t at = text.find(wanted);
  if (at == std::string_view::npos) return 0;
  uint64_t value = 0;
  const char* const begin = text.data() + at + wanted.size();
  std::from_chars(begin, text.data() + text.size(), value);
  return value;
}

}  // namespace

ChangesOptions ParseRetention(std::string_view text) {
  ChangesOptions changes;
  changes.retain_bytes = NumberOf(text, "WAL_size_limit_MB") * kMiB;
  changes.retain_ms = NumberOf(text, "WAL_ttl_seconds") * 1000;
  const bool on = changes.retain_bytes > 0 || changes.retain_ms > 0;
  changes.state = on ? ChangesOptions::State::kOn : ChangesOptions::State::kOff;
  return changes;
}

ChangesOptions ReadRetention(const std::string& directory) {
  std::error_code error;
  std::string newest;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(kOptionsPrefix) || name.ends_with(".dbtmp")) continue;
    // The numbers have at least six digits.
    const bool newer = name.size() != newest.size() ? name.size() > newest.size() : name > newest;
    if (newer) newest = name;
  }
  std::ostringstream text;
  if (!newest.empty()) {
    std::ifstream file(fs::path(directory) / newest, std::ios::binary);
    text << file.rdbuf();
  }
  return ParseRetention(text.str());
}

void DropArchive(const std::string& directory) {
  std::error_code error;
  const fs::path archive = fs::path(directory) / "archive";
  for (fs::directory_iterator entry(archive, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->path().extension() == ".log") fs::remove(entry->path(), ignored);
  }
}

}  // namespace thermocline
