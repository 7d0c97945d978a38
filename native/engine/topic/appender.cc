#include "engine/topic/appender.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <future>
#include <map>
#include <optional>
#include <utility>

#include "engine/platform/thread_pool.h"
#include "engine/record/crc32c.h"

namespace thermocline::topic {

Appender::Appender(Options options, std::function<std::vector<std::shared_ptr<Topic>>()> upkeep)
    : options_(options), upkeep_(std::move(upkeep)) {
  writer_ = std::thread([this] { Write(); });
  sync_ = std::thread([this] { Sync(); });
}

Status Appender::Submit(std::unique_ptr<AppendSubmission> submission) {
  if (submission->size > kMaxBodyBytes) {
    return {Code::kInvalidArgument,
            "the messages of one append have " + std::to_string(submission->size) +
                " bytes; at most 64 MiB are possible: append them in parts"};
  }
  auto work = std::make_unique<Work>();
  work->append = std::move(submission);
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return {Code::kClosed, "the database is closing"};
    const size_t in_flight = in_flight_bytes_.load(std::memory_order_relaxed);
    if (in_flight > 0 && in_flight + work->append->size > options_.max_in_flight_bytes) {
      return {Code::kBackpressure, "more than " +
                                       std::to_string(options_.max_in_flight_bytes >> 20) +
                                       " MiB of messages are waiting: await earlier appends"};
    }
    in_flight_bytes_.fetch_add(work->append->size, std::memory_order_relaxed);
    queue_.push_back(std::move(work));
  }
  wake_writer_.notify_one();
  return {};
}

Status Appender::Run(std::function<void()> task) {
  auto work = std::make_unique<Work>();
  work->task = std::move(task);
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return {Code::kClosed, "the database is closing"};
    queue_.push_back(std::move(work));
  }
  wake_writer_.notify_one();
  return {};
}

void Appender::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_writer_.notify_one();
  if (writer_.joinable()) writer_.join();
  {
    std::lock_guard lock(mutex_);
    written_ = true;
  }
  wake_sync_.notify_one();
  if (sync_.joinable()) sync_.join();
}

void Appender::Write() {
  NameThisThread("tc-topic");
  for (;;) {
    std::vector<std::unique_ptr<Work>> group;
    {
      std::unique_lock lock(mutex_);
      wake_writer_.wait(lock, [this] { return !queue_.empty() || stopping_; });
      if (queue_.empty()) return;
      group.swap(queue_);
    }
    WriteGroup(std::move(group));
  }
}

void Appender::RouteOne(Work* work) {
  AppendSubmission& append = *work->append;
  const uint32_t partitions = append.topic->partition_count();
  if (append.partition >= 0 && append.partition >= partitions) {
    work->status = {Code::kInvalidArgument, "the topic '" + append.topic->name() +
                                                "' has no partition " +
                                                std::to_string(append.partition)};
    return;
  }
  const std::string_view body(append.body.get(), append.size);
  // First, since it brings the body into this processor's cache in order: walking its records, each
  // of which says where the next one is, would wait for each.
  std::optional<uint32_t> body_crc;
  if ((append.partition >= 0 || partitions == 1) &&
      append.topic->options().compression.codec == Codec::kNone) {
    body_crc = Crc32c(body);
  }
  const auto keyless = static_cast<uint32_t>(next_keyless_++ % partitions);
  if (!Route(body, append.count, append.first_timestamp, partitions, append.partition, keyless,
             &work->routed)) {
    work->status = {Code::kInvalidArgument, "the packed messages are malformed"};
    return;
  }
  for (const RoutedPart& part : work->routed.parts) {
    auto batch = std::make_unique<BatchAppend>();
    batch->body = part.body;
    batch->count = part.count;
    batch->first_timestamp = append.first_timestamp;
    batch->max_timestamp = part.max_timestamp;
    batch->producer_id = append.producer_id;
    batch->sequence = append.sequence;
    batch->body_crc = body_crc;  // known where there is one part
    work->batches.push_back(std::move(batch));
  }
}

