#include "engine/read/tiered_reads.h"

#include <gtest/gtest.h>
#include <rocksdb/file_system.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gate.h"
#include "tier_fixture.h"

namespace thermocline {
namespace {

using test::BatchOf;
using test::IsOk;
using test::Migrate;
using test::Put;
using test::ResultsOf;

// Whoever reads a table of this disk passes the gate.
class GatedFile : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  GatedFile(std::unique_ptr<rocksdb::FSRandomAccessFile> target, test::Gate* gate)
      : FSRandomAccessFileOwnerWrapper(std::move(target)), gate_(gate) {}
  rocksdb::IOStatus Read(uint64_t offset, size_t n, const rocksdb::IOOptions& options,
                         rocksdb::Slice* result, char* scratch,
                         rocksdb::IODebugContext* debug) const override {
    gate_->Pass();
    return FSRandomAccessFileOwnerWrapper::Read(offset, n, options, result, scratch, debug);
  }
  rocksdb::IOStatus MultiRead(rocksdb::FSReadRequest* requests, size_t count,
                              const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* debug) override {
    gate_->Pass();
    return FSRandomAccessFileOwnerWrapper::MultiRead(requests, count, options, debug);
  }

 private:
  test::Gate* const gate_;
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
    if (s.ok()) *file = std::make_unique<GatedFile>(std::move(*file), gate_);
    return s;
  }

 private:
  test::Gate* const gate_;
};

class TieredReadsTest : public test::TierTest {
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

  test::Gate gate_;
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
  gate_.AwaitVisitor();
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
  gate_.AwaitVisitor();
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
  gate_.AwaitVisitor();
  ASSERT_THAT(test::Delete(engine(), "a"), IsOk());
  gate_.Release();
  test::Await(std::move(read));
  EXPECT_EQ(ResultsOf(batch.get()), (std::vector<std::optional<std::string>>{"1", std::nullopt}));
  EXPECT_EQ(test::Get(engine(), "a"), std::nullopt);
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
  gate_.AwaitVisitor();
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
