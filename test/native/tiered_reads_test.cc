#include "engine/read/tiered_reads.h"

#include <gtest/gtest.h>
#include <rocksdb/file_system.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tier_fixture.h"

namespace thermocline {
namespace {

using test::BatchOf;
using test::IsOk;
using test::Migrate;
using test::Put;
using test::ResultsOf;

// Who reads a table of this disk waits while the gate is closed.
class Gate {
 public:
  void Close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  void Open() {
    std::lock_guard lock(mutex_);
    closed_ = false;
    opened_.notify_all();
  }
  void Pass() {
    std::unique_lock lock(mutex_);
    if (closed_) waiting_++;
    arrived_.notify_all();
    opened_.wait(lock, [this] { return !closed_; });
  }
  bool AwaitWaiting(int count) {
    std::unique_lock lock(mutex_);
    return arrived_.wait_for(lock, std::chrono::seconds(60), [&] { return waiting_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  std::condition_variable arrived_;
  bool closed_ = false;
  int waiting_ = 0;
};

class GatedFile : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  GatedFile(std::unique_ptr<rocksdb::FSRandomAccessFile> target, Gate* gate)
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
  Gate* const gate_;
};

class GatedFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit GatedFileSystem(Gate* gate)
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
  Gate* const gate_;
};

class TieredReadsTest : public test::TierTest {
 protected:
  ~TieredReadsTest() override {
    gate_.Open();
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

  Gate gate_;
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

  gate_.Close();
  std::vector<std::shared_ptr<ReadBatch>> below;
  std::vector<std::future<void>> waiting;
  for (int i = 0; i < 4; i++) {
    // One key and several take different ways.
    std::vector<std::string> keys = {"below" + std::to_string(i)};
    if (i % 2 == 1) keys.insert(keys.end(), {"above", "nowhere"});
    below.push_back(BatchOf(keys));
    waiting.push_back(Start(below.back()));
  }
  ASSERT_TRUE(gate_.AwaitWaiting(1));
  const auto above = BatchOf({"above"});
  test::Await(Start(above));
  EXPECT_EQ(ResultsOf(above.get()), (std::vector<std::optional<std::string>>{"hot"}));
  for (std::future<void>& future : waiting) {
    EXPECT_EQ(future.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  }

  gate_.Open();
  for (int i = 0; i < 4; i++) {
    test::Await(std::move(waiting[static_cast<size_t>(i)]));
    ReadBatch* const batch = below[static_cast<size_t>(i)].get();
    EXPECT_THAT(batch->status, IsOk());
    std::vector<std::optional<std::string>> expected = {std::to_string(i)};
    if (i % 2 == 1) expected.insert(expected.end(), {"hot", std::nullopt});
    EXPECT_EQ(ResultsOf(batch), expected);
  }
}

TEST_F(TieredReadsTest, ClosingWaitsForReadsOfAColderDisk) {
  OpenTiered(GatedWarm());
  ASSERT_THAT(Put(engine(), "below", "1"), IsOk());
  Migrate(engine(), 0, 1);
  ASSERT_THAT(engine()->Flush(), IsOk());
  Reopen(GatedWarm());

  gate_.Close();
  const auto batch = BatchOf({"below"});
  std::future<void> read = Start(batch);
  ASSERT_TRUE(gate_.AwaitWaiting(1));
  std::future<void> closed = std::async(std::launch::async, [this] { engine()->Close(); });
  EXPECT_EQ(closed.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  gate_.Open();
  test::Await(std::move(read));
  test::Await(std::move(closed));
  EXPECT_THAT(batch->status, IsOk());
  EXPECT_EQ(ResultsOf(batch.get()), (std::vector<std::optional<std::string>>{"1"}));
}

}  // namespace
}  // namespace thermocline
