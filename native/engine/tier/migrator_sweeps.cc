// What sinks although no tier is above its high-water mark, and what is done for held writes.

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/platform/time.h"
#include "engine/tier/migrator.h"

namespace thermocline {

namespace {

// How often shards' temperatures and the number of markers are looked at, by the engine's clock.
constexpr uint64_t kTidyMs = 60'000;
// How long the room that records leave may take to show.
constexpr uint64_t kCompactionNanos = 1'000'000'000;

}  // namespace

bool Migrator::SinkShard(int level, int shard, const Pick& pick, StepResult* total) {
  StepPlan plan;
  plan.shard = shard;
  plan.from = level;
  plan.to = level + 1;
  plan.pick = pick;
  for (StepResult result; !result.done; plan.start = result.next) {
    const Status status = deps_.stepper->Run(plan, &result);
    SetTrouble(level + 1, status);
    if (!status.ok()) return false;
    total->records += result.records + result.dropped;
    total->markers += result.markers;
    if (!Pace(level + 1, result.bytes)) return false;
  }
  return true;
}

void Migrator::Sweep() {
  const uint64_t now = deps_.clock->NowMs();
  bool epoch_ended = false;
  if (deps_.recency != nullptr) {
    deps_.recency->Advance(now);
    epoch_ended = std::exchange(swept_epoch_, now / deps_.recency->epoch_ms()) != swept_epoch_;
  }
  const bool tidy = now - tidied_ms_ >= kTidyMs;
  if (tidy) tidied_ms_ = now;
  for (int level = 0; level + 1 < deps_.tiers->levels() && !stopping(); level++) {
    if (epoch_ended) SinkOld(level);
    if (tidy) SinkUnused(level);
    if (tidy) SinkMarkers(level);
  }
  std::lock_guard lock(mutex_);
  status_.sweeps++;
}

void Migrator::SinkOld(int level) {
  const uint64_t age = deps_.options(level).sink_after_ms;
  if (age == 0 || !TakesMore(level)) return;
  const RecencySketch& recency = *deps_.recency;
  StepResult total;
  for (int shard = 0; shard < deps_.shards->count(); shard++) {
    const Pick old = [&](std::string_view key, const Envelope&) {
      return IsOlder(recency.EpochsSince(HashKey(key)), recency.epoch_ms(), age);
    };
    if (!SinkShard(level, shard, old, &total)) break;
  }
  std::lock_guard lock(mutex_);
  status_.sunk_by_age += total.records;
}

void Migrator::SinkUnused(int level) {
  const std::optional<Temperature> from = deps_.options(level).sink_shards;
  if (!from || !TakesMore(level)) return;
  StepResult total;
  for (int shard = 0; shard < deps_.shards->count(); shard++) {
    if (deps_.temperature(shard) < *from || IsEmptyShard(level, shard)) continue;
    if (!SinkShard(level, shard, nullptr, &total)) break;
  }
  std::lock_guard lock(mutex_);
  status_.sunk_by_temperature += total.records;
}

// Their tables keep counting them until they are compacted, so the same number says nothing new.
void Migrator::SinkMarkers(int level) {
  const TierFigures figures = deps_.figures(level);
  uint64_t& swept = swept_markers_[static_cast<size_t>(level)];
  if (figures.markers == swept || !HasManyMarkers(figures.markers, figures.entries)) return;
  if (!TakesMore(level)) return;
  swept = figures.markers;
  StepResult total;
  const Pick none = [](std::string_view, const Envelope&) { return false; };
  for (int shard = 0; shard < deps_.shards->count(); shard++) {
    if (!SinkShard(level, shard, none, &total)) break;
  }
  // So that the tables in which most entries are deletions now are compacted.
  if (total.markers > 0) {
    SetTrouble(level, level == 0 ? deps_.flush_hot() : deps_.tiers->store(level).Flush());
  }
  std::lock_guard lock(mutex_);
  status_.sunk_markers += total.markers;
}

void Migrator::MakeSpace() {
  // The room that was made shows with a compaction. If it does not, more must go.
  const uint64_t now = NowNanos();
  if (made_space_nanos_ != 0 && now - made_space_nanos_ < kCompactionNanos) return;
  made_space_nanos_ = now;
  // Logs are deleted once what is in them lies in tables.
  SetTrouble(0, deps_.flush_hot());
  deps_.space->Measure();
  if (deps_.space->state() == SpaceState::kOpen) return;
  if (!TakesMore(0)) return deps_.space->SetHopeless(true);
  deps_.space->SetHopeless(false);
  const uint64_t reserve = deps_.space->reserve_bytes();
  (void)Sink(0, 2 * reserve - std::min(deps_.space->free_bytes(), reserve));
}

bool Migrator::IsEmptyShard(int level, int shard) const {
  const std::unique_ptr<rocksdb::Iterator> any(
      DbOf(level)->NewIterator(rocksdb::ReadOptions(), FamilyOf(level, shard)));
  any->SeekToFirst();
  return !any->Valid() && any->status().ok();
}

}  // namespace thermocline
