#include "engine/snapshot/shard_freezer.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/platform/file.h"
#include "engine/shard/activity.h"
#include "engine/tier/meta.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

constexpr size_t kThreads = 2;
constexpr int kIntentRounds = 1000;

Status Written() {
  return {Code::kConflict,
          "the shard was written to while it was being frozen: it stays as it was"};
}

Status NoShard(uint32_t id) { return {Code::kNotFound, "there is no shard " + std::to_string(id)}; }

}  // namespace

Status ShardFreezer::Freeze(uint32_t id, SnapshotControl* control) {
  const std::unique_lock backups(backups_, std::try_to_lock);
  if (!backups.owns_lock()) {
    return {Code::kLocked, "a backup or another freeze is running: try again when it has ended"};
  }
  std::unique_lock<std::timed_mutex> turn;
  Status status = deps_.wait_for_turn(StoppedBy(control), &turn);
  if (!status.ok()) return status;
  Plan plan;
  status = MakePlan(id, &plan);
  if (!status.ok() || plan.before->table.IsFrozen(static_cast<int>(plan.index))) return status;
  bool switched = false;
  bool unknown = false;
  try {
    HeldSnapshot hot(deps_.hot->db());
    status = Begin(plan, control, &hot);
    if (status.ok()) status = RunPlanned(&plan, hot.get(), control, &switched, &unknown);
  } catch (const std::exception& error) {
    status = {Code::kIo, std::string("freezing a shard failed: ") + error.what()};
  }
  if (deps_.stepper != nullptr) deps_.stepper->EndSetAside();
  if (switched) return status;
  // Without a committer there is nobody left to be told.
  (void)deps_.at_boundary([&] { deps_.notes->End(); }, false);
  if (unknown) {
    // Whichever table is found, the shard is whole; but a write could be lost.
    deps_.fail(status);
    return status;
  }
  // What stays is dropped or deleted at the next opening.
  for (size_t level = 0; level < plan.created.size(); level++) {
    (void)plan.stores[level].Drop({plan.created[level]});
  }
  DeleteArchive(deps_.archives, plan.table.shards()[plan.index]);
  return status;
}

Status ShardFreezer::Thaw(uint32_t id, SnapshotControl* control) {
  for (;;) {
    const ShardTable table = deps_.hot->shards()->table;
    const int index = table.IndexOfId(id);
    if (index < 0) return NoShard(id);
    const ShardInfo& info = table.shards()[static_cast<size_t>(index)];
    if (!info.frozen) return {};
    Status status = deps_.restorer->Thaw(info, control);
    if (status.ok()) return status;
    // Somebody else may have thawed it meanwhile, and deleted the archive.
    const std::shared_ptr<const Shards> now = deps_.hot->shards();
    const int then = now->table.IndexOfId(id);
    if (then >= 0 && now->table.shards()[static_cast<size_t>(then)] == info) return status;
  }
}

Status ShardFreezer::MakePlan(uint32_t id, Plan* plan) const {
  plan->before = deps_.hot->shards();
  const ShardTable& table = plan->before->table;
  const int index = table.IndexOfId(id);
  if (index < 0) return NoShard(id);
  plan->index = static_cast<size_t>(index);
  uint32_t generation = 0;
  for (const ShardInfo& info : table.shards()) generation = std::max(generation, info.generation);
  std::vector<ShardInfo> infos = table.shards();
  infos[plan->index].generation = generation + 1;
  infos[plan->index].frozen = true;
  plan->stores = {deps_.hot->families()};
  for (int level = 1; level < deps_.tiers->levels(); level++) {
    plan->stores.push_back(deps_.tiers->store(level).families());
  }
  plan->dir = ArchiveOf(deps_.archives, infos[plan->index]);
  return ShardTable::Create(std::move(infos), &plan->table);
}

Status ShardFreezer::SetAside(size_t shard, SnapshotControl* control) {
  if (deps_.stepper == nullptr) return {};
  std::unique_lock<std::timed_mutex> lock;
  Status status = deps_.stepper->Lock(StoppedBy(control), &lock);
  if (status.ok()) deps_.stepper->SetAside({static_cast<int>(shard)});
  return status;
}

// Range deletes that colder stores have not carried out would be missing in the archive, and while
// a shard is set aside none are carried out. Those that come later are noted, and end the freeze.
Status ShardFreezer::Begin(const Plan& plan, SnapshotControl* control, HeldSnapshot* hot) {
  for (int round = 0; round < kIntentRounds; round++) {
    Status status;
    if (deps_.stepper != nullptr) {
      deps_.stepper->EndSetAside();
      status = deps_.stepper->ApplyIntents(StoppedBy(control));
    }
    if (status.ok()) status = SetAside(plan.index, control);
    if (!status.ok()) return status;
    bool pending = false;
    status = deps_.at_boundary(
        [&] {
          pending = deps_.tiers->intents().any();
          if (pending) return;
          std::vector<bool> noted(plan.before->table.shards().size());
          noted[plan.index] = true;
          deps_.notes->Begin(std::move(noted));
          hot->Take();
        },
        false);
    if (!status.ok() || !pending) return status;
  }
  return {Code::kIo, "range deletes did not end: the shard was not frozen"};
}

