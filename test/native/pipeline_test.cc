// The commit pipeline under many threads, over a fake store and over RocksDB.
//
// Writers submit lone writes and batches, of few keys, so that most groups hold several operations
// on a key; others run transactions of point reads, range reads and writes. The order in which the
// pipeline accepted them is noted. Afterwards they are applied to a map one after another in that
// order: every state that the store or a reader has shown must be one of the states passed on the
// way, and everything that a committed transaction read must be what the map holds when its turn
// comes, which makes that order a serial one.
//
// THERMOCLINE_THOROUGH=1 runs twenty times the load.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/commit/committer.h"
#include "engine/hash.h"
#include "engine/record/commit_header.h"
#include "engine/record/envelope.h"
#include "engine_fixture.h"
#include "environment.h"
#include "fault_file_system.h"
#include "support.h"
#include "write_history.h"

namespace thermocline::test {
namespace {

using Operation = WriteHistory::Operation;
using Records = WriteHistory::Records;

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
  void Apply(const Operation& operation) {
    switch (operation.type) {
      case OpType::kPut:
        return Put(operation.key, operation.value);
      case OpType::kDelete:
        return Delete(operation.key);
      case OpType::kDeleteRange:
        return DeleteRange(operation.key, operation.end);
    }
  }

  Records Range(const std::string& start, const std::optional<std::string>& end) const {
    Records range;
    for (auto it = records_.lower_bound(start); it != records_.end() && (!end || it->first < *end);
         ++it) {
      range.insert(*it);
    }
    return range;
  }
  const Records& records() const { return records_; }
  uint64_t number() const { return number_; }

 private:
  static uint64_t NumberOf(const std::string& key, const std::string& value) {
    return HashKey(std::to_string(key.size()) + ":" + key + value);
  }

  Records records_;
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
    virtual Records Scan(const std::string& start, const std::optional<std::string>& end) = 0;
  };

  virtual ~Pipeline() = default;
  virtual Status Submit(std::unique_ptr<Submission> submission) = 0;
  virtual std::shared_ptr<Moment> Begin() = 0;
};

// ------------------------------------------------------------------------------------------------

class FakePipeline : public Pipeline {
 public:
  explicit FakePipeline(const EngineOptions& options) {
    auto shards = std::make_shared<Shards>();
    shards->table = ShardTable::Equal(kShards);
    shards->handles.assign(kShards, nullptr);
    shards_ = shards;
    Committer::Dependencies dependencies;
    dependencies.write = [this](rocksdb::WriteBatch* batch) { return Write(batch); };
    dependencies.sync = [this] {
      syncs_++;
      return rocksdb::Status::OK();
    };
    dependencies.last_key = [this](int shard, std::string* key, bool* found) {
      std::lock_guard lock(mutex_);
      *found = false;
      for (const auto& [stored, value] : state_.records()) {
        if (shards_->IndexOf(stored) != shard) continue;
        *key = stored;
        *found = true;
      }
      return Status();
    };
    dependencies.shards = shards_;
    dependencies.cache = &cache_;
    dependencies.metrics = metrics_.get();
    committer_ = std::make_unique<Committer>(std::move(dependencies), options, 1);
  }
  ~FakePipeline() override { committer_->Stop(); }

  Status Submit(std::unique_ptr<Submission> submission) override {
    return committer_->Submit(std::move(submission));
  }

  std::shared_ptr<Moment> Begin() override {
    struct Snapshot : Moment {
      ~Snapshot() override { recent->End(start); }
      uint64_t start_commit_id() const override { return start; }
      std::optional<std::string> Get(const std::string& key) override {
        const auto found = state.records().find(key);
        if (found == state.records().end()) return std::nullopt;
        return found->second;
      }
      Records Scan(const std::string& from, const std::optional<std::string>& to) override {
        return state.Range(from, to);
      }
      RecentCommits* recent = nullptr;
      uint64_t start = 0;
      State state;
    };
    auto moment = std::make_shared<Snapshot>();
    moment->recent = &committer_->recent();
    auto opened = std::make_shared<std::promise<void>>();
    auto boundary = std::make_unique<Submission>();
    boundary->at_boundary = [this, moment, opened](uint64_t last_commit_id) {
      committer_->recent().Begin(last_commit_id);
      moment->start = last_commit_id;
      std::lock_guard lock(mutex_);
      moment->state = state_;
      opened->set_value();
    };
    EXPECT_THAT(committer_->Submit(std::move(boundary)), IsOk());
    Await(opened->get_future());
    return moment;
  }

