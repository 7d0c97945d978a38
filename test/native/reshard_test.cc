// Splits and merges: what they leave behind, what readers and writers see meanwhile, and what a
// process that is killed at any point of them finds again.
// THERMOCLINE_SEQUENCES sets how many operations the concurrent tests run, in hundreds.

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fault_file_system.h"
#include "tier_fixture.h"

namespace thermocline {
namespace {

using test::Decode;
using test::Delete;
using test::DeleteRange;
using test::Get;
using test::GetMany;
using test::HasCode;
using test::IsOk;
using test::Levels;
using test::Migrate;
using test::PackedWrites;
using test::Put;
using test::Record;
using test::Scan;
using test::SmallOptions;
using test::TakeAll;
using test::TakeChunk;
using test::TieredOptions;
using test::Write;
using Point = Resharder::Point;
using Model = std::map<std::string, std::string>;

std::vector<Record> RecordsOf(const Model& model) { return {model.begin(), model.end()}; }

class ReshardTest : public test::EngineTest {
 protected:
  Status Split(uint32_t id, std::optional<uint16_t> at = std::nullopt,
               ReshardControl* control = nullptr) {
    return Run({.split = true, .id = id, .other = 0, .at = at}, control);
  }
  Status Merge(uint32_t a, uint32_t b, ReshardControl* control = nullptr) {
    return Run({.split = false, .id = a, .other = b, .at = std::nullopt}, control);
  }
  Status Run(const ReshardRequest& request, ReshardControl* control = nullptr) {
    ReshardControl own;
    ids_.clear();
    return engine()->resharder()->Run(request, control ? control : &own, &ids_);
  }

  void Fill(int records, const std::string& prefix = "key") {
    PackedWrites writes;
    for (int i = 0; i < records; i++) {
      const std::string key = prefix + std::to_string(i);
      model_[key] = "value of " + key;
      writes.Put(key, model_[key]);
    }
    ASSERT_THAT(Write(engine(), writes), IsOk());
  }

  std::vector<ShardInfo> ShardsNow() { return engine()->NewView()->shards()->table.shards(); }

  void ExpectSound() {
    VerifyReport report;
    ASSERT_THAT(engine()->Verify(&report), IsOk());
    EXPECT_EQ(report.problem_count, 0u) << (report.problems.empty() ? "" : report.problems[0]);
  }
  void ExpectModel() {
    EXPECT_EQ(Scan(engine()), RecordsOf(model_));
    ExpectSound();
  }

  // The shard families of a store, as its files say.
  static std::set<std::string> FamiliesOf(const std::string& directory) {
    std::vector<std::string> names;
    EXPECT_TRUE(rocksdb::DB::ListColumnFamilies({}, directory, &names).ok());
    std::set<std::string> shards;
    for (const std::string& name : names) {
      if (name.starts_with("shard_")) shards.insert(name);
    }
    return shards;
  }
  std::set<std::string> NamedFamilies() {
    std::set<std::string> names;
    for (const ShardInfo& shard : ShardsNow()) {
      names.insert(ShardColumnFamilyName(shard.id, shard.generation));
    }
    return names;
  }

