#include "engine/rocks_options.h"

#include <rocksdb/filter_policy.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <vector>

#include "engine/cache/table_block_allocator.h"
#include "engine/tier/tier_rocks_options.h"

namespace thermocline {

namespace {

constexpr double kFilterBits = 10;  // per key

rocksdb::BlockBasedTableOptions HotTableOptions(const RocksShared& shared, double filter_bits) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = shared.block_cache;
  table.block_size = 4 * kKiB;
  table.format_version = 6;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(filter_bits, false));
  // A hash index inside each block saves most of the binary search of a point read.
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  table.data_block_hash_table_util_ratio = 0.75;
  // Indexes and filters count against the budget instead of growing beside it.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.optimize_filters_for_memory = true;
  return table;
}

}  // namespace

std::shared_ptr<rocksdb::Statistics> MakeTickers() {
  std::shared_ptr<rocksdb::Statistics> statistics = rocksdb::CreateDBStatistics();
  statistics->set_stats_level(rocksdb::StatsLevel::kExceptHistogramOrTimers);
  return statistics;
}

RocksShared MakeRocksShared(const EngineOptions& options) {
  RocksShared shared;
  const size_t block_cache = std::max<size_t>(options.memory.block_cache, 1 * kMiB);
  rocksdb::HyperClockCacheOptions cache(block_cache, 0);
  cache.memory_allocator = std::make_shared<TableBlockAllocator>();
  shared.block_cache = cache.MakeSharedCache();
  shared.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(
      options.memory.write_buffer, nullptr, /*allow_stall=*/false);
  return shared;
}

rocksdb::DBOptions HotDbOptions(const EngineOptions& options, const RocksShared& shared) {
  rocksdb::DBOptions db;
  if (options.env != nullptr) db.env = options.env;
  db.statistics = options.tickers ? MakeTickers() : options.statistics;
  db.create_missing_column_families = true;
  db.write_buffer_manager = shared.write_buffer_manager;
  db.max_background_jobs = options.threads.background;
  db.max_subcompactions = 1;
  if (const uint64_t limit = options.tiers.at(Tier::kHot).rate_limit_bytes; limit > 0) {
    db.rate_limiter.reset(rocksdb::NewGenericRateLimiter(static_cast<int64_t>(limit)));
  }
  // One thread writes (commit/committer.h), so the concurrent memtable only costs atomics.
  db.allow_concurrent_memtable_write = false;
  db.enable_pipelined_write = false;
  db.unordered_write = false;
  db.two_write_queues = false;
  // Without a log the column families must be flushed together, or a crash tears batches apart.
  db.atomic_flush = options.without_log;
  db.manual_wal_flush = false;
  db.recycle_log_file_num = 0;
  // Damage inside a log is an error; only a record torn by a crash at a log's end is not, since
  // it was never acknowledged. Point-in-time recovery would drop acknowledged writes in silence.
  // After a loss of power the part that was never synced may hold anything: there the log ends at
  // its first damage, which lies behind every write that was acknowledged as durable.
  db.wal_recovery_mode = options.after_power_loss
                             ? rocksdb::WALRecoveryMode::kPointInTimeRecovery
                             : rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  db.max_total_wal_size = std::max<uint64_t>(64 * kMiB, 4 * options.memory.write_buffer);
  if (options.changes.on()) {
    // Logs that nothing else needs any more are kept for the change feed, in whole files.
    const uint64_t bytes = options.changes.retain_bytes;
    db.WAL_ttl_seconds = (options.changes.retain_ms + 999) / 1000;
    db.WAL_size_limit_MB = (bytes + kMiB - 1) / kMiB;
    if (bytes > 0) {
      db.max_total_wal_size = std::min(db.max_total_wal_size, std::max<uint64_t>(kMiB, bytes / 4));
    }
  }
  db.bytes_per_sync = 1 * kMiB;
  db.wal_bytes_per_sync = 0;  // the WAL is synced by the fsync stage alone
  // Whoever lets go of the last view of a replaced shard should not wait for its files to go.
  db.avoid_unnecessary_blocking_io = true;
  db.max_open_files = -1;
  db.max_file_opening_threads = 4;
  db.keep_log_file_num = 4;
  db.max_log_file_size = 4 * kMiB;
  db.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  return db;
}

rocksdb::ColumnFamilyOptions HotShardOptions(const EngineOptions& options,
                                             const RocksShared& shared, int shards) {
  const double filter_bits = options.tiers.at(Tier::kHot).filter_bits;
  rocksdb::ColumnFamilyOptions cf;
  cf.table_factory.reset(rocksdb::NewBlockBasedTableFactory(
      HotTableOptions(shared, filter_bits > 0 ? filter_bits : kFilterBits)));
  // Half of the budget fills while the other half is being flushed; the manager has the last word.
  const size_t memtable = options.memory.write_buffer / 2 / std::max(1, shards);
  cf.write_buffer_size = std::clamp<size_t>(memtable, 1 * kMiB, 256 * kMiB);
  cf.max_write_buffer_number = 4;
  cf.min_write_buffer_number_to_merge = 1;
  cf.memtable_prefix_bloom_size_ratio = 0.02;
  cf.memtable_whole_key_filtering = true;
  // One hint a memtable, whatever the key: an insertion looks for its place from the last one on,
  // which pays for batches, since the committer sorts them.
  cf.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewCappedPrefixTransform(0));
  cf.compaction_style = rocksdb::kCompactionStyleLevel;
  cf.level_compaction_dynamic_level_bytes = true;
  cf.level0_file_num_compaction_trigger = 4;
  cf.level0_slowdown_writes_trigger = 20;
  cf.level0_stop_writes_trigger = 36;
  cf.target_file_size_base = 64 * kMiB;
  cf.max_bytes_for_level_base =
      std::max<uint64_t>(64 * kMiB, static_cast<uint64_t>(4 * cf.write_buffer_size));
  ApplyCompression(options.compression, &cf);
  cf.force_consistency_checks = true;
  cf.compaction_filter_factory = shared.expiry_filter;
  using enum TierOptions::Presence;
  const TiersOptions& tiers = options.tiers;
  if (tiers.at(Tier::kWarm).presence == kWanted || tiers.at(Tier::kCold).presence == kWanted) {
    CompactMovedRecords(&cf);
  }
  return cf;
}

rocksdb::ColumnFamilyOptions MetaOptions(const RocksShared& shared) {
  rocksdb::ColumnFamilyOptions cf;
  cf.table_factory.reset(rocksdb::NewBlockBasedTableFactory(HotTableOptions(shared, kFilterBits)));
  cf.write_buffer_size = 1 * kMiB;
  cf.compression = rocksdb::kNoCompression;
  return cf;
}

}  // namespace thermocline
