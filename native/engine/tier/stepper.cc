#include "engine/tier/stepper.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "engine/platform/time.h"
#include "engine/record/commit_header.h"
#include "engine/tier/slice.h"

namespace thermocline {

namespace {

rocksdb::Slice AsSlice(std::string_view s) { return {s.data(), s.size()}; }
std::string_view View(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// The envelope around the same payload, without or with the flag of a clean copy.
std::string Enveloped(const Envelope& envelope, uint8_t clean_copy) {
  const uint8_t flags = (envelope.flags & kEnvelopeTombstone) | clean_copy;
  std::string stored(EncodeEnvelopeHeader(flags, envelope.expiry_ms).view());
  return stored.append(envelope.payload);
}

std::string Marker() { return std::string(EncodeEnvelopeHeader(kEnvelopeTombstone, 0).view()); }

rocksdb::Status BeginInternal(rocksdb::WriteBatch* batch, size_t operations) {
  const EncodedCommitHeader header =
      EncodeCommitHeader({.origin = CommitOrigin::kInternal,
                          .kind = CommitKind::kAtomic,
                          .first_commit_id = 0,
                          .operation_count = static_cast<uint32_t>(operations)});
  return batch->PutLogData({header.bytes, header.size});
}

Status Damaged() { return {Code::kCorruption, "migration met a value whose envelope is damaged"}; }

}  // namespace

// Registers on construction, at a boundary that also takes the snapshots; unregisters at the end.
class Stepper::Registration {
 public:
  explicit Registration(const Dependencies& deps) : deps_(deps) {}
  ~Registration() {
    ReleaseSnapshots();
    // Without a committer there is nobody left to be told.
    if (registered_) (void)deps_.at_boundary([this] { deps_.guard->Unregister(); }, false);
  }
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

  // `levels`: how many, from hot on, need a snapshot. *covered: the range deletes that the colder
  // stores have yet to carry out.
  Status Begin(int shard, std::string_view start, int levels, bool durable,
               RangeIntents::List* covered) {
    return deps_.at_boundary(
        [&] {
          deps_.guard->Register(shard, start);
          registered_ = true;
          *covered = deps_.tiers->intents().Pending();
          for (int level = 0; level < levels; level++) {
            rocksdb::DB* const db = level == 0
                                        ? deps_.hot->db()
                                        : deps_.shards->colder[static_cast<size_t>(level) - 1].db;
            snapshots_.emplace_back(db->GetSnapshot());
          }
        },
        durable);
  }
  void ReleaseSnapshots() {
    for (size_t level = 0; level < snapshots_.size(); level++) {
      rocksdb::DB* const db = level == 0 ? deps_.hot->db() : deps_.shards->colder[level - 1].db;
      db->ReleaseSnapshot(snapshots_[level]);
    }
    snapshots_.clear();
  }
  const std::vector<const rocksdb::Snapshot*>& snapshots() const { return snapshots_; }

