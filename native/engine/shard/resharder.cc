#include "engine/shard/resharder.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "engine/shard/activity.h"
#include "engine/shard/reshard_copy.h"
#include "engine/tier/meta.h"

namespace thermocline {

namespace {

constexpr std::chrono::milliseconds kTurnPause{20};
// A shard of fewer records than this is read whole to find where its bytes lie.
constexpr size_t kSampleRecords = 256 * kKiB;
constexpr size_t kSampleSeeks = 128;

struct Sample {
  SlotWeights weights{};
  uint64_t bytes = 0;
};

// Reads records from evenly chosen places, the whole family if it is small.
Status SampleFamily(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family, Sample* sample) {
  uint64_t records = 0;
  db->GetIntProperty(family, rocksdb::DB::Properties::kEstimateNumKeys, &records);
  std::vector<std::string> starts = {""};
  size_t each = SIZE_MAX;
  if (records > kSampleRecords) {
    rocksdb::ColumnFamilyMetaData meta;
    db->GetColumnFamilyMetaData(family, &meta);
    for (const auto& level : meta.levels) {
      for (const auto& file : level.files) starts.push_back(file.smallestkey);
    }
    std::sort(starts.begin(), starts.end());
    each = kSampleRecords / std::min(starts.size(), kSampleSeeks);
  }
  const size_t stride = std::max<size_t>(1, starts.size() / kSampleSeeks);
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.readahead_size = 256 * kKiB;
  const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(options, family));
  for (size_t i = 0; i < starts.size(); i += stride) {
    it->Seek(starts[i]);
    for (size_t n = 0; n < each && it->Valid(); n++, it->Next()) {
      const size_t bytes = it->key().size() + it->value().size();
      sample->weights[SlotOf({it->key().data(), it->key().size()})] += bytes;
      sample->bytes += bytes;
    }
    if (!it->status().ok()) return Status::From(it->status(), "looking for the slot to split at");
  }
  return {};
}

uint64_t BytesOf(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family) {
  uint64_t tables = 0;
  uint64_t memory = 0;
  db->GetIntProperty(family, rocksdb::DB::Properties::kTotalSstFilesSize, &tables);
  db->GetIntProperty(family, rocksdb::DB::Properties::kCurSizeAllMemTables, &memory);
  return tables + memory;
}

}  // namespace

ReshardControl::Progress ReshardControl::progress() const {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  return {phase_.load(kRelaxed), copied_bytes_.load(kRelaxed), copied_records_.load(kRelaxed),
          total_bytes_.load(kRelaxed), caught_up_.load(kRelaxed)};
}

Status Resharder::Run(const ReshardRequest& request, ReshardControl* control,
                      std::vector<uint32_t>* ids) {
  std::unique_lock<std::timed_mutex> turn(turn_, std::defer_lock);
  while (!turn.try_lock_for(kTurnPause)) {
    if (control->stopped()) return {Code::kAborted, "the split or merge was aborted"};
  }
  SetRunning(control);
  try {
    Status status = RunInTurn(request, control, ids);
    SetRunning(nullptr);
    return status;
  } catch (...) {
    SetRunning(nullptr);  // it is gone with its caller
    throw;
  }
}

Status Resharder::RunInTurn(const ReshardRequest& request, ReshardControl* control,
                            std::vector<uint32_t>* ids) {
  const std::shared_ptr<const Shards> before = deps_.hot->shards();
  ReshardPlan plan;
  Status status = Plan(request, *before, &plan);
  if (!status.ok()) return status;
  for (const int target : plan.targets) {
    ids->push_back(plan.to.shards()[static_cast<size_t>(target)].id);
  }
  control->phase_.store(ReshardPhase::kCopying, std::memory_order_relaxed);
  status = SetAside(plan.sources, control);
  if (!status.ok()) return status;
  try {
    status = Probe(Point::kPlanned);
    if (status.ok()) status = RunPlanned(plan, before, control);
  } catch (const std::exception& error) {
    status = {Code::kIo, std::string("a split or merge failed: ") + error.what()};
  }
  if (deps_.stepper != nullptr) deps_.stepper->EndSetAside();
  return status;
}

void Resharder::SetRunning(const ReshardControl* control) {
  const std::lock_guard lock(running_mutex_);
  running_ = control;
}

