// Counts what is in each table besides records: markers of deleted ones and clean copies, so that
// the migrator knows without reading where there is something to tidy up.
//
// It costs a look at one byte of each entry when a table is built, and nothing when it is written.
//
// Thread safety: the factory from any thread; a collector belongs to the table that is built.
#pragma once

#include <rocksdb/table_properties.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "engine/record/envelope.h"

namespace thermocline {

struct EntryCounts {
  uint64_t markers = 0;
  uint64_t copies = 0;
};

inline constexpr const char* kMarkersProperty = "thermocline.markers";
inline constexpr const char* kCopiesProperty = "thermocline.copies";

class EntryCounter : public rocksdb::TablePropertiesCollector {
 public:
  const char* Name() const override { return "thermocline.EntryCounter"; }
  rocksdb::Status AddUserKey(const rocksdb::Slice&, const rocksdb::Slice& value,
                             rocksdb::EntryType type, rocksdb::SequenceNumber, uint64_t) override {
    if (type != rocksdb::kEntryPut || value.size() == 0) return rocksdb::Status::OK();
    const uint8_t flags = static_cast<uint8_t>(value[0]);
    if ((flags & kEnvelopeTombstone) != 0) {
      counts_.markers++;
    } else if ((flags & kEnvelopeCleanCopy) != 0) {
      counts_.copies++;
    }
    return rocksdb::Status::OK();
  }
  rocksdb::Status Finish(rocksdb::UserCollectedProperties* properties) override {
    if (counts_.markers > 0) (*properties)[kMarkersProperty] = std::to_string(counts_.markers);
    if (counts_.copies > 0) (*properties)[kCopiesProperty] = std::to_string(counts_.copies);
    return rocksdb::Status::OK();
  }
  rocksdb::UserCollectedProperties GetReadableProperties() const override { return {}; }

 private:
  EntryCounts counts_;
};

class EntryCounterFactory : public rocksdb::TablePropertiesCollectorFactory {
 public:
  const char* Name() const override { return "thermocline.EntryCounterFactory"; }
  rocksdb::TablePropertiesCollector* CreateTablePropertiesCollector(Context) override {
    return new EntryCounter();
  }
};

// What a table's counter has noted; nothing of tables that were built without one.
inline EntryCounts EntryCountsOf(const rocksdb::TableProperties& table) {
  const auto number = [&](const char* name) -> uint64_t {
    const auto found = table.user_collected_properties.find(name);
    if (found == table.user_collected_properties.end()) return 0;
    return std::strtoull(found->second.c_str(), nullptr, 10);
  };
  return {.markers = number(kMarkersProperty), .copies = number(kCopiesProperty)};
}

}  // namespace thermocline
