#include "engine/shard/report.h"

#include <algorithm>

#include "engine/shard/auto_splitter.h"

namespace thermocline {

namespace {

auto PropertiesOf(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family) {
  return [db, family](const std::string& name) {
    uint64_t value = 0;
    db->GetIntProperty(family, name, &value);
    return value;
  };
}

}  // namespace

std::vector<ShardReport> ReportShards(rocksdb::DB* db, const Shards& shards,
                                      const TemperatureAges& ages, uint64_t now_ms,
                                      const ArchiveCatalogue& archives) {
  std::vector<ShardReport> reports;
  for (size_t i = 0; i < shards.handles.size(); i++) {
    ShardReport& report = reports.emplace_back();
    report.info = shards.table.shards()[i];
    report.activity = shards.activity->Get(i, now_ms);
    for (const ColderShards& colder : shards.colder) {
      ColderFigures& figures = report.colder.emplace_back();
      figures.tier = colder.tier;
      if (report.info.frozen) continue;
      const auto property = PropertiesOf(colder.db, colder.handles[i]);
      figures.keys = property(rocksdb::DB::Properties::kEstimateNumKeys);
      figures.table_bytes = property(rocksdb::DB::Properties::kTotalSstFilesSize);
      figures.memtable_bytes = property(rocksdb::DB::Properties::kCurSizeAllMemTables);
    }
    if (report.info.frozen) {
      report.archive = archives.Get(report.info);
      report.temperature = Temperature::kFrozen;
      continue;
    }
    const auto property = PropertiesOf(db, shards.handles[i]);
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
