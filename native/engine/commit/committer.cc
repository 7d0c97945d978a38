#include "engine/commit/committer.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "engine/hash.h"
#include "engine/platform/thread_pool.h"
#include "engine/platform/time.h"
#include "engine/record/commit_header.h"
#include "engine/record/envelope.h"

namespace thermocline {

namespace {

// A batch buffer that one huge commit has grown is not kept for the small ones after it.
constexpr size_t kKeptBatchBytes = 16 * kMiB;
constexpr size_t kKeptOps = 1 << 18;

rocksdb::Slice AsSlice(std::string_view s) { return {s.data(), s.size()}; }

}  // namespace

Committer::Committer(Dependencies dependencies, const EngineOptions& options,
                     uint64_t first_commit_id)
    : deps_(std::move(dependencies)),
      max_group_bytes_(options.max_group_bytes),
      hard_in_flight_bytes_(options.hard_in_flight_bytes),
      batch_(std::make_unique<rocksdb::WriteBatch>()),
      next_commit_id_(first_commit_id),
      thread_([this] { Run(); }) {}

Committer::~Committer() { Stop(); }

Status Committer::Submit(std::unique_ptr<Submission> submission) {
  submission->submitted_nanos = NowNanos();
  bool wake;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return {Code::kClosed, "the database is closing"};
    if (!refused_.ok()) return refused_;
    const size_t in_flight = in_flight_bytes_.load(std::memory_order_relaxed);
    if (in_flight > 0 && in_flight + submission->size > hard_in_flight_bytes_) {
      deps_.metrics->backpressure_rejections.Add();
      return {Code::kBackpressure,
              "more than " + std::to_string(hard_in_flight_bytes_ / kMiB) +
                  " MiB of writes are waiting: await earlier writes, or wait for 'drain'"};
    }
    in_flight_bytes_.fetch_add(submission->size, std::memory_order_relaxed);
    queue_.push_back(std::move(submission));
    wake = std::exchange(sleeping_, false);
  }
  if (wake) wake_.notify_one();
  return {};
}

void Committer::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Committer::Run() {
  NameThisThread("tc-commit");
  for (;;) {
    if (taken_next_ == taken_.size()) {
      taken_.clear();
      taken_next_ = 0;
      std::unique_lock lock(mutex_);
      while (queue_.empty() && !stopping_) {
        sleeping_ = true;
        wake_.wait(lock);
      }
      sleeping_ = false;
      if (queue_.empty()) return;
      taken_.swap(queue_);
    }
    TakeGroup();
    CommitGroup();
  }
}

void Committer::TakeGroup() {
  group_.clear();
  group_bytes_ = 0;
  while (taken_next_ < taken_.size()) {
    std::unique_ptr<Submission>& next = taken_[taken_next_];
    if (!group_.empty() && group_bytes_ + next->size > max_group_bytes_) break;
    group_bytes_ += next->size;
    group_.push_back(std::move(next));
    taken_next_++;
  }
}

void Committer::CommitGroup() {
  Status refused;
  {
    std::lock_guard lock(mutex_);
    refused = refused_;
  }
  if (!refused.ok()) return Report(refused);

  HotCache* cache = deps_.cache;
  Status status;
  try {
    status = BuildBatch();
    if (status.ok()) {
      if (has_range_delete_) cache->BeginClear();
      for (const Op& op : ops_) {
        if (op.packed.type != OpType::kDeleteRange) cache->BeginWrite(op.packed.key, op.hash);
      }
      rocksdb::Status written;
      if (batch_->Count() != 0) {
        const uint64_t began = NowNanos();
        written = deps_.write(batch_.get());
        deps_.metrics->group_write_nanos.Record(NowNanos() - began);
        deps_.metrics->wal_writes.Add();
      }
      if (written.ok()) {
        if (cache->HasPending()) {
          // Backwards, so that the last operation on a key is the one that is published.
          for (auto op = ops_.rbegin(); op != ops_.rend(); ++op) {
            if (op->packed.type == OpType::kPut) {
              cache->Publish(op->packed.key, op->hash, op->packed.value, op->packed.expiry_ms);
            } else if (op->packed.type == OpType::kDelete) {
              cache->PublishAbsent(op->packed.key, op->hash);
            }
          }
        }
        cache->EndWrite();
      } else {
        cache->AbandonWrite();
        status = Status::From(written, "writing a batch");
      }
      if (has_range_delete_) cache->EndClear();
      if (!written.ok()) {
        std::lock_guard lock(mutex_);
        refused_ = {Code::kReadOnly, "the database accepts no more writes until it is reopened, " +
                                         std::string("because ") + std::string(status.message())};
      }
    }
  } catch (const std::exception& error) {
    // Out of memory, in practice. What reached the store is unknown, so nothing more is accepted.
    cache->AbandonWrite();
    status = {Code::kIo, std::string("committing a group failed: ") + error.what()};
    std::lock_guard lock(mutex_);
    refused_ = {Code::kReadOnly, std::string(status.message())};
  }

  Metrics* metrics = deps_.metrics;
  metrics->groups.Add();
  metrics->group_operations.Add(ops_.size());
  metrics->group_bytes.Add(batch_->GetDataSize());
  Report(status);

  batch_->Clear();
  if (batch_->Data().capacity() > kKeptBatchBytes) {
    batch_ = std::make_unique<rocksdb::WriteBatch>();
  }
  if (ops_.capacity() > kKeptOps) std::vector<Op>().swap(ops_);
}

