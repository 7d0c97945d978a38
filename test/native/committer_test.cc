// The committer over a fake store: what it writes, in which order, and what it tells whom.
//
// The fake keeps every WriteBatch and applies it to a map. A test can hold it inside a write or a
// sync, so that what is submitted meanwhile forms the next group.

#include "engine/commit/committer.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/hash.h"
#include "engine/record/commit_header.h"
#include "engine/record/envelope.h"
#include "support.h"

namespace thermocline {
namespace {

using test::Await;
using test::HasCode;
using test::IsOk;
using test::PackedWrites;
using testing::ElementsAre;

constexpr int kShards = 4;

// Names a shard's column family in a batch; nothing more of it is ever asked.
class FakeFamily : public rocksdb::ColumnFamilyHandle {
 public:
  explicit FakeFamily(uint32_t id) : id_(id), name_("family " + std::to_string(id)) {}
  const std::string& GetName() const override { return name_; }
  uint32_t GetID() const override { return id_; }
  rocksdb::Status GetDescriptor(rocksdb::ColumnFamilyDescriptor*) override {
    return rocksdb::Status::NotSupported();
  }
  const rocksdb::Comparator* GetComparator() const override {
    return rocksdb::BytewiseComparator();
  }

 private:
  const uint32_t id_;
  const std::string name_;
};

constexpr uint32_t kFirstFamily = 10;  // of shard 0

// What a batch holds, in order.
struct Entry {
  enum Kind { kHeader, kPut, kDelete, kDeleteRange } kind;
  int shard = -1;
  std::string key;    // or the start of a range
  std::string value;  // the stored envelope, or the end of a range
  CommitHeader header;
};

class BatchDecoder : public rocksdb::WriteBatch::Handler {
 public:
  std::vector<Entry> entries;

  rocksdb::Status PutCF(uint32_t family, const rocksdb::Slice& key,
                        const rocksdb::Slice& value) override {
    return Add({Entry::kPut, ShardOf(family), key.ToString(), value.ToString(), {}});
  }
  rocksdb::Status DeleteCF(uint32_t family, const rocksdb::Slice& key) override {
    return Add({Entry::kDelete, ShardOf(family), key.ToString(), "", {}});
  }
  rocksdb::Status DeleteRangeCF(uint32_t family, const rocksdb::Slice& start,
                                const rocksdb::Slice& end) override {
    return Add({Entry::kDeleteRange, ShardOf(family), start.ToString(), end.ToString(), {}});
  }
  void LogData(const rocksdb::Slice& blob) override {
    Entry entry{Entry::kHeader, -1, "", "", {}};
    EXPECT_TRUE(DecodeCommitHeader({blob.data(), blob.size()}, &entry.header));
    entries.push_back(std::move(entry));
  }

 private:
  static int ShardOf(uint32_t family) { return static_cast<int>(family - kFirstFamily); }
  rocksdb::Status Add(Entry entry) {
    entries.push_back(std::move(entry));
    return rocksdb::Status::OK();
  }
};

using Batch = std::vector<Entry>;

// A place where a thread can be made to stop.
class Gate {
 public:
  void Hold() {
    std::lock_guard lock(mutex_);
    held_ = true;
  }
  void Release() {
    std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  // Waits until somebody stands inside.
  void AwaitVisitor() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return inside_; });
  }
  void Pass() {
    std::unique_lock lock(mutex_);
    inside_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
    inside_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  bool inside_ = false;
};

class FakeStore {
 public:
  Gate writing;
  Gate syncing;

  // The write that ends after `others` more answers this and stores nothing.
  void FailWrite(int others, rocksdb::Status status) {
    std::lock_guard lock(mutex_);
    fail_in_ = others;
    failure_ = std::move(status);
  }
  void ThrowNext() {
    std::lock_guard lock(mutex_);
    throw_next_ = true;
  }

  rocksdb::Status Write(rocksdb::WriteBatch* batch) {
    writing.Pass();
    std::lock_guard lock(mutex_);
    if (std::exchange(throw_next_, false)) throw std::runtime_error("out of memory, say");
    if (!failure_.ok() && fail_in_-- == 0) return std::exchange(failure_, rocksdb::Status::OK());
    BatchDecoder decoder;
    EXPECT_TRUE(batch->Iterate(&decoder).ok());
    for (const Entry& entry : decoder.entries) Apply(entry);
    batches_.push_back(std::move(decoder.entries));
    return rocksdb::Status::OK();
  }
  rocksdb::Status Sync() {
    {
      std::lock_guard lock(mutex_);
      syncing_from_ = batches_.size();
    }
    syncing.Pass();
    std::lock_guard lock(mutex_);
    syncs_++;
    if (!sync_failure_.ok()) return std::exchange(sync_failure_, rocksdb::Status::OK());
    synced_ = std::max(synced_, syncing_from_);
    return rocksdb::Status::OK();
  }
  void FailSync(rocksdb::Status status) {
    std::lock_guard lock(mutex_);
    sync_failure_ = std::move(status);
  }
  int syncs() {
    std::lock_guard lock(mutex_);
    return syncs_;
  }
  // Whether the batch that holds `key` has certainly reached the disk.
  bool IsSynced(std::string_view key) {
    std::lock_guard lock(mutex_);
    for (size_t i = 0; i < synced_; i++) {
      for (const Entry& entry : batches_[i]) {
        if (entry.key == key) return true;
      }
    }
    return false;
  }
  Status LastKey(int shard, std::string* key, bool* found) {
    std::lock_guard lock(mutex_);
    const auto& records = records_[static_cast<size_t>(shard)];
    *found = !records.empty();
    if (*found) *key = records.rbegin()->first;
    return last_key_status_;
  }
  void FailLastKey(Status status) {
    std::lock_guard lock(mutex_);
    last_key_status_ = std::move(status);
  }

