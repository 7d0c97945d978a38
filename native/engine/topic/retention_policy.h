// Which segments have served their time.
//
// Only whole segments are deleted, oldest first, and never the active one. Each policy is a pure
// decision over the facts of all segments; a topic deletes what any of its policies gives up.
//
// Thread safety: immutable.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace thermocline::topic {

struct SegmentFacts {
  uint64_t base_offset = 0;
  uint64_t end_offset = 0;  // of the next segment's first record
  uint64_t bytes = 0;
  uint64_t max_timestamp = 0;  // Unix ms
};

class RetentionPolicy {
 public:
  virtual ~RetentionPolicy() = default;
  // How many of `segments`, counted from the first, may go. The last one is the active segment.
  virtual size_t CountExpired(std::span<const SegmentFacts> segments, uint64_t now_ms) const = 0;

 protected:
  template <class Expired>
  static size_t CountWhile(std::span<const SegmentFacts> segments, Expired&& expired) {
    size_t count = 0;
    while (count + 1 < segments.size() && expired(segments[count])) count++;
    return count;
  }
};

// Every record is at least `max_age_ms` old.
class RetainByAge final : public RetentionPolicy {
 public:
  explicit RetainByAge(uint64_t max_age_ms) : max_age_ms_(max_age_ms) {}
  size_t CountExpired(std::span<const SegmentFacts> segments, uint64_t now_ms) const override {
    return CountWhile(segments, [&](const SegmentFacts& segment) {
      return now_ms >= segment.max_timestamp && now_ms - segment.max_timestamp >= max_age_ms_;
    });
  }

 private:
  const uint64_t max_age_ms_;
};

// What is left without the segment still has `max_bytes`: a log is kept at least that long.
class RetainBySize final : public RetentionPolicy {
 public:
  explicit RetainBySize(uint64_t max_bytes) : max_bytes_(max_bytes) {}
  size_t CountExpired(std::span<const SegmentFacts> segments, uint64_t) const override {
    uint64_t total = 0;
    for (const SegmentFacts& segment : segments) total += segment.bytes;
    return CountWhile(segments, [&](const SegmentFacts& segment) {
      if (total - segment.bytes < max_bytes_) return false;
      total -= segment.bytes;
      return true;
    });
  }

 private:
  const uint64_t max_bytes_;
};

// Every record lies before `offset`.
class RetainFromOffset final : public RetentionPolicy {
 public:
  explicit RetainFromOffset(uint64_t offset) : offset_(offset) {}
  size_t CountExpired(std::span<const SegmentFacts> segments, uint64_t) const override {
    return CountWhile(segments,
                      [&](const SegmentFacts& segment) { return segment.end_offset <= offset_; });
  }

 private:
  const uint64_t offset_;
};

class RetainAll final : public RetentionPolicy {
 public:
  explicit RetainAll(std::vector<std::unique_ptr<RetentionPolicy>> policies)
      : policies_(std::move(policies)) {}
  size_t CountExpired(std::span<const SegmentFacts> segments, uint64_t now_ms) const override {
    size_t count = 0;
    for (const auto& policy : policies_) {
      count = std::max(count, policy->CountExpired(segments, now_ms));
    }
    return count;
  }

 private:
  const std::vector<std::unique_ptr<RetentionPolicy>> policies_;
};

}  // namespace thermocline::topic
