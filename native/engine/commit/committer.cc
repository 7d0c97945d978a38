#include "engine/commit/committer.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <iterator>
#include <utility>

#include "engine/commit/slow_write.h"
#include "engine/hash.h"
#include "engine/platform/thread_pool.h"
#include "engine/platform/time.h"

namespace thermocline {

namespace {

// A buffer that one huge commit has grown is not kept for the small ones after it.
constexpr size_t kKeptBatchBytes = 16 * kMiB;
constexpr size_t kKeptOps = 1 << 18;
constexpr uint64_t kKeepClockNanos = 1'000'000'000;

}  // namespace

Committer::Committer(Dependencies dependencies, const EngineOptions& options,
                     uint64_t first_commit_id)
    : deps_(std::move(dependencies)),
      hard_in_flight_bytes_(options.hard_in_flight_bytes),
      window_nanos_(options.commit_window_nanos),
      faithful_(options.changes.on()),
      target_bytes_(options.min_group_bytes),
      recent_(options.transaction_memory_bytes),
      batch_(std::make_unique<rocksdb::WriteBatch>()),
      next_commit_id_(first_commit_id),
      sizer_(options.min_group_bytes, options.max_group_bytes) {
  if (deps_.sync) {
    fsync_ = std::make_unique<FsyncStage>(FsyncStage::Dependencies{
        .sync = deps_.sync,
        .stopped =
            [this] {
              std::lock_guard lock(mutex_);
              return refused_;
            },
        .on_failure = [this](const Status& status) { Refuse(status, /*resumable=*/false); },
        .report = [this](std::unique_ptr<Submission> submission,
                         const Status& status) { Report(std::move(submission), status); },
        .metrics = deps_.metrics});
  }
  deps_.metrics->Work(WorkClass::kCommit).threads = 1;
  thread_ = std::thread([this] { Run(); });
}

Committer::~Committer() { Stop(); }

Status Committer::Submit(std::unique_ptr<Submission> submission) {
  if (submission->durability == Durability::kFsync && !fsync_) {
    return {Code::kInvalidArgument,
            "the database was created with durability 'none': it has no log to sync; use flush()"};
  }
  submission->submitted_nanos = NowNanos();
  bool wake;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return {Code::kClosed, "the database is closing"};
    if (!refused_.ok() && submission->operations > 0) return refused_;
    const size_t in_flight = in_flight_bytes_.load(std::memory_order_relaxed);
    // A boundary weighs nothing, and is never refused for what waits.
    if (in_flight > 0 && submission->weight() > 0 &&
        in_flight + submission->weight() > hard_in_flight_bytes_) {
      deps_.metrics->backpressure_rejections.Add();
      return {Code::kBackpressure,
              "more than " + std::to_string(hard_in_flight_bytes_ / kKiB) +
                  " KiB of writes are waiting: await earlier writes, or wait for 'drain'"};
    }
    in_flight_bytes_.fetch_add(submission->weight(), std::memory_order_relaxed);
    queue_bytes_ += submission->weight();
    queue_.push_back(std::move(submission));
    deps_.metrics->Work(WorkClass::kCommit).queued.fetch_add(1, std::memory_order_relaxed);
    wake = std::exchange(sleeping_, false);
  }
  if (wake) wake_.notify_one();
  return {};
}

Status Committer::Resume() {
  {
    std::lock_guard lock(mutex_);
    // Not refused: the store may still have stopped in the background, during a flush.
    if (!refused_.ok() && !resumable_) return refused_;
  }
  if (deps_.resume) {
    Status status = Status::From(deps_.resume(), "resuming");
    if (!status.ok()) return status;
  }
  std::lock_guard lock(mutex_);
  if (!refused_.ok() && !resumable_) return refused_;  // a sync failed meanwhile
  refused_ = {};
  return {};
}

void Committer::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  if (fsync_) fsync_->Stop();
}

uint64_t Committer::queue_age_nanos() {
  std::lock_guard lock(mutex_);
  return queue_.empty() ? 0 : NowNanos() - queue_.front()->submitted_nanos;
}

void Committer::Run() {
  NameThisThread("tc-commit");
  while (WaitForWork()) {
    while (taken_next_ < taken_.size()) {
      if (deps_.space != nullptr) AwaitSpace();
      if (taken_next_ == taken_.size()) break;
      TakeGroup();
      RunGroup();
    }
  }
  for (Parked& parked : parked_) {
    Report(std::move(parked.submission), {Code::kClosed, "the database was closed"});
  }
  parked_.clear();
}

void Committer::RunGroup() {
  if (group_.size() == 1 && group_[0]->at_boundary) {
    group_[0]->at_boundary(next_commit_id_ - 1);
    ReportGroup({});
    if (!parked_.empty()) UnparkIfChanged();
  } else {
    CommitGroup();
  }
}