  std::vector<Batch> batches() {
    std::lock_guard lock(mutex_);
    return batches_;
  }
  Batch batch(size_t n) {
    std::lock_guard lock(mutex_);
    return batches_.at(n);
  }
  // Payloads of all shards, by key.
  std::map<std::string, std::string> Payloads() {
    std::lock_guard lock(mutex_);
    std::map<std::string, std::string> all;
    for (const auto& records : records_) {
      for (const auto& [key, stored] : records) {
        Envelope envelope;
        EXPECT_TRUE(DecodeEnvelope(stored, &envelope));
        all[key] = std::string(envelope.payload);
      }
    }
    return all;
  }

 private:
  void Apply(const Entry& entry) {
    if (entry.kind == Entry::kHeader) return;
    auto& records = records_.at(static_cast<size_t>(entry.shard));
    if (entry.kind == Entry::kPut) {
      records[entry.key] = entry.value;
    } else if (entry.kind == Entry::kDelete) {
      records.erase(entry.key);
    } else {
      EXPECT_LT(entry.key, entry.value) << "an empty range costs reads and deletes nothing";
      records.erase(records.lower_bound(entry.key), records.lower_bound(entry.value));
    }
  }

  std::mutex mutex_;
  int syncs_ = 0;
  size_t syncing_from_ = 0;
  size_t synced_ = 0;  // batches
  rocksdb::Status sync_failure_;
  bool throw_next_ = false;
  int fail_in_ = 0;
  rocksdb::Status failure_;
  Status last_key_status_;
  std::vector<Batch> batches_;
  std::vector<std::map<std::string, std::string>> records_{kShards};
};

class CommitterTest : public testing::Test {
 protected:
  CommitterTest() : cache_(kMiB), metrics_(std::make_unique<Metrics>()) {
    auto shards = std::make_shared<Shards>();
    shards->table = ShardTable::Equal(kShards);
    for (uint32_t i = 0; i < kShards; i++) {
      families_.push_back(std::make_unique<FakeFamily>(kFirstFamily + i));
      shards->handles.push_back(families_.back().get());
    }
    shards_ = std::move(shards);
  }
  ~CommitterTest() override {
    store_.writing.Release();
    store_.syncing.Release();
    if (committer_) committer_->Stop();
  }

  // --- The committer's interface, all uses of it in one place ---

  void Start(uint64_t first_commit_id = 1, bool with_log = true) {
    Committer::Dependencies dependencies;
    dependencies.write = [this](rocksdb::WriteBatch* batch) { return store_.Write(batch); };
    if (with_log) dependencies.sync = [this] { return store_.Sync(); };
    dependencies.resume = [this] {
      resumes_++;
      return std::exchange(resume_answer_, rocksdb::Status::OK());
    };
    dependencies.last_key = [this](int shard, std::string* key, bool* found) {
      return store_.LastKey(shard, key, found);
    };
    dependencies.keep_clock = [this] { clocks_kept_++; };
    dependencies.shards = shards_;
    dependencies.cache = &cache_;
    dependencies.metrics = metrics_.get();
    committer_ = std::make_unique<Committer>(std::move(dependencies), options_, first_commit_id);
  }

  // Groups of about this size, whatever is measured.
  void FixGroupSize(size_t bytes) { options_.min_group_bytes = options_.max_group_bytes = bytes; }

  // A submission and what became of it.
  struct Pending {
    Status accepted;
    std::future<Status> result;  // not valid unless accepted
  };
  Pending Submit(const PackedWrites& writes, bool atomic) {
    return Submit(writes.ToSubmission(atomic));
  }
  Pending Submit(const PackedWrites& writes, bool atomic, Durability durability) {
    std::unique_ptr<Submission> submission = writes.ToSubmission(atomic);
    submission->durability = durability;
    return Submit(std::move(submission));
  }
  Pending Submit(std::unique_ptr<Submission> submission) {
    auto done = std::make_shared<std::promise<Status>>();
    Pending pending;
    std::future<Status> result = done->get_future();
    submission->done = [this, done, number = next_submission_++](const Status& status) {
      {
        std::lock_guard lock(finished_mutex_);
        finished_.push_back(number);
      }
      done->set_value(status);
    };
    pending.accepted = committer_->Submit(std::move(submission));
    if (pending.accepted.ok()) pending.result = std::move(result);
    return pending;
  }