  void Stop() { committer_->Stop(); }
  // The number of the state after each group.
  const std::vector<uint64_t>& states() const { return states_; }
  const Records& records() const { return state_.records(); }
  Metrics& metrics() { return *metrics_; }

 private:
  static constexpr int kShards = 3;

  // Applies a batch and checks its headers.
  class Applier : public rocksdb::WriteBatch::Handler {
   public:
    Applier(State* state, uint64_t* last_id) : state_(state), last_id_(last_id) {}
    rocksdb::Status PutCF(uint32_t, const rocksdb::Slice& key,
                          const rocksdb::Slice& value) override {
      Envelope envelope;
      EXPECT_TRUE(DecodeEnvelope({value.data(), value.size()}, &envelope));
      state_->Put(key.ToString(), std::string(envelope.payload));
      left_--;
      return rocksdb::Status::OK();
    }
    rocksdb::Status DeleteCF(uint32_t, const rocksdb::Slice& key) override {
      state_->Delete(key.ToString());
      left_--;
      return rocksdb::Status::OK();
    }
    rocksdb::Status DeleteRangeCF(uint32_t, const rocksdb::Slice& start,
                                  const rocksdb::Slice& end) override {
      // One for every shard that has something there, for one operation.
      state_->DeleteRange(start.ToString(), end.ToString());
      ranges_ = true;
      return rocksdb::Status::OK();
    }
    void LogData(const rocksdb::Slice& blob) override {
      CheckLast();
      CommitHeader header;
      ASSERT_TRUE(DecodeCommitHeader({blob.data(), blob.size()}, &header));
      EXPECT_GT(header.first_commit_id, *last_id_) << "commit ids rise";
      *last_id_ = header.first_commit_id +
                  (header.kind == CommitKind::kRun ? header.operation_count - 1 : 0);
      left_ = header.operation_count;
      ranges_ = false;
    }
    void CheckLast() const { EXPECT_TRUE(left_ == 0 || ranges_) << left_; }

   private:
    State* const state_;
    uint64_t* const last_id_;
    int64_t left_ = 0;
    bool ranges_ = false;
  };

  rocksdb::Status Write(rocksdb::WriteBatch* batch) {
    std::lock_guard lock(mutex_);
    Applier applier(&state_, &last_id_);
    const rocksdb::Status s = batch->Iterate(&applier);
    EXPECT_TRUE(s.ok()) << s.ToString();
    applier.CheckLast();
    states_.push_back(state_.number());
    return s;
  }

  std::shared_ptr<const Shards> shards_;
  HotCache cache_{kMiB};
  const std::unique_ptr<Metrics> metrics_ = std::make_unique<Metrics>();
  std::atomic<int> syncs_{0};
  std::mutex mutex_;
  State state_;
  std::vector<uint64_t> states_;
  uint64_t last_id_ = 0;
  std::unique_ptr<Committer> committer_;
};

class EnginePipeline : public Pipeline {
 public:
  explicit EnginePipeline(Engine* engine) : engine_(engine) {}

