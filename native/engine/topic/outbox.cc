#include "engine/topic/outbox.h"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <exception>
#include <future>
#include <utility>

#include "engine/platform/thread_pool.h"
#include "engine/record/coding.h"
#include "engine/tier/meta.h"
#include "engine/topic/router.h"

namespace thermocline::topic {

namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kIdBytes = 16;
constexpr size_t kCommitDigits = 16;
constexpr size_t kIndexDigits = 8;
// What is appended as one batch.
constexpr size_t kJoinedBytes = size_t{8} << 20;

bool ParseHex(std::string_view digits, uint64_t* value) {
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), *value, 16);
  return error == std::errc() && end == digits.data() + digits.size();
}

}  // namespace

std::string OutboxKey(uint64_t commit_id, uint32_t index) {
  char digits[kCommitDigits + 1 + kIndexDigits + 1];
  std::snprintf(digits, sizeof digits, "%016llx.%08x", static_cast<unsigned long long>(commit_id),
                index);
  return std::string(meta_key::kOutbox) + digits;
}

bool ParseOutboxKey(std::string_view key, OutboxEntry* entry) {
  if (!key.starts_with(meta_key::kOutbox)) return false;
  const std::string_view rest = key.substr(meta_key::kOutbox.size());
  if (rest.size() != kCommitDigits + 1 + kIndexDigits || rest[kCommitDigits] != '.') return false;
  uint64_t index = 0;
  if (!ParseHex(rest.substr(0, kCommitDigits), &entry->commit_id) ||
      !ParseHex(rest.substr(kCommitDigits + 1), &index) || index >= kMaxOutboxParts) {
    return false;
  }
  entry->index = static_cast<uint32_t>(index);
  return true;
}

std::string EncodeOutbox(const OutgoingMessages& messages) {
  std::string payload(1, static_cast<char>(kVersion));
  PutVarint32(&payload, static_cast<uint32_t>(messages.topic.size()));
  payload += messages.topic;
  payload += messages.topic_id;
  PutVarint32(&payload, messages.partition);
  PutVarint32(&payload, messages.count);
  PutVarint64(&payload, messages.first_timestamp);
  payload += messages.body;
  return payload;
}

Status DecodeOutbox(std::string_view payload, OutgoingMessages* messages) {
  const Status damaged(Code::kCorruption, "a record of the outbox is damaged");
  if (payload.empty()) return damaged;
  if (static_cast<uint8_t>(payload[0]) != kVersion) {
    return {Code::kFormatVersion, "the outbox has a record of version " +
                                      std::to_string(static_cast<uint8_t>(payload[0])) +
                                      ": update thermocline"};
  }
  const char* p = payload.data() + 1;
  const char* const limit = payload.data() + payload.size();
  uint32_t size = 0;
  p = GetVarint32(p, limit, &size);
  if (p == nullptr || static_cast<size_t>(limit - p) < size + kIdBytes) return damaged;
  messages->topic.assign(p, size);
  messages->topic_id.assign(p + size, kIdBytes);
  p = GetVarint32(p + size + kIdBytes, limit, &messages->partition);
  if (p != nullptr) p = GetVarint32(p, limit, &messages->count);
  if (p != nullptr) p = GetVarint64(p, limit, &messages->first_timestamp);
  if (p == nullptr) return damaged;
  messages->body.assign(p, limit);
  return {};
}

// Entries that go to one partition as one batch.
struct Outbox::Part {
  std::shared_ptr<Topic> topic;
  std::vector<OutboxEntry> entries;
  std::promise<Status> done;
};

Status Outbox::Append(rocksdb::WriteBatch* batch, uint64_t commit_id,
                      const std::vector<OutgoingMessages>& messages) const {
  for (uint32_t i = 0; i < messages.size(); i++) {
    Status status = deps_.put(batch, OutboxKey(commit_id, i), EncodeOutbox(messages[i]));
    if (!status.ok()) return status;
  }
  return {};
}

