#include "engine/tier/heat_sample.h"

#include <memory>

#include "engine/hash.h"

namespace thermocline {

namespace {

constexpr uint64_t kSampleBytes = 256 * kKiB;

}  // namespace

std::string AddHeatOf(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family,
                      const std::string& start, int records, const HeatSketch& heat,
                      HeatSample* sample) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(options, family));
  it->Seek(start);
  uint64_t bytes = 0;
  for (int i = 0; i < records && bytes < kSampleBytes && it->Valid(); i++, it->Next()) {
    const uint64_t size = it->key().size() + it->value().size();
    const int estimate = heat.Estimate(HashKey({it->key().data(), it->key().size()}));
    (*sample)[static_cast<size_t>(estimate)] += size;
    bytes += size;
  }
  return it->Valid() ? it->key().ToString() : std::string();
}

std::vector<std::string> StartsOfTables(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family) {
  rocksdb::ColumnFamilyMetaData meta;
  db->GetColumnFamilyMetaData(family, &meta);
  std::vector<std::string> starts = {""};
  for (const auto& level : meta.levels) {
    for (const auto& file : level.files) starts.push_back(file.smallestkey);
  }
  return starts;
}

}  // namespace thermocline
