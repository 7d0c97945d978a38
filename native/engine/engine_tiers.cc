// The engine's side of the tiers: figures, disks, and the keeping of heat.

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/hash.h"
#include "engine/platform/disk.h"
#include "engine/record/coding.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kUntoldMs = 300'000;

std::string RecencyKey(Tier tier, size_t page) {
  return std::string(meta_key::kRecency) + std::string(TierName(tier)) + "/" + std::to_string(page);
}

std::string EncodeSeed(const HashSeed& seed) {
  std::string encoded;
  PutFixed64(&encoded, seed.a);
  PutFixed64(&encoded, seed.b);
  return encoded;
}

}  // namespace

TierFigures Engine::FiguresOf(int level) {
  TierFigures figures;
  const std::shared_ptr<const Shards> shards = shards_.Load();
  figures.tier = tiers_->TierOf(level);
  if (level == 0) {
    const TierOptions hot = WithDefaults(Tier::kHot, options_.tiers.at(Tier::kHot));
    figures.path = (fs::path(location_) / "hot").string();
    figures.capacity_bytes = hot.capacity_bytes;
    figures.cost_per_tb = hot.cost_per_tb;
    ReadStoreFigures(store_.db(), shards->handles, &figures);
  } else {
    const TierStore& store = tiers_->store(level);
    figures.path = store.directory();
    figures.capacity_bytes = store.options().capacity_bytes;
    figures.cost_per_tb = store.options().cost_per_tb;
    ReadStoreFigures(store.db(), shards->colder[static_cast<size_t>(level) - 1].handles, &figures);
  }
  return figures;
}

