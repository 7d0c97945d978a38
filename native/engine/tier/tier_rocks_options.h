// The RocksDB options of the colder stores, and what having them changes about the hot one.
//
// Thread safety: pure functions.
#pragma once

#include <rocksdb/options.h>

#include <memory>

#include "engine/options.h"
#include "engine/rocks_options.h"
#include "engine/tier/tier.h"

namespace thermocline {

// REQUIRES for all of these: `tier` has its defaults (WithDefaults).
rocksdb::DBOptions ColderDbOptions(const EngineOptions& options, const TierOptions& tier,
                                   const RocksShared& shared);
// `expiry_filter` may be null: nothing is dropped. `block_cache` is the tier's own.
rocksdb::ColumnFamilyOptions ColderShardOptions(
    Tier which, const TierOptions& tier, std::shared_ptr<rocksdb::Cache> block_cache,
    std::shared_ptr<rocksdb::CompactionFilterFactory> expiry_filter, int shards);

// Marks tables full of deletions for compaction: what migration has moved away is to give its space
// back soon.
void CompactMovedRecords(rocksdb::ColumnFamilyOptions* cf);

}  // namespace thermocline