Status Outbox::Address(const Topic& topic, std::string_view body, uint32_t count,
                       uint64_t first_timestamp, int64_t partition, Submission* submission) {
  const uint32_t partitions = topic.partition_count();
  if (partition >= partitions) {
    return {Code::kInvalidArgument,
            "the topic '" + topic.name() + "' has no partition " + std::to_string(partition)};
  }
  Routed routed;
  const uint32_t keyless = next_keyless_.fetch_add(1) % partitions;
  if (!Route(body, count, first_timestamp, partitions, partition, keyless, &routed)) {
    return {Code::kInvalidArgument, "packed messages are malformed"};
  }
  for (const RoutedPart& part : routed.parts) {
    submission->messages.push_back({.topic = topic.name(),
                                    .topic_id = topic.id(),
                                    .partition = part.partition,
                                    .count = part.count,
                                    .first_timestamp = first_timestamp,
                                    .body = std::string(part.body)});
    submission->message_bytes += part.body.size();
  }
  return {};
}

Status Outbox::Admit(size_t bytes) const {
  std::lock_guard lock(mutex_);
  if (pending_bytes_ == 0 || pending_bytes_ + bytes <= deps_.max_bytes) return {};
  return {Code::kBackpressure, "more than " + std::to_string(deps_.max_bytes >> 20) +
                                   " MiB of committed messages wait for their topics"};
}

void Outbox::Written(uint64_t commit_id, std::vector<OutgoingMessages> messages) {
  std::vector<OutboxEntry> entries;
  for (uint32_t i = 0; i < messages.size(); i++) {
    entries.push_back({commit_id, i, std::move(messages[i])});
  }
  Start(std::move(entries));
}

void Outbox::Start(std::vector<OutboxEntry> entries) {
  {
    std::lock_guard lock(mutex_);
    for (OutboxEntry& entry : entries) {
      pending_bytes_ += entry.messages.body.size();
      pending_.push_back(std::move(entry));
    }
    if (!thread_.joinable() && !stopping_) thread_ = std::thread([this] { Run(); });
  }
  wake_.notify_one();
}

size_t Outbox::pending() const {
  std::lock_guard lock(mutex_);
  return pending_.size() + moving_;
}

Status Outbox::Recover() {
  std::deque<OutboxEntry> found;
  Status status =
      deps_.scan(meta_key::kOutbox, [&](std::string_view key, std::string_view payload) -> Status {
        OutboxEntry entry;
        if (!ParseOutboxKey(key, &entry)) {
          return {Code::kCorruption, "a record of the outbox has a damaged key"};
        }
        Status decoded = DecodeOutbox(payload, &entry.messages);
        if (decoded.ok()) found.push_back(std::move(entry));
        return decoded;
      });
  if (!status.ok() || found.empty()) return status;
  std::deque<OutboxEntry> left = Drain(std::move(found));
  if (left.empty()) {
    deps_.topics->CloseOpened();
  } else {
    Start({std::make_move_iterator(left.begin()), std::make_move_iterator(left.end())});
  }
  return {};
}

void Outbox::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Outbox::Run() {
  NameThisThread("tc-outbox");
  std::unique_lock lock(mutex_);
  for (;;) {
    if (retrying_ && !stopping_) {
      wake_.wait_for(lock, std::chrono::milliseconds(deps_.retry_ms), [this] { return stopping_; });
    }
    wake_.wait(lock, [this] { return !pending_.empty() || stopping_; });
    if (pending_.empty()) return;
    const bool last = stopping_;
    std::deque<OutboxEntry> entries;
    entries.swap(pending_);
    moving_ = entries.size();
    lock.unlock();
    std::deque<OutboxEntry> left = Drain(std::move(entries));
    lock.lock();
    moving_ = 0;
    retrying_ = !left.empty();
    // Before what has come meanwhile.
    pending_.insert(pending_.begin(), std::make_move_iterator(left.begin()),
                    std::make_move_iterator(left.end()));
    pending_bytes_ = 0;
    for (const OutboxEntry& entry : pending_) pending_bytes_ += entry.messages.body.size();
    if (last && retrying_) return;
  }
}

