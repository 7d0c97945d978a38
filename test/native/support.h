// What the engine's suites share: temporary folders, packed writes, waiting, and matchers for
// Status. Nothing here knows more of the engine than its public headers.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

#include "engine/commit/packed_ops.h"
#include "engine/commit/submission.h"
#include "engine/record/coding.h"
#include "engine/status.h"

namespace thermocline {

// How failures show a Status.
inline void PrintTo(const Status& status, std::ostream* out) {
  *out << CodeName(status.code()) << " \"" << status.message() << '"';
}
inline void PrintTo(Code code, std::ostream* out) { *out << CodeName(code); }

namespace test {

MATCHER(IsOk, negation ? "is not OK" : "is OK") { return arg.ok(); }
MATCHER_P(HasCode, code, "has the code " + std::string(CodeName(code))) {
  return arg.code() == code;
}

// A folder of its own, deleted with all it holds.
class TempFolder {
 public:
  TempFolder() {
    std::string name = testing::TempDir() + "thermocline-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) {
      std::perror("mkdtemp");
      std::abort();
    }
    path_ = std::filesystem::canonical(name);
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string operator/(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void WriteFile(const std::filesystem::path& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
}

// Waits for what must come. A test that would hang ends with a message instead.
template <class T>
T Await(std::future<T> future) {
  if (future.wait_for(std::chrono::minutes(2)) != std::future_status::ready) {
    std::fprintf(stderr, "Nothing came in two minutes: this test hangs.\n");
    std::abort();
  }
  return future.get();
}

// Write operations in the form that crosses the boundary.
class PackedWrites {
 public:
  PackedWrites& Put(std::string_view key, std::string_view value, uint64_t expiry_ms = 0) {
    Head(OpType::kPut, expiry_ms == 0 ? 0 : kOpHasExpiry, key);
    Text(value);
    if (expiry_ms != 0) {
      for (int i = 0; i < 6; i++) bytes_.push_back(static_cast<char>(expiry_ms >> (8 * i)));
    }
    return *this;
  }
  PackedWrites& Delete(std::string_view key) {
    Head(OpType::kDelete, 0, key);
    return *this;
  }
  PackedWrites& DeleteRange(std::string_view start, std::optional<std::string_view> end) {
    Head(OpType::kDeleteRange, end ? kOpHasEnd : 0, start);
    if (end) Text(*end);
    return *this;
  }

  const std::string& bytes() const { return bytes_; }
  uint32_t count() const { return count_; }

  std::unique_ptr<Submission> ToSubmission(bool atomic) const {
    auto submission = std::make_unique<Submission>();
    submission->data = TakeBlock(bytes_.size());
    std::copy(bytes_.begin(), bytes_.end(), submission->data.get());
    submission->size = bytes_.size();
    submission->operations = count_;
    submission->atomic = atomic;
    return submission;
  }

 private:
  void Head(OpType type, uint8_t flags, std::string_view key) {
    bytes_.push_back(static_cast<char>(static_cast<uint8_t>(type) | flags));
    Text(key);
    count_++;
  }
  void Text(std::string_view text) {
    PutVarint32(&bytes_, static_cast<uint32_t>(text.size()));
    bytes_.append(text);
  }

  std::string bytes_;
  uint32_t count_ = 0;
};

}  // namespace test
}  // namespace thermocline
