// The committer: the one thread through which every write reaches the hot store.
//
// Steps, for each round:
//   1. Take what is waiting in the queue, up to max_group_bytes (one larger submission goes alone).
//   2. Decode it, route every key, and tell the hot cache that the keys are about to change.
//   3. Build ONE WriteBatch: for each commit a PutLogData header, then its operations.
//   4. Write it (one WAL record, one memtable pass).
//   5. Publish the new values of keys that were cached, then report every submission as applied.
//
// Invariants:
//   - Submissions are applied in the order they were accepted; a submission is applied whole.
//   - done() runs after the write and after the hot cache agrees with it (I9), so a read that
//     starts after an acknowledgement sees the write.
//   - A group that fails is failed as a whole and nothing of it is acknowledged; from then on the
//     committer refuses writes with ERR_READ_ONLY and the first error, since a store whose log
//     failed may hold half-written records.
//
// Thread safety: Submit and in_flight_bytes from any thread. Everything else belongs to the
// committer's thread.
//
// Alternative rejected: letting callers write to RocksDB themselves and rely on its write groups.
// That costs a thread per concurrent writer (JavaScript has none to spare), and gives no single
// order in which the hot cache can be kept right without a lock around every write.
#pragma once

#include <rocksdb/status.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/cache/hot_cache.h"
#include "engine/commit/packed_ops.h"
#include "engine/commit/submission.h"
#include "engine/metrics/metrics.h"
#include "engine/options.h"
#include "engine/shard/shards.h"

namespace thermocline {

class Committer {
 public:
  // What the committer needs; each can be a fake in a test.
  struct Dependencies {
    std::function<rocksdb::Status(rocksdb::WriteBatch*)> write;
    // The largest key of a shard, for range deletes without an upper bound. found = false: empty.
    std::function<Status(int shard, std::string* key, bool* found)> last_key;
    std::shared_ptr<const Shards> shards;
    HotCache* cache = nullptr;
    Metrics* metrics = nullptr;
  };

  Committer(Dependencies dependencies, const EngineOptions& options, uint64_t first_commit_id);
  ~Committer();  // Stop()
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Queues a submission. On OK done() will be called exactly once; on any other result it will
  // not be called: ERR_BACKPRESSURE above the hard limit of bytes in flight (unless nothing is in
  // flight, so that any single write can pass), ERR_READ_ONLY after a failed write, ERR_CLOSED.
  Status Submit(std::unique_ptr<Submission> submission);

  // Refuses new submissions, applies all accepted ones, joins the thread. Idempotent.
  void Stop();

  // Packed bytes accepted and not yet reported.
  size_t in_flight_bytes() const { return in_flight_bytes_.load(std::memory_order_relaxed); }

 private:
  struct Op {
    PackedOp packed;
    uint64_t hash = 0;
    uint16_t shard = 0;
  };

  void Run();
  // Moves the next group into group_. REQUIRES: something is waiting in taken_.
  void TakeGroup();
  void CommitGroup();
  Status BuildBatch();
  Status AppendSubmission(const Submission& submission);
  Status AppendRangeDelete(const Op& op);
  Status BoundOf(int shard, std::string* end, bool* found);
  void Report(const Status& status);

  const Dependencies deps_;
  const size_t max_group_bytes_;
  const size_t hard_in_flight_bytes_;
  std::atomic<size_t> in_flight_bytes_{0};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::unique_ptr<Submission>> queue_;  // GUARDED_BY(mutex_)
  Status refused_;                                  // GUARDED_BY(mutex_): why writes are refused
  bool sleeping_ = false;                           // GUARDED_BY(mutex_)
  bool stopping_ = false;                           // GUARDED_BY(mutex_)

  // The committer thread's own, kept between groups so that their memory is reused.
  std::vector<std::unique_ptr<Submission>> taken_;
  size_t taken_next_ = 0;
  std::vector<std::unique_ptr<Submission>> group_;
  size_t group_bytes_ = 0;
  std::vector<Op> ops_;
  std::unique_ptr<rocksdb::WriteBatch> batch_;
  bool has_range_delete_ = false;
  uint64_t next_commit_id_;

  std::thread thread_;  // last: it runs over all the members above
};

}  // namespace thermocline