Status Resharder::WaitForTurn(const std::function<bool()>& stopped,
                              std::unique_lock<std::timed_mutex>* turn) {
  *turn = std::unique_lock(turn_, std::defer_lock);
  while (!turn->try_lock_for(kTurnPause)) {
    if (stopped()) return {Code::kAborted, "the operation was aborted"};
    const std::lock_guard lock(running_mutex_);
    if (running_ != nullptr && running_->paused()) {
      return {Code::kLocked,
              "a split or merge is paused, and shards are replaced one after the other: resume or "
              "abort it, then try again"};
    }
  }
  return {};
}

Status Resharder::Plan(const ReshardRequest& request, const Shards& shards,
                       ReshardPlan* plan) const {
  if (!request.split) return PlanMerge(shards.table, request.id, request.other, plan);
  if (request.at) return PlanSplit(shards.table, request.id, *request.at, plan);
  const int index = shards.table.IndexOfId(request.id);
  if (index < 0) return {Code::kNotFound, "there is no shard " + std::to_string(request.id)};
  if (shards.table.IsFrozen(index)) {
    return FrozenError(shards.table.shards()[static_cast<size_t>(index)]);
  }
  const auto weights = std::make_unique<SlotWeights>();
  Status status = Weigh(shards, index, weights.get());
  if (!status.ok()) return status;
  const std::optional<uint16_t> at =
      HalvingSlot(shards.table.shards()[static_cast<size_t>(index)], *weights);
  if (at) return PlanSplit(shards.table, request.id, *at, plan);
  return {Code::kInvalidArgument,
          "shard " + std::to_string(request.id) + " owns a single slot and cannot be split"};
}

Status Resharder::Weigh(const Shards& shards, int shard, SlotWeights* weights) const {
  weights->fill(0);
  const auto add = [&](rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family) {
    const auto sample = std::make_unique<Sample>();
    Status status = SampleFamily(db, family, sample.get());
    if (!status.ok() || sample->bytes == 0) return status;
    // A tier counts by what it takes of its disk.
    const double scale = static_cast<double>(std::max<uint64_t>(BytesOf(db, family), 1)) /
                         static_cast<double>(sample->bytes);
    for (size_t slot = 0; slot < weights->size(); slot++) {
      (*weights)[slot] +=
          static_cast<uint64_t>(static_cast<double>(sample->weights[slot]) * scale * 16);
    }
    return status;
  };
  const size_t index = static_cast<size_t>(shard);
  Status status = add(deps_.hot->db(), shards.handles[index]);
  for (const ColderShards& colder : shards.colder) {
    if (status.ok()) status = add(colder.db, colder.handles[index]);
  }
  return status;
}

Status Resharder::SetAside(const std::vector<int>& shards, const ReshardControl* control) {
  if (deps_.stepper == nullptr) return {};
  std::unique_lock<std::timed_mutex> lock;
  Status status = deps_.stepper->Lock([control] { return control->stopped(); }, &lock);
  if (status.ok()) deps_.stepper->SetAside(shards);
  return status;
}

std::shared_ptr<const Shards> Resharder::Compose(const ReshardPlan& plan, const Shards& before,
                                                 const std::vector<std::vector<FamilyPtr>>& filled,
                                                 const std::vector<uint64_t>& target_bytes) const {
  auto next = std::make_shared<Shards>();
  next->table = plan.to;
  for (const ColderShards& colder : before.colder) {
    ColderShards& copy = next->colder.emplace_back();
    copy.tier = colder.tier;
    copy.db = colder.db;
    copy.uncertain = colder.uncertain;
  }
  uint64_t all_bytes = 0;
  for (const uint64_t bytes : target_bytes) all_bytes += bytes;
  std::vector<double> share(plan.to.shards().size(), 1);
  for (size_t i = 0; i < plan.to.shards().size(); i++) {
    const auto target = std::find(plan.targets.begin(), plan.targets.end(), static_cast<int>(i));
    const bool is_new = target != plan.targets.end();
    const size_t place = static_cast<size_t>(target - plan.targets.begin());
    const size_t kept =
        is_new ? 0 : static_cast<size_t>(before.table.IndexOfId(plan.to.shards()[i].id));
    if (is_new) {
      share[i] = all_bytes == 0
                     ? 1.0 / static_cast<double>(plan.targets.size())
                     : static_cast<double>(target_bytes[place]) / static_cast<double>(all_bytes);
    }
    for (size_t level = 0; level < filled.size(); level++) {
      const auto& owned = level == 0 ? before.owned : before.colder[level - 1].owned;
      const FamilyPtr& family = is_new ? filled[level][place] : owned[kept];
      (level == 0 ? next->owned : next->colder[level - 1].owned).push_back(family);
      (level == 0 ? next->handles : next->colder[level - 1].handles).push_back(family.get());
    }
  }
  next->activity = std::make_shared<ShardActivity>(*before.activity, before.table, plan.to, share,
                                                   deps_.clock->NowMs());
  return next;
}

