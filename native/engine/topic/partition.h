// One partition: an append-only log of segments.
//
//   writer thread   Append: give offsets, encode, one pwritev for the group, publish, roll
//   sync thread     Sync: everything published so far reaches the disk
//   any thread      Locate (readers), WaitFor, DeleteExpired, figures
//
// Invariants:
//   - Offsets are dense: a batch begins where the one before ended.
//   - What is published is whole: readers see only complete batches that the system has taken.
//   - A failed write leaves nothing: the file is shortened to what was published. If that fails
//   too,
//     or a sync fails, the partition takes no more messages until it is opened again (after a
//     failed sync the system may have dropped the pages, so a later success would prove nothing).
//   - The file of the active segment alone is ever shortened, and that one is never mapped.
//   - An index file is written only once its log is synced.
//
// Thread safety: as above. Append by one thread; Sync by one thread at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/platform/file.h"
#include "engine/platform/waiter.h"
#include "engine/status.h"
#include "engine/topic/batch_format.h"
#include "engine/topic/index.h"
#include "engine/topic/producer_table.h"
#include "engine/topic/recovery.h"
#include "engine/topic/segment.h"
#include "engine/topic/topic_metrics.h"
#include "engine/topic/topic_options.h"

namespace thermocline::topic {

// One batch on its way into a partition.
struct BatchAppend {
  // In. The body is well-formed (CheckBody) and stays where it is until Append has returned.
  std::string_view body;
  uint32_t count = 0;
  uint64_t first_timestamp = 0;  // 0: the time of the append; records then have no timestamps
  uint64_t max_timestamp = 0;    // of the records; for first_timestamp 0 it is filled in
  uint64_t producer_id = 0;      // 0: none
  uint64_t sequence = 0;
  // Of the body, if it is known; else Append finds it out.
  std::optional<uint32_t> body_crc = std::nullopt;

  // Out.
  Status status;
  uint64_t base_offset = 0;
  bool repeated = false;  // was there already; nothing was written

  // Append's own.
  char header[kBatchHeaderBytes];
  std::string compressed;
};

using thermocline::Waiter;

class Partition {
 public:
  // What it needs from outside; tests give it a clock and a sync of their own.
  struct Dependencies {
    std::function<uint64_t()> now_ms;
    std::function<Status(File*)> sync;  // null: File::Sync
    std::shared_ptr<TopicMetrics> metrics;
  };
  struct OpenOptions {
    std::string folder;  // exists
    uint32_t seed = 0;
    bool read_only = false;
    bool after_power_loss = false;
  };

  static Status Open(const OpenOptions& open, const TopicOptions& options, Dependencies deps,
                     std::shared_ptr<Partition>* out);
  ~Partition() = default;
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  // Writes the batches, in order, and fills what is marked as Out. Writer thread.
  void Append(std::span<BatchAppend* const> group);
  // Whether sealed segments wait to be synced.
  bool HasUnsynced() const;
  // Makes everything that was published survive a loss of power.
  Status Sync();
  // Seals the active segment if a policy says so without a batch to come. Writer thread.
  Status RollIfDue();
  // The last sequence number of an idempotent producer; false: unknown.
  bool LastSequence(uint64_t producer, uint64_t* sequence) const;

  // Deletes whole segments that the policy gives up. Returns how many.
  Status DeleteExpired(const RetentionPolicy& policy, size_t* deleted);

  // Where a reader goes on.
  struct Extent {
    std::shared_ptr<Segment> segment;
    bool sealed = false;
    uint64_t bytes = 0;       // of the segment that may be read
    uint64_t end_offset = 0;  // behind the last record in them
    uint64_t next_base = 0;   // of the next segment; the same as end_offset in a whole log
    bool last = false;
    IndexPoint start;  // a batch at or before what was asked for
  };
  // The segment that has the record, or would have it. False: there is none (an empty partition
  // that was opened read-only). An offset before the first is answered with the first.
  bool Locate(uint64_t offset, Extent* extent) const;
  // Likewise for a segment that a reader holds, which may have grown, or been sealed or deleted.
  void Extend(const std::shared_ptr<Segment>& segment, Extent* extent) const;
  // The segment in which the first record lies that is not older than `timestamp`, and a batch at
  // or before it. False: there is no such record.
  bool LocateTime(uint64_t timestamp, Extent* extent) const;

  uint64_t start_offset() const;
  uint64_t end_offset() const { return end_offset_.load(std::memory_order_acquire); }
  uint64_t bytes() const;
  std::vector<SegmentFacts> Segments() const;
  uint64_t cut_bytes() const { return cut_bytes_; }

  // Fires the waiter as soon as the end lies behind `offset`; at once if it does, or if the
  // partition was retired.
  void WaitFor(uint64_t offset, std::shared_ptr<Waiter> waiter);

  const std::string& folder() const { return folder_; }
  uint32_t seed() const { return seed_; }
  TopicMetrics* metrics() const { return deps_.metrics.get(); }
  // Takes no more messages, and wakes everyone who waits: there will be nothing more to wait for.
  void Retire(const Status& why);
  // Not OK: there is damage where the log seems to end. Constant once open.
  const Status& end_damage() const { return end_damage_; }
  // Not OK: it was retired, and why.
  Status retired() const;
  // Not OK: why it takes no more messages.
  Status write_status() const;
  // New settings for what follows. Any thread.
  void SetOptions(const TopicOptions& options);

 private:
  Partition(const OpenOptions& open, const TopicOptions& options, Dependencies deps);
  Status Start(RecoveredLog recovered);
  bool Prepare(BatchAppend* batch, uint64_t base_offset, const Compression& compression);
  bool MustRoll(const ActiveFacts& coming) const;
  Status Roll();
  Status OpenActive(uint64_t base_offset);
  void WriteRun(std::span<BatchAppend* const> run);
  void Publish(std::span<BatchAppend* const> run);
  void Fail(const Status& cause);
  std::vector<SegmentFacts> Facts() const;
  void FillExtent(size_t i, Extent* extent) const;

  const std::string folder_;
  const uint32_t seed_;
  const bool read_only_;
  const Dependencies deps_;
  uint64_t cut_bytes_ = 0;
  Status end_damage_;

  // The writer's own.
  std::shared_ptr<File> active_file_;
  uint64_t active_opened_ms_ = 0;

  std::atomic<uint64_t> end_offset_{0};

  mutable std::mutex mutex_;
  std::shared_ptr<const TopicOptions> options_;     // GUARDED_BY(mutex_)
  std::shared_ptr<const RollPolicy> roll_;          // GUARDED_BY(mutex_)
  std::vector<std::shared_ptr<Segment>> segments_;  // GUARDED_BY(mutex_)
  std::unique_ptr<IndexBuilder> active_;            // GUARDED_BY(mutex_); the writer changes it
  ProducerTable producers_;                         // GUARDED_BY(mutex_); the writer changes it
  std::vector<std::shared_ptr<Segment>> unsynced_;  // GUARDED_BY(mutex_): sealed
  bool folder_changed_ = false;                     // GUARDED_BY(mutex_)
  Status write_status_;                             // GUARDED_BY(mutex_)
  bool retired_ = false;                            // GUARDED_BY(mutex_)
  struct Waiting {
    uint64_t offset;
    std::shared_ptr<Waiter> waiter;
  };
  std::vector<Waiting> waiting_;  // GUARDED_BY(mutex_)
};

}  // namespace thermocline::topic