  Status SubmitAndWait(const PackedWrites& writes, bool atomic) {
    Pending pending = Submit(writes, atomic);
    return pending.accepted.ok() ? Await(std::move(pending.result)) : pending.accepted;
  }
  // Calls fn(last commit id) between two groups.
  void AtBoundary(std::function<void(uint64_t)> fn) {
    auto submission = std::make_unique<Submission>();
    submission->at_boundary = std::move(fn);
    ASSERT_THAT(committer_->Submit(std::move(submission)), IsOk());
  }
  // The last commit id, once everything accepted so far is applied.
  uint64_t Settle() {
    std::promise<uint64_t> reached;
    AtBoundary([&reached](uint64_t id) { reached.set_value(id); });
    return Await(reached.get_future());
  }
  // A transaction: begins, and later commits writes on the condition of what it read.
  uint64_t Begin() {
    std::promise<uint64_t> began;
    AtBoundary([&](uint64_t id) {
      committer_->recent().Begin(id);
      began.set_value(id);
    });
    return Await(began.get_future());
  }
  Pending SubmitTransaction(uint64_t start, const PackedWrites& writes,
                            std::vector<std::string> keys,
                            std::vector<ReadSet::Range> ranges = {}) {
    std::unique_ptr<Submission> submission = writes.ToSubmission(/*atomic=*/true);
    auto reads = std::make_unique<ReadSet>();
    reads->start_commit_id = start;
    reads->keys = std::move(keys);
    reads->ranges = std::move(ranges);
    submission->reads = std::move(reads);
    return Submit(std::move(submission));
  }
  Status CommitTransaction(uint64_t start, const PackedWrites& writes,
                           std::vector<std::string> keys, std::vector<ReadSet::Range> ranges = {}) {
    Pending pending = SubmitTransaction(start, writes, std::move(keys), std::move(ranges));
    EXPECT_THAT(pending.accepted, IsOk());
    return Await(std::move(pending.result));
  }

  Status Commit(const PackedWrites& writes) { return SubmitAndWait(writes, /*atomic=*/true); }
  Status Run(const PackedWrites& writes) { return SubmitAndWait(writes, /*atomic=*/false); }

  // Submissions made by `submit` form one group: the store is busy with another one meanwhile.
  void AsOneGroup(const std::function<void()>& submit) {
    store_.writing.Hold();
    Pending first = Submit(PackedWrites().Put("the first group", ""), false);
    ASSERT_THAT(first.accepted, IsOk());
    store_.writing.AwaitVisitor();
    submit();
    store_.writing.Release();
    EXPECT_THAT(Await(std::move(first.result)), IsOk());
  }

  // As a reader would bring it there.
  void Cache(std::string_view key, std::optional<std::string_view> value) {
    const uint64_t hash = HashKey(key);
    const HotCache::FillTicket ticket = cache_.BeginFill(hash);
    ASSERT_TRUE(value ? cache_.Fill(key, hash, ticket, *value, 0)
                      : cache_.FillAbsent(key, hash, ticket));
  }
  std::string Cached(std::string_view key, uint64_t now = 0) {
    std::string seen;
    switch (cache_.Get(
        key, HashKey(key), [now] { return now; },
        [&](std::string_view value, uint64_t) { seen = std::string(value); })) {
      case HotCache::Found::kValue:
        return "value " + seen;
      case HotCache::Found::kAbsent:
        return "absent";
      case HotCache::Found::kMiss:
        return "miss";
    }
    return "?";
  }
  int ShardOf(std::string_view key) const { return shards_->IndexOf(key); }

  std::vector<std::unique_ptr<FakeFamily>> families_;
  std::shared_ptr<const Shards> shards_;
  FakeStore store_;
  HotCache cache_;
  std::unique_ptr<Metrics> metrics_;
  EngineOptions options_;
  std::atomic<int> clocks_kept_{0};
  std::atomic<int> resumes_{0};
  rocksdb::Status resume_answer_;
  std::unique_ptr<Committer> committer_;

  std::atomic<int> next_submission_{0};
  std::mutex finished_mutex_;
  std::vector<int> finished_;  // numbers of submissions in the order they were reported
};

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

// --- Failure -------------------------------------------------------------------------------------

TEST_F(CommitterTest, AFailedWriteFailsItsWholeGroupAndEverythingAfter) {
  Start();
  std::vector<Pending> failed;
  std::vector<Pending> late;
  AsOneGroup([&] {
    store_.FailWrite(1, rocksdb::Status::IOError("the disk is gone"));
    for (int i = 0; i < 3; i++) {
      failed.push_back(Submit(PackedWrites().Put("k" + std::to_string(i), "v"), i == 0));
    }
    // Too large for the same group, so already accepted when that one fails.
    late.push_back(Submit(
        PackedWrites().Put("late", std::string(EngineOptions().max_group_bytes, 'v')), true));
  });
  for (Pending& p : failed) {
    const Status status = Await(std::move(p.result));
    EXPECT_THAT(status, HasCode(Code::kIo));
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("the disk is gone"));
  }
  for (Pending& p : late) EXPECT_THAT(Await(std::move(p.result)), HasCode(Code::kReadOnly));
  const Status after = Submit(PackedWrites().Put("after", "v"), false).accepted;
  EXPECT_THAT(after, HasCode(Code::kReadOnly));
  EXPECT_THAT(std::string(after.message()), testing::HasSubstr("the disk is gone"))
      << "the first cause is named";
  EXPECT_EQ(store_.Payloads(), (std::map<std::string, std::string>{{"the first group", ""}}));
  EXPECT_EQ(committer_->in_flight_bytes(), 0u);
  EXPECT_EQ(metrics_->commits.Total(), 1u) << "nothing that failed counts as committed";
}

