#include "engine/read/tiered_reads.h"

#include <gtest/gtest.h>
#include <rocksdb/file_system.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/tier/policy.h"
#include "gate.h"
#include "shard_fixture.h"

namespace thermocline {
namespace {

using test::BatchOf;
using test::IsOk;
using test::Migrate;
using test::Put;
using test::ResultsOf;

// Whoever reads a table of this disk passes the gate, but for the thread that made the disk.
class GatedFile : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  GatedFile(std::unique_ptr<rocksdb::FSRandomAccessFile> target, test::Gate* gate,
            std::thread::id exempt)
      : FSRandomAccessFileOwnerWrapper(std::move(target)), gate_(gate), exempt_(exempt) {}
  rocksdb::IOStatus Read(uint64_t offset, size_t n, const rocksdb::IOOptions& options,
                         rocksdb::Slice* result, char* scratch,
                         rocksdb::IODebugContext* debug) const override {
    Pass();
    return FSRandomAccessFileOwnerWrapper::Read(offset, n, options, result, scratch, debug);
  }
  rocksdb::IOStatus MultiRead(rocksdb::FSReadRequest* requests, size_t count,
                              const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* debug) override {
    Pass();
    return FSRandomAccessFileOwnerWrapper::MultiRead(requests, count, options, debug);
  }

 private:
  void Pass() const {
    if (std::this_thread::get_id() != exempt_) gate_->Pass();
  }

  test::Gate* const gate_;
  const std::thread::id exempt_;
};

class GatedFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit GatedFileSystem(test::Gate* gate)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), gate_(gate) {}
  const char* Name() const override { return "thermocline.test.GatedFileSystem"; }
  rocksdb::IOStatus NewRandomAccessFile(const std::string& name,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* debug) override {
    const auto s = FileSystemWrapper::NewRandomAccessFile(name, options, file, debug);
    if (s.ok()) *file = std::make_unique<GatedFile>(std::move(*file), gate_, exempt_);
    return s;
  }

 private:
  test::Gate* const gate_;
  const std::thread::id exempt_ = std::this_thread::get_id();
};

class TieredReadsTest : public test::ShardTest {
 protected:
  ~TieredReadsTest() override {
    gate_.Release();
    Close();  // before the disk goes
  }

  EngineOptions GatedWarm() {
    EngineOptions options = test::TieredOptions(1, true, false);
    options.memory.hot_cache = 0;
    options.threads.read = 1;
    options.tiers.at(Tier::kWarm).env = env_.get();
    return options;
  }
  // Begins to read a batch.
  std::future<void> Start(const std::shared_ptr<ReadBatch>& batch) {
    auto done = std::make_shared<std::promise<void>>();
    batch->done = [done] { done->set_value(); };
    EXPECT_FALSE(engine()->reader().Start(batch)) << "no cache can answer it";
    return done->get_future();
  }

