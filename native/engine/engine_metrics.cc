// The engine's side of the metrics: gauges, the history's points, and what RocksDB says of itself.

#include <rocksdb/advanced_cache.h>
#include <rocksdb/statistics.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <string>
#include <utility>

#include "engine/engine.h"
#include "engine/platform/time.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

// Reading the properties of all tables may take this share of the sampler's time at most.
constexpr uint64_t kTableReadingShare = 100;

uint64_t IntProperty(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family,
                     const std::string& name) {
  uint64_t value = 0;
  db->GetIntProperty(family, name, &value);
  return value;
}

}  // namespace

EngineGauges Engine::Gauges() {
  EngineGauges gauges;
  const std::shared_ptr<const Shards> shards = shards_.Load();
  gauges.shards = shards->count();
  gauges.in_flight_limit_bytes = options_.hard_in_flight_bytes;
  gauges.transaction_budget_bytes = options_.transaction_memory_bytes;
  gauges.memtable_budget_bytes = options_.memory.write_buffer;
  gauges.buffers = block_pool::GetStats();
  if (committer_) {
    gauges.in_flight_bytes = committer_->in_flight_bytes();
    gauges.transaction_bytes = committer_->recent().bytes();
    gauges.queue_age_nanos = committer_->queue_age_nanos();
    gauges.target_group_bytes = committer_->target_group_bytes();
  }
  const HotCache::Stats cache = cache_->GetStats();
  gauges.hot_cache_bytes = cache.bytes;
  gauges.hot_cache_entries = cache.entries;
  gauges.hot_cache_capacity_bytes = options_.memory.hot_cache;
  gauges.block_cache_bytes = shared_.block_cache->GetUsage();
  gauges.block_cache_capacity_bytes = shared_.block_cache->GetCapacity();
  gauges.block_cache_pinned_bytes = shared_.block_cache->GetPinnedUsage();
  gauges.memtable_bytes = shared_.write_buffer_manager->memory_usage();
  for (rocksdb::ColumnFamilyHandle* shard : shards->handles) {
    const auto property = [&](const std::string& name) {
      uint64_t value = 0;
      store_.db()->GetIntProperty(shard, name, &value);
      return value;
    };
    gauges.table_reader_bytes += property(rocksdb::DB::Properties::kEstimateTableReadersMem);
    gauges.estimated_keys += property(rocksdb::DB::Properties::kEstimateNumKeys);
  }
  store_.db()->GetIntProperty(rocksdb::DB::Properties::kNumRunningFlushes, &gauges.running_flushes);
  for (int level = 0; level < tiers_->levels(); level++) {
    gauges.stores.push_back(StoreGaugesOf(level));
  }
  const StoreGauges& hot = gauges.stores.front();
  gauges.sst_bytes = hot.table_bytes;
  gauges.running_compactions = hot.running_compactions;
  gauges.pending_compaction_bytes = hot.pending_compaction_bytes;
  if (prefetcher_) gauges.prefetch = prefetcher_->GetStats();
  gauges.absent = reader_->tier_reads().absent.Total();
  if (stepper_) gauges.promoted = stepper_->promoted();
  gauges.trouble = Trouble();
  return gauges;
}

MetricsSnapshot Engine::Snapshot() {
  MetricsSnapshot snapshot = metrics_->Snapshot();
  const HotCache::Stats cache = cache_->GetStats();
  snapshot.hot_cache_hits += cache.hits;
  snapshot.hot_cache_negative_hits += cache.negative_hits;
  snapshot.hot_cache_misses += cache.misses;
  return snapshot;
}

Engine::StoreFamilies Engine::StoreOf(int level) {
  std::shared_ptr<const Shards> shards = shards_.Load();
  if (level == 0) {
    const auto* const handles = &shards->handles;
    return {store_.db(), handles, std::move(shards)};
  }
  const ColderShards& colder = shards->colder[static_cast<size_t>(level) - 1];
  return {colder.db, &colder.handles, std::move(shards)};
}

