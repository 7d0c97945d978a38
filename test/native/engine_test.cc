// The engine as a whole: what survives reopenings, its clock and ids, maintenance, and closing.

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/record/commit_header.h"
#include "engine_fixture.h"
#include "raw_store.h"

namespace thermocline::test {
namespace {

namespace fs = std::filesystem;

std::string Fixed64(uint64_t v) {
  std::string bytes;
  PutFixed64(&bytes, v);
  return bytes;
}

// --- What survives -----------------------------------------------------------------------------

using EngineDataTest = EngineTest;

TEST_F(EngineDataTest, RandomCommitsMatchASortedMapOverReopeningsAndFlushes) {
  Open();
  std::minstd_rand random(41);
  std::map<std::string, std::string> model;
  const auto key = [&random] { return std::to_string(random() % 500); };
  for (int round = 0; round < 120; round++) {
    PackedWrites writes;
    for (auto n = random() % 30; n > 0; n--) {
      const std::string k = key();
      const auto dice = random() % 40;
      if (dice == 0) {
        const std::string end = key();
        writes.DeleteRange(k, end);
        if (k < end) model.erase(model.lower_bound(k), model.lower_bound(end));
      } else if (dice == 1) {
        writes.DeleteRange("9" + k, std::nullopt);
        model.erase(model.lower_bound("9" + k), model.end());
      } else if (dice < 12) {
        writes.Delete(k);
        model.erase(k);
      } else {
        const std::string value(random() % 2000, static_cast<char>('a' + round % 26));
        writes.Put(k, value);
        model[k] = value;
      }
    }
    ASSERT_THAT(Write(engine(), writes, random() % 2 == 0), IsOk());
    for (int i = 0; i < 10; i++) {
      const std::string k = key();
      const auto found = model.find(k);
      ASSERT_EQ(Get(engine(), k),
                found == model.end() ? std::nullopt : std::optional(found->second));
    }
    if (round % 15 == 7) {
      ASSERT_THAT(engine()->Flush(), IsOk());
    }
    if (round % 40 == 20) Reopen();
    if (round % 40 == 35) {
      ASSERT_THAT(engine()->Compact({}), IsOk());
    }
    if (round % 10 == 0) {
      ASSERT_EQ(Scan(engine()), (std::vector<Record>(model.begin(), model.end()))) << round;
    }
  }
  Reopen();
  EXPECT_EQ(Scan(engine()), (std::vector<Record>(model.begin(), model.end())));
}

TEST_F(EngineDataTest, AcknowledgedWritesSurviveAKilledProcess) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    std::shared_ptr<Engine> engine;
    if (!Engine::Open(location_, SmallOptions(), &engine).ok()) _exit(1);
    for (uint32_t i = 0;; i++) {
      // Two records of different shards, which must survive together.
      const PackedWrites writes = PackedWrites()
                                      .Put("a" + std::to_string(i), "value")
                                      .Put("z" + std::to_string(i), "value");
      if (!Write(engine.get(), writes).ok()) _exit(1);
      if (write(ends[1], &i, sizeof i) != sizeof i) _exit(1);
    }
  }
  close(ends[1]);
  uint32_t acknowledged = 0;
  while (acknowledged < 500) {
    ASSERT_EQ(read(ends[0], &acknowledged, sizeof acknowledged),
              static_cast<ssize_t>(sizeof acknowledged));
  }
  kill(child, SIGKILL);
  while (read(ends[0], &acknowledged, sizeof acknowledged) > 0) continue;
  close(ends[0]);
  waitpid(child, nullptr, 0);
  Open(SmallOptions(0));
  uint32_t present = 0;
  while (Get(engine(), "a" + std::to_string(present))) {
    ASSERT_EQ(Get(engine(), "z" + std::to_string(present)), "value") << "half of a commit";
    present++;
  }
  EXPECT_GT(present, acknowledged);
  EXPECT_EQ(Scan(engine()).size(), 2 * present);
}

// --- The clock -----------------------------------------------------------------------------------

