#include "pipeline_load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "engine_fixture.h"
#include "environment.h"

namespace thermocline::test {

namespace {

using Operation = WriteHistory::Operation;

int Times(int n) { return Thorough() ? 20 * n : n; }

}  // namespace

void Load::WriteRandomly(uint32_t seed, int submissions) {
  std::minstd_rand random(seed);
  for (int i = 0; i < submissions; i++) {
    std::vector<Operation> operations;
    for (auto n = 1 + random() % 6; n > 0; --n) operations.push_back(RandomWrite(random));
    Submit(std::move(operations), random() % 2 == 0, random() % 4 == 0);
    if (random() % 32 == 0) AwaitAll();
  }
}

void Load::TransactRandomly(uint32_t seed, int transactions) {
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

void Load::AwaitAll() {
  std::unique_lock lock(mutex_);
  const size_t accepted = accepted_.size();
  // Whoever was accepted before this moment.
  ASSERT_TRUE(changed_.wait_for(lock, std::chrono::minutes(2),
                                [&] { return FirstPendingLocked() >= accepted; }));
}

size_t Load::Reported() {
  std::lock_guard lock(mutex_);
  return FirstPendingLocked();
}

std::vector<uint64_t> Load::Replay(State* state) {
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

size_t Load::ExpectPassed(const std::vector<uint64_t>& passed, uint64_t shown, size_t from) {
  for (size_t i = from; i < passed.size(); i++) {
    if (passed[i] == shown) return i;
  }
  ADD_FAILURE() << "a state that applying the writes in order never passes, or passes too early";
  return from;
}

std::optional<std::string> Load::EndOf(const ReadSet::Range& range) {
  if (!range.has_end) return std::nullopt;
  return range.end;
}

std::string Load::RandomKey(std::minstd_rand& random) {
  return std::string("key") + static_cast<char>('a' + random() % 12);
}

WriteHistory::Operation Load::RandomWrite(std::minstd_rand& random) {
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

void Load::Submit(std::vector<Operation> operations, bool atomic, bool fsync,
                  std::optional<Observed> observed) {
  std::unique_ptr<Submission> submission = WriteHistory::Pack(operations).ToSubmission(atomic);
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

size_t Load::FirstPendingLocked() {
  while (first_pending_ < accepted_.size() && accepted_[first_pending_]->done) first_pending_++;
  return first_pending_;
}

void Load::CheckReads(const Observed& observed, const State& state, size_t place) {
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

EngineOptions Groups(size_t min_bytes) {
  EngineOptions options = SmallOptions(3);
  options.min_group_bytes = min_bytes;
  options.max_group_bytes = std::max(min_bytes, 64 * kKiB);
  return options;
}

}  // namespace thermocline::test