bool Committer::WaitForWork() {
  taken_.clear();
  taken_next_ = 0;
  std::unique_lock lock(mutex_);
  while (queue_.empty() && !stopping_) {
    sleeping_ = true;
    wake_.wait(lock);
  }
  sleeping_ = false;
  if (queue_.empty()) return false;
  if (window_nanos_ > 0) {
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::nanoseconds(window_nanos_);
    while (!stopping_ && queue_bytes_ < sizer_.target_bytes()) {
      sleeping_ = true;
      if (wake_.wait_until(lock, deadline) == std::cv_status::timeout) break;
    }
    sleeping_ = false;
  }
  taken_.swap(queue_);
  arrived_bytes_ += std::exchange(queue_bytes_, 0);
  return true;
}

void Committer::TakeGroup() {
  group_.clear();
  group_bytes_ = 0;
  while (taken_next_ < taken_.size()) {
    std::unique_ptr<Submission>& next = taken_[taken_next_];
    const bool full = group_bytes_ + next->weight() > sizer_.target_bytes();
    // What is validated comes first in its group: everything before it is then in recent_.
    const bool first = next->at_boundary || next->reads;
    if (!group_.empty() && (full || first)) break;
    group_bytes_ += next->weight();
    const bool alone = next->at_boundary != nullptr;
    group_.push_back(std::move(next));
    taken_next_++;
    if (alone) break;
  }
  deps_.metrics->Work(WorkClass::kCommit)
      .queued.fetch_sub(group_.size(), std::memory_order_relaxed);
}

void Committer::CommitGroup() {
  const uint64_t began = NowNanos();
  WorkMetrics& work = deps_.metrics->Work(WorkClass::kCommit);
  work.running.store(1, std::memory_order_relaxed);
  for (const auto& submission : group_) {
    work.wait_nanos.Record(began - submission->submitted_nanos);
    submission->grouped_nanos = began;
  }
  const uint64_t first_id = next_commit_id_;
  shards_ = deps_.shards.Load();
  Status status;
  {
    std::lock_guard lock(mutex_);
    status = refused_;
  }
  if (status.ok() && deps_.space != nullptr && !deps_.space->MayWrite(group_bytes_)) {
    status = {Code::kNoSpace,
              "the disk of the hot tier is full but for its reserve, and nothing makes room: see "
              "db.tiers.report()"};
  }
  try {
    if (status.ok()) status = DecodeGroup();
    if (status.ok()) {
      MarkSuperseded();
      AssignIds();
      status = BuildBatch();
    }
    if (status.ok()) status = WriteGroup();
    if (status.ok()) RecordGroup();
    if (status.ok()) HandOverMessages();
    if (status.ok() && deps_.count_writes) CountWrites();
  } catch (const std::exception& error) {
    // Out of memory, in practice. What reached the store is unknown, so nothing more is accepted.
    deps_.cache->AbandonWrite();
    status = {Code::kIo, std::string("committing a group failed: ") + error.what()};
    Refuse(status, /*resumable=*/false);
  }
  // Ids of what was not written are given again, or they would outrun the sequence numbers.
  if (!status.ok()) next_commit_id_ = first_id;
  if (!status.ok() && deps_.tiers != nullptr) deps_.tiers->WriteEnded(/*written=*/false);
  Metrics* metrics = deps_.metrics;
  metrics->groups.Add();
  metrics->group_operations.Add(ops_.size());
  metrics->group_bytes.Add(batch_->GetDataSize());
  ReportGroup(status);

  const uint64_t now = NowNanos();
  work.run_nanos.Record(now - began);
  work.running.store(0, std::memory_order_relaxed);
  work.tasks.Add();
  if (measured_nanos_ != 0) {
    sizer_.Measure(std::exchange(arrived_bytes_, 0), now - measured_nanos_, now - began);
    target_bytes_.store(sizer_.target_bytes(), std::memory_order_relaxed);
  }
  measured_nanos_ = now;
  if (has_expiry_ && status.ok() && deps_.keep_clock && now - clock_kept_nanos_ > kKeepClockNanos) {
    clock_kept_nanos_ = now;
    deps_.keep_clock();
  }
  Recycle();
}

void Committer::CountWrites() {
  shard_writes_.assign(static_cast<size_t>(shards_->count()), 0);
  for (const Op& op : ops_) {
    if (op.packed.type != OpType::kDeleteRange) {
      shard_writes_[op.shard]++;
    } else {
      for (uint32_t& writes : shard_writes_) writes++;
    }
  }
  deps_.count_writes(shard_writes_);
}