 private:
  const Dependencies& deps_;
  bool registered_ = false;
  std::vector<const rocksdb::Snapshot*> snapshots_;  // by level
};

Status Stepper::WriteSlice(bool last, const std::function<Status()>& write) const {
  const uint64_t began = NowNanos();
  Status status = write();
  if (status.ok() && !last) {
    const bool held = deps_.writes_held && deps_.writes_held();
    const uint64_t rest = RestAfterSlice(NowNanos() - began, held);
    if (rest > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(rest));
  }
  return status;
}

rocksdb::DB* Stepper::DbOf(int level) const {
  return level == 0 ? deps_.hot->db() : deps_.shards->colder[static_cast<size_t>(level) - 1].db;
}

rocksdb::ColumnFamilyHandle* Stepper::FamilyOf(int level, int shard) const {
  const auto& handles = level == 0 ? deps_.shards->handles
                                   : deps_.shards->colder[static_cast<size_t>(level) - 1].handles;
  return handles[static_cast<size_t>(shard)];
}

bool Stepper::IsUncertain(int level, int shard) const {
  return deps_.shards->colder[static_cast<size_t>(level) - 1].IsUncertain(shard);
}

Status Stepper::ReadStored(int level, int shard, std::string_view key,
                           const rocksdb::Snapshot* snapshot, std::string* stored,
                           bool* found) const {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  options.fill_cache = false;
  const rocksdb::Status s = DbOf(level)->Get(options, FamilyOf(level, shard), AsSlice(key), stored);
  *found = s.ok();
  return s.ok() || s.IsNotFound() ? Status() : Status::From(s, "reading for a migration");
}

Status Stepper::NoteChanges() {
  noted_.resize(static_cast<size_t>(deps_.tiers->levels()));
  for (int level = 1; level < deps_.tiers->levels(); level++) {
    const uint64_t now = deps_.tiers->store(level).identity().last_step;
    uint64_t& noted = noted_[static_cast<size_t>(level)];
    if (noted == now) continue;
    Status status = deps_.hot->PutMeta({deps_.tiers->RecordOf(level)}, /*sync=*/false);
    if (!status.ok()) return status;
    noted = now;
  }
  return {};
}

bool Stepper::AnySetAside() const {
  const std::lock_guard lock(aside_mutex_);
  return !set_aside_.empty();
}

bool Stepper::IsSetAside(int shard) const {
  const std::lock_guard lock(aside_mutex_);
  return std::find(set_aside_.begin(), set_aside_.end(), shard) != set_aside_.end();
}

Status Stepper::Run(const StepPlan& plan, StepResult* result) {
  std::lock_guard lock(mutex_);
  *result = StepResult();
  if (plan.shard >= deps_.shards->count()) {
    result->done = true;  // merged away meanwhile
    return {};
  }
  if (IsSetAside(plan.shard)) {
    result->set_aside = true;
    result->done = true;  // whoever goes around all shards passes it over
    result->next = plan.start;
    return {};
  }
  return RunLocked(plan, result);
}

Status Stepper::RunLocked(const StepPlan& plan, StepResult* result) {
  // What an earlier step could not note must be durable before a store changes again.
  Status status = NoteChanges();
  if (status.ok()) status = ApplyIntentsLocked();
  if (status.ok()) status = plan.to > plan.from ? Down(plan, result) : Up(plan, result);
  if (status.ok()) {
    MoveCounters& moves = moves_[plan.from][plan.to];
    moves.records.fetch_add(result->records, std::memory_order_relaxed);
    moves.bytes.fetch_add(result->bytes, std::memory_order_relaxed);
    if (deps_.ledger != nullptr) {
      deps_.ledger->Add(plan.cause, {.records = result->records,
                                     .bytes = result->bytes,
                                     .markers = result->markers,
                                     .copies = result->dropped,
                                     .last_ms = deps_.clock->NowMs()});
    }
    status = NoteChanges();
  }
  return status;
}

Status Stepper::ApplyIntents(const std::function<bool()>& stopped) {
  std::unique_lock<std::timed_mutex> lock;
  Status status = Lock(stopped, &lock);
  return status.ok() ? ApplyIntentsLocked() : status;
}

Status Stepper::ApplyIntentsLocked() {
  if (!deps_.tiers->intents().any() || AnySetAside()) return {};
  Status status = NoteChanges();
  // After the boundary no group is being written, so what is pending was written whole.
  if (status.ok()) status = deps_.at_boundary([] {}, /*durable=*/true);
  const RangeIntents::List pending = deps_.tiers->intents().Pending();
  if (!status.ok() || pending.empty()) return status;
  for (int level = 1; level < deps_.tiers->levels() && status.ok(); level++) {
    status = deps_.tiers->store(level).DeleteRanges(pending);
  }
  if (status.ok()) status = NoteChanges();
  if (!status.ok()) return status;
  rocksdb::Status written;
  status = deps_.at_boundary(
      [&] {
        rocksdb::WriteBatch batch;
        written = BeginInternal(&batch, pending.size());
        for (const auto& intent : pending) {
          if (written.ok()) written = batch.Delete(deps_.hot->meta(), intent->key);
        }
        if (written.ok()) written = deps_.write(&batch);
      },
      /*durable=*/false);
  if (status.ok()) status = Status::From(written, "clearing a range delete");
  if (!status.ok()) return status;
  const auto latch = deps_.tiers->latch().Exclusive();
  deps_.tiers->intents().Clear(pending);
  return {};
}

Status Stepper::Scan(const StepPlan& plan, const rocksdb::Snapshot* snapshot, StepResult* result,
                     const Visit& visit) {
  if (plan.keys != nullptr) return ScanKeys(plan, snapshot, result, visit);
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  options.fill_cache = false;
  if (plan.from > 0) options.readahead_size = 1 * kMiB;
  const std::unique_ptr<rocksdb::Iterator> it(
      DbOf(plan.from)->NewIterator(options, FamilyOf(plan.from, plan.shard)));
  size_t moved_bytes = 0;
  size_t scanned_bytes = 0;
  for (it->Seek(plan.start); it->Valid(); it->Next()) {
    if (result->scanned == plan.max_scanned || scanned_bytes >= plan.max_scanned_bytes ||
        moved_bytes >= plan.max_bytes) {
      result->next = it->key().ToString();
      return {};
    }
    result->scanned++;
    scanned_bytes += it->key().size() + it->value().size();
    if (IsCovered(View(it->key()))) continue;
    Envelope envelope;
    if (!DecodeEnvelope(View(it->value()), &envelope)) return Damaged();
    bool moves = false;
    Status status = visit(View(it->key()), View(it->value()), envelope, &moves);
    if (!status.ok()) return status;
    if (moves) moved_bytes += it->key().size() + it->value().size();
  }
  result->done = true;
  return Status::From(it->status(), "scanning for a migration");
}

Status Stepper::ScanKeys(const StepPlan& plan, const rocksdb::Snapshot* snapshot,
                         StepResult* result, const Visit& visit) {
  std::string stored;
  for (const std::string& key : *plan.keys) {
    bool found = false;
    Status status = ReadStored(plan.from, plan.shard, key, snapshot, &stored, &found);
    if (!status.ok()) return status;
    if (!found || IsCovered(key)) continue;
    result->scanned++;
    Envelope envelope;
    if (!DecodeEnvelope(stored, &envelope)) return Damaged();
    bool moves = false;
    status = visit(key, stored, envelope, &moves);
    if (!status.ok()) return status;
  }
  result->done = true;
  return {};
}

Status Stepper::ChooseDown(const StepPlan& plan, const rocksdb::Snapshot* snapshot, Choice* choice,
                           StepResult* result) {
  const uint64_t now = deps_.clock->NowMs();
  const bool lowest = plan.to == deps_.tiers->levels() - 1;
  const bool adjacent = plan.to == plan.from + 1;
  choice->between.resize(static_cast<size_t>(plan.to));
  return Scan(
      plan, snapshot, result,
      [&](std::string_view key, std::string_view, const Envelope& envelope, bool* moves) -> Status {
        const bool gone = envelope.is_tombstone() || IsExpired(envelope, now);
        if (!gone && plan.pick && !plan.pick(key, envelope)) return {};
        *moves = true;
        result->freed += key.size() + envelope.payload.size();
        choice->remove.emplace_back(key);
        std::string ignored;
        bool found = false;
        for (int level = plan.from + 1; level < plan.to; level++) {
          Status status = ReadStored(level, plan.shard, key, nullptr, &ignored, &found);
          if (!status.ok()) return status;
          // What a failed change may bring up there must not shadow what sinks past it.
          found = found || IsUncertain(level, plan.shard);
          if (found) choice->between[static_cast<size_t>(level)].emplace_back(key);
        }
        if (gone) {
          result->markers++;
          if (!lowest) {
            choice->changes.push_back({std::string(key), Marker(), false});
            return {};
          }
          Status status = ReadStored(plan.to, plan.shard, key, nullptr, &ignored, &found);
          found = found || IsUncertain(plan.to, plan.shard);
          if (status.ok() && found) choice->changes.push_back({std::string(key), "", true});
          return status;
        }
        if (envelope.clean_copy() && adjacent) {
          result->dropped++;
          return {};
        }
        result->records++;
        result->bytes += key.size() + envelope.payload.size();
        choice->changes.push_back({std::string(key), Enveloped(envelope, 0), false});
        return {};
      });
}

Status Stepper::Down(const StepPlan& plan, StepResult* result) {
  Registration registration(deps_);
  const std::string_view start =
      plan.keys == nullptr ? plan.start
                           : (plan.keys->empty() ? std::string_view() : plan.keys->front());
  Status status = registration.Begin(plan.shard, start, plan.from + 1, /*durable=*/true, &covered_);
  if (!status.ok()) return status;
  status = Probe(Point::kRegistered);
  Choice choice;
  if (status.ok()) {
    status =
        ChooseDown(plan, registration.snapshots()[static_cast<size_t>(plan.from)], &choice, result);
  }
  registration.ReleaseSnapshots();
  if (status.ok()) status = Probe(Point::kChosen);
  if (!status.ok() || choice.remove.empty()) return status;
  status = deps_.tiers->store(plan.to).Apply(plan.shard, choice.changes);
  if (status.ok()) status = Probe(Point::kApplied);
  for (int level = plan.from + 1; level < plan.to && status.ok(); level++) {
    status = RemoveFrom(level, plan.shard, std::move(choice.between[static_cast<size_t>(level)]));
  }
  if (status.ok()) status = NoteChanges();
  if (status.ok()) status = Probe(Point::kCleared);
  if (!status.ok()) return status;
  if (plan.from > 0) return RemoveFrom(plan.from, plan.shard, std::move(choice.remove));
  return RemoveFromHot(plan.shard, choice.remove, result);
}

Status Stepper::RemoveFromHot(int shard, const std::vector<std::string>& keys, StepResult* result) {
  rocksdb::ColumnFamilyHandle* const family = FamilyOf(0, shard);
  const auto size_of = [&](size_t i) { return keys[i].size(); };
  for (size_t begin = 0, end = 0; begin < keys.size(); begin = end) {
    end = SliceEnd(begin, keys.size(), size_of);
    rocksdb::Status written;
    const auto remove = [&] {
      std::vector<const std::string*> clean;
      for (size_t i = begin; i < end; i++) {
        if (deps_.guard->IsClean(keys[i])) clean.push_back(&keys[i]);
      }
      result->dirty += end - begin - clean.size();
      if (clean.empty()) return;
      rocksdb::WriteBatch batch;
      written = BeginInternal(&batch, clean.size());
      for (const std::string* key : clean) {
        if (written.ok()) written = batch.Delete(family, *key);
      }
      if (written.ok()) written = deps_.write(&batch);
    };
    Status status = WriteSlice(end == keys.size(),
                               [&] { return deps_.at_boundary(remove, /*durable=*/false); });
    if (status.ok()) status = Status::From(written, "removing what was migrated");
    if (!status.ok()) return status;
  }
  return {};
}

Status Stepper::RemoveFrom(int level, int shard, std::vector<std::string> keys) {
  std::vector<TierChange> changes;
  changes.reserve(keys.size());
  for (std::string& key : keys) changes.push_back({std::move(key), "", true});
  return deps_.tiers->store(level).Apply(shard, changes);
}

Status Stepper::HeldBetween(const StepPlan& plan,
                            const std::vector<const rocksdb::Snapshot*>& snapshots,
                            std::string_view key, bool* held) const {
  std::string ignored;
  *held = false;
  for (int level = 1; level < plan.from && !*held; level++) {
    Status status =
        ReadStored(level, plan.shard, key, snapshots[static_cast<size_t>(level)], &ignored, held);
    if (!status.ok()) return status;
  }
  return {};
}

Status Stepper::ChooseUp(const StepPlan& plan,
                         const std::vector<const rocksdb::Snapshot*>& snapshots, Choice* choice,
                         StepResult* result) {
  const uint64_t now = deps_.clock->NowMs();
  const bool lowest = plan.from == deps_.tiers->levels() - 1;
  return Scan(
      plan, snapshots[static_cast<size_t>(plan.from)], result,
      [&](std::string_view key, std::string_view, const Envelope& envelope, bool* moves) -> Status {
        const bool gone = envelope.is_tombstone() || IsExpired(envelope, now);
        if (!gone && plan.pick && !plan.pick(key, envelope)) return {};
        *moves = true;
        choice->remove.emplace_back(key);
        bool held = false;
        Status status = HeldBetween(plan, snapshots, key, &held);
        // What something hotter shadows is of no use to anybody.
        if (!status.ok() || held) return status;
        std::string in_hot;
        Envelope hot;
        status = ReadStored(0, plan.shard, key, snapshots[0], &in_hot, &held);
        if (!status.ok()) return status;
        if (held) {
          if (!DecodeEnvelope(in_hot, &hot)) return Damaged();
          if (!hot.clean_copy()) return {};
          // The copy must not lean on a record that leaves: in hot it becomes the record itself,
          // and between the two another one is put below it.
        } else if (gone) {
          result->markers++;
          if (lowest) return {};
        }
        if (!gone) {
          result->records++;
          result->bytes += key.size() + envelope.payload.size();
        }
        choice->changes.push_back({std::string(key), Enveloped(envelope, 0), false});
        return {};
      });
}

Status Stepper::Up(const StepPlan& plan, StepResult* result) {
  Registration registration(deps_);
  const std::string_view start =
      plan.keys == nullptr ? plan.start
                           : (plan.keys->empty() ? std::string_view() : plan.keys->front());
  Status status = registration.Begin(plan.shard, start, plan.from + 1, /*durable=*/true, &covered_);
  if (!status.ok()) return status;
  status = Probe(Point::kRegistered);
  Choice choice;
  if (status.ok()) status = ChooseUp(plan, registration.snapshots(), &choice, result);
  registration.ReleaseSnapshots();
  if (status.ok()) status = Probe(Point::kChosen);
  if (!status.ok() || choice.remove.empty()) return status;
  if (plan.to == 0) {
    std::vector<std::string> skipped;
    status = CopyToHot(plan.shard, choice.changes, /*durable=*/true, &skipped);
    result->dirty += skipped.size();
    // What was not copied stays below, whatever the reason was.
    std::erase_if(choice.remove, [&](const std::string& key) {
      return std::binary_search(skipped.begin(), skipped.end(), key);
    });
  } else {
    status = deps_.tiers->store(plan.to).Apply(plan.shard, choice.changes);
  }
  if (status.ok()) status = Probe(Point::kApplied);
  if (status.ok()) status = NoteChanges();
  if (status.ok()) status = Probe(Point::kCleared);
  if (!status.ok()) return status;
  deps_.tiers->LiftingBegins();
  return RemoveFrom(plan.from, plan.shard, std::move(choice.remove));
}

Status Stepper::CopyToHot(int shard, const std::vector<TierChange>& changes, bool durable,
                          std::vector<std::string>* skipped) {
  rocksdb::ColumnFamilyHandle* const family = FamilyOf(0, shard);
  const auto size_of = [&](size_t i) { return changes[i].key.size() + changes[i].stored.size(); };
  for (size_t begin = 0, end = 0; begin < changes.size(); begin = end) {
    end = SliceEnd(begin, changes.size(), size_of);
    const bool last = end == changes.size();
    rocksdb::Status written;
    const auto copy = [&] {
      std::vector<const TierChange*> clean;
      for (size_t i = begin; i < end; i++) {
        if (deps_.guard->IsClean(changes[i].key)) {
          clean.push_back(&changes[i]);
        } else {
          skipped->push_back(changes[i].key);
        }
      }
      if (clean.empty()) return;
      rocksdb::WriteBatch batch;
      written = BeginInternal(&batch, clean.size());
      for (const TierChange* change : clean) {
        if (written.ok()) written = batch.Put(family, change->key, change->stored);
      }
      if (written.ok()) written = deps_.write(&batch);
    };
    Status status = WriteSlice(last, [&] { return deps_.at_boundary(copy, durable && last); });
    if (status.ok()) status = Status::From(written, "copying to the hot tier");
    if (!status.ok()) return status;
  }
  return {};
}

Status Stepper::Promote(int shard, const std::vector<std::string>& keys, uint64_t* copied) {
  std::lock_guard lock(mutex_);
  *copied = 0;
  if (keys.empty() || shard >= deps_.shards->count() || IsSetAside(shard)) return {};
  Registration registration(deps_);
  Status status = registration.Begin(shard, keys.front(), 0, /*durable=*/false, &covered_);
  if (!status.ok()) return status;
  const uint64_t now = deps_.clock->NowMs();
  std::vector<TierChange> changes;
  std::string stored;
  for (const std::string& key : keys) {
    if (IsCovered(key)) continue;
    bool found = false;
    int level = 0;
    for (; level < deps_.tiers->levels() && !found; level++) {
      status = ReadStored(level, shard, key, nullptr, &stored, &found);
      if (!status.ok()) return status;
    }
    // level is one past where it was found.
    if (!found || level == 1) continue;
    Envelope envelope;
    if (!DecodeEnvelope(stored, &envelope)) return Damaged();
    if (envelope.is_tombstone() || IsExpired(envelope, now)) continue;
    changes.push_back({key, Enveloped(envelope, kEnvelopeCleanCopy), false});
  }
  status = Probe(Point::kChosen);
  std::vector<std::string> skipped;
  if (status.ok()) status = CopyToHot(shard, changes, /*durable=*/false, &skipped);
  if (status.ok()) *copied = changes.size() - skipped.size();
  promoted_.fetch_add(*copied, std::memory_order_relaxed);
  return status;
}

}  // namespace thermocline
