#include "engine/snapshot/shard_restore.h"

#include <rocksdb/metadata.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/platform/file.h"
#include "engine/record/coding.h"
#include "engine/shard/activity.h"
#include "engine/snapshot/archive.h"
#include "engine/tier/meta.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

constexpr size_t kThreads = 4;
constexpr int kIntentRounds = 1000;

std::string SlotsOf(const ShardInfo& info) {
  std::string text;
  for (const SlotRange& range : info.slots) {
    text +=
        (text.empty() ? "" : " ") + std::to_string(range.first) + "-" + std::to_string(range.last);
  }
  return text;
}

const SnapshotTier* TierOf(const SnapshotShard& shard, Tier tier) {
  for (const SnapshotTier& one : shard.tiers) {
    if (one.tier == tier) return &one;
  }
  return nullptr;
}

}  // namespace

Status VerifySnapshot(const std::string& dir, SnapshotControl* control,
                      SnapshotManifest* manifest) {
  Status status = ReadManifest(dir, manifest);
  if (!status.ok()) return status;
  std::vector<const SnapshotFile*> files;
  for (const SnapshotShard& shard : manifest->shards) {
    for (const SnapshotTier& tier : shard.tiers) {
      for (const SnapshotFile& file : tier.files) files.push_back(&file);
    }
  }
  if (control != nullptr) {
    control->total_bytes.store(manifest->bytes(), std::memory_order_relaxed);
  }
  return InParallel(files.size(), kThreads, [&](size_t i) -> Status {
    uint32_t crc = 0;
    const std::string path = dir + "/" + files[i]->name;
    Status checked = ChecksumFile(path, files[i]->size, control, &crc);
    if (!checked.ok() || crc == files[i]->crc) return checked;
    return {Code::kCorruption, path + " is damaged: its checksum does not match the manifest"};
  });
}

Status ShardRestorer::Restore(const std::string& dir, std::optional<uint32_t> as,
                              SnapshotControl* control, std::vector<uint32_t>* ids,
                              SnapshotManifest* manifest) {
  return Run({.dir = dir, .as = as, .frozen = std::nullopt}, control, ids, manifest);
}

Status ShardRestorer::Thaw(const ShardInfo& frozen, SnapshotControl* control) {
  std::vector<uint32_t> ids;
  SnapshotManifest manifest;
  return Run({.dir = ArchiveOf(deps_.archives, frozen), .as = frozen.id, .frozen = frozen}, control,
             &ids, &manifest);
}

Status ShardRestorer::Run(const Request& request, SnapshotControl* control,
                          std::vector<uint32_t>* ids, SnapshotManifest* manifest) {
  const std::string& dir = request.dir;
  Status status = VerifySnapshot(dir, control, manifest);
  if (status.ok()) status = Probe(Point::kVerified);
  if (!status.ok()) return status;
  std::unique_lock<std::timed_mutex> turn;
  status = deps_.wait_for_turn(StoppedBy(control), &turn);
  Plan plan;
  if (status.ok()) status = MakePlan(*manifest, request, &plan);
  if (!status.ok()) return status;
  status = FillAll(dir, *manifest, control, &plan);
  if (status.ok()) status = ApplyIntents(*manifest, plan);
  if (status.ok()) status = Probe(Point::kCreated);
  if (status.ok()) status = Stopped(control);
  bool switched = false;
  bool unknown = false;
  if (status.ok()) status = Switch(plan, control, &switched, &unknown);
  if (!switched) {
    if (unknown) {
      // Whichever table is found, it is whole; but a write to either could be lost.
      deps_.fail(status);
      return status;
    }
    for (size_t level = 0; level < plan.filled.size(); level++) {
      // What stays is dropped at the next opening.
      (void)plan.stores[level].Drop(plan.filled[level]);
    }
    return status;
  }
  for (const size_t index : plan.indexes) ids->push_back(plan.table.shards()[index].id);
  status = Probe(Point::kSwitched);
  if (status.ok()) {
    // What stays is deleted at the next opening.
    for (const size_t index : plan.indexes) {
      DeleteArchive(deps_.archives, plan.before->table.shards()[index]);
    }
  }
  for (size_t level = 0; level < plan.stores.size(); level++) {
    const auto& owned = level == 0 ? plan.before->owned : plan.before->colder[level - 1].owned;
    std::vector<FamilyPtr> former;
    for (const size_t index : plan.indexes) former.push_back(owned[index]);
    const Status dropped = plan.stores[level].Drop(former);
    if (status.ok()) status = dropped;
  }
  if (status.ok()) status = Probe(Point::kDropped);
  return status;
}