  Status Submit(std::unique_ptr<Submission> submission) override {
    return engine_->Submit(std::move(submission));
  }
  std::shared_ptr<Moment> Begin() override {
    struct Opened : Moment {
      // The view's snapshot goes back as well.
      ~Opened() override { transaction->End(); }
      uint64_t start_commit_id() const override { return transaction->start_commit_id(); }
      std::optional<std::string> Get(const std::string& key) override {
        return test::Get(engine, key, transaction->view().get());
      }
      Records Scan(const std::string& start, const std::optional<std::string>& end) override {
        CursorOptions options;
        options.has_lower = true;
        options.lower = start;
        options.has_upper = end.has_value();
        options.upper = end.value_or("");
        const auto cursor = engine->NewCursor(transaction->view(), std::move(options));
        Records records;
        for (Record& record : TakeAll(cursor.get())) records.insert(std::move(record));
        cursor->Close();
        return records;
      }
      Engine* engine = nullptr;
      std::shared_ptr<Transaction> transaction;
    };
    auto moment = std::make_shared<Opened>();
    moment->engine = engine_;
    auto opened = std::make_shared<std::promise<void>>();
    EXPECT_THAT(engine_->BeginTransaction([moment, opened](std::shared_ptr<Transaction> begun) {
      moment->transaction = std::move(begun);
      opened->set_value();
    }),
                IsOk());
    Await(opened->get_future());
    return moment;
  }

 private:
  Engine* const engine_;
};

// ------------------------------------------------------------------------------------------------

class Load {
 public:
  explicit Load(Pipeline* pipeline) : pipeline_(pipeline) {}

  // Each runs on a thread of its own.
  void WriteRandomly(uint32_t seed, int submissions) {
    std::minstd_rand random(seed);
    for (int i = 0; i < submissions; i++) {
      std::vector<Operation> operations;
      for (auto n = 1 + random() % 6; n > 0; --n) operations.push_back(RandomWrite(random));
      Submit(std::move(operations), random() % 2 == 0, random() % 4 == 0);
      if (random() % 32 == 0) AwaitAll();
    }
  }
  void TransactRandomly(uint32_t seed, int transactions) {
    std::minstd_rand random(seed);
    for (int i = 0; i < transactions; i++) {
      Observed observed;
      const std::shared_ptr<Pipeline::Moment> moment = pipeline_->Begin();
      observed.reads.start_commit_id = moment->start_commit_id();
      for (auto n = random() % 4; n > 0; --n) {
        if (random() % 3 == 0) {
          ReadSet::Range range{RandomKey(random), RandomKey(random), random() % 8 != 0};
          if (range.has_end && range.end < range.start) std::swap(range.start, range.end);
          observed.ranges.push_back(moment->Scan(range.start, EndOf(range)));
          observed.reads.ranges.push_back(std::move(range));
        } else {
          observed.reads.keys.push_back(RandomKey(random));
          observed.values.push_back(moment->Get(observed.reads.keys.back()));
        }
        if (random() % 4 == 0) std::this_thread::yield();
      }
      std::vector<Operation> operations;
      for (auto n = random() % 3; n > 0; --n) operations.push_back(RandomWrite(random));
      Submit(std::move(operations), /*atomic=*/true, random() % 8 == 0, std::move(observed));
      AwaitAll();  // the transaction stays open until its commit has been decided
    }
  }