StoreGauges Engine::StoreGaugesOf(int level) {
  StoreGauges gauges;
  {
    std::lock_guard lock(sampled_mutex_);
    if (static_cast<size_t>(level) < sampled_.size()) gauges = sampled_[static_cast<size_t>(level)];
  }
  gauges.tier = tiers_->TierOf(level);
  const auto [db, shards, held] = StoreOf(level);
  for (rocksdb::ColumnFamilyHandle* shard : *shards) {
    using Properties = rocksdb::DB::Properties;
    gauges.table_bytes += IntProperty(db, shard, Properties::kTotalSstFilesSize);
    gauges.pending_compaction_bytes +=
        IntProperty(db, shard, Properties::kEstimatePendingCompactionBytes);
    std::string files;
    for (size_t at = 0;
         db->GetProperty(shard, Properties::kNumFilesAtLevelPrefix + std::to_string(at), &files);
         at++) {
      if (at == gauges.files_by_level.size()) gauges.files_by_level.push_back(0);
      gauges.files_by_level[at] += std::strtoull(files.c_str(), nullptr, 10);
    }
  }
  db->GetIntProperty(rocksdb::DB::Properties::kNumRunningCompactions, &gauges.running_compactions);
  const rocksdb::Cache& cache =
      level == 0 ? *shared_.block_cache : *tiers_->store(level).block_cache();
  gauges.block_cache_bytes = cache.GetUsage();
  gauges.block_cache_capacity_bytes = cache.GetCapacity();
  const StoreActivity& activity = level == 0 ? *shared_.activity : tiers_->store(level).activity();
  gauges.block_cache_hits = activity.block_cache_hits.Total();
  gauges.block_cache_misses = activity.block_cache_misses.Total();
  gauges.compactions = activity.compactions.Total();
  gauges.compaction_nanos = activity.compaction_nanos.Total();
  gauges.compaction_read_bytes = activity.compaction_read_bytes.Total();
  gauges.compaction_written_bytes = activity.compaction_written_bytes.Total();
  gauges.found = reader_->tier_reads().found[static_cast<size_t>(gauges.tier)].Total();
  gauges.capacity_bytes =
      (level == 0 ? options_.tiers.at(Tier::kHot) : tiers_->store(level).options()).capacity_bytes;
  for (int other = 0; stepper_ && other < tiers_->levels(); other++) {
    const MoveTotals in = stepper_->totals(other, level);
    const MoveTotals out = stepper_->totals(level, other);
    gauges.moved_in_records += in.records;
    gauges.moved_in_bytes += in.bytes;
    gauges.moved_out_records += out.records;
    gauges.moved_out_bytes += out.bytes;
  }
  return gauges;
}

void Engine::OpenMetrics() {
  const auto levels = static_cast<size_t>(tiers_->levels());
  sampled_.resize(levels);
  sampled_tables_.resize(levels, {0, UINT64_MAX});
  metrics_->stall_tracker.SetProbe(
      [this](const std::string& family) { return ProbeStall(family); });
  SampleMetrics();  // the beginning of the first windows
  sampler_ = std::make_unique<MetricsSampler>([this] { SampleMetrics(); });
}

void Engine::CloseMetrics() {
  if (sampler_) sampler_->Stop();
  metrics_->stall_tracker.SetProbe(nullptr);
}

// Called by RocksDB's threads, without its locks, while it tells of the stall.
StallCause Engine::ProbeStall(const std::string& family) {
  using Properties = rocksdb::DB::Properties;
  rocksdb::DB* const db = store_.db();
  const std::shared_ptr<const Shards> shards = shards_.Load();
  for (rocksdb::ColumnFamilyHandle* shard : shards->handles) {
    if (shard->GetName() != family) continue;
    const rocksdb::Options options = db->GetOptions(shard);
    std::string level0;
    db->GetProperty(shard, Properties::kNumFilesAtLevelPrefix + "0", &level0);
    const StallPressure pressure{
        .immutable_memtables = IntProperty(db, shard, Properties::kNumImmutableMemTable),
        .level0_files = std::strtoull(level0.c_str(), nullptr, 10),
        .pending_compaction_bytes =
            IntProperty(db, shard, Properties::kEstimatePendingCompactionBytes),
    };
    return StallCauseOf(
        pressure,
        {.immutable_memtables = static_cast<uint64_t>(options.max_write_buffer_number) - 1,
         .level0_files = static_cast<uint64_t>(options.level0_slowdown_writes_trigger),
         .pending_compaction_bytes = options.soft_pending_compaction_bytes_limit});
  }
  return StallCause::kUnknown;
}

