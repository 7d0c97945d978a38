// The engine's side of the tiers: figures, disks, and the keeping of heat.

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "engine/engine.h"
#include "engine/platform/disk.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

}  // namespace

TierOptions Engine::OptionsOf(int level) {
  return level == 0 ? WithDefaults(Tier::kHot, options_.tiers.at(Tier::kHot))
                    : tiers_->store(level).options();
}

void Engine::OpenHeat() {
  heat_ = std::make_unique<HeatSketch>();
  const uint64_t epoch = EpochFor(
      {options_.tiers.at(Tier::kHot).sink_after_ms, options_.tiers.at(Tier::kWarm).sink_after_ms});
  if (epoch > 0) recency_ = std::make_unique<RecencySketch>(epoch, clock_.NowMs());
  LoadHeat();
}

void Engine::OpenPrefetcher() {
  const auto fetch = [this](std::string key, uint64_t hash) {
    read_pool_->Post(
        [this, key = std::move(key), hash] {
          bool found = false;
          const bool there = reader_->IsCached(key, hash);
          const bool read =
              !there && reader_->Get(key, hash, nullptr, &found, [](std::string_view) {}).ok();
          prefetcher_->Fetched(hash, read && found);
        },
        Priority::kLow);
  };
  prefetcher_ = std::make_unique<SequencePrefetcher>(SequencePrefetcher::Dependencies{fetch});
}

void Engine::OpenSpaceGate() {
  uint64_t reserve = options_.tiers.at(Tier::kHot).reserve_bytes;
  std::error_code error;
  if (reserve == 0) reserve = DefaultReserve(fs::space(location_, error).capacity);
  if (error) reserve = 0;
  space_gate_ = std::make_unique<SpaceGate>(SpaceGate::Dependencies{
      .available =
          [this](uint64_t* free_bytes) {
            std::error_code failed;
            const fs::space_info space = fs::space(location_, failed);
            if (failed) return false;
            // Memtables become tables before their log goes.
            const uint64_t memtables = shared_.write_buffer_manager->memory_usage();
            *free_bytes = space.available - std::min<uint64_t>(space.available, memtables);
            return true;
          },
      .on_held =
          [this] {
            if (migrator_) migrator_->Wake();
          },
      .reserve_bytes = reserve,
  });
}

void Engine::OpenMigrator() {
  migrator_ = std::make_unique<Migrator>(Migrator::Dependencies{
      .stepper = stepper_.get(),
      .tiers = tiers_.get(),
      .heat = heat_.get(),
      .shards = shards_,
      .hot = store_.db(),
      .figures = [this](int level) { return FiguresOf(level); },
      .disk = [this](int level, uint64_t* capacity,
                     uint64_t* used) { return DiskOf(level, capacity, used); },
      .queue_age_nanos = [this] { return committer_->queue_age_nanos(); },
      .flush_hot = [this] { return store_.Flush(); },
      .keep_heat = [this] { KeepHeat(); },
      .recency = recency_.get(),
      .clock = &clock_,
      .temperature =
          [this](int shard) {
            const uint64_t now = clock_.NowMs();
            const ShardActivity::Snapshot seen = activity_->Get(static_cast<size_t>(shard), now);
            const uint64_t last = std::max(seen.last_access_ms, seen.created_ms);
            return TemperatureOf(now - std::min(now, last), options_.temperature_ages);
          },
      .space = space_gate_.get(),
      .options = [this](int level) { return OptionsOf(level); },
  });
  if (tiers_->intents().any()) migrator_->Wake();
}

TierFigures Engine::FiguresOf(int level) {
  TierFigures figures;
  const TierOptions options = OptionsOf(level);
  figures.tier = tiers_->TierOf(level);
  figures.capacity_bytes = options.capacity_bytes;
  figures.cost_per_tb = options.cost_per_tb;
  if (level == 0) {
    figures.path = (fs::path(location_) / "hot").string();
    ReadStoreFigures(store_.db(), shards_->handles, &figures);
  } else {
    const TierStore& store = tiers_->store(level);
    figures.path = store.directory();
    ReadStoreFigures(store.db(), store.handles(), &figures);
    figures.written_bytes += store.ingested_bytes();
  }
  return figures;
}