  // Likewise, and waits until the one thread that reads hot has done its half.
  std::future<void> StartHot(const std::shared_ptr<ReadBatch>& batch) {
    std::future<void> read = Start(batch);
    test::Await(Start(BatchOf({"above"}, engine()->NewView())));  // past the cache
    return read;
  }
  // Begins to read a batch, and lets no more be done of it than asking the hot tier: the other
  // threads are kept at the gate by reads of `other`.
  std::future<void> StartHalf(const std::shared_ptr<ReadBatch>& batch, const std::string& other) {
    gate_.Hold();
    const int threads = ColderReadThreads(1);
    for (int i = 0; i < threads; i++) held_.push_back(Start(BatchOf({other})));
    gate_.AwaitVisitors(threads);
    std::future<void> read = StartHot(batch);
    EXPECT_EQ(read.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
    return read;
  }
  void AwaitAll(std::future<void> read) {
    gate_.Release();
    test::Await(std::move(read));
    for (std::future<void>& future : held_) test::Await(std::move(future));
    held_.clear();
  }

  test::Gate gate_;
  std::vector<std::future<void>> held_;
  const std::unique_ptr<rocksdb::Env> env_ =
      rocksdb::NewCompositeEnv(std::make_shared<GatedFileSystem>(&gate_));
};

TEST_F(TieredReadsTest, WhatHotAnswersDoesNotWaitBehindAColderDisk) {
  OpenTiered(GatedWarm());
  for (int i = 0; i < 4; i++) {
    ASSERT_THAT(Put(engine(), "below" + std::to_string(i), std::to_string(i)), IsOk());
  }
  Migrate(engine(), 0, 1);
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(Put(engine(), "above", "hot"), IsOk());
  Reopen(GatedWarm());  // nothing of the table is in memory

  gate_.Hold();
  std::vector<std::shared_ptr<ReadBatch>> below;
  std::vector<std::future<void>> waiting;
  for (int i = 0; i < 4; i++) {
    // One key and several take different ways.
    std::vector<std::string> keys = {"below" + std::to_string(i)};
    if (i % 2 == 1) keys.insert(keys.end(), {"above", "nowhere"});
    below.push_back(BatchOf(keys));
    waiting.push_back(Start(below.back()));
  }
  gate_.AwaitVisitors();
  const auto above = BatchOf({"above"});
  test::Await(Start(above));
  EXPECT_EQ(ResultsOf(above.get()), (std::vector<std::optional<std::string>>{"hot"}));
  for (std::future<void>& future : waiting) {
    EXPECT_EQ(future.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  }

  gate_.Release();
  for (int i = 0; i < 4; i++) {
    test::Await(std::move(waiting[static_cast<size_t>(i)]));
    ReadBatch* const batch = below[static_cast<size_t>(i)].get();
    EXPECT_THAT(batch->status, IsOk());
    std::vector<std::optional<std::string>> expected = {std::to_string(i)};
    if (i % 2 == 1) expected.insert(expected.end(), {"hot", std::nullopt});
    EXPECT_EQ(ResultsOf(batch), expected);
  }
}

// Nor does what warm answers wait behind the cold tier's disk, and its reads go on meanwhile.
TEST_F(TieredReadsTest, WhatWarmAnswersDoesNotWaitBehindTheColdDisk) {
  EngineOptions options = GatedWarm();
  options.slow_operations = 100;
  options.tiers.at(Tier::kCold).presence = TierOptions::Presence::kWanted;
  std::swap(options.tiers.at(Tier::kWarm).env, options.tiers.at(Tier::kCold).env);
  OpenTiered(options);
  for (const std::string key : {"cold", "warm"}) {
    ASSERT_THAT(Put(engine(), key, "of " + key), IsOk());
  }
  Migrate(engine(), 0, 2, [](std::string_view key, const Envelope&) { return key == "cold"; });
  Migrate(engine(), 0, 1);
  ASSERT_THAT(engine()->Flush(), IsOk());
  Reopen(options);
  ASSERT_EQ(test::Levels(engine(), "cold"), "nothing | nothing | value of cold");
  ASSERT_EQ(test::Levels(engine(), "warm"), "nothing | value of warm | nothing");
  ASSERT_THAT(Put(engine(), "above", "hot"), IsOk());
  Reopen(options);  // nothing of the tables is in memory

  gate_.Hold();
  const int threads = ColderReadThreads(1);
  std::vector<std::shared_ptr<ReadBatch>> batches;
  for (int i = 0; i <= threads; i++) {  // one more than can wait
    batches.push_back(BatchOf({"above", "cold", "warm", "nowhere"}));
    held_.push_back(Start(batches.back()));
  }
  gate_.AwaitVisitors(threads);
  const auto warm = BatchOf({"warm"});
  test::Await(Start(warm));
  EXPECT_EQ(ResultsOf(warm.get()), (std::vector<std::optional<std::string>>{"of warm"}));
  const auto some = BatchOf({"above", "warm"});
  test::Await(Start(some));
  EXPECT_EQ(ResultsOf(some.get()), (std::vector<std::optional<std::string>>{"hot", "of warm"}));
  for (const std::future<void>& future : held_) {
    EXPECT_EQ(future.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  }
  // The one that waits for a thread has waited, as the slow log says.
  while (engine()->metrics().Work(WorkClass::kRead).queued.load() != 1) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  gate_.Release();
  for (std::future<void>& future : held_) test::Await(std::move(future));
  held_.clear();
  uint64_t longest = 0;
  for (const SlowOperation& operation : engine()->metrics().slow->Snapshot()) {
    EXPECT_LE(operation.queue_nanos, operation.total_nanos);
    longest = std::max(longest, operation.queue_nanos);
  }
  EXPECT_GE(longest, 5'000'000u);
  for (const auto& batch : batches) {
    EXPECT_EQ(ResultsOf(batch.get()),
              (std::vector<std::optional<std::string>>{"hot", "of cold", "of warm", std::nullopt}));
  }
}

// What was read below under the first value must not be cached over the second.
TEST_F(TieredReadsTest, AWriteWhileTheColderDiskIsReadIsWhatIsReadNext) {
  EngineOptions options = GatedWarm();
  options.memory.hot_cache = kMiB;
  OpenTiered(options);
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  Migrate(engine(), 0, 1);
  ASSERT_THAT(engine()->Flush(), IsOk());
  Reopen(options);

  gate_.Hold();
  const auto batch = BatchOf({"a"});
  std::future<void> read = Start(batch);
  gate_.AwaitVisitors();
  ASSERT_THAT(Put(engine(), "a", "2"), IsOk());
  gate_.Release();
  test::Await(std::move(read));
  EXPECT_EQ(ResultsOf(batch.get()), (std::vector<std::optional<std::string>>{"1"}))
      << "the hot tier was asked before the write";
  EXPECT_EQ(test::Get(engine(), "a"), "2");
}

TEST_F(TieredReadsTest, AViewSeesItsMomentThoughTheColderDiskIsReadLater) {
  OpenTiered(GatedWarm());
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  Migrate(engine(), 0, 1);
  ASSERT_THAT(engine()->Flush(), IsOk());
  Reopen(GatedWarm());

  const auto view = engine()->NewView();
  ASSERT_THAT(Put(engine(), "a", "2"), IsOk());
  gate_.Hold();
  const auto batch = BatchOf({"a", "nowhere"}, view);
  std::future<void> read = Start(batch);
  gate_.AwaitVisitors();
  ASSERT_THAT(test::Delete(engine(), "a"), IsOk());
  gate_.Release();
  test::Await(std::move(read));
  EXPECT_EQ(ResultsOf(batch.get()), (std::vector<std::optional<std::string>>{"1", std::nullopt}));
  EXPECT_EQ(test::Get(engine(), "a"), std::nullopt);
}

// Hot was asked when it did not have the record yet, and the colder tier is when it has it no more.
TEST_F(TieredReadsTest, WhatIsLiftedBetweenTheHalvesOfABatchIsFound) {
  EngineOptions options = GatedWarm();
  options.memory.hot_cache = kMiB;
  OpenTiered(options);
  for (const std::string key : {"a", "b", "z"}) {
    ASSERT_THAT(Put(engine(), key, "of " + key), IsOk());
  }
  Migrate(engine(), 0, 1);
  ASSERT_THAT(engine()->Flush(), IsOk());
  Reopen(options);
  ASSERT_THAT(Put(engine(), "above", "hot"), IsOk());

  const auto batch = BatchOf({"a", "b", "nowhere"});
  const auto one = BatchOf({"b"});
  std::future<void> reads = StartHalf(batch, "z");
  std::future<void> read = StartHot(one);
  const auto not_z = [](std::string_view key, const Envelope&) { return key != "z"; };
  EXPECT_EQ(Migrate(engine(), 1, 0, not_z).records, 2u);
  EXPECT_EQ(test::Levels(engine(), "a"), "value of a | nothing");
  AwaitAll(std::move(reads));
  test::Await(std::move(read));
  EXPECT_EQ(ResultsOf(batch.get()),
            (std::vector<std::optional<std::string>>{"of a", "of b", std::nullopt}));
  EXPECT_EQ(ResultsOf(one.get()), (std::vector<std::optional<std::string>>{"of b"}));
  EXPECT_EQ(test::Get(engine(), "a"), "of a") << "its absence below must not be cached";
}

// The same where a batch has gone on from warm, which lacked the records, and waits for cold.
TEST_F(TieredReadsTest, WhatIsLiftedWhileABatchWaitsForTheLowestTierIsFound) {
  EngineOptions options = GatedWarm();
  options.memory.hot_cache = kMiB;
  options.tiers.at(Tier::kCold).presence = TierOptions::Presence::kWanted;
  std::swap(options.tiers.at(Tier::kWarm).env, options.tiers.at(Tier::kCold).env);
  OpenTiered(options);
  for (const std::string key : {"a", "b", "gone", "stays", "z"}) {
    ASSERT_THAT(Put(engine(), key, "of " + key), IsOk());
  }
  Migrate(engine(), 0, 2);
  for (const std::string key : {"above", "warm"}) ASSERT_THAT(Put(engine(), key, key), IsOk());
  Migrate(engine(), 0, 1, [](std::string_view key, const Envelope&) { return key == "warm"; });
  ASSERT_THAT(engine()->Flush(), IsOk());
  Reopen(options);

  const std::vector<std::string> keys = {"a", "b", "gone", "stays", "nowhere", "warm"};
  const auto batch = BatchOf(keys);
  const auto viewed = BatchOf(keys, engine()->NewView());
  std::future<void> read = StartHalf(batch, "z");
  std::future<void> view_read = StartHot(viewed);
  // All that is left of them waits for the threads that stand at the gate.
  while (engine()->metrics().Work(WorkClass::kRead).queued.load() != 2) std::this_thread::yield();
  const auto only = [](const std::string& wanted) {
    return [wanted](std::string_view key, const Envelope&) { return key == wanted; };
  };
  EXPECT_EQ(Migrate(engine(), 2, 0, only("a")).records, 1u);
  EXPECT_EQ(Migrate(engine(), 2, 1, only("b")).records, 1u);
  EXPECT_EQ(test::Levels(engine(), "a"), "value of a | nothing | nothing");
  EXPECT_EQ(test::Levels(engine(), "b"), "nothing | value of b | nothing");
  ASSERT_THAT(test::DeleteRange(engine(), "gone", "gonf"), IsOk());
  AwaitAll(std::move(read));
  test::Await(std::move(view_read));
  std::vector<std::optional<std::string>> found = ResultsOf(batch.get());
  EXPECT_TRUE(!found[2] || *found[2] == "of gone") << "it was deleted meanwhile";
  found[2] = "of gone";
  const std::vector<std::optional<std::string>> all = {"of a",     "of b",       "of gone",
                                                       "of stays", std::nullopt, "warm"};
  EXPECT_EQ(found, all);
  EXPECT_EQ(ResultsOf(viewed.get()), all);
  EXPECT_EQ(test::Get(engine(), "gone"), std::nullopt);
  EXPECT_EQ(test::Get(engine(), "a"), "of a");
  EXPECT_EQ(test::Get(engine(), "b"), "of b");
}

// The batch's families are no longer those of the table when the colder half is read.
TEST_F(TieredReadsTest, ASplitBetweenTheHalvesOfABatchChangesNothingForIt) {
  EngineOptions options = GatedWarm();
  options.memory.hot_cache = kMiB;
  OpenTiered(options);
  std::vector<std::string> keys;
  std::vector<std::optional<std::string>> values;
  for (int i = 0; i < 20; i++) {
    keys.push_back("key" + std::to_string(i));
    values.push_back(std::to_string(i));
    ASSERT_THAT(Put(engine(), keys.back(), *values.back()), IsOk());
  }
  Migrate(engine(), 0, 1);
  ASSERT_THAT(engine()->Flush(), IsOk());
  Reopen(options);
  ASSERT_THAT(Put(engine(), "above", "hot"), IsOk());

  const auto batch = BatchOf(keys);
  std::future<void> read = StartHalf(batch, "key0");
  ASSERT_THAT(Split(0), IsOk());
  ASSERT_THAT(Put(engine(), "key1", "newer"), IsOk());
  ASSERT_THAT(test::Delete(engine(), "key2"), IsOk());
  AwaitAll(std::move(read));
  EXPECT_THAT(batch->status, IsOk());
  EXPECT_EQ(ResultsOf(batch.get()), values);
  EXPECT_EQ(test::Get(engine(), "key1"), "newer") << "what was replaced must not be cached";
  EXPECT_EQ(test::Get(engine(), "key2"), std::nullopt);
  for (size_t i = 3; i < keys.size(); i++) EXPECT_EQ(test::Get(engine(), keys[i]), values[i]);
}

TEST_F(TieredReadsTest, ClosingWaitsForReadsOfAColderDisk) {
  OpenTiered(GatedWarm());
  ASSERT_THAT(Put(engine(), "below", "1"), IsOk());
  Migrate(engine(), 0, 1);
  ASSERT_THAT(engine()->Flush(), IsOk());
  Reopen(GatedWarm());

  gate_.Hold();
  const auto batch = BatchOf({"below"});
  std::future<void> read = Start(batch);
  gate_.AwaitVisitors();
  std::future<void> closed = std::async(std::launch::async, [this] { engine()->Close(); });
  EXPECT_EQ(closed.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  gate_.Release();
  test::Await(std::move(read));
  test::Await(std::move(closed));
  EXPECT_THAT(batch->status, IsOk());
  EXPECT_EQ(ResultsOf(batch.get()), (std::vector<std::optional<std::string>>{"1"}));
}

}  // namespace
}  // namespace thermocline
