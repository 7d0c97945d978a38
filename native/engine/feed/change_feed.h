// The change feed: every commit of a user, read from the write-ahead log.
//
//   committer -> log, memtables -> Wrote: who waits is woken
//   ChangeReader: GetUpdatesSince -> DecodeChanges -> a chunk
//
// Nothing is written for the feed. While it is on, logs that nothing else needs are kept in
// hot/archive until the retention gives them up, and the committer leaves no operation out and in
// the order of the calls. A place in the feed is a sequence number of RocksDB: of the last record
// of the commit that was read last.
//
// Gaps. A reader that finds the record behind its place missing reports ERR_GAP, whatever took it:
// retention, damage, a time without the feed, or a store that is older than the place. One case is
// excused: log files whose records were all internal, which a store writes when it is opened and
// closed. For it the feed knows a range of numbers in which no user has written: from the last
// user's record of the run before, kept in meta at close, to the first of this run.
// Shards that are restored from a snapshot are replaced without any change that a reader could
// apply: whoever has not come beyond that moment gets ERR_GAP too.
//
// Thread safety: all methods from any thread; Wrote by the committer alone.
// Ownership: one per engine that has its feed on. It owns its readers until they are closed, so
// that none holds on to the log when the store closes; they share its State and may outlive it.
// REQUIRES: Close is called before the store closes.
//
// Alternative rejected: a log of changes beside RocksDB's. Every byte would be written twice, and
// the two would have to be brought to agree after a crash.
#pragma once

#include <rocksdb/db.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/feed/change_decoder.h"
#include "engine/platform/waiter.h"
#include "engine/status.h"

namespace thermocline {

// What one read gives: commits packed for the boundary.
//
//   block    keys and values, one after another
//   numbers  of each commit: sequence, commit id, operations; of each operation: type, shard,
//            expiry or 0, bytes of the key, bytes of the value
struct ChangeChunk {
  std::string block;
  std::vector<double> numbers;
  size_t changes = 0;

  void Add(const Change& change);
  size_t bytes() const { return block.size() + numbers.size() * sizeof(double); }
};

class ChangeReader;

class ChangeFeed {
 public:
  struct Dependencies {
    rocksdb::DB* db = nullptr;
    ShardOfFamily shard_of;
    std::function<Status()> sync;  // the log, up to now
  };

  // `quiet_from`: the last sequence number up to which a user may have written. `replaced`: places
  // before this number lie before shards were replaced.
  ChangeFeed(Dependencies dependencies, uint64_t quiet_from, uint64_t replaced = 0);
  ~ChangeFeed() { Close(); }
  ChangeFeed(const ChangeFeed&) = delete;
  ChangeFeed& operator=(const ChangeFeed&) = delete;

  // A batch of users' commits was written and can be read.
  void Wrote(const rocksdb::WriteBatch& batch);

  // Shards were replaced. By the committer, at a boundary: nothing is written meanwhile.
  void Replaced();

  // Reads what was committed after `since`. `durable`: only what survives a loss of power.
  std::shared_ptr<ChangeReader> NewReader(uint64_t since, bool durable);
  uint64_t latest() const { return state_->db->GetLatestSequenceNumber(); }
  // To be kept in meta at close; see Gaps.
  uint64_t last_user_sequence() const { return state_->last_user.load(); }

  // Ends every reader. Idempotent.
  void Close();

 private:
  friend class ChangeReader;
  struct State {
    Dependencies deps;
    rocksdb::DB* db = nullptr;
    const uint64_t quiet_from = 0;
    std::atomic<uint64_t> first_user{UINT64_MAX};  // of this run
    std::atomic<uint64_t> last_user{0};
    std::atomic<uint64_t> replaced{0};
    std::atomic<bool> waited{false};  // whether there are waiters

    std::mutex mutex;
    bool closed = false;                                 // GUARDED_BY(mutex)
    std::vector<std::shared_ptr<Waiter>> waiters;        // GUARDED_BY(mutex)
    std::vector<std::shared_ptr<ChangeReader>> readers;  // GUARDED_BY(mutex)

    State(Dependencies dependencies, uint64_t from, uint64_t replaced_at)
        : deps(std::move(dependencies)),
          db(deps.db),
          quiet_from(from),
          last_user(from),
          replaced(replaced_at) {}
  };

  const std::shared_ptr<State> state_;
};

// A place in the feed that moves on.
//
// Thread safety: Read by one thread at a time; all else from any.
class ChangeReader : public std::enable_shared_from_this<ChangeReader> {
 public:
  ChangeReader(std::shared_ptr<ChangeFeed::State> state, uint64_t since, bool durable)
      : state_(std::move(state)), durable_(durable), position_(since) {}

  // The next commits, whole ones, until they fill `max_bytes`; none: there is nothing more yet.
  // ERR_GAP, ERR_CLOSED, ERR_CORRUPTION, ERR_IO; the same again if it is asked again.
  Status Read(size_t max_bytes, ChangeChunk* out);
  // Fires once there is more to read than the last Read has seen; at once if there is, or if the
  // reader or the feed was closed.
  void WaitFor(std::shared_ptr<Waiter> waiter);
  // Everything up to here has been read or concerns nobody.
  uint64_t position() const { return position_.load(); }
  // Wakes who waits; later reads are ERR_CLOSED. Does not wait for a read. Idempotent.
  void Close();

 private:
  friend class ChangeFeed;
  enum class Step { kBatch, kNothing, kAgain };

  // REQUIRES for all of these: mutex_.
  Status ReadMore(size_t max_bytes, ChangeChunk* out);
  Status Take(const rocksdb::BatchResult& batch, ChangeChunk* out);
  Status Advance(Step* step, rocksdb::BatchResult* batch);
  Status Open();
  bool IsQuiet(uint64_t from, uint64_t to) const;
  Status Gap(const std::string& why) const;
  void End();  // fires, and takes no more

  const std::shared_ptr<ChangeFeed::State> state_;
  const bool durable_;
  std::atomic<uint64_t> position_;
  std::atomic<bool> closed_{false};
  std::atomic<bool> replaced_{false};  // shards were, since the reader was made

  std::mutex mutex_;
  // Stays at the end of the log and goes on from there: a new one would read the file from its
  // beginning.
  std::unique_ptr<rocksdb::TransactionLogIterator> iterator_;  // GUARDED_BY(mutex_)
  bool fresh_ = false;  // GUARDED_BY(mutex_): it stands on a batch that was not taken

  std::mutex wait_mutex_;
  std::shared_ptr<Waiter> waiter_;  // GUARDED_BY(wait_mutex_)
};

}  // namespace thermocline