Status Resharder::RunPlanned(const ReshardPlan& plan, const std::shared_ptr<const Shards>& before,
                             ReshardControl* control) {
  std::vector<FamilyStore> stores = {deps_.hot->families()};
  for (int level = 1; level < deps_.tiers->levels(); level++) {
    stores.push_back(deps_.tiers->store(level).families());
  }
  ReshardCopy copy({.owner = this,
                    .stores = stores,
                    .has_log = deps_.hot->has_log(),
                    .chunk_bytes = chunk_bytes_,
                    .notes = deps_.notes,
                    .at_boundary = deps_.at_boundary,
                    .queue_age_nanos = deps_.queue_age_nanos},
                   plan, before, control);
  Status status = copy.Create();
  if (status.ok()) status = Probe(Point::kCreated);
  if (status.ok()) status = copy.CopyColder();
  if (status.ok()) status = copy.CopyHot();
  bool switched = false;
  bool unknown = false;  // whether the new table is durable
  if (status.ok()) {
    std::unique_lock<std::timed_mutex> steps;
    if (deps_.stepper != nullptr) {
      status = deps_.stepper->Lock([control] { return control->stopped(); }, &steps);
    }
    Status at_switch;
    if (status.ok())
      status = deps_.at_boundary(
          [&] {
            at_switch = copy.Apply(deps_.notes->Take(), nullptr);
            if (at_switch.ok()) at_switch = copy.FlushUnlogged();
            if (at_switch.ok()) at_switch = Probe(Point::kSwitching);
            if (!at_switch.ok()) return;
            const std::shared_ptr<const Shards> next =
                Compose(plan, *before, copy.families(), copy.target_bytes());
            unknown = true;
            at_switch =
                deps_.hot->PutMeta({{meta_key::kShards, plan.to.Encode()},
                                    {meta_key::kShardTimes, next->activity->Encode(plan.to)}},
                                   /*sync=*/true);
            if (at_switch.ok()) at_switch = Probe(Point::kPersisted);
            if (!at_switch.ok()) return;
            {
              const auto latch = deps_.tiers->latch().Exclusive();
              CurrentShards current = deps_.hot->current_shards();
              current.Publish(next);
            }
            for (size_t i = 0; i < next->colder.size(); i++) {
              deps_.tiers->store(static_cast<int>(i) + 1).SetShards(next->colder[i].owned);
            }
            deps_.notes->End();
            switched = true;
          },
          /*durable=*/false);
    if (status.ok()) status = std::move(at_switch);
    if (!switched && unknown) {
      // Whichever table is found, everything acknowledged so far is in its families; but a write to
      // either could be lost.
      deps_.fail(status);
    }
  }
  if (!switched) {
    // Without a committer there is nobody left to be told.
    (void)deps_.at_boundary([&] { deps_.notes->End(); }, false);
    if (!unknown) copy.Discard();
    return status;
  }
  control->phase_.store(ReshardPhase::kSwitched, std::memory_order_relaxed);
  // The move is done whatever becomes of the former families: opening drops what is left.
  status = Probe(Point::kSwitched);
  for (size_t level = 0; level < stores.size(); level++) {
    const auto& owned = level == 0 ? before->owned : before->colder[level - 1].owned;
    std::vector<FamilyPtr> former;
    for (const int source : plan.sources) former.push_back(owned[static_cast<size_t>(source)]);
    const Status dropped = stores[level].Drop(former);
    if (status.ok()) status = dropped;
  }
  if (status.ok()) status = Probe(Point::kDropped);
  return status;
}

}  // namespace thermocline