Status Committer::DecodeGroup() {
  ops_.clear();
  spans_.clear();
  has_range_delete_ = false;
  has_expiry_ = false;
  for (auto& submission : group_) {
    Status status;
    if (submission->reads) {
      // Once it has ended, nothing is recorded for it any more.
      status = recent_.IsOpen(submission->reads->start_commit_id)
                   ? recent_.Check(*submission->reads)
                   : Status(Code::kConflict, "the transaction ended before it was validated");
    }
    Span span{.begin = ops_.size(), .atomic = submission->atomic};
    if (!submission->messages.empty()) span.messages = &submission->messages;
    if (status.ok()) status = DecodeSubmission(*submission, &span);
    if (status.ok() && (shards_->table.any_frozen() || !parked_.empty()) &&
        Park(&submission, span.begin)) {
      ops_.resize(span.begin);
      continue;
    }
    if (!status.ok()) {
      // This one alone is refused; its neighbours do not depend on it.
      ops_.resize(span.begin);
      Report(std::move(submission), status);
      continue;
    }
    spans_.push_back(span);
  }
  return {};
}

Status Committer::DecodeSubmission(const Submission& submission, Span* span) {
  const char* p = submission.data.get();
  const char* const limit = p + submission.size;
  for (uint32_t i = 0; i < submission.operations; i++) {
    Op& op = ops_.emplace_back();
    p = DecodeOp(p, limit, &op.packed);
    if (p == nullptr) return {Code::kInvalidArgument, "a packed write is malformed"};
    if (op.packed.expiry_ms != 0) has_expiry_ = true;
    if (op.packed.type == OpType::kDeleteRange) {
      has_range_delete_ = true;
      // An empty range writes nothing.
      op.superseded = op.packed.has_end && op.packed.value <= op.packed.key;
      continue;
    }
    op.hash = HashKey(op.packed.key);
    op.shard = static_cast<uint16_t>(shards_->IndexOf(op.packed.key));
  }
  if (p != limit) return {Code::kInvalidArgument, "a packed write has trailing bytes"};
  span->end = ops_.size();
  return {};
}

// Only what is written gets an id, so that ids never outrun RocksDB's sequence numbers, from which
// the next opening goes on.
void Committer::AssignIds() {
  for (Span& span : spans_) {
    span.first_commit_id = next_commit_id_;
    for (size_t i = span.begin; i < span.end; i++) span.kept += ops_[i].superseded ? 0 : 1;
    if (!span.atomic) {
      next_commit_id_ += span.kept;
    } else if (span.kept > 0 || span.messages != nullptr) {
      next_commit_id_++;
    }
  }
}

// Once it is written: what was not is no conflict, and its ids are given again, to others. What is
// validated comes first in its group, so nobody has looked in between.
void Committer::RecordGroup() {
  if (!recent_.active()) return;
  for (const Span& span : spans_) {
    uint64_t id = span.first_commit_id;
    for (size_t i = span.begin; i < span.end; i++) {
      if (ops_[i].superseded) continue;
      const PackedOp& op = ops_[i].packed;
      if (op.type == OpType::kDeleteRange) {
        recent_.RecordRange(op.key, op.value, op.has_end, id);
      } else {
        recent_.RecordKey(op.key, id);
      }
      if (!span.atomic) id++;
    }
  }
}

Status Committer::WriteGroup() {
  if (batch_->Count() == 0) return {};
  HotCache* cache = deps_.cache;
  if (has_range_delete_) cache->BeginClear();
  for (const Op& op : ops_) {
    if (op.packed.type != OpType::kDeleteRange) cache->BeginWrite(op.packed.key, op.hash);
  }
  if (deps_.tiers != nullptr) NoteForTiers();
  if (deps_.notes != nullptr && deps_.notes->active()) NoteChanges();
  Metrics* metrics = deps_.metrics;
  const uint64_t switches = metrics->memtable_switches.Total();
  const uint64_t began = NowNanos();
  const rocksdb::Status written = deps_.write(batch_.get());
  const uint64_t took = NowNanos() - began;
  metrics->group_write_nanos.Record(took);
  if (metrics->memtable_switches.Total() != switches) metrics->memtable_switch_nanos.Record(took);
  if (deps_.tiers != nullptr) deps_.tiers->WriteEnded(written.ok());
  Status status;
  if (written.ok()) {
    metrics->wal_writes.Add();
    CountGroup();
    if (cache->HasPending()) PublishGroup();
    cache->EndWrite();
  } else {
    cache->AbandonWrite();
    status = Status::From(written, "writing a batch");
    Refuse(status, /*resumable=*/status.code() == Code::kNoSpace);
  }
  if (has_range_delete_) cache->EndClear();
  return status;
}

void Committer::HandOverMessages() {
  for (const Span& span : spans_) {
    if (span.messages == nullptr) continue;
    deps_.messages_written(span.first_commit_id, std::move(*span.messages));
  }
}

