#include "engine/topic/topic.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "engine/platform/file.h"
#include "engine/record/coding.h"
#include "engine/tier/meta.h"

namespace thermocline::topic {

namespace {

constexpr uint8_t kConfigVersion = 1;
constexpr size_t kIdBytes = 16;
constexpr int kMinLevel = -7;
constexpr int kMaxLevel = 22;

Status MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return {};
  return ErrnoStatus(errno, "creating the folder", path);
}

std::string PartitionFolder(const std::string& folder, uint32_t index) {
  return folder + "/" + std::to_string(index);
}

std::string ConfigPath(const std::string& folder) { return folder + "/" + std::string(kTopicFile); }

Status Damaged() { return {Code::kCorruption, "the topic's settings are damaged"}; }

}  // namespace

std::string EncodeTopicConfig(const TopicConfig& config) {
  const TopicOptions& options = config.options;
  std::string payload(1, static_cast<char>(kConfigVersion));
  payload += config.id;
  PutVarint32(&payload, options.partitions);
  payload.push_back(static_cast<char>(options.compression.codec));
  const int level = options.compression.level;
  PutVarint32(&payload, (static_cast<uint32_t>(level) << 1) ^ static_cast<uint32_t>(level >> 31));
  for (const uint64_t number : {options.segment_bytes, options.segment_ms, options.segment_records,
                                options.retention_ms, options.retention_bytes}) {
    PutVarint64(&payload, number);
  }
  return SealMeta(kTopicFile, payload);
}

Status DecodeTopicConfig(std::string_view encoded, TopicConfig* config) {
  std::string_view payload;
  if (!OpenMeta(kTopicFile, encoded, &payload).ok() || payload.size() < 1) return Damaged();
  if (static_cast<uint8_t>(payload[0]) > kConfigVersion) {
    return {Code::kFormatVersion, "the topic has a newer format: update thermocline"};
  }
  if (payload.size() < 1 + kIdBytes + 2) return Damaged();
  config->id.assign(payload.substr(1, kIdBytes));
  const char* p = payload.data() + 1 + kIdBytes;
  const char* const limit = payload.data() + payload.size();
  TopicOptions& options = config->options;
  uint32_t level = 0;
  p = GetVarint32(p, limit, &options.partitions);
  if (p == nullptr || p == limit || static_cast<uint8_t>(*p) > kLastCodec) return Damaged();
  options.compression.codec = static_cast<Codec>(*p++);
  p = GetVarint32(p, limit, &level);
  options.compression.level = static_cast<int>((level >> 1) ^ (~(level & 1) + 1));
  for (uint64_t* number : {&options.segment_bytes, &options.segment_ms, &options.segment_records,
                           &options.retention_ms, &options.retention_bytes}) {
    if (p != nullptr) p = GetVarint64(p, limit, number);
  }
  return p == limit ? Status() : Damaged();
}

Status CheckTopicOptions(const TopicOptions& options) {
  const auto refuse = [](const char* what) { return Status(Code::kInvalidArgument, what); };
  if (options.partitions < 1 || options.partitions > kMaxPartitions) {
    return refuse("a topic has 1 to 1024 partitions");
  }
  if (options.segment_bytes < kMinSegmentBytes || options.segment_bytes > kMaxSegmentBytes) {
    return refuse("a segment has 4KB to 2GB");
  }
  if (options.compression.level < kMinLevel || options.compression.level > kMaxLevel) {
    return refuse("a compression level is a number from -7 to 22");
  }
  if (options.compression.codec == Codec::kGzip &&
      (options.compression.level < 0 || options.compression.level > 9)) {
    return refuse("a level of gzip is a number from 1 to 9");
  }
  return {};
}

Status Topic::Create(const std::string& folder, const TopicOptions& options) {
  Status status = CheckTopicOptions(options);
  if (status.ok()) status = MakeFolder(folder);
  for (uint32_t i = 0; i < options.partitions && status.ok(); i++) {
    status = MakeFolder(PartitionFolder(folder, i));
  }
  if (!status.ok()) return status;
  const TopicConfig config = {.id = NewUuid(), .options = options};
  return ReplaceFile(ConfigPath(folder), EncodeTopicConfig(config), /*durable=*/true);
}

Status Topic::Open(const std::string& folder, const std::string& name, Environment environment,
                   std::shared_ptr<Topic>* out) {
  std::string encoded;
  TopicConfig config;
  Status status = ReadWholeFile(ConfigPath(folder), &encoded);
  if (status.code() == Code::kNotFound) {
    return {Code::kNotFound, "there is no topic '" + name + "'"};
  }
  if (status.ok()) status = DecodeTopicConfig(encoded, &config);
  if (!status.ok()) return status;
  std::shared_ptr<Topic> topic(new Topic(folder, name, std::move(environment)));
  topic->id_ = config.id;
  topic->options_ = config.options;
  status = topic->OpenPartitions(config.options.partitions);
  if (status.ok()) *out = std::move(topic);
  return status;
}

Status Topic::OpenPartitions(uint32_t count) {
  while (partitions_.size() < count) {
    std::shared_ptr<Partition> partition;
    Status status = OpenPartition(static_cast<uint32_t>(partitions_.size()), &partition);
    if (!status.ok()) return status;
    partitions_.push_back(std::move(partition));
  }
  return {};
}

Status Topic::OpenPartition(uint32_t index, std::shared_ptr<Partition>* out) const {
  const Partition::OpenOptions open = {.folder = PartitionFolder(folder_, index),
                                       .seed = SeedOf(id_, index),
                                       .read_only = environment_.read_only,
                                       .after_power_loss = environment_.after_power_loss};
  return Partition::Open(open, options_, environment_.partitions, out);
}

TopicOptions Topic::options() const {
  std::lock_guard lock(mutex_);
  return options_;
}

uint32_t Topic::partition_count() const {
  std::lock_guard lock(mutex_);
  return static_cast<uint32_t>(partitions_.size());
}

std::shared_ptr<Partition> Topic::partition(uint32_t index) const {
  std::lock_guard lock(mutex_);
  return index < partitions_.size() ? partitions_[index] : nullptr;
}

std::vector<std::shared_ptr<Partition>> Topic::partitions() const {
  std::lock_guard lock(mutex_);
  return partitions_;
}

Status Topic::Configure(const TopicOptions& options) {
  Status status = CheckTopicOptions(options);
  if (!status.ok()) return status;
  std::lock_guard lock(mutex_);
  if (options.partitions < partitions_.size()) {
    return {Code::kInvalidArgument, "the topic '" + name_ + "' has " +
                                        std::to_string(partitions_.size()) +
                                        " partitions, and their number can only grow"};
  }
  // A crash in between leaves empty folders that nobody looks at.
  std::vector<std::shared_ptr<Partition>> added;
  for (auto i = static_cast<uint32_t>(partitions_.size()); i < options.partitions; i++) {
    status = MakeFolder(PartitionFolder(folder_, i));
    if (status.ok()) status = OpenPartition(i, &added.emplace_back());
    if (!status.ok()) return status;
  }
  status = ReplaceFile(ConfigPath(folder_), EncodeTopicConfig({.id = id_, .options = options}),
                       /*durable=*/true);
  if (!status.ok()) return status;
  options_ = options;
  for (auto& partition : added) partitions_.push_back(std::move(partition));
  for (const auto& partition : partitions_) partition->SetOptions(options);
  return {};
}

void Topic::Retire(const Status& why) {
  for (const auto& partition : partitions()) partition->Retire(why);
}

}  // namespace thermocline::topic
