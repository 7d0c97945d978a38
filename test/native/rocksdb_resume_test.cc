// What cmake/rocksdb/patches.cmake mends: without it each of these resumptions waits for ever.

#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/metrics/rocks_listener.h"
#include "fault_file_system.h"
#include "support.h"

namespace thermocline::test {
namespace {

using Disk = FaultFileSystem;

// Keeps every thread of RocksDB's flush pool busy from when it is their turn until Release, so that
// what is scheduled behind it cannot start.
class FlushPoolHold {
 public:
  explicit FlushPoolHold(rocksdb::Env* env)
      : threads_(env->GetBackgroundThreads(rocksdb::Env::HIGH)) {
    for (int i = 0; i < threads_; i++) {
      env->Schedule([](void* hold) { static_cast<FlushPoolHold*>(hold)->Hold(); }, this,
                    rocksdb::Env::HIGH);
    }
  }
  ~FlushPoolHold() {
    Release();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return gone_ == threads_; });
  }
  // What was scheduled before has run then.
  void WaitUntilHeld() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return held_ == threads_; });
  }
  void Release() {
    std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }

 private:
  void Hold() {
    std::unique_lock lock(mutex_);
    held_++;
    changed_.notify_all();
    changed_.wait(lock, [this] { return released_ && held_ == threads_; });
    gone_++;
    changed_.notify_all();
  }

  const int threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int held_ = 0;           // GUARDED_BY(mutex_)
  int gone_ = 0;           // GUARDED_BY(mutex_)
  bool released_ = false;  // GUARDED_BY(mutex_)
};

class RocksdbResumeTest : public testing::Test {
 protected:
  void SetUp() override {
    rocksdb::Options options;
    options.env = disk_.env();
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    options.listeners.push_back(std::make_shared<RocksListener>(&metrics_));
    rocksdb::DB* db = nullptr;
    const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
        {rocksdb::kDefaultColumnFamilyName, options}, {"shard", options}};
    const rocksdb::Status s = rocksdb::DB::Open(options, folder_ / "db", families, &handles_, &db);
    ASSERT_TRUE(s.ok()) << s.ToString();
    db_.reset(db);
  }
  void TearDown() override {
    for (rocksdb::ColumnFamilyHandle* handle : handles_) {
      EXPECT_TRUE(db_->DestroyColumnFamilyHandle(handle).ok());
    }
    db_.reset();
  }

  rocksdb::Status Put(const std::string& key) { return db_->Put({}, handles_[1], key, "v"); }
  void QueueFlush() {
    rocksdb::FlushOptions options;
    options.wait = false;
    options.allow_write_stall = true;
    const rocksdb::Status s = db_->Flush(options, handles_[1]);
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  void MeetTheFullDisk() {
    disk_.Inject({.calls = {Disk::kAppend}, .no_space = true, .lasting = true});
    EXPECT_TRUE(Put("refused").IsNoSpace());
    disk_.Heal();
  }
  void AwaitSwitches(uint64_t count) {
    while (metrics_.Snapshot().memtable_switches < count) std::this_thread::yield();
  }
  std::future<rocksdb::Status> Resume() {
    return std::async(std::launch::async, [this] { return db_->Resume(); });
  }
  void ExpectWritable() {
    EXPECT_TRUE(Put("b").ok());
    rocksdb::FlushOptions wait;
    EXPECT_TRUE(db_->Flush(wait, handles_).ok());
    std::string value;
    EXPECT_TRUE(db_->Get({}, handles_[1], "a", &value).ok());
    EXPECT_TRUE(db_->Get({}, handles_[1], "b", &value).ok());
    uint64_t unflushed = 1;
    EXPECT_TRUE(db_->GetIntProperty(handles_[1], rocksdb::DB::Properties::kNumImmutableMemTable,
                                    &unflushed));
    EXPECT_EQ(unflushed, 0u);
  }

  TempFolder folder_;
  Metrics metrics_;
  Disk disk_{folder_ / "aside"};
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  std::unique_ptr<rocksdb::DB> db_;
};

TEST_F(RocksdbResumeTest, AFlushThatStartedAfterTheErrorIsMadeUpFor) {
  ASSERT_TRUE(Put("a").ok());
  FlushPoolHold hold(disk_.env());
  hold.WaitUntilHeld();
  QueueFlush();
  MeetTheFullDisk();
  FlushPoolHold behind(disk_.env());
  hold.Release();
  behind.WaitUntilHeld();  // the flush has found the error and left its request where it was
  behind.Release();
  const rocksdb::Status s = Await(Resume());
  EXPECT_TRUE(s.ok()) << s.ToString();
  ExpectWritable();
}

TEST_F(RocksdbResumeTest, AFlushQueuedDuringTheResumptionIsPartOfIt) {
  ASSERT_TRUE(Put("a").ok());
  MeetTheFullDisk();
  FlushPoolHold hold(disk_.env());
  hold.WaitUntilHeld();
  std::future<rocksdb::Status> resumed = Resume();
  AwaitSwitches(1);  // of the default column family, whose flush waits for the pool
  QueueFlush();
  FlushPoolHold behind(disk_.env());
  hold.Release();
  AwaitSwitches(3);  // now the resumption has come to the column family that is queued already
  behind.Release();
  const rocksdb::Status s = Await(std::move(resumed));
  EXPECT_TRUE(s.ok()) << s.ToString();
  ExpectWritable();
}

}  // namespace
}  // namespace thermocline::test