  Model model_;
  std::vector<uint32_t> ids_;
};

TEST_F(ReshardTest, ASplitHalvesAShardAndAMergeJoinsItAgain) {
  Open(SmallOptions(2));
  Fill(2000);
  ASSERT_THAT(Split(0), IsOk());
  EXPECT_EQ(ids_, (std::vector<uint32_t>{0, 2}));
  ExpectModel();
  const auto reports = engine()->ShardReports();
  ASSERT_EQ(reports.size(), 3u);
  const double share = static_cast<double>(reports[0].hot_keys) /
                       static_cast<double>(reports[0].hot_keys + reports[2].hot_keys);
  EXPECT_GT(share, 0.45);
  EXPECT_LT(share, 0.55);
  for (const auto& [key, value] : model_) ASSERT_EQ(Get(engine(), key), value);
  Fill(1000, "later");
  ASSERT_THAT(Merge(2, 1), IsOk());
  ASSERT_THAT(Merge(0, 2), IsOk());
  EXPECT_EQ(ids_, std::vector<uint32_t>{0});
  EXPECT_EQ(ShardsNow().size(), 1u);
  ExpectModel();
  Reopen();
  EXPECT_EQ(ShardsNow().size(), 1u);
  ExpectModel();
  EXPECT_EQ(FamiliesOf(hot_), NamedFamilies()) << "the former families are gone";
}

TEST_F(ReshardTest, ASplitMayBeAskedForAtAnySlot) {
  Open(SmallOptions(1));
  Fill(500);
  ASSERT_THAT(Split(0, 12000), IsOk());
  EXPECT_EQ(ShardsNow()[0].slots, (std::vector<SlotRange>{{0, 11999}}));
  EXPECT_EQ(ShardsNow()[1].slots, (std::vector<SlotRange>{{12000, 16383}}));
  ExpectModel();
  EXPECT_THAT(Split(0, 12000), HasCode(Code::kInvalidArgument));
  EXPECT_THAT(Split(9), HasCode(Code::kNotFound));
  EXPECT_THAT(Merge(0, 0), HasCode(Code::kInvalidArgument));
  ExpectModel();
}

TEST_F(ReshardTest, AnEmptyShardCanBeSplitAndMerged) {
  Open(SmallOptions(1));
  ASSERT_THAT(Split(0), IsOk());
  EXPECT_EQ(ShardsNow()[1].slots, (std::vector<SlotRange>{{8192, 16383}}));
  ASSERT_THAT(Merge(1, 0), IsOk());
  Fill(100);
  ExpectModel();
}

TEST_F(ReshardTest, ViewsAndCursorsThatWereOpenShowWhatTheyDid) {
  Open(SmallOptions(2));
  Fill(3000);
  const Model before = model_;
  const auto view = engine()->NewView();
  const auto cursor = engine()->NewCursor(engine()->NewView(), {});
  const Chunk first = TakeChunk(cursor.get());
  ASSERT_THAT(Split(0), IsOk());
  ASSERT_THAT(Merge(0, 2), IsOk());
  ASSERT_THAT(DeleteRange(engine(), "key1", "key2"), IsOk());
  model_.erase(model_.lower_bound("key1"), model_.lower_bound("key2"));
  Fill(500, "after");
  std::vector<Record> all = Decode(first);
  for (Record& record : TakeAll(cursor.get())) all.push_back(std::move(record));
  cursor->Close();
  EXPECT_EQ(all, RecordsOf(before));
  const auto again = engine()->NewCursor(view, {});
  EXPECT_EQ(TakeAll(again.get()), RecordsOf(before));
  again->Close();
  EXPECT_EQ(Get(engine(), "key1", view.get()), before.at("key1"));
  ExpectModel();
}

TEST_F(ReshardTest, ReplacedDataGivesItsSpaceBackWithTheLastView) {
  Open(SmallOptions(1));
  Fill(2000);
  ASSERT_THAT(engine()->Flush(), IsOk());
  auto view = engine()->NewView();
  const std::weak_ptr<const Shards> replaced = view->shards();
  ASSERT_THAT(Split(0), IsOk());
  EXPECT_FALSE(replaced.expired());
  view->Release();
  view.reset();
  EXPECT_TRUE(replaced.expired());
}

TEST_F(ReshardTest, TheHotCacheStaysRightAcrossTheSwitch) {
  Open(SmallOptions(1));
  Fill(300);
  for (const auto& [key, value] : model_) ASSERT_EQ(Get(engine(), key), value);  // cached now
  engine()->resharder()->SetProbe([this](Point point) {
    return point == Point::kCopied ? Put(engine(), "key7", "changed") : Status();
  });
  ASSERT_THAT(Split(0), IsOk());
  model_["key7"] = "changed";
  EXPECT_EQ(Get(engine(), "key7"), "changed");
  ASSERT_THAT(Delete(engine(), "key8"), IsOk());
  model_.erase("key8");
  EXPECT_EQ(Get(engine(), "key8"), std::nullopt);
  for (const auto& [key, value] : model_) ASSERT_EQ(Get(engine(), key), value);
}

TEST_F(ReshardTest, ABatchThatWasPlannedBeforeTheSwitchFillsNothingOld) {
  Open(SmallOptions(1));
  Fill(64);
  std::vector<std::string> keys;
  for (const auto& [key, value] : model_) keys.push_back(key);
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop.load()) (void)GetMany(engine(), keys);
  });
  for (int i = 0; i < 10; i++) {
    ASSERT_THAT(i % 2 == 0 ? Split(0) : Merge(0, 1), IsOk());
    for (const std::string& key : keys) {
      const std::string value = key + " " + std::to_string(i);
      ASSERT_THAT(Put(engine(), key, value), IsOk());
      ASSERT_EQ(Get(engine(), key), value);
      model_[key] = value;
    }
    for (const std::string& key : keys) ASSERT_EQ(Get(engine(), key), model_[key]);
  }
  stop.store(true);
  reader.join();
}