TEST_F(EngineDataTest, TheClockNeverRunsBackwardsOverReopenings) {
  Open();
  const uint64_t later = engine()->clock().NowMs() + 3'600'000;
  engine()->clock().RaiseTo(later);
  ASSERT_THAT(Put(engine(), "expires", "value", later), IsOk());
  EXPECT_EQ(Get(engine(), "expires"), std::nullopt);
  for (int i = 0; i < 2; i++) {
    Reopen();
    EXPECT_GE(engine()->clock().NowMs(), later) << i;
    EXPECT_EQ(Get(engine(), "expires"), std::nullopt) << "what has expired stays expired";
  }
  EngineOptions reader = SmallOptions();
  reader.read_only = true;
  Reopen(reader);
  EXPECT_GE(engine()->clock().NowMs(), later);
}

TEST_F(EngineDataTest, AnUnusedClockKeepsItsMark) {
  ASSERT_THAT(TryOpen(), IsOk());
  const uint64_t later = uint64_t{4} * 1000 * 1000 * 1000 * 1000;
  RawStore(hot_).PutMeta(meta_key::kClock, Fixed64(later));
  ASSERT_THAT(TryOpen(), IsOk());
  EXPECT_EQ(RawStore(hot_).Meta(meta_key::kClock), Fixed64(later));
}

// --- Commit ids ----------------------------------------------------------------------------------

// The ids of user commits in the log, in order.
class IdCollector : public rocksdb::WriteBatch::Handler {
 public:
  std::vector<uint64_t> ids;
  rocksdb::Status PutCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(uint32_t, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteRangeCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }
  void LogData(const rocksdb::Slice& blob) override {
    CommitHeader header;
    ASSERT_TRUE(DecodeCommitHeader({blob.data(), blob.size()}, &header));
    if (header.origin == CommitOrigin::kUser) ids.push_back(header.first_commit_id);
  }
};

// An id names one commit for ever, whatever those commits did: the change feed resumes by it.
TEST_F(EngineDataTest, CommitIdsRiseOverReopenings) {
  uint64_t highest = 0;
  for (int round = 0; round < 4; round++) {
    Open(SmallOptions(round == 0 ? 4 : 0));
    for (int i = 0; i < 10; i++) {
      // Nothing or little of these reaches the store.
      ASSERT_THAT(Write(engine(), PackedWrites().DeleteRange("z", std::nullopt)), IsOk());
      ASSERT_THAT(Write(engine(), PackedWrites().DeleteRange("b", "a")), IsOk());
      PackedWrites same;
      for (int n = 0; n < 10; n++) same.Put("same key", std::to_string(n));
      ASSERT_THAT(Write(engine(), same, /*atomic=*/false), IsOk());
    }
    ASSERT_THAT(Put(engine(), "key", std::to_string(round)), IsOk());
    Close();
    RawStore raw(hot_);
    std::unique_ptr<rocksdb::TransactionLogIterator> log;
    ASSERT_TRUE(raw.db()->GetUpdatesSince(0, &log).ok());
    IdCollector collector;
    for (; log->Valid(); log->Next()) {
      ASSERT_TRUE(log->GetBatch().writeBatchPtr->Iterate(&collector).ok());
    }
    ASSERT_FALSE(collector.ids.empty());
    EXPECT_GT(collector.ids.front(), highest) << "round " << round;
    highest = collector.ids.back();
    EXPECT_TRUE(std::is_sorted(collector.ids.begin(), collector.ids.end()));
  }
}

// --- Maintenance ---------------------------------------------------------------------------------

TEST_F(EngineDataTest, FlushEmptiesTheLogIntoTables) {
  Open();
  ASSERT_THAT(Put(engine(), "key", std::string(10000, 'v')), IsOk());
  EXPECT_EQ(engine()->Gauges().sst_bytes, 0u);
  ASSERT_THAT(engine()->Flush(), IsOk());
  EXPECT_GT(engine()->Gauges().sst_bytes, 0u);
  EXPECT_GE(engine()->Snapshot().flush_nanos.count, 1u);
  EXPECT_EQ(Get(engine(), "key"), std::string(10000, 'v'));
}