Status ShardRestorer::MakePlan(const SnapshotManifest& manifest, const Request& request,
                               Plan* plan) const {
  const std::optional<uint32_t> as = request.as;
  plan->thaws = request.frozen.has_value();
  plan->before = deps_.hot->shards();
  const ShardTable& table = plan->before->table;
  if (as && manifest.shards.size() != 1) {
    return {Code::kInvalidArgument, "the snapshot holds " + std::to_string(manifest.shards.size()) +
                                        " shards, so `as` cannot name one to replace"};
  }
  if (as && table.IndexOfId(*as) < 0) {
    return {Code::kNotFound, "there is no shard " + std::to_string(*as)};
  }
  if (request.frozen &&
      table.shards()[static_cast<size_t>(table.IndexOfId(*as))] != *request.frozen) {
    return {Code::kConflict, "the shard was thawed or replaced meanwhile"};
  }
  uint32_t generation = 0;
  for (const ShardInfo& info : table.shards()) generation = std::max(generation, info.generation);
  std::vector<ShardInfo> infos = table.shards();
  for (const SnapshotShard& shard : manifest.shards) {
    size_t index = as ? static_cast<size_t>(table.IndexOfId(*as))
                      : static_cast<size_t>(table.IndexOfSlot(shard.info.slots[0].first));
    if (table.shards()[index].slots != shard.info.slots) {
      return {Code::kInvalidArgument,
              "the snapshot's shard " + std::to_string(shard.info.id) + " owns the slots " +
                  SlotsOf(shard.info) + ", the database's shard " +
                  std::to_string(table.shards()[index].id) + " the slots " +
                  SlotsOf(table.shards()[index]) + ": split or merge until they agree"};
    }
    for (const SnapshotTier& tier : shard.tiers) {
      if (tier.files.empty() || deps_.tiers->LevelOf(tier.tier) >= 0) continue;
      return {Code::kInvalidArgument, "the snapshot holds records of a " +
                                          std::string(TierName(tier.tier)) +
                                          " tier, and the database has none"};
    }
    infos[index].generation = generation + 1;
    infos[index].frozen = false;
    plan->indexes.push_back(index);
  }
  plan->stores = {deps_.hot->families()};
  for (int level = 1; level < deps_.tiers->levels(); level++) {
    plan->stores.push_back(deps_.tiers->store(level).families());
  }
  plan->filled.resize(plan->stores.size());
  return ShardTable::Create(std::move(infos), &plan->table);
}

Status ShardRestorer::FillAll(const std::string& dir, const SnapshotManifest& manifest,
                              SnapshotControl* control, Plan* plan) {
  for (size_t level = 0; level < plan->stores.size(); level++) {
    const Tier tier = deps_.tiers->TierOf(static_cast<int>(level));
    std::error_code error;
    fs::create_directories(plan->stores[level].ingest_folder, error);
    for (size_t i = 0; i < manifest.shards.size(); i++) {
      FamilyPtr family;
      Status status = CreateFamily(plan->stores[level], dir, plan->table.shards()[plan->indexes[i]],
                                   TierOf(manifest.shards[i], tier), control, &family);
      if (family) plan->filled[level].push_back(std::move(family));
      if (!status.ok()) return status;
    }
  }
  return {};
}