TEST_F(ReshardTest, TransactionsThatWereOpenAreValidatedAcrossTheSwitch) {
  Open(SmallOptions(1));
  Fill(100);
  const auto begin = [this] {
    auto begun = std::make_shared<std::promise<std::shared_ptr<Transaction>>>();
    EXPECT_THAT(engine()->BeginTransaction([begun](std::shared_ptr<Transaction> transaction) {
      begun->set_value(std::move(transaction));
    }),
                IsOk());
    return test::Await(begun->get_future());
  };
  const auto commit = [this](const Transaction& transaction, const std::string& read) {
    std::unique_ptr<Submission> submission =
        PackedWrites().Put("written", "yes").ToSubmission(true);
    auto reads = std::make_unique<ReadSet>();
    reads->start_commit_id = transaction.start_commit_id();
    reads->keys = {read};
    submission->reads = std::move(reads);
    auto done = std::make_shared<std::promise<Status>>();
    submission->done = [done](const Status& status) { done->set_value(status); };
    EXPECT_THAT(engine()->Submit(std::move(submission)), IsOk());
    return test::Await(done->get_future());
  };
  const auto one = begin();
  const auto other = begin();
  ASSERT_THAT(Split(0), IsOk());
  ASSERT_THAT(Put(engine(), "key1", "changed"), IsOk());
  EXPECT_EQ(Get(engine(), "key1", one->view().get()), "value of key1");
  EXPECT_THAT(commit(*one, "key1"), HasCode(Code::kConflict));
  EXPECT_THAT(commit(*other, "key2"), IsOk());
  EXPECT_EQ(Get(engine(), "written"), "yes");
}

TEST_F(ReshardTest, ExpiredRecordsStayExpiredAndOthersKeepTheirTime) {
  Open(SmallOptions(1));
  const uint64_t later = engine()->clock().NowMs() + 3'600'000;
  ASSERT_THAT(Put(engine(), "gone", "x", 1), IsOk());
  ASSERT_THAT(Put(engine(), "kept", "y", later), IsOk());
  ASSERT_THAT(Split(0), IsOk());
  EXPECT_EQ(Get(engine(), "gone"), std::nullopt);
  EXPECT_EQ(Get(engine(), "kept"), "y");
  const auto view = engine()->NewView();
  std::string stored;
  ASSERT_TRUE(
      engine()
          ->hot_db()
          ->Get({}, view->shards()->handles[static_cast<size_t>(view->shards()->IndexOf("kept"))],
                "kept", &stored)
          .ok());
  Envelope envelope;
  ASSERT_TRUE(DecodeEnvelope(stored, &envelope));
  EXPECT_EQ(envelope.expiry_ms, later);
}

TEST_F(ReshardTest, WhatIsWrittenAtAnyPointOfAMoveIsThereAfterwards) {
  EngineOptions options = SmallOptions(2);
  Open(options);
  Fill(500);
  engine()->resharder()->SetChunkBytes(2000);
  for (const Point at : {Point::kPlanned, Point::kCreated, Point::kNoting, Point::kChunk,
                         Point::kCopied, Point::kSwitched, Point::kDropped}) {
    int chunks = 0;
    engine()->resharder()->SetProbe([&](Point point) {
      if (point != at || (point == Point::kChunk && ++chunks % 3 != 0)) return Status();
      const std::string key = "key" + std::to_string(chunks * 7);
      EXPECT_THAT(Put(engine(), key, "changed"), IsOk());
      model_[key] = "changed";
      EXPECT_THAT(Put(engine(), key + " new", "new"), IsOk());
      model_[key + " new"] = "new";
      EXPECT_THAT(Delete(engine(), "key45"), IsOk());
      model_.erase("key45");
      EXPECT_THAT(DeleteRange(engine(), "key30", "key35"), IsOk());
      model_.erase(model_.lower_bound("key30"), model_.lower_bound("key35"));
      EXPECT_THAT(Put(engine(), "key33", "after the range"), IsOk());
      model_["key33"] = "after the range";
      EXPECT_EQ(Scan(engine()), RecordsOf(model_));
      return Status();
    });
    ASSERT_THAT(Split(0), IsOk());
    ExpectModel();
    ASSERT_THAT(Merge(0, 2), IsOk());
    ExpectModel();
  }
  engine()->resharder()->SetProbe([&](Point point) {
    if (point == Point::kCopied) {
      EXPECT_THAT(DeleteRange(engine(), "", std::nullopt), IsOk());
      EXPECT_THAT(Put(engine(), "alone", "1"), IsOk());
    }
    return Status();
  });
  ASSERT_THAT(Split(0), IsOk());
  model_ = {{"alone", "1"}};
  ExpectModel();
}

