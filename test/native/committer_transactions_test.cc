// Transactions at the committer: boundaries, conflicts, and what is remembered for them.

#include <atomic>
#include <future>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "committer_fixture.h"

namespace thermocline::test {
namespace {

using CommitterTransactionsTest = CommitterTest;

// --- Transactions --------------------------------------------------------------------------------

TEST_F(CommitterTransactionsTest, ABoundaryStandsBetweenWhatWasAcceptedBeforeAndAfter) {
  FixGroupSize(1 << 20);
  Start(100);
  std::map<std::string, std::string> seen;
  uint64_t last_id = 0;
  std::vector<Pending> pending;
  AsOneGroup([&] {
    pending.push_back(Submit(PackedWrites().Put("before", "1").Put("before2", "1"), false));
    AtBoundary([&](uint64_t id) {
      last_id = id;
      seen = store_.Payloads();
    });
    pending.push_back(Submit(PackedWrites().Put("after", "1"), false));
  });
  for (Pending& p : pending) EXPECT_THAT(Await(std::move(p.result)), IsOk());
  EXPECT_EQ(last_id, 102u);
  EXPECT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen.count("after"), 0u);
}

TEST_F(CommitterTransactionsTest, ATransactionConflictsWithWhatWasWrittenAfterItBegan) {
  Start();
  ASSERT_THAT(Commit(PackedWrites().Put("a", "1").Put("b", "1")), IsOk());
  const uint64_t start = Begin();
  ASSERT_THAT(Commit(PackedWrites().Put("b", "2")), IsOk());
  EXPECT_THAT(CommitTransaction(start, PackedWrites().Put("x", "1"), {"a", "b"}),
              HasCode(Code::kConflict));
  EXPECT_EQ(store_.Payloads().count("x"), 0u);
  EXPECT_THAT(CommitTransaction(start, PackedWrites().Put("y", "1"), {"a"}), IsOk())
      << "what it read has not changed";
  EXPECT_THAT(CommitTransaction(start, PackedWrites().Put("z", "1"), {"y"}),
              HasCode(Code::kConflict));
  committer_->recent().End(start);
  EXPECT_FALSE(committer_->recent().active());
}

TEST_F(CommitterTransactionsTest, ATransactionConflictsWithDeletesAndRangesToo) {
  Start();
  ASSERT_THAT(Commit(PackedWrites().Put("a", "1").Put("m", "1")), IsOk());
  const uint64_t start = Begin();
  ASSERT_THAT(Commit(PackedWrites().Delete("a").DeleteRange("k", "n")), IsOk());
  const auto read_range = [](std::string from, std::string to, bool has_end) {
    return std::vector<ReadSet::Range>{{std::move(from), std::move(to), has_end}};
  };
  EXPECT_THAT(CommitTransaction(start, {}, {"a"}), HasCode(Code::kConflict));
  EXPECT_THAT(CommitTransaction(start, {}, {"m"}), HasCode(Code::kConflict));
  EXPECT_THAT(CommitTransaction(start, {}, {}, read_range("", "b", true)),
              HasCode(Code::kConflict));
  EXPECT_THAT(CommitTransaction(start, {}, {}, read_range("l", "", false)),
              HasCode(Code::kConflict));
  EXPECT_THAT(CommitTransaction(start, {}, {"b"}, read_range("b", "k", true)), IsOk());
  EXPECT_THAT(CommitTransaction(start, {}, {"n"}, read_range("n", "", false)), IsOk());
  committer_->recent().End(start);
}

TEST_F(CommitterTransactionsTest, TransactionsOfOneGroupAreCheckedAgainstEachOther) {
  Start();
  const uint64_t start = Begin();
  std::vector<Pending> pending;
  AsOneGroup([&] {
    // Each reads and writes the counter, as of the same moment: the first alone may pass.
    for (int i = 0; i < 3; i++) {
      pending.push_back(
          SubmitTransaction(start, PackedWrites().Put("counter", std::to_string(i)), {"counter"}));
    }
    // A plain write between transactions of one turn is seen as well.
    pending.push_back(Submit(PackedWrites().Put("plain", "1"), false));
    pending.push_back(SubmitTransaction(start, PackedWrites().Put("late", "1"), {"plain"}));
  });
  EXPECT_THAT(Await(std::move(pending[0].result)), IsOk());
  EXPECT_THAT(Await(std::move(pending[1].result)), HasCode(Code::kConflict));
  EXPECT_THAT(Await(std::move(pending[2].result)), HasCode(Code::kConflict));
  EXPECT_THAT(Await(std::move(pending[3].result)), IsOk());
  EXPECT_THAT(Await(std::move(pending[4].result)), HasCode(Code::kConflict));
  EXPECT_EQ(store_.Payloads().at("counter"), "0");
  committer_->recent().End(start);
}

TEST_F(CommitterTransactionsTest, MoreWritesThanCanBeRememberedFailTheOldestTransaction) {
  options_.transaction_memory_bytes = 10'000;
  Start();
  const uint64_t old = Begin();
  for (int i = 0; i < 200; i++) {
    ASSERT_THAT(Run(PackedWrites().Put("key" + std::to_string(i), "v")), IsOk());
  }
  EXPECT_THAT(CommitTransaction(old, PackedWrites().Put("x", "1"), {"never written"}),
              HasCode(Code::kConflict))
      << "what was forgotten might have been it";
  const uint64_t young = Begin();
  EXPECT_THAT(CommitTransaction(young, PackedWrites().Put("x", "1"), {"never written"}), IsOk());
  committer_->recent().End(old);
  committer_->recent().End(young);
}

// Read-modify-write of a few counters by many threads, retried on conflict: every increment must
// be there at the end.
TEST_F(CommitterTransactionsTest, RetriedTransactionsLoseNoIncrement) {
  Start();
  constexpr int kThreads = 4;
  constexpr int kEach = 60;
  std::atomic<int> conflicts{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(t + 1);
      for (int i = 0; i < kEach; i++) {
        const std::string key = "counter" + std::to_string(random() % 2);
        for (;;) {
          std::promise<std::pair<uint64_t, int>> began;
          AtBoundary([&](uint64_t id) {
            committer_->recent().Begin(id);
            const auto payloads = store_.Payloads();
            const auto found = payloads.find(key);
            began.set_value({id, found == payloads.end() ? 0 : std::stoi(found->second)});
          });
          const auto [start, value] = Await(began.get_future());
          const Status status =
              CommitTransaction(start, PackedWrites().Put(key, std::to_string(value + 1)), {key});
          committer_->recent().End(start);
          if (status.ok()) break;
          ASSERT_THAT(status, HasCode(Code::kConflict));
          conflicts++;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int sum = 0;
  for (const auto& [key, value] : store_.Payloads()) sum += std::stoi(value);
  EXPECT_EQ(sum, kThreads * kEach);
  EXPECT_FALSE(committer_->recent().active());
}

}  // namespace
}  // namespace thermocline::test