  void AwaitAll() {
    std::unique_lock lock(mutex_);
    const size_t accepted = accepted_.size();
    // Whoever was accepted before this moment.
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::minutes(2),
                                  [&] { return FirstPendingLocked() >= accepted; }));
  }

  // Everything before this place in the order of acceptance has been acknowledged or refused.
  size_t Reported() {
    std::lock_guard lock(mutex_);
    return FirstPendingLocked();
  }

  // Applies what was committed to a map, one after another. Returns the number of the state after
  // each of the accepted, the empty one first.
  std::vector<uint64_t> Replay(State* state) {
    std::vector<uint64_t> states = {state->number()};
    for (size_t i = 0; i < accepted_.size(); i++) {
      const Accepted& accepted = *accepted_[i];
      EXPECT_TRUE(accepted.done);
      if (accepted.status.code() == Code::kConflict) {
        EXPECT_TRUE(accepted.observed);
        conflicts_++;
      } else {
        EXPECT_THAT(accepted.status, IsOk());
        if (accepted.observed) CheckReads(*accepted.observed, *state, i);
        for (const Operation& operation : accepted.operations) state->Apply(operation);
      }
      states.push_back(state->number());
    }
    return states;
  }
  int conflicts() const { return conflicts_; }
  int transactions() const { return transactions_; }

  // REQUIRES: both are of one run. `shown` must be among `passed`, in that order; returns how far.
  static size_t ExpectPassed(const std::vector<uint64_t>& passed, uint64_t shown, size_t from) {
    for (size_t i = from; i < passed.size(); i++) {
      if (passed[i] == shown) return i;
    }
    ADD_FAILURE() << "a state that applying the writes in order never passes, or passes too early";
    return from;
  }

 private:
  struct Observed {
    ReadSet reads;
    std::vector<std::optional<std::string>> values;  // of reads.keys
    std::vector<Records> ranges;                     // of reads.ranges
  };
  struct Accepted {
    std::vector<Operation> operations;
    std::optional<Observed> observed;
    bool done = false;
    Status status;
  };

  static std::optional<std::string> EndOf(const ReadSet::Range& range) {
    if (!range.has_end) return std::nullopt;
    return range.end;
  }
  static std::string RandomKey(std::minstd_rand& random) {
    return std::string("key") + static_cast<char>('a' + random() % 12);
  }
  Operation RandomWrite(std::minstd_rand& random) {
    Operation operation{.type = OpType::kPut, .key = RandomKey(random), .value = {}, .end = {}};
    switch (random() % 16) {
      case 0: {
        operation.type = OpType::kDeleteRange;
        if (random() % 4 != 0) operation.end = RandomKey(random);
        break;
      }
      case 1:
      case 2:
      case 3:
        operation.type = OpType::kDelete;
        break;
      default:
        operation.value = std::to_string(++values_) + std::string(random() % 64, '.');
    }
    return operation;
  }

  void Submit(std::vector<Operation> operations, bool atomic, bool fsync,
              std::optional<Observed> observed = std::nullopt) {
    PackedWrites packed;
    for (const Operation& operation : operations) {
      switch (operation.type) {
        case OpType::kPut:
          packed.Put(operation.key, operation.value);
          break;
        case OpType::kDelete:
          packed.Delete(operation.key);
          break;
        case OpType::kDeleteRange:
          packed.DeleteRange(operation.key, operation.end);
          break;
      }
    }
    std::unique_ptr<Submission> submission = packed.ToSubmission(atomic);
    submission->durability = fsync ? Durability::kFsync : Durability::kWal;
    if (observed) {
      submission->reads = std::make_unique<ReadSet>(observed->reads);
      transactions_++;
    }
    auto accepted = std::make_shared<Accepted>();
    accepted->operations = std::move(operations);
    accepted->observed = std::move(observed);
    submission->done = [this, accepted](const Status& status) {
      std::lock_guard lock(mutex_);
      EXPECT_FALSE(accepted->done);
      accepted->done = true;
      accepted->status = status;
      changed_.notify_all();
    };
    std::lock_guard order(order_mutex_);
    {
      std::lock_guard lock(mutex_);
      accepted_.push_back(accepted);
    }
    EXPECT_THAT(pipeline_->Submit(std::move(submission)), IsOk());
  }

  size_t FirstPendingLocked() {
    while (first_pending_ < accepted_.size() && accepted_[first_pending_]->done) first_pending_++;
    return first_pending_;
  }

  static void CheckReads(const Observed& observed, const State& state, size_t place) {
    for (size_t i = 0; i < observed.values.size(); i++) {
      const auto found = state.records().find(observed.reads.keys[i]);
      const bool same = found == state.records().end() ? !observed.values[i].has_value()
                                                       : observed.values[i] == found->second;
      EXPECT_TRUE(same) << "commit " << place << " read '" << observed.values[i].value_or("nothing")
                        << "' under " << observed.reads.keys[i];
    }
    for (size_t i = 0; i < observed.ranges.size(); i++) {
      const ReadSet::Range& range = observed.reads.ranges[i];
      EXPECT_EQ(observed.ranges[i], state.Range(range.start, EndOf(range))) << "commit " << place;
    }
  }

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