TEST_F(ReshardTest, AMoveThatFailsAnywhereChangesNothing) {
  Open(SmallOptions(2));
  Fill(500);
  engine()->resharder()->SetChunkBytes(3000);
  const std::set<std::string> families = NamedFamilies();
  for (const Point at : {Point::kPlanned, Point::kCreated, Point::kNoting, Point::kChunk,
                         Point::kCopied, Point::kSwitching}) {
    engine()->resharder()->SetProbe(
        [at](Point point) { return point == at ? Status(Code::kIo, "told to stop") : Status(); });
    EXPECT_THAT(Split(0), HasCode(Code::kIo));
    EXPECT_THAT(Merge(0, 1), HasCode(Code::kIo));
    EXPECT_EQ(FamiliesOf(hot_), families);
    EXPECT_EQ(NamedFamilies(), families);
    ExpectModel();
    Fill(10, "after " + std::to_string(static_cast<int>(at)));
  }
  engine()->resharder()->SetProbe(nullptr);
  EXPECT_THAT(Split(0), IsOk());
  ExpectModel();
}

TEST_F(ReshardTest, WritesAreRefusedWhenItIsUnknownWhichTableIsDurable) {
  Open(SmallOptions(2));
  Fill(500);
  engine()->resharder()->SetProbe([](Point point) {
    return point == Point::kPersisted ? Status(Code::kIo, "told to stop") : Status();
  });
  EXPECT_THAT(Split(0), HasCode(Code::kIo));
  EXPECT_THAT(Put(engine(), "more", "x"), HasCode(Code::kReadOnly));
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
  Reopen();
  EXPECT_EQ(ShardsNow().size(), 3u) << "the table was durable";
  ExpectModel();
  EXPECT_THAT(Put(engine(), "more", "x"), IsOk());
}

TEST_F(ReshardTest, AMoveCanBeAbortedAndPaused) {
  Open(SmallOptions(1));
  Fill(500);
  engine()->resharder()->SetChunkBytes(500);
  ReshardControl aborted;
  engine()->resharder()->SetProbe([&](Point point) {
    if (point == Point::kChunk) aborted.Abort();
    return Status();
  });
  EXPECT_THAT(Split(0, std::nullopt, &aborted), HasCode(Code::kAborted));
  EXPECT_GT(aborted.progress().copied_records, 0u);
  EXPECT_EQ(ShardsNow().size(), 1u);
  engine()->resharder()->SetProbe(nullptr);

  ReshardControl paused;
  paused.Pause(true);
  std::thread split([&] { EXPECT_THAT(Split(0, std::nullopt, &paused), IsOk()); });
  while (paused.progress().phase == ReshardPhase::kWaiting) std::this_thread::yield();
  Fill(200, "while paused");
  EXPECT_EQ(paused.progress().copied_records, 0u);
  EXPECT_EQ(ShardsNow().size(), 1u);
  paused.Pause(false);
  split.join();
  EXPECT_EQ(paused.progress().phase, ReshardPhase::kSwitched);
  EXPECT_EQ(ShardsNow().size(), 2u);
  ExpectModel();
}

TEST_F(ReshardTest, FiguresOfNewShardsComeFromTheOldOnes) {
  Open(SmallOptions(1));
  Fill(1000);
  for (int i = 0; i < 10; i++) (void)Scan(engine());
  const auto before = engine()->ShardReports()[0].activity;
  ASSERT_THAT(Split(0), IsOk());
  const auto halves = engine()->ShardReports();
  for (const ShardReport& half : halves) {
    EXPECT_GE(half.activity.created_ms, before.created_ms);
    EXPECT_EQ(half.activity.last_access_ms, before.last_access_ms);
    EXPECT_EQ(half.temperature, Temperature::kHot);
    EXPECT_NEAR(static_cast<double>(half.activity.reads), static_cast<double>(before.reads) / 2,
                static_cast<double>(before.reads) / 20);
    EXPECT_NEAR(static_cast<double>(half.hot_keys), 500, 60);
  }
  ASSERT_THAT(Merge(0, 1), IsOk());
  const auto merged = engine()->ShardReports()[0];
  EXPECT_EQ(merged.activity.reads, halves[0].activity.reads + halves[1].activity.reads);
  EXPECT_EQ(merged.activity.last_access_ms, before.last_access_ms);
  Reopen();
  EXPECT_EQ(engine()->ShardReports()[0].activity.created_ms, merged.activity.created_ms);
}

