// Threads that write and run transactions against a pipeline, and what the outcome must be.
//
// Writers submit lone writes and batches, of few keys, so that most groups hold several operations
// on a key; others run transactions of point reads, range reads and writes. The order in which the
// pipeline accepted them is noted. Afterwards they are applied to a map one after another in that
// order: every state that the store or a reader has shown must be one of the states passed on the
// way, and everything that a committed transaction read must be what the map holds when its turn
// comes, which makes that order a serial one.
//
// THERMOCLINE_THOROUGH=1 runs twenty times the load.
//
// Ownership: the pipeline outlives its load; the load lives until AwaitAll has returned.
// Thread safety: a Load writes, transacts, waits and tells what is reported on any thread; the rest
// when those have ended. A State belongs to one thread at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/commit/submission.h"
#include "engine/hash.h"
#include "engine/options.h"
#include "engine/status.h"
#include "write_history.h"

namespace thermocline::test {

// A map that knows a number for what it holds: equal contents have equal numbers.
class State {
 public:
  void Put(const std::string& key, const std::string& value) {
    Delete(key);
    records_[key] = value;
    number_ += NumberOf(key, value);
  }
  void Delete(const std::string& key) {
    const auto found = records_.find(key);
    if (found == records_.end()) return;
    number_ -= NumberOf(key, found->second);
    records_.erase(found);
  }
  void DeleteRange(const std::string& start, const std::optional<std::string>& end) {
    for (const auto& [key, value] : Range(start, end)) Delete(key);
  }
  void Apply(const WriteHistory::Operation& operation) {
    switch (operation.type) {
      case OpType::kPut:
        return Put(operation.key, operation.value);
      case OpType::kDelete:
        return Delete(operation.key);
      case OpType::kDeleteRange:
        return DeleteRange(operation.key, operation.end);
    }
  }

  WriteHistory::Records Range(const std::string& start,
                              const std::optional<std::string>& end) const {
    WriteHistory::Records range;
    for (auto it = records_.lower_bound(start); it != records_.end() && (!end || it->first < *end);
         ++it) {
      range.insert(*it);
    }
    return range;
  }
  const WriteHistory::Records& records() const { return records_; }
  uint64_t number() const { return number_; }

 private:
  static uint64_t NumberOf(const std::string& key, const std::string& value) {
    return HashKey(std::to_string(key.size()) + ":" + key + value);
  }

  WriteHistory::Records records_;
  uint64_t number_ = 0;
};

// What a load runs against.
class Pipeline {
 public:
  // The moment a transaction reads from. Destroying it ends the transaction.
  class Moment {
   public:
    virtual ~Moment() = default;
    virtual uint64_t start_commit_id() const = 0;
    virtual std::optional<std::string> Get(const std::string& key) = 0;
    virtual WriteHistory::Records Scan(const std::string& start,
                                       const std::optional<std::string>& end) = 0;
  };

  virtual ~Pipeline() = default;
  virtual Status Submit(std::unique_ptr<Submission> submission) = 0;
  virtual std::shared_ptr<Moment> Begin() = 0;
};

class Load {
 public:
  explicit Load(Pipeline* pipeline) : pipeline_(pipeline) {}

  // Each runs on a thread of its own.
  void WriteRandomly(uint32_t seed, int submissions);
  void TransactRandomly(uint32_t seed, int transactions);

  // Waits until what was accepted before this moment has been acknowledged or refused.
  void AwaitAll();

  // Everything before this place in the order of acceptance has been acknowledged or refused.
  size_t Reported();

  // Applies what was committed to a map, one after another. Returns the number of the state after
  // each of the accepted, the empty one first.
  std::vector<uint64_t> Replay(State* state);
  int conflicts() const { return conflicts_; }
  int transactions() const { return transactions_; }

  // REQUIRES: both are of one run. `shown` must be among `passed`, in that order; returns how far.
  static size_t ExpectPassed(const std::vector<uint64_t>& passed, uint64_t shown, size_t from);

 private:
  struct Observed {
    ReadSet reads;
    std::vector<std::optional<std::string>> values;  // of reads.keys
    std::vector<WriteHistory::Records> ranges;       // of reads.ranges
  };
  struct Accepted {
    std::vector<WriteHistory::Operation> operations;
    std::optional<Observed> observed;
    bool done = false;
    Status status;
  };

  static std::optional<std::string> EndOf(const ReadSet::Range& range);
  static std::string RandomKey(std::minstd_rand& random);
  WriteHistory::Operation RandomWrite(std::minstd_rand& random);
  void Submit(std::vector<WriteHistory::Operation> operations, bool atomic, bool fsync,
              std::optional<Observed> observed = std::nullopt);
  size_t FirstPendingLocked();
  static void CheckReads(const Observed& observed, const State& state, size_t place);

  Pipeline* const pipeline_;
  std::atomic<int> values_{0};
  std::atomic<int> transactions_{0};
  int conflicts_ = 0;
  std::mutex order_mutex_;  // held over submitting: accepted_ is in the pipeline's order
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Accepted>> accepted_;  // GUARDED_BY(mutex_)
  size_t first_pending_ = 0;                         // GUARDED_BY(mutex_)
};

// Runs so many of each kind of thread to their end, and waits for all that they submitted.
void RunThreads(Load* load, int writers, int transactors);

// Groups of every size: the floor as good as none, so that groups follow what waits.
EngineOptions Groups(size_t min_bytes);

}  // namespace thermocline::test
