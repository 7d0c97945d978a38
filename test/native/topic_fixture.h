// A partition in a temporary folder with a clock of its own, and the few calls by which the suites
// append to it and read from it.
#pragma once

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "engine/topic/partition.h"
#include "engine/topic/partition_reader.h"
#include "engine/topic/record_format.h"
#include "support.h"

namespace thermocline::test {

inline constexpr uint64_t kStartMs = 1'700'000'000'000;

struct Message {
  uint64_t offset = 0;
  uint64_t timestamp = 0;
  std::string key;
  std::string payload;
};

inline std::string PayloadOf(uint64_t offset) { return "message " + std::to_string(offset); }

// The records of a read, decoded one by one.
inline std::vector<Message> MessagesOf(const topic::ReadResult& result) {
  std::vector<Message> messages;
  for (const topic::BatchView& batch : result.batches) {
    const char* p = result.block->data() + batch.begin;
    const char* const limit = p + batch.size;
    for (uint32_t i = 0; i < batch.count; i++) {
      topic::RecordView record;
      p = topic::DecodeRecord(p, limit, batch.first_timestamp, &record);
      if (p == nullptr) throw std::runtime_error("a record that was handed out is malformed");
      messages.push_back({batch.base_offset + i, record.timestamp, std::string(record.key),
                          std::string(record.payload)});
    }
    EXPECT_EQ(p, limit);
  }
  return messages;
}

class PartitionTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directory(path_); }

  topic::Partition* partition() { return partition_.get(); }

  Status TryOpen(bool read_only = false, bool after_power_loss = false) {
    partition_.reset();
    return topic::Partition::Open(
        {.folder = path_,
         .seed = seed_,
         .read_only = read_only,
         .after_power_loss = after_power_loss},
        options_, {.now_ms = [this] { return now_ms_; }, .sync = sync_, .metrics = metrics_},
        &partition_);
  }
  void Open() { ASSERT_THAT(TryOpen(), IsOk()); }

  // One batch of `count` messages whose payloads tell their offsets.
  topic::BatchAppend Append(uint32_t count = 1, uint64_t producer = 0, uint64_t sequence = 0) {
    topic::BodyBuilder body;
    const uint64_t next = partition_->end_offset();
    for (uint32_t i = 0; i < count; i++) body.Add(PayloadOf(next + i));
    return AppendBody(body, producer, sequence);
  }
  topic::BatchAppend AppendBody(const topic::BodyBuilder& body, uint64_t producer = 0,
                                uint64_t sequence = 0) {
    topic::BatchAppend batch;
    batch.body = body.bytes();
    batch.count = body.count();
    batch.first_timestamp = body.first_timestamp();
    topic::BodyFacts facts;
    EXPECT_TRUE(topic::CheckBody(batch.body, batch.count, batch.first_timestamp, &facts));
    batch.max_timestamp = facts.max_timestamp;
    batch.producer_id = producer;
    batch.sequence = sequence;
    topic::BatchAppend* const one[] = {&batch};
    partition_->Append(one);
    return batch;
  }
  // A batch of messages with these times.
  topic::BatchAppend AppendAt(const std::vector<uint64_t>& times) {
    topic::BodyBuilder body(times.front());
    for (const uint64_t& time : times) body.Add("at " + std::to_string(time), {.timestamp = &time});
    return AppendBody(body);
  }

  // Everything from `offset` on; the end of the walk in *status.
  std::vector<Message> ReadFrom(uint64_t offset, Status* status = nullptr,
                                topic::PartitionReader::Limits limits = {},
                                std::vector<topic::LostRange>* lost = nullptr) {
    topic::PartitionReader reader(partition_);
    reader.Seek(offset);
    return ReadOn(&reader, status, limits, lost);
  }
  std::vector<Message> ReadOn(topic::PartitionReader* reader, Status* status = nullptr,
                              topic::PartitionReader::Limits limits = {},
                              std::vector<topic::LostRange>* lost = nullptr) {
    std::vector<Message> all;
    for (;;) {
      topic::ReadResult result;
      const Status read = reader->Read(limits, &result);
      for (Message& message : MessagesOf(result)) all.push_back(std::move(message));
      if (lost) lost->insert(lost->end(), result.lost.begin(), result.lost.end());
      if (status) {
        *status = read;
      } else {
        EXPECT_THAT(read, IsOk());
      }
      if (!read.ok() || result.batches.empty()) return all;
    }
  }
  // The messages are exactly those from `from` to `to` - 1, each with its own payload.
  static void ExpectRun(const std::vector<Message>& messages, uint64_t from, uint64_t to) {
    ASSERT_EQ(messages.size(), to - from);
    for (uint64_t i = 0; i < messages.size(); i++) {
      ASSERT_EQ(messages[i].offset, from + i);
      ASSERT_EQ(messages[i].payload, PayloadOf(from + i));
    }
  }

  std::vector<std::string> Files(std::string_view suffix) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      std::string name = entry.path().filename().string();
      if (name.ends_with(suffix)) names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string LogPath(uint64_t base_offset) {
    return path_ + "/" + topic::SegmentFileName(base_offset, topic::kLogSuffix);
  }

  TempFolder folder_;
  const std::string path_ = folder_ / "0";
  uint32_t seed_ = topic::SeedOf("a topic's identity", 0);
  topic::TopicOptions options_;
  std::shared_ptr<topic::TopicMetrics> metrics_ = std::make_shared<topic::TopicMetrics>();
  uint64_t now_ms_ = kStartMs;
  std::function<Status(File*)> sync_;
  std::shared_ptr<topic::Partition> partition_;
};

}  // namespace thermocline::test