TEST_F(CommitterTest, TheCodeOfAFailedWriteReachesTheCaller) {
  for (const auto& [failure, code] : std::vector<std::pair<rocksdb::Status, Code>>{
           {rocksdb::Status::NoSpace("full"), Code::kNoSpace},
           {rocksdb::Status::Corruption("bad"), Code::kCorruption},
           {rocksdb::Status::IOError("gone"), Code::kIo}}) {
    Start();
    store_.FailWrite(0, failure);
    EXPECT_THAT(Commit(PackedWrites().Put("k", "v")), HasCode(code));
    EXPECT_THAT(Commit(PackedWrites().Put("k", "v")), HasCode(Code::kReadOnly));
    committer_.reset();
  }
}

TEST_F(CommitterTest, AnExceptionInsideAGroupFailsItAndEverythingAfter) {
  Start();
  store_.ThrowNext();
  const Status status = Commit(PackedWrites().Put("k", "v"));
  EXPECT_THAT(status, HasCode(Code::kIo));
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("out of memory, say"));
  EXPECT_THAT(Commit(PackedWrites().Put("k", "v")), HasCode(Code::kReadOnly));
}

TEST_F(CommitterTest, MalformedSubmissionsAreRefusedAndWriteNothing) {
  Start();
  const auto submit = [this](std::string_view bytes, uint32_t operations) {
    auto submission = std::make_unique<Submission>();
    submission->data = TakeBlock(bytes.size());
    std::copy(bytes.begin(), bytes.end(), submission->data.get());
    submission->size = bytes.size();
    submission->operations = operations;
    submission->atomic = true;
    Pending pending = Submit(std::move(submission));
    EXPECT_THAT(pending.accepted, IsOk());
    return Await(std::move(pending.result));
  };
  const std::string good = PackedWrites().Put("a", "1").Put("b", "2").bytes();
  EXPECT_THAT(submit(good, 2), IsOk());
  for (size_t n = 0; n < good.size(); n++) {
    EXPECT_THAT(submit(good.substr(0, n), 2), HasCode(Code::kInvalidArgument)) << n;
  }
  EXPECT_THAT(submit(good, 1), HasCode(Code::kInvalidArgument)) << "bytes are left over";
  EXPECT_THAT(submit(good, 3), HasCode(Code::kInvalidArgument)) << "an operation is missing";
  EXPECT_THAT(submit("\x0fxxxx", 1), HasCode(Code::kInvalidArgument)) << "an unknown type";
  EXPECT_EQ(store_.batches().size(), 1u);
  EXPECT_THAT(submit(good, 2), IsOk()) << "a caller's mistake does not end the database";
  EXPECT_EQ(committer_->in_flight_bytes(), 0u);
}

TEST_F(CommitterTest, AMalformedSubmissionDoesNotHarmItsNeighbours) {
  Start();
  std::vector<Pending> good;
  std::vector<Pending> bad;
  AsOneGroup([&] {
    good.push_back(Submit(PackedWrites().Put("a", "1"), true));
    auto malformed = PackedWrites().Put("b", "1").Put("c", "1").ToSubmission(true);
    malformed->operations = 3;
    bad.push_back(Submit(std::move(malformed)));
    good.push_back(Submit(PackedWrites().Put("d", "1"), false));
  });
  for (Pending& p : good) EXPECT_THAT(Await(std::move(p.result)), IsOk());
  for (Pending& p : bad) EXPECT_THAT(Await(std::move(p.result)), HasCode(Code::kInvalidArgument));
  EXPECT_EQ(store_.Payloads(),
            (std::map<std::string, std::string>{{"the first group", ""}, {"a", "1"}, {"d", "1"}}))
      << "not even the well-formed half of it";
}

// --- The hot cache -------------------------------------------------------------------------------

TEST_F(CommitterTest, OnlyKeysThatWereCachedArePublished) {
  Start();
  Cache("cached", "old");
  Cache("absent", std::nullopt);
  Cache("deleted", "old");
  ASSERT_THAT(Commit(PackedWrites()
                         .Put("cached", "new")
                         .Put("absent", "new")
                         .Put("other", "new")
                         .Delete("deleted")),
              IsOk());
  EXPECT_EQ(Cached("cached"), "value new");
  EXPECT_EQ(Cached("absent"), "value new");
  EXPECT_EQ(Cached("deleted"), "absent");
  EXPECT_EQ(Cached("other"), "miss");
}

