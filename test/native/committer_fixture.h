// The committer over a fake store: what it writes, in which order, and what it tells whom.
//
// The fake keeps every WriteBatch and applies it to a map. A test can hold it inside a write or a
// sync, so that what is submitted meanwhile forms the next group.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/commit/committer.h"
#include "engine/hash.h"
#include "engine/record/commit_header.h"
#include "engine/record/envelope.h"
#include "gate.h"
#include "support.h"

namespace thermocline::test {

inline constexpr int kShards = 4;

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

inline constexpr uint32_t kFirstFamily = 10;  // of shard 0

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
    store_.writing.AwaitVisitors();
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

}  // namespace thermocline::test
