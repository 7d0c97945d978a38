// When a segment is full and the next one begins.
//
// Each policy is a pure decision over facts of the active segment; a topic combines them with
// RollAny. An empty segment never rolls: it would be replaced by itself.
//
// Thread safety: immutable.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace thermocline::topic {

struct ActiveFacts {
  uint64_t bytes = 0;
  uint64_t records = 0;
  uint64_t opened_ms = 0;  // when its first batch was appended
  uint64_t now_ms = 0;
  uint64_t next_bytes = 0;  // of the batch that comes; 0: none does
  uint64_t next_records = 0;
};

class RollPolicy {
 public:
  virtual ~RollPolicy() = default;
  // REQUIRES: the segment has records.
  virtual bool ShouldRoll(const ActiveFacts& facts) const = 0;
};

// The batch that comes would make the segment larger than `max_bytes`.
class RollBySize final : public RollPolicy {
 public:
  explicit RollBySize(uint64_t max_bytes) : max_bytes_(max_bytes) {}
  bool ShouldRoll(const ActiveFacts& facts) const override {
    return facts.bytes + facts.next_bytes > max_bytes_;
  }

 private:
  const uint64_t max_bytes_;
};

// The segment's first batch is `max_span_ms` old.
class RollByTime final : public RollPolicy {
 public:
  explicit RollByTime(uint64_t max_span_ms) : max_span_ms_(max_span_ms) {}
  bool ShouldRoll(const ActiveFacts& facts) const override {
    return facts.now_ms >= facts.opened_ms && facts.now_ms - facts.opened_ms >= max_span_ms_;
  }

 private:
  const uint64_t max_span_ms_;
};

// The segment has `max_records` records, or the batch that comes would give it more.
class RollByCount final : public RollPolicy {
 public:
  explicit RollByCount(uint64_t max_records) : max_records_(max_records) {}
  bool ShouldRoll(const ActiveFacts& facts) const override {
    return facts.records >= max_records_ || facts.records + facts.next_records > max_records_;
  }

 private:
  const uint64_t max_records_;
};

class RollAny final : public RollPolicy {
 public:
  explicit RollAny(std::vector<std::unique_ptr<RollPolicy>> policies)
      : policies_(std::move(policies)) {}
  bool ShouldRoll(const ActiveFacts& facts) const override {
    return std::any_of(policies_.begin(), policies_.end(),
                       [&](const auto& policy) { return policy->ShouldRoll(facts); });
  }

 private:
  const std::vector<std::unique_ptr<RollPolicy>> policies_;
};

}  // namespace thermocline::topic
