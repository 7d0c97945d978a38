// The committer: what its batches hold, how groups form, what is refused, and how it stops.

#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "committer_fixture.h"

namespace thermocline::test {
namespace {

using testing::ElementsAre;

// --- What a batch holds --------------------------------------------------------------------------

TEST_F(CommitterTest, AnAtomicCommitIsOneHeaderAndItsOperations) {
  Start(77);
  ASSERT_THAT(Commit(PackedWrites().Put("a", "1").Delete("b").Put("c", "3", 0x123456789a)), IsOk());
  ASSERT_EQ(store_.batches().size(), 1u);
  const Batch batch = store_.batch(0);
  ASSERT_EQ(batch.size(), 4u);
  EXPECT_EQ(batch[0].kind, Entry::kHeader);
  EXPECT_EQ(batch[0].header, (CommitHeader{CommitOrigin::kUser, CommitKind::kAtomic, 77, 3}));
  EXPECT_EQ(batch[1].kind, Entry::kPut);
  EXPECT_EQ(batch[1].key, "a");
  EXPECT_EQ(batch[1].value, std::string("\0"
                                        "1",
                                        2))
      << "envelope: no flags, then the payload";
  EXPECT_EQ(batch[2].kind, Entry::kDelete);
  EXPECT_EQ(batch[2].key, "b");
  Envelope envelope;
  ASSERT_TRUE(DecodeEnvelope(batch[3].value, &envelope));
  EXPECT_EQ(envelope.flags, kEnvelopeHasExpiry);
  EXPECT_EQ(envelope.expiry_ms, 0x123456789au);
  EXPECT_EQ(envelope.payload, "3");
  for (size_t i = 1; i < batch.size(); i++) EXPECT_EQ(batch[i].shard, ShardOf(batch[i].key)) << i;
}

TEST_F(CommitterTest, ARunOfSingleCommitsSharesAHeaderAndCountsItsIds) {
  Start(100);
  ASSERT_THAT(Run(PackedWrites().Put("a", "1").Put("b", "2").Delete("c")), IsOk());
  ASSERT_THAT(Commit(PackedWrites().Put("d", "4").Put("e", "5")), IsOk());
  ASSERT_THAT(Run(PackedWrites().Put("f", "6")), IsOk());
  std::vector<CommitHeader> headers;
  for (const Batch& batch : store_.batches()) {
    for (const Entry& entry : batch) {
      if (entry.kind == Entry::kHeader) headers.push_back(entry.header);
    }
  }
  EXPECT_THAT(headers, ElementsAre(CommitHeader{CommitOrigin::kUser, CommitKind::kRun, 100, 3},
                                   CommitHeader{CommitOrigin::kUser, CommitKind::kAtomic, 103, 2},
                                   CommitHeader{CommitOrigin::kUser, CommitKind::kRun, 104, 1}));
}

TEST_F(CommitterTest, AnAtomicCommitIsWrittenInTheOrderOfKeysWithinEachShard) {
  Start();
  // Among them prefixes of one another, bytes above 127, and a key written twice.
  const std::vector<std::string> keys = {
      "zz",      "a",    std::string("a\0", 2), "",  "\xff\xff", "a\x01", "12345678", "123456789",
      "1234567", "\x80", "12345678\xff",        "m", "zz"};
  PackedWrites writes;
  std::map<std::string, std::string> last;
  const auto put = [&](const std::string& key) {
    const std::string value = std::to_string(last.size()) + "." + key;
    writes.Put(key, value);
    last[key] = value;
  };
  for (const std::string& key : keys) put(key);
  for (int i = 40; i-- > 0;) put("key" + std::to_string(i % 35));
  writes.Delete("a");
  last.erase("a");
  ASSERT_THAT(Commit(writes), IsOk());
  const Batch batch = store_.batch(0);
  ASSERT_EQ(batch[0].kind, Entry::kHeader);
  EXPECT_EQ(batch.size(), 1 + last.size() + 1) << "one header, each key once, one delete";
  for (size_t i = 2; i < batch.size(); i++) {
    if (batch[i].shard != batch[i - 1].shard) {
      EXPECT_GT(batch[i].shard, batch[i - 1].shard);
    } else {
      EXPECT_GT(batch[i].key, batch[i - 1].key);
    }
  }
  for (size_t i = 1; i < batch.size(); i++) {
    if (batch[i].key == "a") {
      EXPECT_EQ(batch[i].kind, Entry::kDelete);
    } else {
      EXPECT_EQ(batch[i].value.substr(1), last.at(batch[i].key));
    }
  }
}

TEST_F(CommitterTest, SingleCommitsKeepTheOrderTheyCameIn) {
  Start();
  PackedWrites writes;
  std::vector<std::string> keys;
  for (int i = 40; i-- > 10;) {
    keys.push_back("key" + std::to_string(i));
    writes.Put(keys.back(), "v");
  }
  ASSERT_THAT(Run(writes), IsOk());
  std::vector<std::string> written;
  for (const Entry& entry : store_.batch(0)) {
    if (entry.kind != Entry::kHeader) written.push_back(entry.key);
  }
  EXPECT_EQ(written, keys);
}

TEST_F(CommitterTest, EveryKeyGoesToTheShardOfItsSlot) {
  Start();
  PackedWrites writes;
  std::vector<int> seen(kShards);
  for (int i = 0; i < 200; i++) {
    const std::string key = "key" + std::to_string(i);
    writes.Put(key, "v");
    seen[static_cast<size_t>(ShardOf(key))]++;
  }
  for (const int count : seen) ASSERT_GT(count, 0);
  ASSERT_THAT(Commit(writes), IsOk());
  for (const Entry& entry : store_.batch(0)) {
    if (entry.kind != Entry::kHeader) {
      EXPECT_EQ(entry.shard, ShardOf(entry.key)) << entry.key;
    }
  }
}

TEST_F(CommitterTest, ASubmissionWithoutOperationsIsAcknowledgedAndWritesNothing) {
  Start();
  EXPECT_THAT(Commit(PackedWrites()), IsOk());
  EXPECT_THAT(Run(PackedWrites()), IsOk());
  EXPECT_TRUE(store_.batches().empty());
}

// --- Groups and order ----------------------------------------------------------------------------

TEST_F(CommitterTest, WhatWaitsIsWrittenTogetherInTheOrderItCame) {
  Start();
  std::vector<Pending> pending;
  AsOneGroup([&] {
    pending.push_back(Submit(PackedWrites().Put("x", "1"), true));
    pending.push_back(Submit(PackedWrites().Put("y", "2").Put("z", "3"), false));
    pending.push_back(Submit(PackedWrites().Delete("w"), true));
  });
  for (Pending& p : pending) EXPECT_THAT(Await(std::move(p.result)), IsOk());
  ASSERT_EQ(store_.batches().size(), 2u);
  std::vector<std::string> order;
  for (const Entry& entry : store_.batch(1)) {
    order.push_back(entry.kind == Entry::kHeader ? "header" : entry.key);
  }
  EXPECT_THAT(order, ElementsAre("header", "x", "header", "y", "z", "header", "w"))
      << "the boundaries of commits are kept";
  EXPECT_THAT(finished_, ElementsAre(0, 1, 2, 3)) << "reported in the order they were accepted";
}

TEST_F(CommitterTest, WhatALaterOperationOfTheGroupOverwritesIsNotWritten) {
  Start(10);
  std::vector<Pending> pending;
  AsOneGroup([&] {
    pending.push_back(Submit(PackedWrites().Put("k", "1").Put("x", "1").Put("k", "2"), true));
    pending.push_back(Submit(PackedWrites().Put("y", "1").Delete("y"), false));
    pending.push_back(Submit(PackedWrites().Put("k", "3"), false));
    pending.push_back(Submit(PackedWrites().Put("x", "2"), true));
  });
  for (Pending& p : pending) EXPECT_THAT(Await(std::move(p.result)), IsOk());
  std::vector<std::string> order;
  for (const Entry& entry : store_.batch(1)) {
    if (entry.kind == Entry::kHeader) {
      order.push_back("id " + std::to_string(entry.header.first_commit_id) + " operations " +
                      std::to_string(entry.header.operation_count));
    } else {
      order.push_back(entry.kind == Entry::kDelete ? "del " + entry.key
                                                   : entry.key + entry.value.substr(1));
    }
  }
  // 10 is the first group's. The first commit has nothing left to write and takes no id.
  EXPECT_THAT(order, ElementsAre("id 11 operations 1", "del y", "id 12 operations 1", "k3",
                                 "id 13 operations 1", "x2"));
}

TEST_F(CommitterTest, TheLastOfSeveralWritesOfAKeyWins) {
  Start();
  std::vector<Pending> pending;
  AsOneGroup([&] {
    pending.push_back(Submit(PackedWrites().Put("k", "1").Put("k", "2"), true));
    pending.push_back(Submit(PackedWrites().Put("k", "3").Put("gone", "1"), false));
    pending.push_back(Submit(PackedWrites().Delete("gone").Delete("back").Put("back", "4"), true));
  });
  for (Pending& p : pending) EXPECT_THAT(Await(std::move(p.result)), IsOk());
  const auto payloads = store_.Payloads();
  EXPECT_EQ(payloads.at("k"), "3");
  EXPECT_EQ(payloads.at("back"), "4");
  EXPECT_EQ(payloads.count("gone"), 0u);
}

TEST_F(CommitterTest, AGroupHoldsAtMostItsBytesAndALargerCommitGoesAlone) {
  FixGroupSize(1000);
  Start();
  const auto sized = [](char name, size_t size) {
    return PackedWrites().Put(std::string(1, name), std::string(size, 'v'));
  };
  std::vector<Pending> pending;
  AsOneGroup([&] {
    pending.push_back(Submit(sized('a', 400), false));
    pending.push_back(Submit(sized('b', 400), false));
    pending.push_back(Submit(sized('c', 400), false));   // the third would be above 1,000
    pending.push_back(Submit(sized('d', 5000), false));  // alone is above
    pending.push_back(Submit(sized('e', 10), false));
  });
  for (Pending& p : pending) EXPECT_THAT(Await(std::move(p.result)), IsOk());
  std::vector<std::string> groups;
  for (const Batch& batch : store_.batches()) {
    std::string keys;
    for (const Entry& entry : batch) keys += entry.key;
    groups.push_back(keys);
  }
  groups.erase(groups.begin());
  EXPECT_THAT(groups, ElementsAre("ab", "c", "d", "e"));
}

TEST_F(CommitterTest, ThreadsSubmittingAtOnceKeepEachTheirOwnOrder) {
  FixGroupSize(4096);
  Start();
  constexpr int kThreads = 4;
  constexpr int kEach = 1000;
  std::vector<std::thread> threads;
  std::atomic<int> acknowledged{0};
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      std::vector<Pending> pending;
      for (int i = 0; i < kEach; i++) {
        const std::string key = "thread" + std::to_string(t);
        pending.push_back(Submit(PackedWrites().Put(key, std::to_string(i)), i % 2 == 0));
        ASSERT_THAT(pending.back().accepted, IsOk());
      }
      for (Pending& p : pending) {
        ASSERT_THAT(Await(std::move(p.result)), IsOk());
        acknowledged++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(acknowledged, kThreads * kEach);
  EXPECT_EQ(committer_->in_flight_bytes(), 0u);
  std::map<std::string, int> last;
  for (const Batch& batch : store_.batches()) {
    for (const Entry& entry : batch) {
      if (entry.kind == Entry::kHeader) continue;
      const int n = std::stoi(entry.value.substr(1));
      const auto [found, first] = last.emplace(entry.key, n);
      if (!first) {
        ASSERT_GT(n, found->second) << entry.key;
        found->second = n;
      }
    }
  }
  for (const auto& [key, n] : last) EXPECT_EQ(n, kEach - 1) << key;
  EXPECT_EQ(last.size(), static_cast<size_t>(kThreads));
}

TEST_F(CommitterTest, CommitIdsNeverRepeat) {
  Start(5);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; i++) {
        PackedWrites writes;
        for (int n = 0; n <= i % 3; n++) {
          writes.Put("k" + std::to_string(t) + std::to_string(i) + std::to_string(n), "v");
        }
        ASSERT_THAT(SubmitAndWait(writes, i % 2 == 0), IsOk());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  uint64_t next = 5;
  for (const Batch& batch : store_.batches()) {
    for (const Entry& entry : batch) {
      if (entry.kind != Entry::kHeader) continue;
      EXPECT_GE(entry.header.first_commit_id, next);
      next = entry.header.first_commit_id +
             (entry.header.kind == CommitKind::kAtomic ? 1 : entry.header.operation_count);
    }
  }
  EXPECT_GT(next, 5u + 600);
}

// --- Backpressure --------------------------------------------------------------------------------

TEST_F(CommitterTest, AboveTheHardLimitWritesAreRefusedUntilEarlierOnesEnd) {
  options_.hard_in_flight_bytes = 1000;
  Start();
  store_.writing.Hold();
  const PackedWrites writes = PackedWrites().Put("key", std::string(300, 'v'));
  const size_t size = writes.bytes().size();
  std::vector<Pending> pending;
  for (int i = 0; i < 3; i++) {
    pending.push_back(Submit(writes, false));
    ASSERT_THAT(pending.back().accepted, IsOk());
    EXPECT_EQ(committer_->in_flight_bytes(), size * (static_cast<size_t>(i) + 1));
  }
  Pending refused = Submit(writes, false);
  EXPECT_THAT(refused.accepted, HasCode(Code::kBackpressure));
  EXPECT_EQ(committer_->in_flight_bytes(), 3 * size) << "a refused write does not count";
  EXPECT_EQ(metrics_->backpressure_rejections.Total(), 1u);
  EXPECT_THAT(Submit(PackedWrites().Put("k", "v"), false).accepted, IsOk()) << "what fits may pass";
  store_.writing.Release();
  for (Pending& p : pending) EXPECT_THAT(Await(std::move(p.result)), IsOk());
  EXPECT_THAT(Run(writes), IsOk());
  EXPECT_EQ(committer_->in_flight_bytes(), 0u);
}

TEST_F(CommitterTest, ASingleWriteAboveTheLimitPassesWhenNothingIsInFlight) {
  options_.hard_in_flight_bytes = 1000;
  Start();
  const PackedWrites oversized = PackedWrites().Put("key", std::string(50'000, 'v'));
  EXPECT_THAT(Run(oversized), IsOk());
  store_.writing.Hold();
  Pending first = Submit(oversized, false);
  ASSERT_THAT(first.accepted, IsOk());
  EXPECT_THAT(Submit(PackedWrites().Put("k", "v"), false).accepted, HasCode(Code::kBackpressure));
  EXPECT_THAT(Submit(oversized, false).accepted, HasCode(Code::kBackpressure));
  store_.writing.Release();
  EXPECT_THAT(Await(std::move(first.result)), IsOk());
  EXPECT_EQ(store_.batches().size(), 2u);
}

// --- Stopping ------------------------------------------------------------------------------------

TEST_F(CommitterTest, StopAppliesEverythingAcceptedAndRefusesTheRest) {
  FixGroupSize(100);
  Start();
  store_.writing.Hold();
  std::vector<Pending> pending;
  for (int i = 0; i < 200; i++) {
    pending.push_back(Submit(PackedWrites().Put("key" + std::to_string(i), "v"), false));
  }
  store_.writing.AwaitVisitors();
  std::thread stopper([this] { committer_->Stop(); });
  store_.writing.Release();
  stopper.join();
  for (Pending& p : pending) {
    ASSERT_EQ(p.result.wait_for(std::chrono::seconds(0)), std::future_status::ready)
        << "reported before Stop has returned";
    EXPECT_THAT(p.result.get(), IsOk());
  }
  EXPECT_EQ(store_.Payloads().size(), 200u);
  EXPECT_THAT(Submit(PackedWrites().Put("late", "v"), false).accepted, HasCode(Code::kClosed));
  committer_->Stop();
}

TEST_F(CommitterTest, SubmittingWhileStoppingEitherHappensOrIsRefused) {
  for (int round = 0; round < 20; round++) {
    Start();
    std::atomic<int> accepted{0};
    std::atomic<int> done{0};
    std::atomic<bool> go{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; t++) {
      threads.emplace_back([&] {
        go.wait(false);
        for (int i = 0; i < 100; i++) {
          auto submission = PackedWrites().Put("k", "v").ToSubmission(false);
          submission->done = [&done](const Status& status) {
            EXPECT_THAT(status, IsOk());
            done++;
          };
          const Status status = committer_->Submit(std::move(submission));
          if (!status.ok()) {
            EXPECT_THAT(status, HasCode(Code::kClosed));
            return;
          }
          accepted++;
        }
      });
    }
    go = true;
    go.notify_all();
    committer_->Stop();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(done, accepted);
    committer_.reset();
  }
}

TEST_F(CommitterTest, DestructionStops) {
  Start();
  Pending pending = Submit(PackedWrites().Put("k", "v"), true);
  committer_.reset();
  EXPECT_THAT(Await(std::move(pending.result)), IsOk());
  EXPECT_EQ(store_.Payloads().at("k"), "v");
}

// What done() owns may be the last thing that keeps a caller's world alive.
TEST_F(CommitterTest, DoneIsDroppedAfterItWasCalled) {
  Start();
  auto owned = std::make_shared<int>(1);
  const std::weak_ptr<int> watched = owned;
  auto submission = PackedWrites().Put("k", "v").ToSubmission(false);
  submission->done = [owned = std::move(owned)](const Status&) {};
  ASSERT_THAT(committer_->Submit(std::move(submission)), IsOk());
  committer_->Stop();
  EXPECT_TRUE(watched.expired());
}

// --- Metrics -------------------------------------------------------------------------------------

TEST_F(CommitterTest, GroupsAndCommitsAreCounted) {
  Start();
  std::vector<Pending> pending;
  AsOneGroup([&] {
    pending.push_back(Submit(PackedWrites().Put("a", "1").Put("b", "1"), true));
    pending.push_back(Submit(PackedWrites().Put("c", "1").Put("d", "1").Put("e", "1"), false));
  });
  for (Pending& p : pending) EXPECT_THAT(Await(std::move(p.result)), IsOk());
  committer_->Stop();
  EXPECT_EQ(metrics_->groups.Total(), 2u);
  EXPECT_EQ(metrics_->wal_writes.Total(), 2u);
  EXPECT_EQ(metrics_->group_operations.Total(), 6u);
  EXPECT_EQ(metrics_->commits.Total(), 1u + 1 + 3);
  const MetricsSnapshot snapshot = metrics_->Snapshot();
  EXPECT_EQ(snapshot.batch.operations, 1u);
  EXPECT_EQ(snapshot.batch.records, 2u);
  EXPECT_EQ(snapshot.batch.bytes, 4u);
  EXPECT_EQ(snapshot.batch_nanos.count, 1u);
  EXPECT_EQ(snapshot.put_nanos.count, 4u);
  EXPECT_EQ(snapshot.put.records, 4u);
  EXPECT_EQ(snapshot.group_write_nanos.count, 2u);
  EXPECT_GT(snapshot.group_bytes, 0u);
}

TEST_F(CommitterTest, OperationsAreCountedByKind) {
  Start();
  ASSERT_THAT(Run(PackedWrites().Put("a", "123").Delete("bb").DeleteRange("c", "d")), IsOk());
  ASSERT_THAT(Commit(PackedWrites().DeleteRange("e", "f").Put("g", "1")), IsOk());
  committer_->Stop();
  const MetricsSnapshot snapshot = metrics_->Snapshot();
  EXPECT_EQ(snapshot.put.operations, 2u);
  EXPECT_EQ(snapshot.put.bytes, 6u);
  EXPECT_EQ(snapshot.del.operations, 1u);
  EXPECT_EQ(snapshot.del.bytes, 2u);
  EXPECT_EQ(snapshot.delete_range.operations, 2u);
  EXPECT_EQ(snapshot.batch.operations, 0u) << "with a range delete it is none of the fast kind";
}

// --- Waiting for company, and the clock ----------------------------------------------------------

TEST_F(CommitterTest, AWindowEndsWhenTheGroupIsFullOrTheCommitterStops) {
  FixGroupSize(100);
  options_.commit_window_nanos = uint64_t{3600} * 1'000'000'000;
  Start();
  Pending lone = Submit(PackedWrites().Put("lone", "v"), false);
  ASSERT_THAT(lone.accepted, IsOk());
  Pending filling = Submit(PackedWrites().Put("filling", std::string(200, 'v')), false);
  EXPECT_THAT(Await(std::move(lone.result)), IsOk()) << "an hour before the window's end";
  EXPECT_THAT(Await(std::move(filling.result)), IsOk());
  Pending last = Submit(PackedWrites().Put("last", "v"), false);
  committer_->Stop();
  EXPECT_THAT(Await(std::move(last.result)), IsOk());
}

TEST_F(CommitterTest, AShortWindowPassesByItself) {
  options_.commit_window_nanos = 1'000'000;
  Start();
  EXPECT_THAT(Run(PackedWrites().Put("k", "v")), IsOk());
}

TEST_F(CommitterTest, TheClockIsKeptForRecordsThatExpireAlone) {
  Start();
  ASSERT_THAT(Run(PackedWrites().Put("k", "v")), IsOk());
  Settle();
  EXPECT_EQ(clocks_kept_, 0);
  ASSERT_THAT(Run(PackedWrites().Put("k", "v", 12345)), IsOk());
  Settle();
  EXPECT_EQ(clocks_kept_, 1);
}

TEST_F(CommitterTest, TheQueueTellsItsAge) {
  Start();
  EXPECT_EQ(committer_->queue_age_nanos(), 0u);
  store_.writing.Hold();
  Pending writing = Submit(PackedWrites().Put("k", "v"), false);
  store_.writing.AwaitVisitors();
  EXPECT_EQ(committer_->queue_age_nanos(), 0u) << "it no longer waits";
  Pending waiting = Submit(PackedWrites().Put("k", "v"), false);
  EXPECT_GT(committer_->queue_age_nanos(), 0u);
  store_.writing.Release();
  EXPECT_THAT(Await(std::move(writing.result)), IsOk());
  EXPECT_THAT(Await(std::move(waiting.result)), IsOk());
  EXPECT_EQ(committer_->queue_age_nanos(), 0u);
  EXPECT_GE(committer_->target_group_bytes(), options_.min_group_bytes);
  EXPECT_LE(committer_->target_group_bytes(), options_.max_group_bytes);
}

}  // namespace
}  // namespace thermocline::test