Status ShardRestorer::CreateFamily(const FamilyStore& store, const std::string& dir,
                                   const ShardInfo& info, const SnapshotTier* tier,
                                   SnapshotControl* control, FamilyPtr* family) {
  if (tier == nullptr || tier->files.empty()) {
    std::vector<FamilyPtr> created;
    Status status = store.Create({info}, &created);
    if (!created.empty()) *family = created[0];
    return status;
  }
  const std::string name = ShardColumnFamilyName(info.id, info.generation);
  const std::string folder = store.ingest_folder + "/" + name;
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  fs::create_directories(folder, ignored);
  Status status = InParallel(tier->files.size(), kThreads, [&](size_t i) {
    const SnapshotFile& file = tier->files[i];
    const std::string from = dir + "/" + file.name;
    const std::string to = folder + "/" + file.name;
    bool linked = false;
    Status placed = LinkOrCopy(from, to, control, &linked);
    if (placed.ok() && !linked) {
      // What was verified is the file that was read then.
      uint32_t crc = 0;
      placed = ChecksumFile(to, file.size, nullptr, &crc);
      if (placed.ok() && crc != file.crc) {
        placed = {Code::kCorruption, from + " changed while it was being restored"};
      }
    }
    std::shared_ptr<File> synced;
    if (placed.ok()) placed = File::Open(to, File::Mode::kWrite, &synced);
    return placed.ok() ? synced->Sync() : placed;
  });
  if (status.ok()) status = Probe(Point::kPlaced);
  if (status.ok()) {
    rocksdb::ExportImportFilesMetaData meta;
    meta.db_comparator_name = store.shard_options.comparator->Name();
    for (const SnapshotFile& file : tier->files) {
      rocksdb::LiveFileMetaData& live = meta.files.emplace_back();
      live.name = "/" + file.name;
      live.relative_filename = file.name;
      live.db_path = folder;
      live.directory = folder;
      live.size = file.size;
      live.level = static_cast<int>(file.level);
      live.smallest_seqno = file.smallest_sequence;
      live.largest_seqno = file.largest_sequence;
      live.epoch_number = file.epoch;
      live.smallest = file.smallest;
      live.largest = file.largest;
    }
    rocksdb::ImportColumnFamilyOptions import;
    import.move_files = true;
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    const rocksdb::Status s =
        store.db->CreateColumnFamilyWithImport(store.shard_options, name, import, meta, &handle);
    if (handle != nullptr) *family = store.keeper->Own(handle);
    status = Status::From(s, "taking in a shard's files");
  }
  fs::remove_all(folder, ignored);
  return status;
}

Status ShardRestorer::ApplyIntents(const SnapshotManifest& manifest, const Plan& plan) {
  for (size_t level = 1; level < plan.stores.size() && !manifest.intents.empty(); level++) {
    rocksdb::WriteBatch batch;
    for (const FamilyPtr& family : plan.filled[level]) {
      rocksdb::ColumnFamilyHandle* const handle = family.get();
      const std::unique_ptr<rocksdb::Iterator> last(
          plan.stores[level].db->NewIterator(rocksdb::ReadOptions(), handle));
      last->SeekToLast();
      if (!last->status().ok()) return Status::From(last->status(), "reading a restored shard");
      if (!last->Valid()) continue;
      const std::string behind = last->key().ToString() + '\0';
      for (const RangeIntentRecord& intent : manifest.intents) {
        const std::string& end = intent.has_end ? intent.end : behind;
        if (end <= intent.start) continue;
        const rocksdb::Status s = batch.DeleteRange(handle, intent.start, end);
        if (!s.ok()) return Status::From(s, "restoring a shard");
      }
    }
    rocksdb::WriteOptions write;
    write.sync = true;
    const rocksdb::Status s = plan.stores[level].db->Write(write, &batch);
    if (!s.ok()) return Status::From(s, "restoring a shard");
  }
  return {};
}