void Appender::WriteGroup(std::vector<std::unique_ptr<Work>> group) {
  // In the order of the appends, for each partition.
  std::map<std::shared_ptr<Partition>, std::vector<BatchAppend*>> by_partition;
  for (const auto& work : group) {
    if (!work->append) continue;
    try {
      RouteOne(work.get());
    } catch (const std::exception& error) {
      work->status = {Code::kIo, std::string("an append failed: ") + error.what()};
    }
    if (!work->status.ok()) continue;
    for (size_t i = 0; i < work->batches.size(); i++) {
      by_partition[work->append->topic->partition(work->routed.parts[i].partition)].push_back(
          work->batches[i].get());
    }
  }
  for (const auto& [partition, batches] : by_partition) {
    try {
      partition->Append(batches);
    } catch (const std::exception& error) {
      const Status failed(Code::kIo, std::string("an append failed: ") + error.what());
      partition->Retire(failed);
      for (BatchAppend* batch : batches) batch->status = failed;
    }
  }
  std::vector<std::unique_ptr<Work>> to_sync;
  for (auto& work : group) {
    if (work->task) {
      work->task();
      continue;
    }
    for (size_t i = 0; i < work->batches.size() && work->status.ok(); i++) {
      const BatchAppend& batch = *work->batches[i];
      work->status = batch.status;
      work->outcome.parts.push_back({.partition = work->routed.parts[i].partition,
                                     .count = batch.count,
                                     .base_offset = batch.base_offset,
                                     .repeated = batch.repeated});
    }
    if (work->status.ok() && work->append->durability == Durability::kFsync) {
      to_sync.push_back(std::move(work));
    }
  }
  if (!to_sync.empty()) {
    {
      std::lock_guard lock(mutex_);
      std::move(to_sync.begin(), to_sync.end(), std::back_inserter(to_sync_));
    }
    wake_sync_.notify_one();
  }
  for (auto& work : group) {
    if (work && work->append) Report(std::move(work));
  }
}

void Appender::Report(std::unique_ptr<Work> work) {
  in_flight_bytes_.fetch_sub(work->append->size, std::memory_order_relaxed);
  work->outcome.partition_of = std::move(work->routed.partition_of);
  if (work->append->done) work->append->done(work->status, work->outcome);
}

void Appender::Sync() {
  NameThisThread("tc-topic-sync");
  for (;;) {
    std::vector<std::unique_ptr<Work>> group;
    bool upkeep = false;
    {
      std::unique_lock lock(mutex_);
      upkeep = !wake_sync_.wait_for(lock, std::chrono::milliseconds(options_.upkeep_ms),
                                    [this] { return !to_sync_.empty() || written_; });
      if (to_sync_.empty() && written_) return;
      group.swap(to_sync_);
    }
    // What fails here fails again where somebody waits for it.
    if (upkeep) (void)Upkeep();
    SyncGroup(std::move(group));
  }
}

void Appender::SyncGroup(std::vector<std::unique_ptr<Work>> group) {
  std::map<std::shared_ptr<Partition>, Status> synced;
  std::lock_guard lock(sync_mutex_);
  for (const auto& work : group) {
    for (const AppendOutcome::Part& part : work->outcome.parts) {
      std::shared_ptr<Partition> partition = work->append->topic->partition(part.partition);
      const auto [entry, first] = synced.try_emplace(std::move(partition));
      if (first) entry->second = entry->first->Sync();
      if (!entry->second.ok()) work->status = entry->second;
    }
  }
  for (auto& work : group) Report(std::move(work));
}

Status Appender::Upkeep() {
  auto done = std::make_shared<std::promise<Status>>();
  const std::vector<std::shared_ptr<Topic>> topics = upkeep_();
  Status status = Run([topics, done] {
    Status rolled;
    for (const auto& topic : topics) {
      for (const auto& partition : topic->partitions()) {
        Status one = partition->RollIfDue();
        if (!one.ok()) rolled = one;
      }
    }
    done->set_value(rolled);
  });
  if (!status.ok()) return status;
  status = done->get_future().get();
  for (const auto& topic : topics) {
    const auto retention = MakeRetentionPolicy(topic->options());
    for (const auto& partition : topic->partitions()) {
      Status one;
      if (partition->HasUnsynced()) {
        std::lock_guard lock(sync_mutex_);
        one = partition->Sync();
      }
      size_t deleted = 0;
      if (one.ok()) one = partition->DeleteExpired(*retention, &deleted);
      if (!one.ok()) status = one;
    }
  }
  return status;
}

}  // namespace thermocline::topic