Status Outbox::TopicOf(const OutgoingMessages& messages, std::shared_ptr<Topic>* topic) {
  Status status = deps_.topics->Open(messages.topic, topic);
  if (!status.ok()) return status;
  if ((*topic)->id() == messages.topic_id) return {};
  return {Code::kNotFound, "the topic was deleted and created anew"};
}

std::deque<OutboxEntry> Outbox::Drain(std::deque<OutboxEntry> entries) {
  std::deque<OutboxEntry> left;
  if (!deps_.sync().ok()) return entries;
  std::vector<std::string> done;
  // In the order of the commits, by partition; a partition that failed waits with all that follows.
  std::map<std::pair<std::string, uint32_t>, std::deque<OutboxEntry>> by_partition;
  for (OutboxEntry& entry : entries) {
    auto& queue = by_partition[{entry.messages.topic_id, entry.messages.partition}];
    queue.push_back(std::move(entry));
  }
  while (!by_partition.empty()) {
    // One batch of each partition at a time, so that they share syncs.
    std::vector<std::unique_ptr<Part>> round;
    for (auto& [where, queue] : by_partition) {
      auto part = std::make_unique<Part>();
      Status status = TopicOf(queue.front().messages, &part->topic);
      if (status.code() == Code::kNotFound) {
        for (const OutboxEntry& entry : queue) {
          done.push_back(OutboxKey(entry.commit_id, entry.index));
        }
        queue.clear();
        continue;
      }
      const auto partition = status.ok() ? part->topic->partition(where.second) : nullptr;
      // What is written already, by a run that died or failed before it could say so. It may not
      // have reached the disk: the record goes once it has.
      const auto is_written = [&] {
        uint64_t last = 0;
        return partition && !queue.empty() && partition->LastSequence(kOutboxProducer, &last) &&
               queue.front().sequence() <= last;
      };
      if (is_written() && partition->write_status().ok() && partition->Sync().ok()) {
        while (is_written()) {
          done.push_back(OutboxKey(queue.front().commit_id, queue.front().index));
          queue.pop_front();
        }
      }
      if (queue.empty()) continue;
      auto submission = std::make_unique<AppendSubmission>();
      submission->topic = part->topic;
      submission->partition = where.second;
      submission->producer_id = kOutboxProducer;
      submission->durability = Durability::kFsync;
      submission->first_timestamp = queue.front().messages.first_timestamp;
      std::string body;
      while (!queue.empty() &&
             queue.front().messages.first_timestamp == submission->first_timestamp &&
             (body.empty() || body.size() + queue.front().messages.body.size() <= kJoinedBytes)) {
        body += queue.front().messages.body;
        submission->count += queue.front().messages.count;
        submission->sequence = queue.front().sequence();
        part->entries.push_back(std::move(queue.front()));
        queue.pop_front();
      }
      submission->size = body.size();
      submission->body = std::make_unique_for_overwrite<char[]>(body.size());
      body.copy(submission->body.get(), body.size());
      submission->done = [raw = part.get()](const Status& result, const AppendOutcome&) {
        raw->done.set_value(result);
      };
      if (status.ok()) status = deps_.topics->Append(std::move(submission));
      if (!status.ok()) part->done.set_value(status);
      round.push_back(std::move(part));
    }
    for (const auto& part : round) {
      const bool written = part->done.get_future().get().ok();
      for (OutboxEntry& entry : part->entries) {
        if (written) {
          done.push_back(OutboxKey(entry.commit_id, entry.index));
        } else {
          left.push_back(std::move(entry));
        }
      }
      if (written || part->entries.empty()) continue;
      const OutgoingMessages& failed = left.back().messages;
      auto& queue = by_partition[{failed.topic_id, failed.partition}];
      for (OutboxEntry& entry : queue) left.push_back(std::move(entry));
      queue.clear();
    }
    std::erase_if(by_partition, [](const auto& each) { return each.second.empty(); });
  }
  // If this fails the records stay, and what they say is recognised as written.
  if (!done.empty()) (void)deps_.erase(done);
  return left;
}

}  // namespace thermocline::topic