TEST_F(EngineDataTest, CompactingGivesBackWhatWasDeleted) {
  Open();
  std::minstd_rand random(1);
  PackedWrites writes;
  for (int i = 0; i < 2000; i++) {
    std::string value(500, '\0');
    for (char& c : value) c = static_cast<char>(random());
    writes.Put("key" + std::to_string(i), value);
  }
  ASSERT_THAT(Write(engine(), writes), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  const uint64_t before = engine()->Gauges().sst_bytes;
  ASSERT_GT(before, 500'000u);
  ASSERT_THAT(Write(engine(), PackedWrites().DeleteRange("key", "key9")), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  KeyRange range;
  range.has_start = range.has_end = true;
  range.start = "key";
  range.end = "kez";
  ASSERT_THAT(engine()->Compact(range), IsOk());
  EXPECT_LT(engine()->Gauges().sst_bytes, before / 2);
  EXPECT_EQ(Scan(engine()).size(), 111u) << "key9, key90 to key99, key900 to key999";
}

TEST_F(EngineDataTest, SizesFollowTheRange) {
  Open();
  uint64_t nothing = 1;
  ASSERT_THAT(engine()->ApproximateSize({}, &nothing), IsOk());
  EXPECT_EQ(nothing, 0u);
  PackedWrites writes;
  for (int i = 0; i < 4000; i++) {
    writes.Put((i % 2 == 0 ? "a" : "b") + std::to_string(100000 + i), std::string(500, 'v'));
  }
  ASSERT_THAT(Write(engine(), writes), IsOk());
  const auto size = [this](KeyRange range) {
    uint64_t bytes = 0;
    EXPECT_THAT(engine()->ApproximateSize(range, &bytes), IsOk());
    return bytes;
  };
  for (const bool in_tables : {false, true}) {
    const uint64_t all = size({});
    const uint64_t first = size({false, true, "", "b"});
    const uint64_t second = size({true, false, "b", ""});
    EXPECT_GT(all, 100'000u);
    // Of a memtable RocksDB estimates it from the heights of its skip list's nodes, which are drawn
    // by lot: more or less anything may come out, seldom far from the truth.
    EXPECT_GT(first, in_tables ? all / 5 : 0);
    EXPECT_GT(second, in_tables ? all / 5 : 0);
    if (in_tables) {
      EXPECT_LT(first, all * 4 / 5);
    }
    EXPECT_EQ(size({true, true, "x", "y"}), 0u);
    EXPECT_EQ(size({true, true, "b", "a"}), 0u) << "an inverted range holds nothing";
    ASSERT_THAT(engine()->Flush(), IsOk());
  }
}

TEST_F(EngineDataTest, GaugesAndCountersShowWhatHappened) {
  Open();
  ASSERT_THAT(Write(engine(), PackedWrites().Put("a", "1").Put("b", "2")), IsOk());
  ASSERT_THAT(Put(engine(), "c", "3"), IsOk());
  Get(engine(), "a");
  Get(engine(), "a");
  Get(engine(), "none");
  Get(engine(), "none");
  const EngineGauges gauges = engine()->Gauges();
  EXPECT_EQ(gauges.shards, 4);
  EXPECT_EQ(gauges.in_flight_bytes, 0u);
  EXPECT_EQ(gauges.queue_age_nanos, 0u);
  EXPECT_GT(gauges.target_group_bytes, 0u);
  EXPECT_EQ(gauges.hot_cache_entries, 2u);
  EXPECT_GT(gauges.hot_cache_bytes, 0u);
  EXPECT_EQ(gauges.hot_cache_capacity_bytes, kMiB);
  EXPECT_EQ(gauges.block_cache_capacity_bytes, 4 * kMiB);
  EXPECT_GT(gauges.memtable_bytes, 0u);
  EXPECT_EQ(gauges.estimated_keys, 3u);
  EXPECT_EQ(gauges.running_flushes, 0u);
  const MetricsSnapshot snapshot = engine()->Snapshot();
  EXPECT_EQ(snapshot.hot_cache_hits, 1u);
  EXPECT_EQ(snapshot.hot_cache_negative_hits, 1u);
  EXPECT_EQ(snapshot.hot_cache_misses, 2u);
  EXPECT_EQ(snapshot.commits, 2u);
  EXPECT_EQ(snapshot.groups, 2u);
  EXPECT_EQ(snapshot.group_operations, 3u);
}

// --- Expiry and compaction -----------------------------------------------------------------------

TEST_F(EngineDataTest, CompactionGivesBackWhatHasExpired) {
  Open();
  const uint64_t soon = engine()->clock().NowMs() + 1'000'000;
  PackedWrites writes;
  for (int i = 0; i < 500; i++) {
    const std::string key = std::to_string(i);
    // Over an older version that does not expire, which must not come back.
    writes.Put(key, "older").DeleteRange("x", "x").Put(key, std::string(500, 'v'), soon);
  }
  writes.Put("stays", "v", soon + 1).Put("forever", "v");
  ASSERT_THAT(Write(engine(), writes), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(engine()->Compact({}), IsOk());
  ASSERT_EQ(Scan(engine()).size(), 502u) << "nothing has expired yet";
  ASSERT_EQ(engine()->Gauges().estimated_keys, 502u);

  const auto view = engine()->NewView();
  engine()->clock().RaiseTo(soon);
  EXPECT_EQ(Scan(engine()).size(), 2u);
  ASSERT_THAT(engine()->Compact({}), IsOk());
  EXPECT_EQ(Get(engine(), "7", view.get()), std::string(500, 'v'))
      << "an open view still shows it, so compaction keeps it";
  EXPECT_EQ(engine()->Gauges().estimated_keys, 502u);
  view->Release();

  // RocksDB does not rewrite what is at the bottom already without a reason; an overlap is one.
  for (int i = 0; i < 500; i += 7) {
    ASSERT_THAT(Put(engine(), std::to_string(i), "again", soon), IsOk());
  }
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(engine()->Compact({}), IsOk());
  EXPECT_EQ(Scan(engine()), (std::vector<Record>{{"forever", "v"}, {"stays", "v"}}));
  EXPECT_LT(engine()->Gauges().estimated_keys, 502u);
  for (int i = 0; i < 500; i++) EXPECT_EQ(Get(engine(), std::to_string(i)), std::nullopt);
}

// --- Without a log -------------------------------------------------------------------------------

TEST_F(EngineDataTest, WithoutALogWhatWasFlushedOrClosedIsThere) {
  EngineOptions options = SmallOptions();
  options.without_log = true;
  Open(options);
  ASSERT_THAT(Write(engine(), PackedWrites().Put("a", "1").Put("b", "1")), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(Put(engine(), "c", "1"), IsOk());
  Reopen(options);
  EXPECT_EQ(Scan(engine()), (std::vector<Record>{{"a", "1"}, {"b", "1"}, {"c", "1"}}));
  auto submission = PackedWrites().Put("k", "v").ToSubmission(false);
  submission->durability = Durability::kFsync;
  EXPECT_THAT(engine()->Submit(std::move(submission)), HasCode(Code::kInvalidArgument));
  ASSERT_THAT(Put(engine(), "d", "value of a record"), IsOk());
  for (const auto& entry : fs::directory_iterator(hot_)) {
    if (entry.path().extension() == ".log") {
      EXPECT_EQ(ReadFile(entry.path()).find("value of a record"), std::string::npos);
    }
  }
  Reopen();
  EXPECT_TRUE(engine()->options().without_log) << "opened as it was created";
  EXPECT_EQ(Scan(engine()).size(), 4u);
  engine()->Close();
  EXPECT_THAT(engine()->close_status(), IsOk());
  EngineOptions with_log = SmallOptions();
  with_log.log_given = true;
  EXPECT_THAT(TryOpen(with_log), HasCode(Code::kInvalidArgument)) << "fixed for good";
  options.log_given = true;
  EXPECT_THAT(TryOpen(options), IsOk());
}

// --- Durability and transactions -----------------------------------------------------------------

TEST_F(EngineDataTest, AnFsyncWriteIsSyncedAndCounted) {
  Open();
  auto done = std::make_shared<std::promise<Status>>();
  auto submission = PackedWrites().Put("key", "value").ToSubmission(false);
  submission->durability = Durability::kFsync;
  submission->done = [done](const Status& status) { done->set_value(status); };
  ASSERT_THAT(engine()->Submit(std::move(submission)), IsOk());
  EXPECT_THAT(Await(done->get_future()), IsOk());
  EXPECT_EQ(engine()->Snapshot().fsyncs, 1u);
  EXPECT_EQ(engine()->Snapshot().fsync_nanos.count, 1u);
  EXPECT_EQ(Get(engine(), "key"), "value");
}

TEST_F(EngineDataTest, ATransactionSeesExactlyWhatItsIdSays) {
  Open();
  ASSERT_THAT(Put(engine(), "key", "1"), IsOk());
  std::promise<std::shared_ptr<Transaction>> opened;
  ASSERT_THAT(engine()->BeginTransaction(
                  [&](std::shared_ptr<Transaction> t) { opened.set_value(std::move(t)); }),
              IsOk());
  auto transaction = Await(opened.get_future());
  ASSERT_THAT(Put(engine(), "key", "2"), IsOk());
  EXPECT_EQ(Get(engine(), "key", transaction->view().get()), "1");
  const auto commit = [&](std::string key) {
    auto done = std::make_shared<std::promise<Status>>();
    auto submission = PackedWrites().Put("mine", "v").ToSubmission(true);
    auto reads = std::make_unique<ReadSet>();
    reads->start_commit_id = transaction->start_commit_id();
    reads->keys.push_back(std::move(key));
    submission->reads = std::move(reads);
    submission->done = [done](const Status& status) { done->set_value(status); };
    EXPECT_THAT(engine()->Submit(std::move(submission)), IsOk());
    return Await(done->get_future());
  };
  EXPECT_THAT(commit("key"), HasCode(Code::kConflict));
  EXPECT_EQ(Get(engine(), "mine"), std::nullopt);
  EXPECT_THAT(commit("other"), IsOk());
  EXPECT_EQ(Get(engine(), "mine"), "v");
  transaction->End();
  transaction->End();
  transaction.reset();
  EXPECT_THAT(engine()->Resume(), IsOk()) << "nothing to resume from";
}

TEST_F(EngineDataTest, AReadOnlyEngineHasNoTransactionsAndNothingToResume) {
  Open();
  EngineOptions options = SmallOptions();
  options.read_only = true;
  Reopen(options);
  EXPECT_THAT(engine()->BeginTransaction([](auto) { ADD_FAILURE(); }), HasCode(Code::kReadOnly));
  EXPECT_THAT(engine()->Resume(), HasCode(Code::kReadOnly));
}

// --- Closing -------------------------------------------------------------------------------------

TEST_F(EngineDataTest, CloseAppliesWhatWasAccepted) {
  Open();
  std::atomic<int> acknowledged{0};
  for (int i = 0; i < 500; i++) {
    auto submission = PackedWrites().Put("key" + std::to_string(i), "v").ToSubmission(false);
    submission->done = [&acknowledged](const Status& status) {
      if (status.ok()) acknowledged++;
    };
    ASSERT_THAT(engine()->Submit(std::move(submission)), IsOk());
  }
  engine()->Close();
  EXPECT_EQ(acknowledged, 500);
  EXPECT_THAT(Put(engine(), "late", "v"), HasCode(Code::kClosed));
  engine()->Close();
  Reopen();
  EXPECT_EQ(Scan(engine()).size(), 500u);
}

TEST_F(EngineDataTest, AClosedEngineHoldsNoLockWhileItsShellLives) {
  Open();
  engine()->Close();
  std::shared_ptr<Engine> other;
  EXPECT_THAT(Engine::Open(location_, SmallOptions(), &other), IsOk());
}

TEST_F(EngineDataTest, DestructionCloses) {
  Open();
  ASSERT_THAT(Put(engine(), "key", "value"), IsOk());
  engine_.reset();
  Open();
  EXPECT_EQ(Get(engine(), "key"), "value");
}

}  // namespace
}  // namespace thermocline::test