TEST_F(CommitterTest, TheLastOperationOnAKeyIsPublished) {
  Start();
  for (const char* key : {"put", "deleted", "put again", "longer"}) Cache(key, "old");
  std::vector<Pending> pending;
  AsOneGroup([&] {
    pending.push_back(Submit(PackedWrites().Put("put", "1").Put("put again", "1"), true));
    pending.push_back(Submit(PackedWrites().Put("put", "2").Put("deleted", "1"), false));
    pending.push_back(
        Submit(PackedWrites().Delete("deleted").Delete("put again").Put("longer", "a longer value"),
               true));
    pending.push_back(Submit(PackedWrites().Put("put again", "3"), false));
  });
  for (Pending& p : pending) EXPECT_THAT(Await(std::move(p.result)), IsOk());
  EXPECT_EQ(Cached("put"), "value 2");
  EXPECT_EQ(Cached("deleted"), "absent");
  EXPECT_EQ(Cached("put again"), "value 3");
  EXPECT_EQ(Cached("longer"), "value a longer value");
}

TEST_F(CommitterTest, PublishedRecordsKeepTheirExpiry) {
  Start();
  Cache("key", "old");
  ASSERT_THAT(Run(PackedWrites().Put("key", "new", 1000)), IsOk());
  EXPECT_EQ(Cached("key", 999), "value new");
  EXPECT_EQ(Cached("key", 1000), "absent");
}

TEST_F(CommitterTest, WhileAGroupIsWrittenItsKeysAreNeitherServedNorFilled) {
  Start();
  Cache("key", "old");
  store_.writing.Hold();
  Pending pending = Submit(PackedWrites().Put("key", "new"), false);
  store_.writing.AwaitVisitor();
  EXPECT_EQ(Cached("key"), "miss");
  EXPECT_FALSE(cache_.BeginFill(HashKey("key")).can_fill());
  store_.writing.Release();
  ASSERT_THAT(Await(std::move(pending.result)), IsOk());
  EXPECT_EQ(Cached("key"), "value new") << "published before it is acknowledged";
}

TEST_F(CommitterTest, AFailedGroupLeavesNothingOfItInTheCache) {
  Start();
  Cache("key", "old");
  store_.FailWrite(0, rocksdb::Status::IOError("gone"));
  ASSERT_THAT(Run(PackedWrites().Put("key", "new")), HasCode(Code::kIo));
  EXPECT_EQ(Cached("key"), "miss") << "what the store holds now is unknown";
  EXPECT_TRUE(cache_.BeginFill(HashKey("key")).can_fill()) << "reads go on";
}

TEST_F(CommitterTest, ARangeDeleteEmptiesTheCache) {
  Start();
  Cache("in", "old");
  Cache("out of the range", "old");
  ASSERT_THAT(Commit(PackedWrites().DeleteRange("in", "io")), IsOk());
  EXPECT_EQ(Cached("in"), "miss");
  EXPECT_TRUE(cache_.BeginFill(HashKey("in")).can_fill());
  EXPECT_EQ(store_.Payloads().size(), 0u);
}

TEST_F(CommitterTest, WhileARangeIsDeletedNothingIsFilled) {
  Start();
  ASSERT_THAT(Run(PackedWrites().Put("in", "v")), IsOk());
  store_.writing.Hold();
  Pending pending = Submit(PackedWrites().DeleteRange("a", "z"), true);
  store_.writing.AwaitVisitor();
  const HotCache::FillTicket ticket = cache_.BeginFill(HashKey("in"));
  EXPECT_FALSE(cache_.Fill("in", HashKey("in"), ticket, "v", 0));
  store_.writing.Release();
  ASSERT_THAT(Await(std::move(pending.result)), IsOk());
  EXPECT_FALSE(cache_.Fill("in", HashKey("in"), ticket, "v", 0)) << "the ticket is of before";
  EXPECT_EQ(Cached("in"), "miss");
}

// --- Range deletes -------------------------------------------------------------------------------

TEST_F(CommitterTest, ARangeIsDeletedFromEveryShard) {
  Start();
  PackedWrites writes;
  for (int i = 0; i < 100; i++) writes.Put("key" + std::to_string(100 + i), "v");
  ASSERT_THAT(Commit(writes), IsOk());
  ASSERT_THAT(Commit(PackedWrites().DeleteRange("key120", "key180")), IsOk());
  const auto payloads = store_.Payloads();
  EXPECT_EQ(payloads.size(), 40u);
  EXPECT_TRUE(payloads.contains("key119"));
  EXPECT_FALSE(payloads.contains("key120")) << "the start is inclusive";
  EXPECT_FALSE(payloads.contains("key179"));
  EXPECT_TRUE(payloads.contains("key180")) << "the end is exclusive";
}

TEST_F(CommitterTest, ARangeWithoutAnEndReachesTheLastKeyOfTheStoreAndOfItsGroup) {
  Start();
  ASSERT_THAT(Commit(PackedWrites().Put("a", "1").Put("m", "1").Put(std::string(300, '\xff'), "1")),
              IsOk());
  std::vector<Pending> pending;
  AsOneGroup([&] {
    // Beyond the store's last key, and not yet in the store when the range is decided.
    pending.push_back(Submit(PackedWrites().Put(std::string(400, '\xff'), "2"), false));
    pending.push_back(Submit(PackedWrites().Put("n", "2").DeleteRange("b", std::nullopt), true));
    pending.push_back(Submit(PackedWrites().Put("z", "3"), false));
  });
  for (Pending& p : pending) EXPECT_THAT(Await(std::move(p.result)), IsOk());
  EXPECT_EQ(store_.Payloads(), (std::map<std::string, std::string>{{"a", "1"}, {"z", "3"}}))
      << "what follows the range delete in its group stays";
}

