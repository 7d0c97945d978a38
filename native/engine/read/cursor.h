// A cursor: an ordered walk over all shards of a read view, produced in packed chunks.
//
// Steps: a read-pool thread opens one RocksDB iterator per shard and tier, merges them by key, and
// fills chunks; the consumer takes finished chunks without waiting, or is called when one is ready.
// While the consumer works on a chunk, the next ones are being filled (at most kReadAhead of them).
// The first chunk is small, so that ending early is cheap; the following ones hold four times the
// records each, up to kArenaBytes.
//
// A chunk is one block of memory: values, one after another, then keys, then (4-byte aligned) one
// uint32 pair per record: key length, value length. Keys in one run let JavaScript decode them with
// one call. A record larger than kArenaBytes is a chunk of its own.
//
// Invariants:
//   - At most one thread fills (running_); it alone touches the iterators.
//   - Records come in key order (or reverse), each key once, none expired at the view's clock.
//   - Of the records that the tiers hold for a key the hottest comes out first, and hides the
//   others
//     whatever it is.
//   - Seek starts a new pass: chunks of an earlier pass are never handed out after it.
//
// Thread safety: all public methods from any thread, one consumer at a time.
//
// Alternative rejected: NewCoalescingIterator. It merges one database's column families only, is
// experimental in this RocksDB, and knows nothing of expiry or tombstone markers.
#pragma once

#include <rocksdb/db.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/metrics/metrics.h"
#include "engine/platform/thread_pool.h"
#include "engine/read/arena.h"
#include "engine/read/read_view.h"

namespace thermocline {

struct CursorOptions {
  // Bounds: lower is inclusive, upper exclusive; either may be absent.
  bool has_lower = false;
  bool has_upper = false;
  std::string lower;
  std::string upper;
  // Only keys of these slots, both inclusive; other shards than those that own some are not read.
  uint16_t first_slot = 0;
  uint16_t last_slot = kSlotCount - 1;
  bool reverse = false;
  bool keys = true;    // false: chunks hold values alone
  bool values = true;  // false: chunks hold keys alone
  bool fill_cache = true;
  uint64_t limit = UINT64_MAX;  // records
};

struct Chunk {
  Arena block;
  uint32_t count = 0;         // records
  uint32_t keys_offset = 0;   // values fill [0, keys_offset)
  uint32_t index_offset = 0;  // of the pairs of lengths
  bool ascii_keys = true;     // every key byte is below 0x80
  bool last = false;          // nothing comes after it
  Status status;              // not OK: the walk ended here
};

class MergeSource;

class Cursor : public std::enable_shared_from_this<Cursor> {
 public:
  static constexpr size_t kReadAhead = 3;

  // Told which shard's records were read, after every chunk.
  using CountReads = std::function<void(size_t shard, uint64_t records)>;

  Cursor(rocksdb::DB* db, std::shared_ptr<const ReadView> view, CursorOptions options,
         ThreadPool* pool, Metrics* metrics, CountReads count_reads = nullptr);
  ~Cursor();

  // Takes the next chunk if one is ready. Otherwise returns false and calls `ready` once, on a
  // pool thread, when Take would succeed (or the cursor is closed). `wanted`: how many records the
  // consumer is about to use, a hint for the size of the next chunks.
  // REQUIRES: no earlier `ready` is outstanding.
  bool Take(uint32_t wanted, Chunk* chunk, std::function<void()> ready);

  // Continues at the first record at or after `target` (at or before it in reverse), within the
  // bounds. The limit goes on counting; `unread` records of a chunk that was taken do not count.
  void Seek(std::string target, uint64_t unread);

  // Ends the walk and frees the iterators; waits for a chunk being filled. Idempotent.
  void Close();

 private:
  void ScheduleLocked();
  void Produce();
  void Trace(const Chunk& chunk, uint64_t took) const;
  Status Position(const std::string* target);
  bool IsWanted(const MergeSource& source) const;
  Chunk Fill(size_t byte_budget, uint32_t record_budget);
  Status CheckFrozen() const;
  void OpenSources();
  // Moves the source at the top of the heap on. False, and *status, if it cannot be read any more.
  bool Advance(Status* status);
  // Whether the record at the top of the heap is hidden by a hotter tier: by a record or marker of
  // its key there, which came out before it, or by a range delete.
  bool IsShadowed(const MergeSource& source) const;

  rocksdb::DB* const db_;
  const CursorOptions options_;
  ThreadPool* const pool_;
  Metrics* const metrics_;
  const CountReads count_reads_;

  std::mutex mutex_;
  std::condition_variable idle_;
  std::shared_ptr<const ReadView> view_;  // GUARDED_BY(mutex_); kept by Produce while it runs
  std::deque<Chunk> chunks_;              // GUARDED_BY(mutex_)
  std::function<void()> ready_;           // GUARDED_BY(mutex_)
  std::unique_ptr<std::string> target_;   // GUARDED_BY(mutex_): a seek not yet carried out
  bool producing_ = false;                // GUARDED_BY(mutex_): asked for, or running
  bool running_ = false;                  // GUARDED_BY(mutex_)
  bool ahead_ = false;                    // GUARDED_BY(mutex_): asked for at low priority
  bool exhausted_ = false;                // GUARDED_BY(mutex_): the last chunk is made
  bool closed_ = false;                   // GUARDED_BY(mutex_)
  uint64_t pass_ = 0;                     // GUARDED_BY(mutex_): counts seeks
  uint64_t left_;                         // GUARDED_BY(mutex_): records until the limit
  uint32_t next_records_ = 16;            // GUARDED_BY(mutex_)

  // The producing thread's own.
  std::vector<std::unique_ptr<MergeSource>> sources_;
  std::vector<MergeSource*> heap_;
  bool opened_ = false;
  std::string lower_;
  std::string upper_;
  rocksdb::Slice lower_slice_;
  rocksdb::Slice upper_slice_;
  std::string key_bytes_;
  std::vector<uint32_t> lengths_;
  bool tiered_ = false;   // the view has colder tiers
  bool has_key_ = false;  // tiered: whether last_key_ counts
  std::string last_key_;  // tiered: the key of the record that came out last, shown or not
};

}  // namespace thermocline