int Times(int n) { return Thorough() ? 20 * n : n; }

void RunThreads(Load* load, int writers, int transactors) {
  std::vector<std::thread> threads;
  for (int i = 0; i < writers; i++) {
    threads.emplace_back([=] { load->WriteRandomly(static_cast<uint32_t>(i) + 1, Times(400)); });
  }
  for (int i = 0; i < transactors; i++) {
    threads.emplace_back(
        [=] { load->TransactRandomly(static_cast<uint32_t>(i) + 100, Times(150)); });
  }
  for (std::thread& thread : threads) thread.join();
  load->AwaitAll();
}

// Groups of every size: the floor as good as none, so that groups follow what waits.
EngineOptions Groups(size_t min_bytes) {
  EngineOptions options = SmallOptions(3);
  options.min_group_bytes = min_bytes;
  options.max_group_bytes = std::max(min_bytes, 64 * kKiB);
  return options;
}

class FakeStorePipeline : public testing::TestWithParam<size_t> {};

TEST_P(FakeStorePipeline, ShowsTheAcceptedWritesInTheirOrder) {
  FakePipeline pipeline(Groups(GetParam()));
  Load load(&pipeline);
  RunThreads(&load, 4, 0);
  pipeline.Stop();
  State state;
  const std::vector<uint64_t> passed = load.Replay(&state);
  EXPECT_EQ(pipeline.records(), state.records());
  size_t place = 0;
  for (const uint64_t shown : pipeline.states()) {
    place = Load::ExpectPassed(passed, shown, place);
    if (testing::Test::HasFailure()) return;
  }
}

TEST_P(FakeStorePipeline, MakesTransactionsSerialisable) {
  FakePipeline pipeline(Groups(GetParam()));
  Load load(&pipeline);
  RunThreads(&load, 1, 4);
  pipeline.Stop();
  State state;
  load.Replay(&state);
  EXPECT_EQ(pipeline.records(), state.records());
  EXPECT_GT(load.conflicts(), 0);
  EXPECT_LT(load.conflicts(), load.transactions());
}

INSTANTIATE_TEST_SUITE_P(GroupsOfAtLeast, FakeStorePipeline, testing::Values(1, 1000, 64'000),
                         testing::PrintToStringParamName());

// With memory for few commits transactions fail that need not, and none commits that must not.
TEST(FakeStorePipelineTest, StaysSerialisableWhenItForgetsRecentCommits) {
  EngineOptions options = Groups(1000);
  options.transaction_memory_bytes = 2'000;
  FakePipeline pipeline(options);
  Load load(&pipeline);
  RunThreads(&load, 1, 4);
  pipeline.Stop();
  State state;
  load.Replay(&state);
  EXPECT_EQ(pipeline.records(), state.records());
  EXPECT_LT(load.conflicts(), load.transactions());
}

// ------------------------------------------------------------------------------------------------

class RocksPipelineTest : public EngineTest {};

TEST_F(RocksPipelineTest, EveryViewIsAMomentInTheOrderOfAcceptance) {
  Open(Groups(1000));
  EnginePipeline pipeline(engine());
  Load load(&pipeline);
  struct Seen {
    size_t reported_before;
    uint64_t state;
  };
  std::vector<Seen> seen;
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop) {
      const size_t reported = load.Reported();
      State state;
      for (const Record& record : Scan(engine())) state.Put(record.first, record.second);
      seen.push_back({reported, state.number()});
    }
  });
  std::thread maintenance([&] {
    for (int i = 0; !stop && i < 40; i++) {
      EXPECT_THAT(engine()->Flush(), IsOk());
      EXPECT_THAT(i % 4 == 3 ? engine()->Compact({}) : Status(), IsOk());
    }
  });
  RunThreads(&load, 3, 1);
  stop = true;
  reader.join();
  maintenance.join();
  State state;
  const std::vector<uint64_t> passed = load.Replay(&state);
  EXPECT_EQ(RecordsOf(engine()), state.records());
  size_t place = 0;
  for (const Seen& one : seen) {
    // Not before what had been acknowledged, nor before what was seen last.
    place = Load::ExpectPassed(passed, one.state, std::max(place, one.reported_before));
    if (HasFailure()) return;
  }
  EXPECT_GT(seen.size(), 3u);
  Reopen();
  EXPECT_EQ(RecordsOf(engine()), state.records());
}

