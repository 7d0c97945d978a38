// A topic: its settings and its partitions.
//
//   <folder>/topic         settings and identity (below), replaced as a whole
//   <folder>/<partition>/  a log each (partition.h)
//
// The file `topic` makes a folder a topic: it is written last when one is created and deleted first
// when one is deleted. It is a payload and its CRC-32C, sealed as the meta records are:
//
//   u8 version (1), 16 bytes identity, varint32 partitions, u8 codec, varint32 level (zigzag),
//   varint64 each: segment bytes, segment ms, segment records, retention ms, retention bytes
//
// Thread safety: all methods from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/status.h"
#include "engine/topic/partition.h"
#include "engine/topic/topic_options.h"

namespace thermocline::topic {

inline constexpr std::string_view kTopicFile = "topic";

struct TopicConfig {
  std::string id;  // 16 random bytes
  TopicOptions options;
};
std::string EncodeTopicConfig(const TopicConfig& config);
// ERR_CORRUPTION, ERR_FORMAT_VERSION.
Status DecodeTopicConfig(std::string_view encoded, TopicConfig* config);
// ERR_INVALID_ARGUMENT: out of range.
Status CheckTopicOptions(const TopicOptions& options);

class Topic {
 public:
  struct Environment {
    Partition::Dependencies partitions;
    bool read_only = false;
    bool after_power_loss = false;
  };

  // Makes the topic durable before it returns. REQUIRES: `folder` does not exist.
  static Status Create(const std::string& folder, const TopicOptions& options);
  // ERR_NOT_FOUND: there is no topic in the folder.
  static Status Open(const std::string& folder, const std::string& name, Environment environment,
                     std::shared_ptr<Topic>* out);

  const std::string& name() const { return name_; }
  const std::string& id() const { return id_; }
  const std::string& folder() const { return folder_; }
  TopicOptions options() const;
  uint32_t partition_count() const;
  // Null: there is none.
  std::shared_ptr<Partition> partition(uint32_t index) const;
  std::vector<std::shared_ptr<Partition>> partitions() const;

  // New settings, and new partitions if there are more. ERR_INVALID_ARGUMENT: out of range, or
  // fewer partitions.
  Status Configure(const TopicOptions& options);
  // Nothing more is taken or waited for: the topic was deleted, or the database closes.
  void Retire(const Status& why);

 private:
  Topic(std::string folder, std::string name, Environment environment)
      : folder_(std::move(folder)), name_(std::move(name)), environment_(std::move(environment)) {}
  Status OpenPartitions(uint32_t count);
  Status OpenPartition(uint32_t index, std::shared_ptr<Partition>* out) const;

  const std::string folder_;
  const std::string name_;
  const Environment environment_;
  std::string id_;  // constant once open

  mutable std::mutex mutex_;
  TopicOptions options_;                                // GUARDED_BY(mutex_)
  std::vector<std::shared_ptr<Partition>> partitions_;  // GUARDED_BY(mutex_)
};

}  // namespace thermocline::topic