Status ShardFreezer::RunPlanned(Plan* plan, const rocksdb::Snapshot* hot, SnapshotControl* control,
                                bool* switched, bool* unknown) {
  Status status = Probe(Point::kNoting);
  if (status.ok()) status = WriteArchive(*plan, hot, control);
  if (status.ok()) status = Probe(Point::kDescribed);
  const ShardInfo& info = plan->table.shards()[plan->index];
  for (size_t level = 0; level < plan->stores.size() && status.ok(); level++) {
    status = plan->stores[level].Create({info}, &plan->created);
  }
  if (status.ok()) status = Probe(Point::kCreated);
  if (status.ok()) status = Stopped(control);
  if (status.ok()) status = Switch(*plan, control, switched, unknown);
  if (!*switched) return status;
  // The shard is frozen whatever becomes of the former families: opening drops what is left.
  status = Probe(Point::kSwitched);
  for (size_t level = 0; level < plan->stores.size() && status.ok(); level++) {
    const auto& owned = level == 0 ? plan->before->owned : plan->before->colder[level - 1].owned;
    status = plan->stores[level].Drop({owned[plan->index]});
  }
  return status;
}

Status ShardFreezer::WriteArchive(const Plan& plan, const rocksdb::Snapshot* hot,
                                  SnapshotControl* control) {
  std::error_code error;
  fs::remove_all(plan.dir, error);
  fs::create_directories(plan.dir, error);
  if (error) return {Code::kIo, "creating the folder " + plan.dir + ": " + error.message()};
  const auto go_on = [&]() -> Status {
    if (deps_.notes->bytes() > 0) return Written();
    return Stopped(control);
  };
  SnapshotManifest manifest;
  manifest.created_ms =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count());
  manifest.clock_ms = deps_.clock->NowMs();
  manifest.source = deps_.hot->identity().uuid;
  SnapshotShard& shard = manifest.shards.emplace_back();
  shard.info = plan.table.shards()[plan.index];
  for (size_t level = 0; level < plan.stores.size(); level++) {
    const FamilyStore& store = plan.stores[level];
    HeldSnapshot colder(store.db);
    if (level > 0) colder.Take();
    rocksdb::ColumnFamilyHandle* const family =
        level == 0 ? plan.before->handles[plan.index]
                   : plan.before->colder[level - 1].handles[plan.index];
    SnapshotTier& tier = shard.tiers.emplace_back();
    tier.tier = deps_.tiers->TierOf(static_cast<int>(level));
    Status status = ArchiveFamily(store, family, level == 0 ? hot : colder.get(), plan.dir, control,
                                  go_on, &tier, &shard.keys);
    if (!status.ok()) return status;
  }
  std::vector<SnapshotFile*> files;
  for (SnapshotTier& tier : shard.tiers) {
    for (SnapshotFile& file : tier.files) files.push_back(&file);
  }
  Status status = InParallel(files.size(), kThreads, [&](size_t i) {
    const std::string path = plan.dir + "/" + files[i]->name;
    std::shared_ptr<File> file;
    Status checked = ChecksumFile(path, files[i]->size, nullptr, &files[i]->crc);
    if (checked.ok()) checked = File::Open(path, File::Mode::kWrite, &file);
    return checked.ok() ? file->Sync() : checked;
  });
  if (status.ok()) status = Probe(Point::kArchived);
  if (status.ok()) {
    status =
        ReplaceFile(plan.dir + "/" + kManifestName, EncodeManifest(manifest), /*durable=*/true);
  }
  if (status.ok()) deps_.catalogue->Add(shard.info, manifest);
  if (status.ok()) status = SyncFolder(plan.dir);
  if (status.ok()) status = SyncFolder(deps_.archives);
  if (status.ok()) status = SyncFolder(fs::path(deps_.archives).parent_path().string());
  return status;
}

std::shared_ptr<const Shards> ShardFreezer::Compose(const Plan& plan) const {
  auto next = std::make_shared<Shards>(*plan.before);
  next->table = plan.table;
  for (size_t level = 0; level < plan.stores.size(); level++) {
    (level == 0 ? next->owned : next->colder[level - 1].owned)[plan.index] = plan.created[level];
    (level == 0 ? next->handles : next->colder[level - 1].handles)[plan.index] =
        plan.created[level].get();
  }
  const std::vector<double> share(plan.table.shards().size(), 1);
  next->activity = std::make_shared<ShardActivity>(*plan.before->activity, plan.before->table,
                                                   plan.table, share, deps_.clock->NowMs());
  return next;
}

Status ShardFreezer::Switch(const Plan& plan, SnapshotControl* control, bool* switched,
                            bool* unknown) {
  const std::shared_ptr<const Shards> next = Compose(plan);
  // No step may be under way when the table changes.
  std::unique_lock<std::timed_mutex> steps;
  Status status;
  if (deps_.stepper != nullptr) status = deps_.stepper->Lock(StoppedBy(control), &steps);
  if (!status.ok()) return status;
  Status at_switch;
  status = deps_.at_boundary(
      [&] {
        const ChangeNotes::Changes changes = deps_.notes->Take();
        if (!changes.empty() || changes.overflowed) {
          at_switch = Written();
          return;
        }
        at_switch = Probe(Point::kSwitching);
        if (!at_switch.ok()) return;
        *unknown = true;
        at_switch =
            deps_.hot->PutMeta({{meta_key::kShards, plan.table.Encode()},
                                {meta_key::kShardTimes, next->activity->Encode(plan.table)}},
                               /*sync=*/true);
        if (at_switch.ok()) at_switch = Probe(Point::kPersisted);
        if (!at_switch.ok()) return;
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
        deps_.notes->End();
        *switched = true;
      },
      /*durable=*/false);
  return status.ok() ? at_switch : status;
}

}  // namespace thermocline
