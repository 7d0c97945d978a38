// The RocksDB options of the hot store, in one place.
//
// Purpose: every choice about RocksDB's tuning, with its reason.
// The plain C++ benchmark driver uses the same function, so that its figures are our limit.
// Ownership: caches and the write buffer manager are shared by all column families of a store.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/options.h>
#include <rocksdb/statistics.h>
#include <rocksdb/write_buffer_manager.h>

#include <memory>

#include "engine/metrics/store_activity.h"
#include "engine/options.h"

namespace thermocline {

// What one process shares between the stores of a database.
struct RocksShared {
  std::shared_ptr<rocksdb::Cache> block_cache;
  // What the hot store's cache and compactions have done.
  std::shared_ptr<StoreActivity> activity = std::make_shared<StoreActivity>();
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffer_manager;
  // Drops expired records; absent in the plain benchmark driver.
  std::shared_ptr<rocksdb::CompactionFilterFactory> expiry_filter;
};

// RocksDB's tickers, without its histograms and timers: those would read the clock.
std::shared_ptr<rocksdb::Statistics> MakeTickers();

RocksShared MakeRocksShared(const EngineOptions& options);

rocksdb::DBOptions HotDbOptions(const EngineOptions& options, const RocksShared& shared);

// `shards`: how many column families share the write buffer.
rocksdb::ColumnFamilyOptions HotShardOptions(const EngineOptions& options,
                                             const RocksShared& shared, int shards);

// The meta column family: a few small records.
rocksdb::ColumnFamilyOptions MetaOptions(const RocksShared& shared);

}  // namespace thermocline