Status Committer::BuildBatch() {
  ops_.clear();
  has_range_delete_ = false;
  for (const auto& submission : group_) {
    Status status = AppendSubmission(*submission);
    if (!status.ok()) return status;
  }
  return {};
}

Status Committer::AppendSubmission(const Submission& submission) {
  if (submission.operations == 0) return {};
  const CommitHeader header{.origin = CommitOrigin::kUser,
                            .kind = submission.atomic ? CommitKind::kAtomic : CommitKind::kRun,
                            .first_commit_id = next_commit_id_,
                            .operation_count = submission.operations};
  rocksdb::Status s = batch_->PutLogData(AsSlice(EncodeCommitHeader(header).view()));
  next_commit_id_ += submission.atomic ? 1 : submission.operations;

  const char* p = submission.data.get();
  const char* const limit = p + submission.size;
  for (uint32_t i = 0; i < submission.operations && s.ok(); i++) {
    Op& op = ops_.emplace_back();
    p = DecodeOp(p, limit, &op.packed);
    if (p == nullptr) return {Code::kInvalidArgument, "a packed write is malformed"};
    if (op.packed.type == OpType::kDeleteRange) {
      has_range_delete_ = true;
      Status status = AppendRangeDelete(op);
      if (!status.ok()) return status;
      continue;
    }
    op.hash = HashKey(op.packed.key);
    op.shard = static_cast<uint16_t>(deps_.shards->IndexOf(op.packed.key));
    rocksdb::ColumnFamilyHandle* shard = deps_.shards->handles[op.shard];
    if (op.packed.type == OpType::kPut) {
      const EnvelopeHeader envelope = EncodeEnvelopeHeader(0, op.packed.expiry_ms);
      const rocksdb::Slice key = AsSlice(op.packed.key);
      const rocksdb::Slice value[2] = {{envelope.bytes, envelope.size}, AsSlice(op.packed.value)};
      s = batch_->Put(shard, rocksdb::SliceParts(&key, 1), rocksdb::SliceParts(value, 2));
    } else {
      // The hot store is the only one: a real delete leaves nothing below to uncover (I3).
      s = batch_->Delete(shard, AsSlice(op.packed.key));
    }
  }
  if (s.ok() && p != limit) return {Code::kInvalidArgument, "a packed write has trailing bytes"};
  return Status::From(s, "building a batch");
}

Status Committer::AppendRangeDelete(const Op& op) {
  const std::string_view start = op.packed.key;
  for (int shard = 0; shard < deps_.shards->count(); shard++) {
    std::string end(op.packed.value);
    bool found = true;
    if (!op.packed.has_end) {
      Status status = BoundOf(shard, &end, &found);
      if (!status.ok()) return status;
    }
    if (!found || end <= start) continue;
    const rocksdb::Status s = batch_->DeleteRange(
        deps_.shards->handles[static_cast<size_t>(shard)], AsSlice(start), end);
    if (!s.ok()) return Status::From(s, "building a batch");
  }
  return {};
}

// RocksDB's range deletes need an end. This thread is the only writer, so the largest key of the
// store and of the group before this operation is the largest there is.
Status Committer::BoundOf(int shard, std::string* end, bool* found) {
  Status status = deps_.last_key(shard, end, found);
  if (!status.ok()) return status;
  for (const Op& op : ops_) {
    if (op.packed.type != OpType::kPut || op.shard != shard) continue;
    if (!*found || op.packed.key > *end) {
      end->assign(op.packed.key);
      *found = true;
    }
  }
  if (*found) end->push_back('\0');
  return {};
}

void Committer::Report(const Status& status) {
  const uint64_t now = NowNanos();
  Metrics* metrics = deps_.metrics;
  for (auto& submission : group_) {
    if (status.ok()) {
      metrics->commits.Add(submission->atomic ? 1 : submission->operations);
      const uint64_t waited = now - submission->submitted_nanos;
      if (submission->atomic) {
        metrics->batch.Add(submission->operations, submission->size);
        metrics->batch_nanos.Record(waited);
      } else {
        metrics->put_nanos.Record(waited, submission->operations);
      }
    }
    in_flight_bytes_.fetch_sub(submission->size, std::memory_order_relaxed);
    submission->done(status);
    submission.reset();
  }
  group_.clear();
}

}  // namespace thermocline
