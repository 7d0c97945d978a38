#include "engine/tier/tier_rocks_options.h"

#include <rocksdb/filter_policy.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/tier/entry_counts.h"

namespace thermocline {

namespace {

// Of a hard disk larger blocks cost the same seek and compress better. An SSD answers as fast as
// the processor can check, copy and decompress what it sends.
size_t BlockSize(Tier tier) { return (tier == Tier::kCold ? 16 : 4) * kKiB; }

}  // namespace

rocksdb::DBOptions ColderDbOptions(const EngineOptions& options, const TierOptions& tier,
                                   const RocksShared& shared) {
  rocksdb::DBOptions db;
  if (options.env != nullptr) db.env = options.env;
  if (tier.env != nullptr) db.env = tier.env;
  if (options.tickers) db.statistics = MakeTickers();
  db.create_missing_column_families = true;
  db.write_buffer_manager = shared.write_buffer_manager;
  db.max_background_jobs = 2;
  // Every write here is synced, so whatever is torn was never relied on. As for the hot store,
  // after a loss of power the write that was cut may be there in part, its last page before its
  // first: the log ends at its first damage then.
  db.wal_recovery_mode = options.after_power_loss
                             ? rocksdb::WALRecoveryMode::kPointInTimeRecovery
                             : rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  db.max_total_wal_size = std::max<uint64_t>(32 * kMiB, 4 * tier.write_buffer_bytes);
  db.bytes_per_sync = 1 * kMiB;
  // Reads of a sequential disk should be long ones.
  db.compaction_readahead_size = 2 * kMiB;
  db.avoid_unnecessary_blocking_io = true;
  db.max_open_files = -1;
  db.max_file_opening_threads = 2;
  db.keep_log_file_num = 4;
  db.max_log_file_size = 4 * kMiB;
  db.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  if (tier.rate_limit_bytes > 0) {
    db.rate_limiter.reset(
        rocksdb::NewGenericRateLimiter(static_cast<int64_t>(tier.rate_limit_bytes)));
  }
  return db;
}

rocksdb::ColumnFamilyOptions ColderShardOptions(
    Tier which, const TierOptions& tier, std::shared_ptr<rocksdb::Cache> block_cache,
    std::shared_ptr<rocksdb::CompactionFilterFactory> expiry_filter, int shards) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = std::move(block_cache);
  table.block_size = BlockSize(which);
  table.format_version = 6;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(tier.filter_bits, false));
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.optimize_filters_for_memory = true;

  rocksdb::ColumnFamilyOptions cf;
  cf.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  const size_t memtable = tier.write_buffer_bytes / 2 / static_cast<size_t>(std::max(1, shards));
  cf.write_buffer_size = std::clamp<size_t>(memtable, 256 * kKiB, 256 * kMiB);
  cf.compaction_style = rocksdb::kCompactionStyleLevel;
  cf.level_compaction_dynamic_level_bytes = true;
  cf.target_file_size_base = 64 * kMiB;
  cf.max_bytes_for_level_base = 256 * kMiB;
  ApplyCompression(*tier.compression, &cf);
  cf.force_consistency_checks = true;
  cf.compaction_filter_factory = std::move(expiry_filter);
  CompactMovedRecords(&cf);
  return cf;
}

void CompactMovedRecords(rocksdb::ColumnFamilyOptions* cf) {
  // A table in which half of any 1024 entries in a row are deletions.
  cf->table_properties_collector_factories.push_back(
      rocksdb::NewCompactOnDeletionCollectorFactory(1024, 512));
  cf->table_properties_collector_factories.push_back(std::make_shared<EntryCounterFactory>());
}

}  // namespace thermocline
