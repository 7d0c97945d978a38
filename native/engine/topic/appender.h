// The two threads behind every append of a database's topics.
//
//   queue -> writer: route, group by partition, one write each -> report 'wal'
//                    -> sync thread: one sync for each partition that appends wait for -> 'fsync'
//
// Steps of the writer, for each round: take everything that waits; check and route each append;
// give each partition its batches in the order of the appends (Partition::Append); report those
// that asked for kWal; hand the others to the sync thread. What arrives during a sync waits for the
// next.
//
// The sync thread also does the upkeep, every few seconds: it syncs sealed segments (which then get
// their index files), has segments rolled whose time is over, and deletes what retention gives up.
//
// Invariants:
//   - Appends to one partition are written in the order in which they were accepted.
//   - done() is called exactly once for every append that was accepted.
//   - An append to several partitions may be written to some and fail in others; it then fails.
//
// Thread safety: Submit and Run from any thread; Stop by one.
//
// Alternative rejected: writing on the caller's thread. A write to the page cache is quick until
// the system holds writers back, and then it would stop an event loop; and every append would be a
// write of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/commit/submission.h"
#include "engine/status.h"
#include "engine/topic/body_pool.h"
#include "engine/topic/router.h"
#include "engine/topic/topic.h"

namespace thermocline::topic {

// Where the messages of an append went.
struct AppendOutcome {
  struct Part {
    uint32_t partition = 0;
    uint32_t count = 0;
    uint64_t base_offset = 0;
    bool repeated = false;
  };
  std::vector<Part> parts;
  // Of each message in order; empty if there is one part. A message's offset is its part's base
  // offset plus the number of messages before it that went there too.
  std::vector<uint32_t> partition_of;
};

struct AppendSubmission {
  std::shared_ptr<Topic> topic;
  BodyPool::Body body;  // records (record_format.h)
  size_t size = 0;
  uint32_t count = 0;
  uint64_t first_timestamp = 0;  // 0: the time of the append
  int64_t partition = -1;        // -1: by key, or the next one
  uint64_t producer_id = 0;      // 0: none
  uint64_t sequence = 0;
  Durability durability = Durability::kWal;
  // Runs once, on an engine thread; must not block.
  std::function<void(const Status&, const AppendOutcome&)> done;
};

class Appender {
 public:
  struct Options {
    size_t max_in_flight_bytes = size_t{256} << 20;
    uint64_t upkeep_ms = 5000;
  };
  // `upkeep`: what is to be kept in order.
  Appender(Options options, std::function<std::vector<std::shared_ptr<Topic>>()> upkeep);
  ~Appender() { Stop(); }
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;

  // On OK done() will be called. ERR_BACKPRESSURE, ERR_CLOSED, ERR_INVALID_ARGUMENT.
  Status Submit(std::unique_ptr<AppendSubmission> submission);
  // Runs something on the writer thread, between two groups. ERR_CLOSED.
  Status Run(std::function<void()> task);
  // Once, now, on the calling thread and the writer's; returns when done.
  Status Upkeep();
  // Writes, syncs and reports what was accepted; joins. Idempotent.
  void Stop();

 private:
  struct Work {
    std::unique_ptr<AppendSubmission> append;
    std::function<void()> task;
    Routed routed;
    std::vector<std::unique_ptr<BatchAppend>> batches;
    Status status;
    AppendOutcome outcome;
  };

  void Write();
  void WriteGroup(std::vector<std::unique_ptr<Work>> group);
  void RouteOne(Work* work);
  void Report(std::unique_ptr<Work> work);
  void Sync();
  void SyncGroup(std::vector<std::unique_ptr<Work>> group);

  const Options options_;
  const std::function<std::vector<std::shared_ptr<Topic>>()> upkeep_;
  std::atomic<size_t> in_flight_bytes_{0};
  uint64_t next_keyless_ = 0;  // the writer's own

  std::mutex mutex_;
  std::condition_variable wake_writer_;
  std::condition_variable wake_sync_;
  std::vector<std::unique_ptr<Work>> queue_;    // GUARDED_BY(mutex_)
  std::vector<std::unique_ptr<Work>> to_sync_;  // GUARDED_BY(mutex_)
  bool stopping_ = false;                       // GUARDED_BY(mutex_)
  bool written_ = false;                        // GUARDED_BY(mutex_): the writer has ended

  std::mutex sync_mutex_;  // one sync of a partition at a time
  std::thread writer_;
  std::thread sync_;
};

}  // namespace thermocline::topic