TEST_F(CommitterTest, ARangeDeleteCoversWhatItsOwnCommitWroteBefore) {
  Start();
  ASSERT_THAT(Commit(PackedWrites()
                         .Put("b", "before")
                         .Put("x", "outside")
                         .DeleteRange("a", "c")
                         .Put("b2", "after")),
              IsOk());
  EXPECT_EQ(store_.Payloads(),
            (std::map<std::string, std::string>{{"b2", "after"}, {"x", "outside"}}));
}

TEST_F(CommitterTest, ARangeDeleteOfAnEmptyStoreWritesNothing) {
  Start();
  ASSERT_THAT(Commit(PackedWrites().DeleteRange("", std::nullopt)), IsOk());
  EXPECT_TRUE(store_.Payloads().empty());
}

TEST_F(CommitterTest, EmptyAndInvertedRangesDeleteNothing) {
  Start();
  ASSERT_THAT(Commit(PackedWrites().Put("a", "1").Put("b", "2").Put("c", "3")), IsOk());
  ASSERT_THAT(Commit(PackedWrites()
                         .DeleteRange("b", "b")
                         .DeleteRange("c", "a")
                         .DeleteRange("d", std::nullopt)
                         .DeleteRange("", "")),
              IsOk());
  EXPECT_EQ(store_.Payloads().size(), 3u);
}

TEST_F(CommitterTest, AStoreThatCannotTellItsLastKeyFailsTheRangeDelete) {
  Start();
  store_.FailLastKey({Code::kCorruption, "a bad block"});
  EXPECT_THAT(Commit(PackedWrites().Put("a", "1").DeleteRange("a", std::nullopt)),
              HasCode(Code::kCorruption));
  EXPECT_TRUE(store_.Payloads().empty()) << "nothing of the commit was written";
  EXPECT_THAT(Commit(PackedWrites().Put("a", "1").DeleteRange("a", "b")), IsOk())
      << "nothing has been half written, so the database goes on";
}

