// Messages that are committed together with records: both or neither, after any crash.
//
//   committer   Append: a record `outbox/...` of the meta family in the commit's own WriteBatch
//               Written: the batch is written; the messages are due
//   tc-outbox   sync the store's log -> append to the topics, synced -> delete the records
//   opening     Recover: what a crash left in meta is appended before anybody reads a topic
//
// Invariants:
//   - A message reaches its topic only after the commit survives a loss of power, and its record
//     goes only after the message does.
//   - Messages reach a partition in the order of their commits, each once: the outbox is an
//     idempotent producer of its own (kOutboxProducer) whose sequence numbers are those of the
//     commits, so what is appended after a crash for the second time is told by its number. An
//     append that fails stops its partition until it succeeds.
//   - The partition is chosen when the commit is made and kept in the record, or a repetition could
//     go elsewhere.
//
// A topic that was deleted meanwhile takes its messages with it.
//
// The record: key outbox/<commit id>.<n>, 16 and 8 hexadecimal digits. Payload: u8 version (1);
// varint32, name of the topic; 16 bytes, its identity; varint32 partition; varint32 count; varint64
// first timestamp or 0; records (record_format.h).
//
// Thread safety: Append and Written by the committer; Admit from any thread; the others by the
// engine's opening and closing. Ownership: one per engine; the topics outlive it.
//
// Alternative rejected: appending to the topic before the commit, and hiding the messages until it
// is done. Readers would have to know of commits, and a crash would leave messages to be cut out.
#pragma once

#include <rocksdb/db.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/commit/submission.h"
#include "engine/status.h"
#include "engine/topic/topic_store.h"

namespace thermocline::topic {

// What waits for its topic.
struct OutboxEntry {
  uint64_t commit_id = 0;
  uint32_t index = 0;  // within the commit
  OutgoingMessages messages;

  // Ascends with the commits, and within one.
  uint64_t sequence() const { return commit_id << 11 | index; }
};
inline constexpr uint32_t kMaxOutboxParts = 1 << 11;

std::string OutboxKey(uint64_t commit_id, uint32_t index);
bool ParseOutboxKey(std::string_view key, OutboxEntry* entry);
std::string EncodeOutbox(const OutgoingMessages& messages);
// ERR_CORRUPTION, ERR_FORMAT_VERSION.
Status DecodeOutbox(std::string_view payload, OutgoingMessages* messages);

class Outbox {
 public:
  struct Dependencies {
    TopicStore* topics = nullptr;
    // Puts a record of the meta family into a batch.
    std::function<Status(rocksdb::WriteBatch*, std::string_view key, std::string_view payload)> put;
    std::function<Status()> sync;  // the store's log
    // Deletes records of the meta family in one commit.
    std::function<Status(const std::vector<std::string>& keys)> erase;
    std::function<Status(std::string_view prefix,
                         const std::function<Status(std::string_view, std::string_view)>&)>
        scan;
    uint64_t retry_ms = 1000;
    size_t max_bytes = size_t{256} << 20;  // that may wait for their topics
  };

  explicit Outbox(Dependencies dependencies) : deps_(std::move(dependencies)) {}
  ~Outbox() { Stop(); }
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Appends what meta holds. What cannot be appended now is tried again; that is no failure.
  Status Recover();
  // Adds an append's messages to a submission, by partition: those without a key go to the next
  // one. ERR_INVALID_ARGUMENT: no well-formed records, no such partition.
  Status Address(const Topic& topic, std::string_view body, uint32_t count,
                 uint64_t first_timestamp, int64_t partition, Submission* submission);
  // ERR_BACKPRESSURE: too much waits.
  Status Admit(size_t bytes) const;
  Status Append(rocksdb::WriteBatch* batch, uint64_t commit_id,
                const std::vector<OutgoingMessages>& messages) const;
  void Written(uint64_t commit_id, std::vector<OutgoingMessages> messages);
  // Appends what can be appended; the rest waits in meta. Idempotent.
  void Stop();

  // How many parts wait.
  size_t pending() const;

 private:
  struct Part;
  void Start(std::vector<OutboxEntry> entries);
  void Run();
  // Moves what is given to the topics; gives back what could not be moved, in order.
  std::deque<OutboxEntry> Drain(std::deque<OutboxEntry> entries);
  Status TopicOf(const OutgoingMessages& messages, std::shared_ptr<Topic>* topic);

  const Dependencies deps_;
  std::atomic<uint32_t> next_keyless_{0};

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<OutboxEntry> pending_;  // GUARDED_BY(mutex_)
  size_t pending_bytes_ = 0;         // GUARDED_BY(mutex_): those being moved too
  size_t moving_ = 0;                // GUARDED_BY(mutex_)
  bool retrying_ = false;            // GUARDED_BY(mutex_)
  bool stopping_ = false;            // GUARDED_BY(mutex_)
  std::thread thread_;               // started with the first message
};

}  // namespace thermocline::topic
