// The settings of one topic, kept in its folder (topic_config.h).
//
// Thread safety: value types.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/topic/codec.h"
#include "engine/topic/retention_policy.h"
#include "engine/topic/roll_policy.h"

namespace thermocline::topic {

inline constexpr uint32_t kMaxPartitions = 1024;
inline constexpr uint64_t kMinSegmentBytes = 4096;
// Positions in a segment are 32 bits in its index.
inline constexpr uint64_t kMaxSegmentBytes = uint64_t{2} << 30;

struct TopicOptions {
  uint32_t partitions = 1;  // 1 to kMaxPartitions
  Compression compression = {};

  // Rolling. A batch larger than a segment has one of its own.
  uint64_t segment_bytes = uint64_t{128} << 20;  // kMinSegmentBytes to kMaxSegmentBytes
  uint64_t segment_ms = 0;                       // 0: no limit
  uint64_t segment_records = 0;                  // 0: no limit

  // Retention. All 0: messages stay for good.
  uint64_t retention_ms = 0;
  uint64_t retention_bytes = 0;  // of one partition

  friend bool operator==(const TopicOptions&, const TopicOptions&) = default;
};

std::unique_ptr<RollPolicy> MakeRollPolicy(const TopicOptions& options);
std::unique_ptr<RetentionPolicy> MakeRetentionPolicy(const TopicOptions& options);

}  // namespace thermocline::topic