std::shared_ptr<const Shards> ShardRestorer::Compose(const Plan& plan) const {
  auto next = std::make_shared<Shards>(*plan.before);
  next->table = plan.table;
  for (size_t level = 0; level < plan.stores.size(); level++) {
    auto& owned = level == 0 ? next->owned : next->colder[level - 1].owned;
    auto& handles = level == 0 ? next->handles : next->colder[level - 1].handles;
    for (size_t i = 0; i < plan.indexes.size(); i++) {
      owned[plan.indexes[i]] = plan.filled[level][i];
      handles[plan.indexes[i]] = plan.filled[level][i].get();
    }
  }
  const std::vector<double> share(plan.table.shards().size(), 1);
  next->activity = std::make_shared<ShardActivity>(*plan.before->activity, plan.before->table,
                                                   plan.table, share, deps_.clock->NowMs());
  return next;
}

Status ShardRestorer::Switch(const Plan& plan, SnapshotControl* control, bool* switched,
                             bool* unknown) {
  const std::shared_ptr<const Shards> next = Compose(plan);
  for (int round = 0; round < kIntentRounds; round++) {
    // A range delete from before the switch must not reach what is put in its place.
    if (deps_.stepper != nullptr) {
      Status status = deps_.stepper->ApplyIntents(StoppedBy(control));
      if (!status.ok()) return status;
    }
    std::unique_lock<std::timed_mutex> steps;
    if (deps_.stepper != nullptr) {
      Status status = deps_.stepper->Lock(StoppedBy(control), &steps);
      if (!status.ok()) return status;
    }
    // A colder store without any change would pass for one whose creation was cut short.
    for (int level = 1; level < deps_.tiers->levels(); level++) {
      TierStore& store = deps_.tiers->store(level);
      if (store.identity().last_step > 0) continue;
      Status status = store.DeleteRanges({});
      if (!status.ok()) return status;
    }
    bool again = false;
    Status at_switch;
    Status status = deps_.at_boundary(
        [&] {
          again = deps_.tiers->intents().any();
          if (!again) at_switch = SwitchAtBoundary(plan, next, switched, unknown);
        },
        /*durable=*/false);
    if (status.ok()) status = at_switch;
    if (!status.ok() || !again) return status;
  }
  return {Code::kIo, "range deletes did not end: the shard was not restored"};
}

Status ShardRestorer::SwitchAtBoundary(const Plan& plan, const std::shared_ptr<const Shards>& next,
                                       bool* switched, bool* unknown) {
  Status status = Probe(Point::kSwitching);
  if (!status.ok()) return status;
  std::vector<std::pair<std::string_view, std::string>> records = {
      {meta_key::kShards, plan.table.Encode()},
      {meta_key::kShardTimes, next->activity->Encode(plan.table)}};
  // So that a reader of the changes who comes back later learns of it. What users wrote until now
  // has smaller numbers, what they write afterwards larger ones.
  // Of a thaw there is nothing to learn.
  if (!plan.thaws) {
    std::string replaced;
    PutFixed64(&replaced, deps_.hot->db()->GetLatestSequenceNumber() + 1);
    records.emplace_back(meta_key::kReplaced, std::move(replaced));
  }
  for (int level = 1; level < deps_.tiers->levels(); level++) {
    records.push_back(deps_.tiers->RecordOf(level));
  }
  *unknown = true;
  status = deps_.hot->PutMeta(records, /*sync=*/true);
  if (status.ok()) status = Probe(Point::kPersisted);
  if (!status.ok()) return status;
  deps_.cache->BeginClear();
  {
    const auto latch = deps_.tiers->latch().Exclusive();
    CurrentShards current = deps_.hot->current_shards();
    current.Publish(next);
  }
  for (size_t i = 0; i < next->colder.size(); i++) {
    deps_.tiers->store(static_cast<int>(i) + 1).SetShards(next->colder[i].owned);
  }
  deps_.cache->EndClear();
  if (!plan.thaws) deps_.conflict_all();
  *switched = true;
  return {};
}

}  // namespace thermocline
