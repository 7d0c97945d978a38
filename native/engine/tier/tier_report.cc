#include "engine/tier/tier_report.h"

#include <rocksdb/db.h>
#include <rocksdb/table_properties.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "engine/tier/entry_counts.h"

namespace thermocline {

uint64_t TierFigures::LiveBytes() const {
  const uint64_t written = entries - std::min(entries, deleted);
  if (written == 0) return records == 0 ? 0 : memory_bytes;
  return static_cast<uint64_t>(static_cast<double>(records) * static_cast<double>(table_bytes) /
                               static_cast<double>(written));
}

LifetimeTotals TotalsOf(const TierReport& report) {
  LifetimeTotals totals;
  totals.from_memory = report.from_memory;
  totals.absent = report.absent;
  totals.user_bytes = report.user_bytes;
  for (const TierFigures& figures : report.tiers) {
    totals.tiers[static_cast<size_t>(figures.tier)] = {
        .found = figures.found,
        .written_bytes = figures.written_bytes,
        .moved_in_records = figures.moved_in_records,
        .moved_in_bytes = figures.moved_in_bytes,
        .moved_out_records = figures.moved_out_records,
        .moved_out_bytes = figures.moved_out_bytes,
    };
  }
  return totals;
}

void ReadStoreFigures(rocksdb::DB* db, const std::vector<rocksdb::ColumnFamilyHandle*>& shards,
                      TierFigures* figures) {
  for (rocksdb::ColumnFamilyHandle* shard : shards) {
    const auto property = [&](const std::string& name) {
      uint64_t value = 0;
      db->GetIntProperty(shard, name, &value);
      return value;
    };
    figures->file_bytes += property(rocksdb::DB::Properties::kTotalSstFilesSize);
    figures->table_bytes += property(rocksdb::DB::Properties::kLiveSstFilesSize);
    figures->memory_bytes += property(rocksdb::DB::Properties::kCurSizeAllMemTables);
    figures->records += property(rocksdb::DB::Properties::kEstimateNumKeys);
    rocksdb::TablePropertiesCollection tables;
    if (db->GetPropertiesOfAllTables(shard, &tables).ok()) {
      for (const auto& [name, table] : tables) {
        figures->raw_bytes += table->raw_key_size + table->raw_value_size;
        figures->data_bytes += table->data_size;
        figures->deleted += table->num_deletions;
        figures->entries += table->num_entries;
        const EntryCounts counts = EntryCountsOf(*table);
        figures->markers += counts.markers;
        figures->copies += counts.copies;
      }
    }
  }
}

void ReadWrittenBytes(rocksdb::DB* db, const std::vector<rocksdb::ColumnFamilyHandle*>& shards,
                      TierFigures* figures) {
  for (rocksdb::ColumnFamilyHandle* shard : shards) {
    std::map<std::string, std::string> stats;
    if (db->GetMapProperty(shard, rocksdb::DB::Properties::kCFStats, &stats)) {
      const auto written = stats.find("compaction.Sum.WriteGB");
      if (written != stats.end()) {
        figures->written_bytes +=
            static_cast<uint64_t>(std::strtod(written->second.c_str(), nullptr) * 1073741824.0);
      }
    }
  }
}

}  // namespace thermocline