// Before the write: what a step finds clean was not even about to change.
void Committer::NoteForTiers() {
  deps_.tiers->Writing();
  for (const Op& op : ops_) {
    if (op.packed.type == OpType::kDeleteRange) {
      deps_.tiers->NoteRange(op.packed.key, op.packed.value, op.packed.has_end);
    } else {
      deps_.tiers->NoteKey(op.shard, op.packed.key);
      deps_.tiers->NoteHeat(op.hash);
    }
  }
}

// Before the write too: a note too many costs a copy, one too few loses a record.
void Committer::NoteChanges() {
  for (const Op& op : ops_) {
    if (op.packed.type == OpType::kDeleteRange) {
      deps_.notes->NoteRange(op.packed.key, op.packed.value, op.packed.has_end);
    } else {
      deps_.notes->NoteKey(op.shard, op.packed.key);
    }
  }
}

// Backwards, so that the last operation on a key is the one that is published.
void Committer::PublishGroup() {
  for (auto op = ops_.rbegin(); op != ops_.rend(); ++op) {
    if (op->packed.type == OpType::kPut) {
      deps_.cache->Publish(op->packed.key, op->hash, op->packed.value, op->packed.expiry_ms);
    } else if (op->packed.type == OpType::kDelete) {
      deps_.cache->PublishAbsent(op->packed.key, op->hash);
    }
  }
}

void Committer::CountGroup() {
  Metrics* metrics = deps_.metrics;
  for (const Span& span : spans_) {
    if (span.begin == span.end) continue;
    metrics->commits.Add(span.atomic ? 1 : span.end - span.begin);
    uint64_t operations[3] = {};
    uint64_t bytes[3] = {};
    for (size_t i = span.begin; i < span.end; i++) {
      const PackedOp& op = ops_[i].packed;
      const size_t type = static_cast<size_t>(op.type);
      operations[type]++;
      bytes[type] += op.key.size() + op.value.size();
    }
    if (span.atomic && operations[2] == 0) {
      metrics->batch.Add(operations[0] + operations[1], bytes[0] + bytes[1]);
      continue;
    }
    OperationCounters* const counters[3] = {&metrics->put, &metrics->del, &metrics->delete_range};
    for (size_t type = 0; type < 3; type++) {
      if (operations[type] == 0) continue;
      counters[type]->operations.Add(operations[type]);
      counters[type]->records.Add(operations[type]);
      counters[type]->bytes.Add(bytes[type]);
    }
  }
}

void Committer::Refuse(const Status& cause, bool resumable) {
  std::lock_guard lock(mutex_);
  if (!refused_.ok() && !resumable_) return;  // the first fatal cause stays
  resumable_ = resumable;
  refused_ = {Code::kReadOnly,
              "the database accepts no writes since " + std::string(cause.message()) +
                  (resumable ? ": make room, then call resume()" : ": close and reopen it")};
}

void Committer::ReportGroup(const Status& status) {
  // What waits for a sync first: the stage may begin while the others are told.
  for (auto& submission : group_) {
    if (!submission || submission->durability != Durability::kFsync || !status.ok()) continue;
    if (submission->applied) submission->applied(status);
    to_sync_.push_back(std::move(submission));
  }
  if (!to_sync_.empty()) fsync_->Add(&to_sync_);
  for (auto& submission : group_) {
    if (!submission) continue;
    if (submission->applied && status.ok()) submission->applied(status);
    Report(std::move(submission), status);
  }
  group_.clear();
}

void Committer::Report(std::unique_ptr<Submission> submission, const Status& status) {
  if (status.ok() && submission->operations > 0) {
    const uint64_t waited = NowNanos() - submission->submitted_nanos;
    if (submission->atomic) {
      deps_.metrics->batch_nanos.Record(waited);
    } else {
      deps_.metrics->put_nanos.Record(waited, submission->operations);
    }
    SlowLog* const slow = deps_.metrics->slow.get();
    if (slow != nullptr && slow->Wants(waited)) slow->Add(SlowWrite(*submission, waited, *slow));
  }
  in_flight_bytes_.fetch_sub(submission->weight(), std::memory_order_relaxed);
  if (!status.ok() && submission->applied) submission->applied(status);
  if (submission->done) submission->done(status);
}

void Committer::Recycle() {
  batch_->Clear();
  shards_.reset();
  if (batch_->Data().capacity() > kKeptBatchBytes) {
    batch_ = std::make_unique<rocksdb::WriteBatch>();
  }
  if (ops_.capacity() > kKeptOps) {
    std::vector<Op>().swap(ops_);
    std::vector<uint32_t>().swap(last_of_key_);
    std::vector<SortedOp>().swap(sorted_);
  }
}

}  // namespace thermocline
