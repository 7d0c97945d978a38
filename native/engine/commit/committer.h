// The committer: the one thread through which every write reaches the hot store.
//
//   queue -> committer -> applied -> fsync stage -> durable
//
// Steps, for each round:
//   1. Take what is waiting in the queue, up to the target size that GroupSizer measures (one
//      larger submission goes alone). With a window, wait that long for a group to fill.
//   2. Decode it and route every key. Validate transactions against RecentCommits; a conflict
//      drops that submission from the group. Give every commit its id.
//   3. Tell the hot cache that the keys are about to change.
//   4. Build ONE WriteBatch: for each commit a PutLogData header, then its operations. An operation
//      that a later one in the same group overwrites is left out, and those of a larger atomic
//      commit stand in the order of their keys (docs/decisions/0013); neither with a change feed.
//   5. Write it (one WAL record, one memtable pass).
//   6. Publish the new values of keys that were cached. Report submissions that asked for kWal;
//      hand those that asked for kFsync to the fsync stage, which syncs while the next group runs.
//
// Invariants:
//   - Submissions are applied in the order they were accepted; a submission is applied whole.
//   - done() runs after the write and after the hot cache agrees with it (I9), so a read that
//     starts after an acknowledgement sees the write.
//   - While the hot store's disk is nearly full, writes wait (tier/space_gate.h); boundaries of the
//     engine's own, such as those of migration steps, overtake them, and nothing else does.
//   - A group whose write fails is failed as a whole and nothing of it is acknowledged; from then
//     on the committer refuses writes with ERR_READ_ONLY and the first error. After a full disk
//     Resume() may lift that; after a failed sync only reopening does.
//
// Thread safety: Submit, Resume and in_flight_bytes from any thread. Everything else belongs to the
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
#include "engine/commit/change_notes.h"
#include "engine/commit/fsync_stage.h"
#include "engine/commit/group_sizer.h"
#include "engine/commit/packed_ops.h"
#include "engine/commit/recent_commits.h"
#include "engine/commit/submission.h"
#include "engine/metrics/metrics.h"
#include "engine/options.h"
#include "engine/shard/shards.h"
#include "engine/tier/space_gate.h"
#include "engine/tier/step_guard.h"

namespace thermocline {

class Committer {
 public:
  // What the committer needs; each can be a fake in a test.
  struct Dependencies {
    std::function<rocksdb::Status(rocksdb::WriteBatch*)> write;
    // Makes everything written so far survive a loss of power. Null: the store has no log.
    std::function<rocksdb::Status()> sync;
    // Asks the store to go on after a full disk.
    std::function<rocksdb::Status()> resume;
    // The largest key of a shard, for range deletes without an upper bound. found = false: empty.
    std::function<Status(int shard, std::string* key, bool* found)> last_key;
    // Called after groups that hold records with an expiry, at most once a second: the clock's
    // high-water mark should be kept. May be null.
    std::function<void()> keep_clock;
    // Told, after a group was written, how many records of each shard it wrote or deleted; a range
    // delete counts as one of every shard. May be null.
    std::function<void(const std::vector<uint32_t>& records)> count_writes;
    CurrentShards shards;  // changes only between groups
    HotCache* cache = nullptr;
    Metrics* metrics = nullptr;
    StepGuard* tiers = nullptr;  // null: there are no colder tiers
    // Takes the messages of a commit: into the batch, and once that is written. REQUIRES: present
    // if submissions have messages.
    std::function<Status(rocksdb::WriteBatch*, uint64_t commit_id,
                         const std::vector<OutgoingMessages>&)>
        append_messages;
    std::function<void(uint64_t commit_id, std::vector<OutgoingMessages>)> messages_written;
    SpaceGate* space = nullptr;    // null: nothing could make room
    ChangeNotes* notes = nullptr;  // told of what is written, if it is active; may be null
    // Asks for shards to be thawed, by id; SettleFrozen tells how that went. REQUIRES: present if
    // shards are ever frozen. Must not block.
    std::function<void(const std::vector<uint32_t>& ids)> thaw;
  };

  Committer(Dependencies dependencies, const EngineOptions& options, uint64_t first_commit_id);
  ~Committer();  // Stop()
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Queues a submission. On OK done() will be called exactly once; on any other result it will
  // not be called: ERR_BACKPRESSURE above the hard limit of bytes in flight (unless nothing is in
  // flight, so that any single write can pass), ERR_READ_ONLY after a failed write, ERR_CLOSED.
  Status Submit(std::unique_ptr<Submission> submission);

  // Accepts writes again after a full disk. ERR_READ_ONLY after a failure that only reopening
  // heals.
  Status Resume();

  // Refuses all later writes until the database is reopened: what the store holds is unknown.
  void Fail(const Status& cause) { Refuse(cause, /*resumable=*/false); }

  // Makes every open transaction that has read anything conflict: what it read was replaced.
  // REQUIRES: at a boundary, and the store has been written to, since this takes a commit id.
  void ConflictAll() { recent_.RecordRange("", "", /*has_end=*/false, next_commit_id_++); }

