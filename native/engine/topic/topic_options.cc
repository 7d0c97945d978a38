#include "engine/topic/topic_options.h"

#include <utility>
#include <vector>

namespace thermocline::topic {

std::unique_ptr<RollPolicy> MakeRollPolicy(const TopicOptions& options) {
  std::vector<std::unique_ptr<RollPolicy>> policies;
  policies.push_back(std::make_unique<RollBySize>(options.segment_bytes));
  if (options.segment_ms > 0) policies.push_back(std::make_unique<RollByTime>(options.segment_ms));
  if (options.segment_records > 0) {
    policies.push_back(std::make_unique<RollByCount>(options.segment_records));
  }
  return std::make_unique<RollAny>(std::move(policies));
}

std::unique_ptr<RetentionPolicy> MakeRetentionPolicy(const TopicOptions& options) {
  std::vector<std::unique_ptr<RetentionPolicy>> policies;
  if (options.retention_ms > 0) {
    policies.push_back(std::make_unique<RetainByAge>(options.retention_ms));
  }
  if (options.retention_bytes > 0) {
    policies.push_back(std::make_unique<RetainBySize>(options.retention_bytes));
  }
  return std::make_unique<RetainAll>(std::move(policies));
}

}  // namespace thermocline::topic
