// Splits and merges: what they leave behind, and what readers and writers see meanwhile.

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "shard_fixture.h"

namespace thermocline::test {
namespace {

using Point = Resharder::Point;

using ReshardTest = ShardTest;

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
  EXPECT_EQ(ShardFamiliesOf(hot_), NamedFamilies()) << "the former families are gone";
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
    return Await(begun->get_future());
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
    return Await(done->get_future());
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
    EXPECT_EQ(ShardFamiliesOf(hot_), families);
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
  EXPECT_EQ(ShardFamiliesOf(cold), NamedFamilies());
  EXPECT_EQ(ShardFamiliesOf(warm), NamedFamilies());
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

}  // namespace
}  // namespace thermocline::test
