#include "engine/shard/reshard_copy.h"

#include <rocksdb/table_properties.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "engine/read/held_snapshot.h"
#include "engine/record/commit_header.h"

namespace thermocline {

namespace {

using std::chrono::milliseconds;

// Of one batch of keys that are copied again.
constexpr size_t kSliceKeys = 1000;
constexpr size_t kSliceBytes = 512 * kKiB;
// So little is left to the switch, during which no write goes on.
constexpr size_t kFewKeys = 256;
constexpr size_t kFewRanges = 4;
// If writes keep up with the catching up for so long, the switch has more to copy.
constexpr int kMaxRounds = 16;
// A paused move follows what is written once it is this much.
constexpr size_t kPausedBytes = 4 * kMiB;
constexpr milliseconds kPause{10};
// Writes that wait longer than this make the copy wait too, but not for ever.
constexpr uint64_t kSufferingNanos = 20'000'000;
constexpr int kMaxPauses = 100;

std::string_view View(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

rocksdb::Status BeginInternal(rocksdb::WriteBatch* batch, size_t operations) {
  const EncodedCommitHeader header =
      EncodeCommitHeader({.origin = CommitOrigin::kInternal,
                          .kind = CommitKind::kAtomic,
                          .first_commit_id = 0,
                          .operation_count = static_cast<uint32_t>(operations)});
  return batch->PutLogData({header.bytes, header.size});
}

Status Failed(const rocksdb::Status& s) { return Status::From(s, "copying a shard"); }

}  // namespace

ReshardCopy::ReshardCopy(Dependencies dependencies, const ReshardPlan& plan,
                         std::shared_ptr<const Shards> before, ReshardControl* control)
    : deps_(std::move(dependencies)),
      plan_(plan),
      before_(std::move(before)),
      control_(control),
      target_of_(static_cast<size_t>(plan.to.size()), -1),
      target_bytes_(plan.targets.size()) {
  for (size_t i = 0; i < plan.targets.size(); i++) {
    target_of_[static_cast<size_t>(plan.targets[i])] = static_cast<int>(i);
  }
}

int ReshardCopy::TargetOf(std::string_view key) const {
  return target_of_[static_cast<size_t>(plan_.to.IndexOfKey(key))];
}

rocksdb::ColumnFamilyHandle* ReshardCopy::SourceOf(int level, size_t source) const {
  const auto& handles =
      level == 0 ? before_->handles : before_->colder[static_cast<size_t>(level) - 1].handles;
  return handles[static_cast<size_t>(plan_.sources[source])];
}

Status ReshardCopy::Create() {
  std::vector<ShardInfo> infos;
  for (const int target : plan_.targets) {
    infos.push_back(plan_.to.shards()[static_cast<size_t>(target)]);
  }
  for (const FamilyStore& store : deps_.stores) {
    families_.emplace_back();
    Status status = store.Create(infos, &families_.back());
    if (!status.ok()) return status;
  }
  control_->total_bytes_.store(EstimateBytes(), std::memory_order_relaxed);
  return {};
}

void ReshardCopy::Discard() {
  for (size_t level = 0; level < families_.size(); level++) {
    // What cannot be dropped now is dropped when the database is opened.
    (void)deps_.stores[level].Drop(families_[level]);
  }
  families_.clear();
}

uint64_t ReshardCopy::EstimateBytes() const {
  uint64_t bytes = 0;
  for (size_t level = 0; level < deps_.stores.size(); level++) {
    rocksdb::DB* const db = deps_.stores[level].db;
    for (size_t source = 0; source < plan_.sources.size(); source++) {
      rocksdb::ColumnFamilyHandle* const family = SourceOf(static_cast<int>(level), source);
      rocksdb::TablePropertiesCollection tables;
      if (db->GetPropertiesOfAllTables(family, &tables).ok()) {
        for (const auto& [name, table] : tables) {
          bytes += table->raw_key_size + table->raw_value_size;
        }
      }
      uint64_t memory = 0;
      db->GetIntProperty(family, rocksdb::DB::Properties::kCurSizeActiveMemTable, &memory);
      bytes += memory;
    }
  }
  return bytes;
}

Status ReshardCopy::Stopped() const {
  if (!control_->stopped()) return {};
  return {Code::kAborted, "the split or merge was aborted: nothing has changed"};
}

bool ReshardCopy::Pace() {
  while (control_->paused() && !control_->stopped()) {
    if (deps_.notes->bytes() > kPausedBytes) return false;
    std::this_thread::sleep_for(kPause);
  }
  for (int i = 0; i < kMaxPauses && deps_.queue_age_nanos() > kSufferingNanos; i++) {
    if (control_->stopped()) break;
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

Status ReshardCopy::CopyColder() {
  for (size_t level = 1; level < deps_.stores.size(); level++) {
    HeldSnapshot snapshot(deps_.stores[level].db);
    snapshot.Take();
    std::string position;
    for (bool all = false; !all;) {
      (void)Pace();  // nothing is noted yet that could be caught up with
      Status status = Stopped();
      if (status.ok()) {
        status = CopyChunk(static_cast<int>(level), snapshot.get(), &position, &all);
      }
      if (!status.ok()) return status;
    }
  }
  return {};
}

Status ReshardCopy::CopyHot() {
  std::vector<bool> noted(before_->table.shards().size());
  for (const int source : plan_.sources) noted[static_cast<size_t>(source)] = true;
  Status status = deps_.at_boundary([&] { deps_.notes->Begin(std::move(noted)); }, false);
  if (status.ok()) status = deps_.owner->Probe(Resharder::Point::kNoting);
  for (int caught_up = 0; status.ok();) {
    const bool may_copy = Pace();
    status = Stopped();
    if (!status.ok()) break;
    HeldSnapshot snapshot(deps_.stores[0].db);
    ChangeNotes::Changes changes;
    status = deps_.at_boundary(
        [&] {
          snapshot.Take();
          changes = deps_.notes->Take();
        },
        false);
    if (status.ok()) status = Apply(changes, snapshot.get());
    if (!status.ok() || !may_copy) continue;
    if (!all_) {
      status = CopyChunk(0, snapshot.get(), &position_, &all_);
      if (status.ok()) status = deps_.owner->Probe(Resharder::Point::kChunk);
      continue;
    }
    control_->phase_.store(ReshardPhase::kCatchingUp, std::memory_order_relaxed);
    const bool few = changes.keys.size() <= kFewKeys && changes.ranges.size() <= kFewRanges;
    if ((few || ++caught_up >= kMaxRounds) && !control_->paused()) break;
  }
  if (status.ok()) status = deps_.owner->Probe(Resharder::Point::kCopied);
  return status;
}

Status ReshardCopy::CopyChunk(int level, const rocksdb::Snapshot* snapshot, std::string* position,
                              bool* all) {
  const FamilyStore& store = deps_.stores[static_cast<size_t>(level)];
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  options.fill_cache = false;
  options.readahead_size = 256 * kKiB;
  std::vector<std::unique_ptr<rocksdb::Iterator>> sources;
  for (size_t i = 0; i < plan_.sources.size(); i++) {
    sources.emplace_back(store.db->NewIterator(options, SourceOf(level, i)));
    sources.back()->Seek(*position);
  }
  std::vector<std::unique_ptr<FamilyFiller>> fillers;
  for (const FamilyPtr& family : families_[static_cast<size_t>(level)]) {
    fillers.push_back(std::make_unique<FamilyFiller>(&store, family));
  }
  size_t bytes = 0;
  uint64_t records = 0;
  while (bytes < deps_.chunk_bytes) {
    rocksdb::Iterator* next = nullptr;
    for (const auto& source : sources) {
      if (!source->Valid()) {
        if (!source->status().ok()) return Failed(source->status());
        continue;
      }
      if (next == nullptr || source->key().compare(next->key()) < 0) next = source.get();
    }
    if (next == nullptr) {
      *all = true;
      break;
    }
    const std::string_view key = View(next->key());
    const int target = TargetOf(key);
    if (target < 0) {
      return {Code::kCorruption, "a shard holds a key that belongs to another one: see verify"};
    }
    Status status = fillers[static_cast<size_t>(target)]->Add(key, View(next->value()));
    if (!status.ok()) return status;
    const size_t size = key.size() + next->value().size();
    target_bytes_[static_cast<size_t>(target)] += size;
    bytes += size;
    records++;
    if (bytes >= deps_.chunk_bytes) position->assign(key).push_back('\0');
    next->Next();
  }
  for (const auto& filler : fillers) {
    Status status = filler->Ingest();
    if (!status.ok()) return status;
  }
  control_->copied_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  control_->copied_records_.fetch_add(records, std::memory_order_relaxed);
  return {};
}

Status ReshardCopy::Apply(const ChangeNotes::Changes& changes, const rocksdb::Snapshot* snapshot) {
  if (changes.overflowed) {
    return {Code::kBackpressure,
            "more was written during the split or merge than it can follow: try again when less is "
            "being written"};
  }
  // The ranges first: what was written after one is among the keys.
  Status status = ApplyRanges(changes.ranges);
  if (!status.ok()) return status;
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  options.fill_cache = false;
  std::vector<Change> slice;
  size_t slice_bytes = 0;
  for (const std::string& key : changes.keys) {
    if (!all_ && key >= position_) continue;
    const int target = TargetOf(key);
    const int source = before_->IndexOf(key);
    if (target < 0) return {Code::kCorruption, "a changed key belongs to no shard that is copied"};
    Change change{families_[0][static_cast<size_t>(target)].get(), &key, {}, false};
    const rocksdb::Status s = deps_.stores[0].db->Get(
        options, before_->handles[static_cast<size_t>(source)], key, &change.stored);
    if (!s.ok() && !s.IsNotFound()) return Failed(s);
    change.found = s.ok();
    slice_bytes += key.size() + change.stored.size();
    slice.push_back(std::move(change));
    if (slice.size() < kSliceKeys && slice_bytes < kSliceBytes) continue;
    status = WriteChanges(slice);
    if (!status.ok()) return status;
    slice.clear();
    slice_bytes = 0;
  }
  return slice.empty() ? status : WriteChanges(slice);
}

Status ReshardCopy::ApplyRanges(const std::vector<ChangeNotes::Range>& ranges) {
  for (const ChangeNotes::Range& range : ranges) {
    for (const FamilyPtr& family : families_[0]) {
      std::string end = range.end;
      if (!all_ && (!range.has_end || position_ < end)) {
        end = position_;
      } else if (!range.has_end) {
        const std::unique_ptr<rocksdb::Iterator> last(
            deps_.stores[0].db->NewIterator(rocksdb::ReadOptions(), family.get()));
        last->SeekToLast();
        if (!last->status().ok()) return Failed(last->status());
        if (!last->Valid()) continue;
        end = last->key().ToString() + '\0';
      }
      if (end <= range.start) continue;
      rocksdb::WriteBatch batch;
      rocksdb::Status s = BeginInternal(&batch, 1);
      if (s.ok()) s = batch.DeleteRange(family.get(), range.start, end);
      Status status = s.ok() ? Write(&batch) : Failed(s);
      if (!status.ok()) return status;
    }
  }
  return {};
}

Status ReshardCopy::WriteChanges(const std::vector<Change>& changes) {
  rocksdb::WriteBatch batch;
  rocksdb::Status s = BeginInternal(&batch, changes.size());
  for (const Change& change : changes) {
    if (!s.ok()) break;
    s = change.found ? batch.Put(change.family, *change.key, change.stored)
                     : batch.Delete(change.family, *change.key);
  }
  Status status = s.ok() ? Write(&batch) : Failed(s);
  if (status.ok()) control_->caught_up_.fetch_add(changes.size(), std::memory_order_relaxed);
  return status;
}

Status ReshardCopy::Write(rocksdb::WriteBatch* batch) {
  rocksdb::WriteOptions write;
  write.disableWAL = !deps_.has_log;
  return Failed(deps_.stores[0].db->Write(write, batch));
}

Status ReshardCopy::FlushUnlogged() {
  if (deps_.has_log) return {};
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  for (const FamilyPtr& family : families_[0]) families.push_back(family.get());
  return Failed(deps_.stores[0].db->Flush(rocksdb::FlushOptions(), families));
}

}  // namespace thermocline
