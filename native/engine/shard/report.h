// What is known of each shard without reading it.
//
// Thread safety: pure but for asking RocksDB, which any thread may.
#pragma once

#include <rocksdb/db.h>

#include <cstdint>
#include <vector>

#include "engine/shard/activity.h"
#include "engine/shard/shards.h"
#include "engine/snapshot/archive.h"

namespace thermocline {

// What a shard has in one of the colder tiers. Thread safety: a value.
struct ColderFigures {
  Tier tier = Tier::kCold;
  uint64_t keys = 0;            // as estimated as ShardReport::hot_keys
  uint64_t table_bytes = 0;     // exact
  uint64_t memtable_bytes = 0;  // not yet in tables
};

struct ShardReport {
  ShardInfo info;
  // RocksDB's estimate: entries of tables and memtables less twice the tombstones. A record that
  // was overwritten counts again until a compaction has merged the two, a range delete counts as
  // one; after a compaction of everything the number is exact.
  uint64_t hot_keys = 0;
  uint64_t hot_table_bytes = 0;       // exact: the sizes of the files
  uint64_t hot_memtable_bytes = 0;    // not yet in tables
  std::vector<ColderFigures> colder;  // hotter first; empty: the hot tier is all there is
  ArchiveFigures archive;             // of a frozen shard, which has nothing in its tiers
  bool empty = false;                 // nothing in any tier, nor in the archive
  ShardActivity::Snapshot activity;
  Temperature temperature = Temperature::kHot;
};

// REQUIRES: shards.activity is there.
// One report per shard, in the table's order. A shard that was never accessed counts its age from
// its creation.
std::vector<ShardReport> ReportShards(rocksdb::DB* db, const Shards& shards,
                                      const TemperatureAges& ages, uint64_t now_ms,
                                      const ArchiveCatalogue& archives);

}  // namespace thermocline