TEST_F(ReshardTest, EveryTierOfAShardIsSplitAndMerged) {
  Open(TieredOptions(1));
  Fill(300);
  ASSERT_THAT(Delete(engine(), "key3"), IsOk());
  model_.erase("key3");
  Migrate(engine(), 0, 2, [](std::string_view key, const Envelope&) { return key.back() == '1'; });
  Migrate(engine(), 0, 1, [](std::string_view key, const Envelope&) { return key.back() == '2'; });
  uint64_t copied = 0;
  ASSERT_THAT(engine()->stepper()->Promote(0, {"key11"}, &copied), IsOk());
  ASSERT_EQ(copied, 1u);
  const std::string levels[] = {Levels(engine(), "key11"), Levels(engine(), "key21"),
                                Levels(engine(), "key22"), Levels(engine(), "key23")};
  ASSERT_EQ(levels[0], "copy value of key11 | nothing | value value of key11");
  const auto expect_levels = [&] {
    int i = 0;
    for (const char* key : {"key11", "key21", "key22", "key23"}) {
      EXPECT_EQ(Levels(engine(), key), levels[i++]);
    }
  };
  ASSERT_THAT(Split(0), IsOk());
  ExpectModel();
  expect_levels();
  ASSERT_THAT(Merge(1, 0), IsOk());
  ExpectModel();
  expect_levels();
  Migrate(engine(), 0, 2);
  Migrate(engine(), 1, 2);
  ExpectModel();
  Close();
  const std::string cold = location_ + "/cold";
  const std::string warm = location_ + "/warm";
  EngineOptions options = SmallOptions(0);
  options.tiers.automatic = false;
  Open(options);
  EXPECT_EQ(FamiliesOf(cold), NamedFamilies());
  EXPECT_EQ(FamiliesOf(warm), NamedFamilies());
  ExpectModel();
}

TEST_F(ReshardTest, RangeDeletesDuringASplitReachTheColderTiersAfterwards) {
  Open(TieredOptions(1));
  Fill(300);
  Migrate(engine(), 0, 1);
  Migrate(engine(), 1, 2);
  engine()->resharder()->SetProbe([this](Point point) {
    if (point != Point::kCreated && point != Point::kCopied) return Status();
    const std::string start = point == Point::kCreated ? "key1" : "key20";
    const std::string end = point == Point::kCreated ? "key15" : "key25";
    EXPECT_THAT(DeleteRange(engine(), start, end), IsOk());
    model_.erase(model_.lower_bound(start), model_.lower_bound(end));
    EXPECT_THAT(engine()->stepper()->ApplyIntents(), IsOk()) << "waits for the split";
    StepResult result;
    EXPECT_THAT(engine()->stepper()->Run({.shard = 0, .from = 2, .to = 0}, &result), IsOk());
    EXPECT_TRUE(result.set_aside);
    EXPECT_EQ(result.records, 0u);
    EXPECT_EQ(Scan(engine()), RecordsOf(model_));
    return Status();
  });
  ASSERT_THAT(Split(0), IsOk());
  engine()->resharder()->SetProbe(nullptr);
  ExpectModel();
  ASSERT_THAT(engine()->stepper()->ApplyIntents(), IsOk());
  EXPECT_FALSE(engine()->tiers().intents().any());
  EXPECT_EQ(Levels(engine(), "key10"), "nothing | nothing | nothing");
  ExpectModel();
}

TEST_F(ReshardTest, WithoutALogWhatWasFlushedSurvivesASwitch) {
  EngineOptions options = SmallOptions(1);
  options.without_log = true;
  Open(options);
  Fill(400);
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(Split(0), IsOk());
  Fill(100, "later");
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(Merge(0, 1), IsOk());
  EngineOptions again = SmallOptions(0);
  again.without_log = true;
  Reopen(again);
  ExpectModel();
}