TierReport Engine::ReportTiers() {
  TierReport report;
  const HotCache::Stats cache = cache_->GetStats();
  report.from_memory = cache.hits + cache.negative_hits;
  report.absent = reader_->tier_reads().absent.Total();
  if (stepper_) report.promoted = stepper_->promoted();
  report.user_bytes =
      metrics_->put.bytes.Total() + metrics_->batch.bytes.Total() + metrics_->del.bytes.Total();
  report.troubles = TierTroubles();
  if (!report.troubles.empty()) report.trouble = report.troubles.front().message;
  for (int level = 0; level < tiers_->levels(); level++) {
    TierFigures figures = FiguresOf(level);
    figures.found = reader_->tier_reads().found[static_cast<size_t>(figures.tier)].Total();
    for (int other = 0; stepper_ && other < tiers_->levels(); other++) {
      const MoveTotals in = stepper_->totals(other, level);
      const MoveTotals out = stepper_->totals(level, other);
      figures.moved_in_records += in.records;
      figures.moved_in_bytes += in.bytes;
      figures.moved_out_records += out.records;
      figures.moved_out_bytes += out.bytes;
    }
    report.tiers.push_back(std::move(figures));
  }
  return report;
}

std::vector<TierTrouble> Engine::TierTroubles() {
  std::vector<TierTrouble> troubles;
  if (migrator_) troubles = migrator_->status().troubles;
  const SpaceState space = space_gate_ ? space_gate_->state() : SpaceState::kOpen;
  if (space != SpaceState::kOpen) {
    troubles.push_back(
        {Tier::kHot, true,
         std::string("the disk of the hot tier is full but for its reserve: writes ") +
             (space == SpaceState::kHeld ? "wait for migration to make room"
                                         : "are refused, nothing makes room"),
         0, space_gate_->reserve_bytes()});
  }
  for (TierTrouble& trouble : troubles) {
    const int level = tiers_->LevelOf(trouble.tier);
    std::error_code error;
    const fs::space_info disk =
        fs::space(level == 0 ? location_ : tiers_->store(level).directory(), error);
    if (!error) trouble.free_bytes = disk.available;
  }
  return troubles;
}

bool Engine::DiskOf(int level, uint64_t* capacity, uint64_t* used) {
  const auto folder_of = [this](int of) {
    return of == 0 ? location_ : tiers_->store(of).directory();
  };
  std::error_code error;
  const fs::space_info space = fs::space(folder_of(level), error);
  if (error) return false;
  // Moving records to another folder of the same disk frees nothing there.
  for (int below = level + 1; below < tiers_->levels(); below++) {
    if (SameFileSystem(folder_of(level), folder_of(below))) return false;
  }
  *capacity = space.capacity;
  *used = space.capacity - space.available;
  return true;
}

void Engine::LoadHeat() {
  std::string payload;
  bool found = false;
  // What cannot be read is learned again.
  if (store_.GetMeta(meta_key::kHeat, &payload, &found).ok() && found) (void)heat_->Decode(payload);
  if (recency_ && store_.GetMeta(meta_key::kRecency, &payload, &found).ok() && found) {
    (void)recency_->Decode(payload);
  }
}

void Engine::KeepHeat() {
  if (options_.read_only) return;
  // If this fails the heat is learned again.
  (void)store_.PutMeta({{meta_key::kHeat, heat_->Encode()}}, /*sync=*/false);
  if (recency_) {
    (void)store_.PutMeta({{meta_key::kRecency, recency_->Encode()}}, /*sync=*/false);
  }
}

}  // namespace thermocline