void Engine::SampleMetrics() noexcept {
  try {
    MetricsSnapshot snapshot = Snapshot();
    RateTotals totals{.get = snapshot.get,
                      .get_many = snapshot.get_many,
                      .put = snapshot.put,
                      .del = snapshot.del,
                      .batch = snapshot.batch,
                      .delete_range = snapshot.delete_range,
                      .scan = snapshot.scan,
                      .commits = snapshot.commits,
                      .groups = snapshot.groups,
                      .fsyncs = snapshot.fsyncs,
                      .hot_cache_hits = snapshot.hot_cache_hits + snapshot.hot_cache_negative_hits,
                      .hot_cache_misses = snapshot.hot_cache_misses};
    for (int level = 0; level < tiers_->levels(); level++) {
      const StoreActivity& activity =
          level == 0 ? *shared_.activity : tiers_->store(level).activity();
      totals.block_cache_hits += activity.block_cache_hits.Total();
      totals.block_cache_misses += activity.block_cache_misses.Total();
      totals.compaction_written_bytes += activity.compaction_written_bytes.Total();
    }
    for (const StallTotals& stalls : snapshot.stalled.by_cause) totals.stall_nanos += stalls.nanos;
    history_.Add(NowNanos(), totals,
                 {std::move(snapshot.get_nanos), std::move(snapshot.get_many_nanos),
                  std::move(snapshot.put_nanos), std::move(snapshot.batch_nanos),
                  std::move(snapshot.scan_chunk_nanos), std::move(snapshot.group_write_nanos),
                  std::move(snapshot.fsync_nanos)});
    SampleStores();
  } catch (const std::exception&) {
    // Out of memory: this point is missing.
  }
}

void Engine::SampleStores() {
  for (int level = 0; level < tiers_->levels(); level++) {
    const auto at = static_cast<size_t>(level);
    StoreGauges slow;
    std::error_code error;
    const fs::space_info space = fs::space(
        level == 0 ? fs::path(location_) : fs::path(tiers_->store(level).directory()), error);
    if (level == 0 && space_gate_) slow.reserve_bytes = space_gate_->reserve_bytes();
    if (!error) {
      slow.disk_capacity_bytes = space.capacity;
      slow.disk_used_bytes = space.capacity - std::min(space.capacity, space.available);
    }
    auto& [allowed, seen] = sampled_tables_[at];
    const uint64_t began = NowNanos();
    const uint64_t changes =
        (level == 0 ? *shared_.activity : tiers_->store(level).activity()).table_changes;
    const bool read = changes != seen && began >= allowed;
    if (read) {
      const auto [db, shards, held] = StoreOf(level);
      TierFigures figures;
      ReadStoreFigures(db, *shards, &figures);
      slow.raw_bytes = figures.raw_bytes;
      slow.data_bytes = figures.data_bytes;
      seen = changes;
      allowed = began + kTableReadingShare * (NowNanos() - began);
    }
    std::lock_guard lock(sampled_mutex_);
    if (!read) {
      slow.raw_bytes = sampled_[at].raw_bytes;
      slow.data_bytes = sampled_[at].data_bytes;
    }
    sampled_[at] = slow;
  }
}

bool Engine::Tickers(Tier tier, std::map<std::string, uint64_t>* tickers) {
  const int level = tiers_->LevelOf(tier);
  if (level < 0) return false;
  const auto statistics = StoreOf(level).db->GetDBOptions().statistics;
  return statistics != nullptr && statistics->getTickerMap(tickers);
}

bool Engine::Property(Tier tier, const std::string& name, std::optional<uint64_t>* number,
                      std::string* text) {
  const int level = tiers_->LevelOf(tier);
  if (level < 0) return false;
  const auto [db, shards, held] = StoreOf(level);
  for (rocksdb::ColumnFamilyHandle* shard : *shards) {
    uint64_t one = 0;
    std::string said;
    if (db->GetIntProperty(shard, name, &one)) {
      *number = number->value_or(0) + one;
    } else if (db->GetProperty(shard, name, &said)) {
      *text += shard->GetName() + ":\n" + said + (said.ends_with('\n') ? "" : "\n");
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace thermocline