TierReport Engine::ReportTiers() {
  TierReport report;
  const HotCache::Stats cache = cache_->GetStats();
  report.from_memory = cache.hits + cache.negative_hits;
  report.absent = reader_->tier_reads().absent.Total();
  if (stepper_) report.promoted = stepper_->promoted();
  report.moves = moves_.Get();
  report.trouble = Trouble();
  report.user_bytes =
      metrics_->put.bytes.Total() + metrics_->batch.bytes.Total() + metrics_->del.bytes.Total();
  for (int level = 0; level < tiers_->levels(); level++) {
    TierFigures figures = FiguresOf(level);
    const auto [db, families, held] = StoreOf(level);
    ReadWrittenBytes(db, *families, &figures);
    if (level > 0) figures.written_bytes += tiers_->store(level).ingested_bytes();
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
  report.lifetime = moves_.before() + TotalsOf(report);
  return report;
}

std::string Engine::Trouble() {
  const SpaceState space = space_gate_ ? space_gate_->state() : SpaceState::kOpen;
  const std::string below = migrator_ ? migrator_->status().trouble : "";
  if (space == SpaceState::kOpen) return below;
  return std::string("the disk of the hot tier is full but for its reserve: writes ") +
         (space == SpaceState::kHeld ? "wait for migration to make room"
                                     : "are refused, since nothing makes room") +
         (below.empty() ? "" : "; " + below);
}

void Engine::OpenSpaceGate() {
  uint64_t reserve = options_.tiers.at(Tier::kHot).reserve_bytes;
  for (int level = 1; level < tiers_->levels() && reserve == 0; level++) {
    // Moving records to another folder of the same disk frees nothing there.
    if (SameFileSystem(location_, tiers_->store(level).directory())) continue;
    std::error_code error;
    const fs::space_info space = fs::space(location_, error);
    if (!error) reserve = DefaultReserve(space.capacity);
  }
  space_gate_ = std::make_unique<SpaceGate>(SpaceGate::Dependencies{
      .available =
          [this, reserve](uint64_t* free_bytes) {
            if (reserve == 0) return false;
            std::error_code error;
            const fs::space_info space = fs::space(location_, error);
            if (error) return false;
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
      .patience_nanos = 60'000'000'000,
  });
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

uint64_t Engine::RecordsOf(int level) {
  uint64_t records = 0;
  const StoreFamilies store = StoreOf(level);
  for (rocksdb::ColumnFamilyHandle* family : *store.families) {
    uint64_t estimate = 0;
    store.db->GetIntProperty(family, rocksdb::DB::Properties::kEstimateNumKeys, &estimate);
    records += estimate;
  }
  return records;
}

// Without colder tiers nothing is kept of hashes, but the database may be the first to be opened of
// several.
void Engine::OpenHashSeed() {
  std::string payload;
  bool found = false;
  std::optional<HashSeed> kept;
  if (store_.GetMeta(meta_key::kHashSeed, &payload, &found).ok() && found && payload.size() == 16) {
    kept = {DecodeFixed64(payload.data()), DecodeFixed64(payload.data() + 8)};
  }
  hash_seed_ = FixHashSeed(kept);
  knows_hashes_ = kept == hash_seed_;
  if (knows_hashes_ || options_.read_only) return;
  std::vector<std::string> strange;
  if (!store_.GetMeta(meta_key::kHeat, &payload, &found).ok() || found) {
    strange.emplace_back(meta_key::kHeat);
  }
  for (const Tier tier : {Tier::kHot, Tier::kWarm, Tier::kCold}) {
    const size_t pages = KeptRecency(tier).size();
    for (size_t page = 0; page < pages; page++) strange.push_back(RecencyKey(tier, page));
  }
  // In this order: what is left of the former must not be taken for the new one's.
  if (!strange.empty() &&
      !store_.DeleteMeta({strange.begin(), strange.end()}, /*sync=*/false).ok()) {
    return;
  }
  knows_hashes_ = store_.PutMeta({{meta_key::kHashSeed, EncodeSeed(hash_seed_)}}, false).ok();
}

void Engine::OpenHeat() {
  uint64_t records = 0;
  for (int level = 0; level < tiers_->levels(); level++) records += RecordsOf(level);
  heat_ = std::make_unique<HeatSketch>(HeatSketch::CountersFor(records));
  // What cannot be read is learned or counted anew.
  std::string payload;
  bool found = false;
  if (knows_hashes_ && store_.GetMeta(meta_key::kHeat, &payload, &found).ok() && found) {
    (void)heat_->Decode(payload);
  }
  if (store_.GetMeta(meta_key::kMoves, &payload, &found).ok() && found) {
    (void)moves_.Decode(payload);
  }
}

std::vector<std::string> Engine::KeptRecency(Tier tier) {
  std::vector<std::string> pages;
  while (pages.size() <= RecencySketch::kMaxPages) {
    std::string payload;
    bool found = false;
    const Status status = store_.GetMeta(RecencyKey(tier, pages.size()), &payload, &found);
    if (!found && status.ok()) break;
    // What is damaged counts as used now.
    pages.push_back(status.ok() ? std::move(payload) : std::string());
  }
  return pages;
}

void Engine::OpenRecency() {
  if (options_.read_only) return;
  opened_ms_ = clock_.NowMs();
  std::vector<std::string> left_over;  // of larger sketches, and of tiers that are gone
  for (const Tier tier : {Tier::kHot, Tier::kWarm, Tier::kCold}) {
    const std::vector<std::string> pages =
        knows_hashes_ ? KeptRecency(tier) : std::vector<std::string>();
    int level = 0;
    while (level < tiers_->levels() && tiers_->TierOf(level) != tier) level++;
    // Nothing sinks from the lowest tier.
    const bool sinks = level + 1 < tiers_->levels() && options_.tiers.automatic;
    // Tiers are taken away by those who mean it, not by a command.
    const bool removed = level == tiers_->levels() || tiers_->empty();
    const uint64_t age = sinks ? options_.tiers.at(tier).max_age_ms : 0;
    size_t told = 0;
    if (age > 0) {
      recency_.resize(static_cast<size_t>(level) + 1);
      auto& recency = recency_.back();
      recency = std::make_unique<RecencySketch>(age, clock_.NowMs(),
                                                RecencySketch::CellsFor(RecordsOf(level)));
      recency->Restore(pages);
      heat_->Tell(recency.get());
      told = recency->pages();
    }
    for (size_t page = told; page < pages.size(); page++) {
      (age > 0 || removed ? left_over : untold_recency_).push_back(RecencyKey(tier, page));
    }
  }
  if (tiers_->levels() > 1 && options_.tiers.automatic) {
    recency_.resize(static_cast<size_t>(tiers_->levels()) - 1);
  }
  if (left_over.empty()) return;
  (void)store_.DeleteMeta({left_over.begin(), left_over.end()}, /*sync=*/false);
}

void Engine::KeepHeat() {
  if (options_.read_only) return;
  std::vector<std::pair<std::string_view, std::string>> records = {
      {meta_key::kMoves, moves_.Encode(TotalsOf(ReportTiers()))}};
  if (knows_hashes_) records.emplace_back(meta_key::kHeat, heat_->Encode());
  // If this fails the heat is learned again.
  (void)store_.PutMeta(records, /*sync=*/false);
  if (!knows_hashes_) return;
  // What is not told of so many uses must not be believed later.
  if (!untold_recency_.empty() && clock_.NowMs() - opened_ms_ >= kUntoldMs) {
    (void)store_.DeleteMeta({untold_recency_.begin(), untold_recency_.end()}, /*sync=*/false);
    untold_recency_.clear();
  }
  for (int level = 0; level < static_cast<int>(recency_.size()); level++) {
    RecencySketch* const recency = recency_[static_cast<size_t>(level)].get();
    if (recency == nullptr) continue;
    recency->Advance(clock_.NowMs());
    // One by one, so that no write waits long behind one.
    for (size_t page = 0; page < recency->pages(); page++) {
      const std::string key = RecencyKey(tiers_->TierOf(level), page);
      (void)store_.PutMeta({{key, recency->EncodePage(page)}}, /*sync=*/false);
    }
  }
}

std::vector<RecencySketch*> Engine::RecencyByLevel() const {
  std::vector<RecencySketch*> sketches;
  for (const auto& recency : recency_) sketches.push_back(recency.get());
  return sketches;
}

Temperature Engine::TemperatureOfShard(const Shards& shards, int shard) const {
  const uint64_t now = clock_.HighWaterMs();
  const ShardActivity::Snapshot activity = shards.activity->Get(static_cast<size_t>(shard), now);
  const uint64_t since = std::max(activity.last_access_ms, activity.created_ms);
  // Never used since that was recorded: nothing is known.
  if (since == 0) return Temperature::kHot;
  return TemperatureOf(now - std::min(now, since), options_.temperature_ages);
}

}  // namespace thermocline