// Random commits in random groups against a sorted map, range deletes of every kind among them.
TEST_F(CommitterTest, RandomGroupsMatchASortedMap) {
  Start();
  std::minstd_rand random(7);
  std::map<std::string, std::string> model;
  const auto key = [&random] {
    return std::string(1 + random() % 2, static_cast<char>('a' + random() % 12));
  };
  for (int round = 0; round < 60; round++) {
    std::vector<Pending> pending;
    AsOneGroup([&] {
      model["the first group"] = "";
      for (auto submissions = 1 + random() % 4; submissions > 0; submissions--) {
        PackedWrites writes;
        for (auto n = random() % 6; n > 0; n--) {
          const std::string k = key();
          switch (random() % 6) {
            case 0:
              writes.Delete(k);
              model.erase(k);
              break;
            case 1: {
              const std::string end = key();
              writes.DeleteRange(k, end);
              if (k < end) model.erase(model.lower_bound(k), model.lower_bound(end));
              break;
            }
            case 2:
              if (random() % 4 != 0) break;
              writes.DeleteRange(k, std::nullopt);
              model.erase(model.lower_bound(k), model.end());
              break;
            default: {
              const std::string value = std::to_string(random());
              writes.Put(k, value);
              model[k] = value;
            }
          }
        }
        pending.push_back(Submit(writes, random() % 2 == 0));
      }
    });
    for (Pending& p : pending) ASSERT_THAT(Await(std::move(p.result)), IsOk());
    ASSERT_EQ(store_.Payloads(), model) << round;
  }
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
  store_.writing.AwaitVisitor();
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

// --- Durability ----------------------------------------------------------------------------------

TEST_F(CommitterTest, AnFsyncWriteIsAppliedAtOnceAndDoneAfterASync) {
  Start();
  store_.syncing.Hold();
  std::promise<Status> applied;
  auto submission = PackedWrites().Put("key", "value").ToSubmission(false);
  submission->durability = Durability::kFsync;
  submission->applied = [&](const Status& status) { applied.set_value(status); };
  Pending pending = Submit(std::move(submission));
  ASSERT_THAT(pending.accepted, IsOk());
  EXPECT_THAT(Await(applied.get_future()), IsOk());
  EXPECT_EQ(store_.Payloads().at("key"), "value");
  store_.syncing.AwaitVisitor();
  EXPECT_GT(committer_->in_flight_bytes(), 0u) << "in flight until it is durable";
  {
    std::lock_guard lock(finished_mutex_);
    EXPECT_TRUE(finished_.empty()) << "not durable yet";
  }
  store_.syncing.Release();
  EXPECT_THAT(Await(std::move(pending.result)), IsOk());
  EXPECT_TRUE(store_.IsSynced("key"));
  EXPECT_EQ(metrics_->fsyncs.Total(), 1u);
}

TEST_F(CommitterTest, AWalWriteNeedsNoSync) {
  Start();
  EXPECT_THAT(Run(PackedWrites().Put("key", "value")), IsOk());
  committer_->Stop();
  EXPECT_EQ(store_.syncs(), 0);
}

TEST_F(CommitterTest, GroupsGoOnWhileASyncRunsAndShareTheNextOne) {
  Start();
  store_.syncing.Hold();
  Pending first = Submit(PackedWrites().Put("first", "v"), false, Durability::kFsync);
  store_.syncing.AwaitVisitor();
  std::vector<Pending> later;
  for (int i = 0; i < 20; i++) {
    later.push_back(Submit(PackedWrites().Put("later" + std::to_string(i), "v"), i % 2 == 0,
                           Durability::kFsync));
    EXPECT_THAT(Run(PackedWrites().Put("wal" + std::to_string(i), "v")), IsOk())
        << "not held up by the sync";
  }
  store_.syncing.Release();
  EXPECT_THAT(Await(std::move(first.result)), IsOk());
  for (Pending& p : later) EXPECT_THAT(Await(std::move(p.result)), IsOk());
  for (int i = 0; i < 20; i++) EXPECT_TRUE(store_.IsSynced("later" + std::to_string(i))) << i;
  EXPECT_EQ(store_.syncs(), 2) << "one sync for all that waited";
}

// Every promise of durability against what the store had synced when it was made.
TEST_F(CommitterTest, NothingIsDurableBeforeASyncThatBeganAfterItsWrite) {
  FixGroupSize(200);
  Start();
  std::vector<std::thread> threads;
  std::atomic<int> early{0};
  for (int t = 0; t < 3; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; i++) {
        const std::string key = std::to_string(t) + "/" + std::to_string(i);
        auto submission = PackedWrites().Put(key, "v").ToSubmission(false);
        submission->durability = i % 4 == 0 ? Durability::kWal : Durability::kFsync;
        const bool durable = submission->durability == Durability::kFsync;
        std::promise<void> done;
        submission->done = [&, durable](const Status& status) {
          EXPECT_THAT(status, IsOk());
          if (durable && !store_.IsSynced(key)) early++;
          done.set_value();
        };
        ASSERT_THAT(committer_->Submit(std::move(submission)), IsOk());
        Await(done.get_future());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(early, 0);
}

TEST_F(CommitterTest, AFailedSyncFailsItsWritesAndEndsWriting) {
  Start();
  store_.FailSync(rocksdb::Status::IOError("the disk lies"));
  Pending pending = Submit(PackedWrites().Put("key", "value"), false, Durability::kFsync);
  const Status status = Await(std::move(pending.result));
  EXPECT_THAT(status, HasCode(Code::kIo));
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("the disk lies"));
  EXPECT_THAT(Submit(PackedWrites().Put("k", "v"), false).accepted, HasCode(Code::kReadOnly));
  EXPECT_THAT(Submit(PackedWrites().Put("k", "v"), false, Durability::kFsync).accepted,
              HasCode(Code::kReadOnly));
  EXPECT_THAT(committer_->Resume(), HasCode(Code::kReadOnly)) << "only reopening heals this";
  EXPECT_EQ(resumes_, 0);
}

TEST_F(CommitterTest, AfterAFailedSyncNothingIsEverCalledDurable) {
  Start();
  store_.syncing.Hold();
  Pending first = Submit(PackedWrites().Put("first", "v"), false, Durability::kFsync);
  store_.syncing.AwaitVisitor();
  Pending second = Submit(PackedWrites().Put("second", "v"), false, Durability::kFsync);
  Settle();  // the second is applied and waits for the next sync
  store_.FailSync(rocksdb::Status::IOError("once"));
  store_.syncing.Release();
  EXPECT_THAT(Await(std::move(first.result)), HasCode(Code::kIo));
  EXPECT_FALSE(Await(std::move(second.result)).ok()) << "a later sync would prove nothing";
  EXPECT_EQ(store_.syncs(), 1);
}

TEST_F(CommitterTest, WithoutALogNothingCanBeSynced) {
  Start(1, /*with_log=*/false);
  const Status refused = Submit(PackedWrites().Put("k", "v"), false, Durability::kFsync).accepted;
  EXPECT_THAT(refused, HasCode(Code::kInvalidArgument));
  EXPECT_EQ(committer_->in_flight_bytes(), 0u);
  EXPECT_THAT(Run(PackedWrites().Put("k", "v")), IsOk());
}

TEST_F(CommitterTest, StopSyncsWhatWaits) {
  Start();
  store_.syncing.Hold();
  std::vector<Pending> pending;
  for (int i = 0; i < 50; i++) {
    pending.push_back(
        Submit(PackedWrites().Put("key" + std::to_string(i), "v"), false, Durability::kFsync));
  }
  store_.syncing.AwaitVisitor();
  std::thread stopper([this] { committer_->Stop(); });
  store_.syncing.Release();
  stopper.join();
  for (int i = 0; i < 50; i++) {
    Pending& p = pending[static_cast<size_t>(i)];
    ASSERT_EQ(p.result.wait_for(std::chrono::seconds(0)), std::future_status::ready);
    EXPECT_THAT(p.result.get(), IsOk());
    EXPECT_TRUE(store_.IsSynced("key" + std::to_string(i)));
  }
}

TEST_F(CommitterTest, AppliedIsCalledOnceBeforeDoneWhateverTheEnd) {
  Start();
  const auto submit = [this](Durability durability) {
    std::vector<std::string> calls;
    std::promise<void> end;
    auto submission = PackedWrites().Put("k", "v").ToSubmission(false);
    submission->durability = durability;
    submission->applied = [&calls](const Status& status) {
      calls.push_back(status.ok() ? "applied" : "not applied");
    };
    submission->done = [&](const Status& status) {
      calls.push_back(status.ok() ? "done" : "failed");
      end.set_value();
    };
    EXPECT_THAT(committer_->Submit(std::move(submission)), IsOk());
    Await(end.get_future());
    return calls;
  };
  EXPECT_THAT(submit(Durability::kWal), ElementsAre("applied", "done"));
  EXPECT_THAT(submit(Durability::kFsync), ElementsAre("applied", "done"));
  store_.FailWrite(0, rocksdb::Status::NoSpace("full"));
  EXPECT_THAT(submit(Durability::kFsync), ElementsAre("not applied", "failed"));
}

// --- A full disk ---------------------------------------------------------------------------------

TEST_F(CommitterTest, AfterAFullDiskResumeLetsWritesGoOn) {
  Start();
  store_.FailWrite(0, rocksdb::Status::NoSpace("full"));
  EXPECT_THAT(Commit(PackedWrites().Put("lost", "v")), HasCode(Code::kNoSpace));
  const Status refused = Commit(PackedWrites().Put("refused", "v"));
  EXPECT_THAT(refused, HasCode(Code::kReadOnly));
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("resume()"));
  resume_answer_ = rocksdb::Status::NoSpace("still full");
  EXPECT_THAT(committer_->Resume(), HasCode(Code::kNoSpace));
  EXPECT_THAT(Commit(PackedWrites().Put("refused", "v")), HasCode(Code::kReadOnly));
  EXPECT_THAT(committer_->Resume(), IsOk());
  EXPECT_THAT(Commit(PackedWrites().Put("after", "v")), IsOk());
  EXPECT_EQ(resumes_, 2);
  EXPECT_EQ(store_.Payloads(), (std::map<std::string, std::string>{{"after", "v"}}));
}