TEST_F(RocksPipelineTest, TransactionsAreSerialisable) {
  Open(Groups(1000));
  EnginePipeline pipeline(engine());
  Load load(&pipeline);
  RunThreads(&load, 1, 4);
  State state;
  load.Replay(&state);
  EXPECT_EQ(RecordsOf(engine()), state.records());
  EXPECT_GT(load.conflicts(), 0);
  EXPECT_LT(load.conflicts(), load.transactions());
}

// A write that could not be made is no write that a transaction could conflict with.
TEST(PipelineFailureTest, AFailedGroupConflictsWithNothing) {
  TempFolder folder;
  FaultFileSystem disk(folder / "aside");
  EngineOptions options = SmallOptions(3);
  options.env = disk.env();
  std::shared_ptr<Engine> engine;
  ASSERT_THAT(Engine::Open(folder / "db", options, &engine), IsOk());
  {
    EnginePipeline pipeline(engine.get());
    const auto earlier = pipeline.Begin();
    disk.Inject({.calls = {FaultFileSystem::kAppend}, .no_space = true});
    EXPECT_THAT(Put(engine.get(), "key", "never written"), HasCode(Code::kNoSpace));
    ASSERT_THAT(engine->Resume(), IsOk());
    const auto later = pipeline.Begin();
    for (const auto& moment : {earlier, later}) {
      EXPECT_EQ(moment->Get("key"), std::nullopt);
      auto done = std::make_shared<std::promise<Status>>();
      std::unique_ptr<Submission> commit = PackedWrites().Put("other", "x").ToSubmission(true);
      auto reads = std::make_unique<ReadSet>();
      reads->start_commit_id = moment->start_commit_id();
      reads->keys = {"key"};
      commit->reads = std::move(reads);
      commit->done = [done](const Status& status) { done->set_value(status); };
      ASSERT_THAT(engine->Submit(std::move(commit)), IsOk());
      EXPECT_THAT(Await(done->get_future()), IsOk());
    }
  }
  engine->Close();
}

// The ids of a group that was not written are given again, to other keys and in another order.
TEST(PipelineFailureTest, TransactionsEndSafelyAfterAFailedGroup) {
  TempFolder folder;
  FaultFileSystem disk(folder / "aside");
  EngineOptions options = SmallOptions(3);
  options.env = disk.env();
  std::shared_ptr<Engine> engine;
  ASSERT_THAT(Engine::Open(folder / "db", options, &engine), IsOk());
  {
    EnginePipeline pipeline(engine.get());
    auto open = pipeline.Begin();
    disk.Inject({.calls = {FaultFileSystem::kAppend}, .no_space = true});
    EXPECT_THAT(Write(engine.get(), PackedWrites().Put("a", "1").Put("key", "2"), false),
                HasCode(Code::kNoSpace));
    ASSERT_THAT(engine->Resume(), IsOk());
    // The first takes the id of "a", the second that of "key".
    EXPECT_THAT(Put(engine.get(), "key", "3"), IsOk());
    EXPECT_THAT(Put(engine.get(), "key", "4"), IsOk());
    open.reset();
    open = pipeline.Begin();
    EXPECT_EQ(open->Get("key"), "4");
  }
  engine->Close();
}

}  // namespace
}  // namespace thermocline::test
