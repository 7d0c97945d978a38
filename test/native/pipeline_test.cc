// The commit pipeline under many threads, over a fake store. pipeline_load.h says what must hold.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/commit/committer.h"
#include "engine/record/commit_header.h"
#include "engine/record/envelope.h"
#include "pipeline_load.h"
#include "support.h"

namespace thermocline::test {
namespace {

using Records = WriteHistory::Records;

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

}  // namespace
}  // namespace thermocline::test
