// Counts the tombstone markers in each table, so that the migrator knows when a tier holds many.
//
// Thread safety: the factory from any thread; a collector belongs to the table that is built.
#pragma once

#include <rocksdb/table_properties.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "engine/record/envelope.h"

namespace thermocline {

inline constexpr const char* kMarkersProperty = "thermocline.markers";

class MarkerCount : public rocksdb::TablePropertiesCollector {
 public:
  const char* Name() const override { return "thermocline.MarkerCount"; }
  rocksdb::Status AddUserKey(const rocksdb::Slice&, const rocksdb::Slice& value,
                             rocksdb::EntryType type, rocksdb::SequenceNumber, uint64_t) override {
    if (type == rocksdb::kEntryPut && value.size() > 0 && (value[0] & kEnvelopeTombstone) != 0) {
      markers_++;
    }
    return rocksdb::Status::OK();
  }
  rocksdb::Status Finish(rocksdb::UserCollectedProperties* properties) override {
    if (markers_ > 0) (*properties)[kMarkersProperty] = std::to_string(markers_);
    return rocksdb::Status::OK();
  }
  rocksdb::UserCollectedProperties GetReadableProperties() const override { return {}; }

 private:
  uint64_t markers_ = 0;
};

class MarkerCountFactory : public rocksdb::TablePropertiesCollectorFactory {
 public:
  const char* Name() const override { return "thermocline.MarkerCountFactory"; }
  rocksdb::TablePropertiesCollector* CreateTablePropertiesCollector(Context) override {
    return new MarkerCount();
  }
};

// What the collector has noted of a table; 0 for tables without.
inline uint64_t MarkersIn(const rocksdb::TableProperties& table) {
  const auto found = table.user_collected_properties.find(kMarkersProperty);
  if (found == table.user_collected_properties.end()) return 0;
  return std::strtoull(found->second.c_str(), nullptr, 10);
}

}  // namespace thermocline
