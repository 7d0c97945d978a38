#include "engine/shard/report.h"

#include <algorithm>

#include "engine/shard/auto_splitter.h"

namespace thermocline {

std::vector<ShardReport> ReportShards(rocksdb::DB* db, const Shards& shards,
                                      const TemperatureAges& ages, uint64_t now_ms,
                                      const ArchiveCatalogue& archives) {
  std::vector<ShardReport> reports;
  for (size_t i = 0; i < shards.handles.size(); i++) {
    const auto property = [&](const std::string& name) {
      uint64_t value = 0;
      db->GetIntProperty(shards.handles[i], name, &value);
      return value;
    };
    ShardReport& report = reports.emplace_back();
    report.info = shards.table.shards()[i];
    report.activity = shards.activity->Get(i, now_ms);
    if (report.info.frozen) {
      report.archive = archives.Get(report.info);
      report.temperature = Temperature::kFrozen;
      continue;
    }
    report.hot_keys = property(rocksdb::DB::Properties::kEstimateNumKeys);
    report.hot_table_bytes = property(rocksdb::DB::Properties::kTotalSstFilesSize);
    report.hot_memtable_bytes = property(rocksdb::DB::Properties::kCurSizeAllMemTables);
    report.empty = ShardBytes(db, shards, i) == 0;
    const uint64_t since = std::max(report.activity.last_access_ms, report.activity.created_ms);
    report.temperature = TemperatureOf(now_ms - std::min(now_ms, since), ages);
  }
  return reports;
}

}  // namespace thermocline