  // The thaw of a shard that writes wait for has ended: they go on, or fail with `status`.
  // REQUIRES: at a boundary.
  void SettleFrozen(uint32_t shard_id, const Status& status);

  // Refuses new submissions, applies and syncs all accepted ones, joins the threads. Idempotent.
  void Stop();

  // Packed bytes accepted and not yet reported.
  size_t in_flight_bytes() const { return in_flight_bytes_.load(std::memory_order_relaxed); }
  // Of the oldest submission that waits in the queue; 0 if none does.
  uint64_t queue_age_nanos();
  size_t target_group_bytes() const { return target_bytes_.load(std::memory_order_relaxed); }

  // The memory of recent writes that transactions are validated with.
  RecentCommits& recent() { return recent_; }

 private:
  struct Op {
    PackedOp packed;
    uint64_t hash = 0;
    uint16_t shard = 0;
    bool superseded = false;  // a later operation of the group writes the same key
  };
  // One submission's operations within ops_.
  struct Span {
    size_t begin = 0;
    size_t end = 0;
    uint64_t first_commit_id = 0;
    uint32_t kept = 0;                                  // operations that are written
    std::vector<OutgoingMessages>* messages = nullptr;  // the submission's, if it has some
    bool atomic = false;
  };

  // A submission that waits for a frozen shard, or behind one that does.
  struct Parked {
    std::unique_ptr<Submission> submission;
    std::vector<uint32_t> frozen;  // ids; empty: it waits behind another one
  };

  struct SortedOp {
    uint64_t prefix;
    uint32_t index;  // in ops_
    uint16_t shard;
  };

  void Run();
  void RunGroup();
  // While writes are held for want of space: lets what overtakes them pass, and waits.
  void AwaitSpace();
  // Fills taken_ from the queue. False: stopping, and nothing is left.
  bool WaitForWork();
  // Moves the next group into group_. REQUIRES: something is waiting in taken_.
  void TakeGroup();
  void CommitGroup();
  void CountWrites();
  Status DecodeGroup();
  Status DecodeSubmission(const Submission& submission, Span* span);
  bool Park(std::unique_ptr<Submission>* submission, size_t begin);
  void UnparkIfChanged();
  void MarkSuperseded();
  void AssignIds();
  void RecordGroup();
  Status BuildBatch();
  void SortSpan(const Span& span);
  Status AppendOp(const Op& op, uint64_t commit_id);
  Status AppendRangeDelete(const Op& op, uint64_t commit_id);
  Status BoundOf(int shard, const Op& before, std::string* end, bool* found);
  Status WriteGroup();
  void NoteForTiers();
  void HandOverMessages();
  void NoteChanges();
  void PublishGroup();
  void CountGroup();
  void Refuse(const Status& cause, bool resumable);
  void ReportGroup(const Status& status);
  void Report(std::unique_ptr<Submission> submission, const Status& status);
  void Recycle();

  const Dependencies deps_;
  const size_t hard_in_flight_bytes_;
  const uint64_t window_nanos_;
  const bool faithful_;  // the log is read by others: nothing is left out or reordered
  std::atomic<size_t> in_flight_bytes_{0};
  std::atomic<size_t> target_bytes_;
  RecentCommits recent_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::unique_ptr<Submission>> queue_;  // GUARDED_BY(mutex_)
  size_t queue_bytes_ = 0;                          // GUARDED_BY(mutex_)
  Status refused_;                                  // GUARDED_BY(mutex_): why writes are refused
  bool resumable_ = false;                          // GUARDED_BY(mutex_)
  bool sleeping_ = false;                           // GUARDED_BY(mutex_)
  bool stopping_ = false;                           // GUARDED_BY(mutex_)

  // The committer thread's own, kept between groups so that their memory is reused.
  std::shared_ptr<const Shards> shards_;  // of the group
  std::vector<std::unique_ptr<Submission>> taken_;
  size_t taken_next_ = 0;
  std::vector<Parked> parked_;     // in the order of their acceptance
  std::vector<bool> blocked_;      // by shard: a parked submission writes to it; empty: none does
  bool messages_blocked_ = false;  // a parked submission has some
  std::shared_ptr<const Shards> parked_under_;  // null: look again
  std::vector<std::unique_ptr<Submission>> group_;
  std::vector<std::unique_ptr<Submission>> to_sync_;
  size_t group_bytes_ = 0;
  std::vector<Op> ops_;
  std::vector<Span> spans_;
  std::vector<SortedOp> sorted_;
  std::vector<uint32_t> shard_writes_;
  std::vector<uint32_t> last_of_key_;  // open addressing by hash, for MarkSuperseded
  std::unique_ptr<rocksdb::WriteBatch> batch_;
  bool has_range_delete_ = false;
  bool has_expiry_ = false;
  uint64_t next_commit_id_;
  GroupSizer sizer_;
  size_t arrived_bytes_ = 0;
  uint64_t measured_nanos_ = 0;
  uint64_t clock_kept_nanos_ = 0;

  std::unique_ptr<FsyncStage> fsync_;  // none if the store has no log
  std::thread thread_;                 // last: it runs over all the members above
};

}  // namespace thermocline