TEST_F(CommitterTest, AFailureThatIsNotAFullDiskCannotBeResumed) {
  Start();
  store_.FailWrite(0, rocksdb::Status::IOError("gone"));
  EXPECT_THAT(Commit(PackedWrites().Put("k", "v")), HasCode(Code::kIo));
  EXPECT_THAT(committer_->Resume(), HasCode(Code::kReadOnly));
  EXPECT_THAT(Commit(PackedWrites().Put("k", "v")), HasCode(Code::kReadOnly));
}

// Ids follow RocksDB's sequence numbers, from which the next opening goes on counting.
TEST_F(CommitterTest, IdsOfAGroupThatWasNotWrittenAreGivenAgain) {
  Start(10);
  ASSERT_THAT(Run(PackedWrites().Put("a", "1").Put("b", "1")), IsOk());
  store_.FailWrite(0, rocksdb::Status::NoSpace("full"));
  ASSERT_THAT(Run(PackedWrites().Put("c", "1").Put("d", "1").Put("e", "1")),
              HasCode(Code::kNoSpace));
  ASSERT_THAT(committer_->Resume(), IsOk());
  ASSERT_THAT(Commit(PackedWrites().Put("f", "1")), IsOk());
  EXPECT_EQ(store_.batch(1)[0].header.first_commit_id, 12u);
  store_.FailLastKey({Code::kCorruption, "a bad block"});
  ASSERT_THAT(Commit(PackedWrites().Put("g", "1").DeleteRange("a", std::nullopt)),
              HasCode(Code::kCorruption));
  ASSERT_THAT(Commit(PackedWrites().Put("h", "1")), IsOk());
  EXPECT_EQ(store_.batch(2)[0].header.first_commit_id, 13u);
  EXPECT_EQ(Settle(), 13u);
}

// --- Transactions --------------------------------------------------------------------------------

TEST_F(CommitterTest, ABoundaryStandsBetweenWhatWasAcceptedBeforeAndAfter) {
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

TEST_F(CommitterTest, ATransactionConflictsWithWhatWasWrittenAfterItBegan) {
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

TEST_F(CommitterTest, ATransactionConflictsWithDeletesAndRangesToo) {
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

TEST_F(CommitterTest, TransactionsOfOneGroupAreCheckedAgainstEachOther) {
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

TEST_F(CommitterTest, MoreWritesThanCanBeRememberedFailTheOldestTransaction) {
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
TEST_F(CommitterTest, RetriedTransactionsLoseNoIncrement) {
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

// --- Waiting for company, and the clock
// -----------------------------------------------------------

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
  store_.writing.AwaitVisitor();
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
}  // namespace thermocline