TEST_F(ReshardTest, ShardsAreSplitAndMergedOnTheirOwn) {
  EngineOptions options = SmallOptions(1);
  options.auto_split = {.max_bytes = 2 * kMiB, .min_bytes = 512 * kKiB};
  Open(options);
  std::mt19937_64 random(1);
  for (int i = 0; i < 60; i++) {
    PackedWrites writes;
    for (int j = 0; j < 100; j++) {
      const std::string key = "key" + std::to_string(i * 100 + j);
      std::string value(1000, '\0');  // that no compression makes smaller
      for (char& c : value) c = static_cast<char>(random());
      model_[key] = value;
      writes.Put(key, model_[key]);
    }
    ASSERT_THAT(Write(engine(), writes), IsOk());
  }
  const auto wait_for = [this](auto&& condition) {
    for (int i = 0; i < 1200 && !condition(); i++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return condition();
  };
  // All of them are below the bound then. A split that went on meanwhile would ingest what is
  // deleted now, and only a compaction makes such a shard small.
  ASSERT_TRUE(wait_for([this] { return ShardsNow().size() == 4; }));
  ExpectModel();
  ASSERT_THAT(DeleteRange(engine(), "", std::nullopt), IsOk());
  model_.clear();
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(engine()->Compact({}), IsOk());
  EXPECT_TRUE(wait_for([this] { return ShardsNow().size() == 1; }));
  ExpectModel();
}

// --- Against a map, with moves in another thread

class ReshardModelTest : public ReshardTest, public testing::WithParamInterface<int> {};

TEST_P(ReshardModelTest, EveryReadIsThatOfAMapWhileShardsAreSplitAndMerged) {
  const bool tiered = GetParam() == 2;
  EngineOptions options = tiered ? TieredOptions(2) : SmallOptions(2);
  options.without_log = GetParam() == 1;
  Open(options);
  engine()->resharder()->SetChunkBytes(4000);
  std::atomic<bool> stop{false};
  std::atomic<int> moves{0};
  std::thread mover([&] {
    std::mt19937_64 random(7);
    while (!stop.load()) {
      const auto shards = ShardsNow();
      ReshardRequest request;
      request.split = shards.size() == 1 || (shards.size() < 8 && random() % 2 == 0);
      request.id = shards[random() % shards.size()].id;
      request.other = shards[random() % shards.size()].id;
      if (random() % 2 == 0) request.at = static_cast<uint16_t>(random() % kSlotCount);
      ReshardControl control;
      if (random() % 4 == 0) control.Abort();
      std::vector<uint32_t> ids;
      const Status status = engine()->resharder()->Run(request, &control, &ids);
      EXPECT_TRUE(status.ok() || status.code() == Code::kInvalidArgument ||
                  status.code() == Code::kAborted)
          << std::string(status.message());
      if (status.ok()) moves++;
      if (tiered && random() % 3 == 0) {
        StepPlan plan{.shard = static_cast<int>(random() % 8),
                      .from = static_cast<int>(random() % 3)};
        plan.to = (plan.from + 1 + static_cast<int>(random() % 2)) % 3;
        StepResult result;
        EXPECT_THAT(engine()->stepper()->Run(plan, &result), IsOk());
      }
    }
  });
  std::mt19937_64 random(static_cast<uint64_t>(GetParam()) + 1);
  const int operations = 100 * test::EnvironmentNumber("THERMOCLINE_SEQUENCES", 30);
  std::vector<std::pair<std::shared_ptr<const ReadView>, Model>> views;
  const auto any_key = [&] {
    const uint64_t n = random() % 300;
    return (n < 30 ? "{tag}" : "k") + std::to_string(n);
  };
  for (int i = 0; i < operations && !HasFailure(); i++) {
    const uint64_t kind = random() % 100;
    if (kind < 55) {
      PackedWrites writes;
      const uint64_t count = random() % 3 == 0 ? 1 + random() % 20 : 1;
      for (uint64_t n = 0; n < count; n++) {
        const std::string key = any_key();
        if (random() % 3 > 0) {
          model_[key] = "v" + std::to_string(i) + std::string(random() % 50, 'x');
          writes.Put(key, model_[key]);
        } else {
          model_.erase(key);
          writes.Delete(key);
        }
      }
      ASSERT_THAT(Write(engine(), writes, random() % 2 == 0), IsOk());
    } else if (kind < 58) {
      const std::string start = any_key();
      const std::string end = any_key();
      const bool open = random() % 4 == 0;
      ASSERT_THAT(
          DeleteRange(engine(), start, open ? std::nullopt : std::optional<std::string_view>(end)),
          IsOk());
      if (open || start < end) {
        model_.erase(model_.lower_bound(start), open ? model_.end() : model_.lower_bound(end));
      }
    } else if (kind < 80) {
      const std::string key = any_key();
      const auto found = Get(engine(), key);
      const auto entry = model_.find(key);
      ASSERT_EQ(found.has_value(), entry != model_.end()) << key;
      if (found) {
        ASSERT_EQ(*found, entry->second);
      }
    } else if (kind < 90) {
      std::vector<std::string> keys;
      for (int n = 0; n < 40; n++) keys.push_back(any_key());
      const auto values = GetMany(engine(), keys);
      for (size_t n = 0; n < keys.size(); n++) {
        const auto entry = model_.find(keys[n]);
        ASSERT_EQ(values[n].has_value(), entry != model_.end()) << keys[n];
        if (values[n]) {
          ASSERT_EQ(*values[n], entry->second);
        }
      }
    } else if (kind < 94) {
      if (views.size() == 4) {
        views.front().first->Release();
        views.erase(views.begin());
      }
      views.emplace_back(engine()->NewView(), model_);
    } else if (kind < 97 && !views.empty()) {
      const auto& [view, model] = views[random() % views.size()];
      const auto cursor = engine()->NewCursor(view, {});
      ASSERT_EQ(TakeAll(cursor.get()), RecordsOf(model));
      cursor->Close();
    } else if (kind < 99) {
      ASSERT_EQ(Scan(engine()), RecordsOf(model_));
    } else {
      ASSERT_THAT(engine()->Flush(), IsOk());
      if (random() % 4 == 0) {
        ASSERT_THAT(engine()->Compact({}), IsOk());
      }
    }
  }
  stop.store(true);
  mover.join();
  EXPECT_GT(moves.load(), 3);
  for (const auto& [view, model] : views) view->Release();
  views.clear();
  ExpectModel();
  EngineOptions again = SmallOptions(0);
  again.without_log = options.without_log;
  again.tiers.automatic = false;
  Reopen(again);
  ExpectModel();
  EXPECT_EQ(FamiliesOf(hot_), NamedFamilies());
}

std::string ModelName(const testing::TestParamInfo<int>& info) {
  static const char* const kNames[] = {"Hot", "WithoutALog", "Tiered"};
  return kNames[info.param];
}
INSTANTIATE_TEST_SUITE_P(Stores, ReshardModelTest, testing::Values(0, 1, 2), ModelName);

// --- Killed

struct CrashCase {
  Point point;
  bool split;
  bool tiered;
};

class ReshardCrashTest : public ReshardTest, public testing::WithParamInterface<CrashCase> {
 protected:
  static constexpr int kKeys = 200;
  static constexpr int kThreads = 2;
  // What each key was acknowledged with last, shared with the child.
  struct Acknowledged {
    std::atomic<uint32_t> round[kThreads][kKeys];
  };

  static std::string KeyOf(int thread, int i) {
    return "t" + std::to_string(thread) + "-" + std::to_string(i);
  }

  // Never returns.
  [[noreturn]] void RunChild(Acknowledged* acknowledged, uint32_t first_round) {
    const CrashCase& c = GetParam();
    EngineOptions options = SmallOptions(0);
    options.tiers.automatic = false;
    std::shared_ptr<Engine> engine;
    if (!Engine::Open(location_, options, &engine).ok()) _exit(1);
    std::vector<std::thread> writers;
    std::atomic<int> ready{0};  // writers that have written each of their keys
    for (int t = 0; t < kThreads; t++) {
      writers.emplace_back([&, t] {
        for (uint32_t round = first_round;; round++) {
          for (int i = 0; i < kKeys; i++) {
            // Every fifth round deletes.
            const std::string key = KeyOf(t, i);
            const Status status = round % 5 == 4 ? Delete(engine.get(), key)
                                                 : Put(engine.get(), key, std::to_string(round));
            if (!status.ok()) _exit(2);
            acknowledged->round[t][i].store(round);
          }
          if (round == first_round) ready++;
        }
      });
    }
    while (ready.load() < kThreads) std::this_thread::yield();
    // The hot tier alone has enough for three of these, also while the writers delete all they
    // wrote.
    engine->resharder()->SetChunkBytes(500);
    int chunks = 0;
    engine->resharder()->SetProbe([&](Point point) {
      if (point == c.point && (point != Point::kChunk || ++chunks == 3)) raise(SIGKILL);
      return Status();
    });
    ReshardControl control;
    std::vector<uint32_t> ids;
    const Status status = engine->resharder()->Run(
        {.split = c.split, .id = 0, .other = 1, .at = std::nullopt}, &control, &ids);
    // Seen only if it was not killed where it should have been.
    std::fprintf(stderr, "%d chunks: %s\n", chunks, std::string(status.message()).c_str());
    _exit(3);
  }

  void ExpectAcknowledged(const Acknowledged& acknowledged) {
    for (int t = 0; t < kThreads; t++) {
      for (int i = 0; i < kKeys; i++) {
        const uint32_t round = acknowledged.round[t][i].load();
        const auto value = Get(engine(), KeyOf(t, i));
        // The write after the last acknowledged one may be there or not.
        const auto is = [&](uint32_t r) {
          return r % 5 == 4 ? !value : value == std::to_string(r);
        };
        EXPECT_TRUE(is(round) || is(round + 1))
            << KeyOf(t, i) << " has " << value.value_or("nothing") << " instead of " << round;
      }
    }
  }
};

TEST_P(ReshardCrashTest, NothingAcknowledgedIsLostAndNothingIsDoubled) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "TSan knows no threads in a child of a process that has had some";
#endif
  const CrashCase& c = GetParam();
  void* const shared = mmap(nullptr, sizeof(Acknowledged), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto* const acknowledged = new (shared) Acknowledged();
  Open(c.tiered ? TieredOptions(2) : SmallOptions(2));
  Fill(800, "fixed");
  if (c.tiered) {
    Migrate(engine(), 0, 2,
            [](std::string_view key, const Envelope&) { return key.back() % 3 == 0; });
    Migrate(engine(), 0, 1,
            [](std::string_view key, const Envelope&) { return key.back() % 3 == 1; });
  }
  EngineOptions again = SmallOptions(0);
  again.tiers.automatic = false;
  const int rounds = test::EnvironmentNumber("THERMOCLINE_CRASH_ROUNDS", 1);
  uint32_t first_round = 1;
  for (int n = 0; n < rounds && !HasFailure(); n++) {
    const size_t before = ShardsNow().size();
    Close();
    const pid_t child = fork();
    if (child == 0) RunChild(acknowledged, first_round);
    int result = 0;
    ASSERT_EQ(waitpid(child, &result, 0), child);
    ASSERT_TRUE(WIFSIGNALED(result)) << "ended by itself with " << WEXITSTATUS(result);
    EXPECT_EQ(WTERMSIG(result), SIGKILL);
    Open(again);
    // One record decides.
    const bool switched =
        c.point == Point::kPersisted || c.point == Point::kSwitched || c.point == Point::kDropped;
    EXPECT_EQ(ShardsNow().size(), switched ? (c.split ? before + 1 : before - 1) : before);
    EXPECT_EQ(FamiliesOf(hot_), NamedFamilies());
    if (c.tiered) {
      EXPECT_EQ(FamiliesOf(location_ + "/cold"), NamedFamilies());
    }
    ExpectAcknowledged(*acknowledged);
    std::set<std::string> seen;
    for (const Record& record : Scan(engine())) {
      EXPECT_TRUE(seen.insert(record.first).second) << record.first << " is there twice";
    }
    for (const auto& [key, value] : model_) ASSERT_EQ(Get(engine(), key), value);
    ExpectSound();
    // What was cut short can be done again.
    if (!switched) {
      EXPECT_THAT(c.split ? Split(0) : Merge(0, 1), IsOk());
    }
    ExpectAcknowledged(*acknowledged);
    EXPECT_THAT(c.split ? Merge(0, static_cast<uint32_t>(ShardsNow().back().id)) : Split(0, 8192),
                IsOk());
    ExpectAcknowledged(*acknowledged);
    ExpectSound();
    for (const auto& row : acknowledged->round) {
      for (const auto& round : row) first_round = std::max(first_round, round.load() + 2);
    }
    // So that every key has a round of its own again.
    for (int t = 0; t < kThreads; t++) {
      for (int i = 0; i < kKeys; i++) {
        const uint32_t round = first_round;
        ASSERT_THAT(round % 5 == 4 ? Delete(engine(), KeyOf(t, i))
                                   : Put(engine(), KeyOf(t, i), std::to_string(round)),
                    IsOk());
        acknowledged->round[t][i].store(round);
      }
    }
    first_round++;
    if (!c.split) break;  // the new shard has another id now
  }
  munmap(shared, sizeof(Acknowledged));
}

std::string CrashName(const testing::TestParamInfo<CrashCase>& info) {
  static const char* const kPoints[] = {"Planned",   "Created",   "Noting",   "Chunk",  "Copied",
                                        "Switching", "Persisted", "Switched", "Dropped"};
  return std::string(info.param.split ? "Split" : "Merge") +
         (info.param.tiered ? "Tiered" : "Hot") + kPoints[static_cast<int>(info.param.point)];
}

std::vector<CrashCase> CrashCases() {
  std::vector<CrashCase> cases;
  for (int point = 0; point <= static_cast<int>(Point::kDropped); point++) {
    for (const bool split : {true, false}) {
      for (const bool tiered : {true, false}) {
        cases.push_back({static_cast<Point>(point), split, tiered});
      }
    }
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Points, ReshardCrashTest, testing::ValuesIn(CrashCases()), CrashName);

}  // namespace
}  // namespace thermocline
