#include "engine/topic/router.h"

#include <algorithm>

#include "engine/topic/record_format.h"

namespace thermocline::topic {

bool Route(std::string_view body, uint32_t count, uint64_t first_timestamp, uint32_t partitions,
           int64_t fixed, uint32_t keyless, Routed* out) {
  if (fixed >= 0 || partitions == 1) {
    BodyFacts facts;
    if (count == 0 || !CheckBody(body, count, first_timestamp, &facts)) return false;
    out->parts.push_back({.partition = fixed >= 0 ? static_cast<uint32_t>(fixed) : 0,
                          .count = count,
                          .max_timestamp = facts.max_timestamp,
                          .body = body,
                          .own = {}});
    return true;
  }
  // Two bytes each at least.
  if (count == 0 || count > body.size() / 2) return false;
  struct Record {
    const char* begin;
    size_t size;
    uint64_t timestamp;
  };
  std::vector<Record> records(count);
  std::vector<uint32_t>& partition_of = out->partition_of;
  partition_of.resize(count);
  const char* p = body.data();
  const char* const limit = p + body.size();
  bool mixed = false;
  uint64_t max_timestamp = 0;
  for (uint32_t i = 0; i < count; i++) {
    RecordView record;
    const char* const begin = p;
    p = DecodeRecord(p, limit, first_timestamp, &record);
    if (p == nullptr) return false;
    partition_of[i] = record.has_key ? PartitionOfKey(record.key, partitions) : keyless;
    mixed |= partition_of[i] != partition_of[0];
    records[i] = {begin, static_cast<size_t>(p - begin), record.timestamp};
    max_timestamp = std::max(max_timestamp, record.timestamp);
  }
  if (p != limit) return false;
  if (!mixed) {
    out->parts.push_back({.partition = partition_of[0],
                          .count = count,
                          .max_timestamp = max_timestamp,
                          .body = body,
                          .own = {}});
    partition_of.clear();
    return true;
  }
  std::vector<RoutedPart*> of_partition(partitions, nullptr);
  out->parts.reserve(std::min(partitions, count));  // pointers into it stay
  for (uint32_t i = 0; i < count; i++) {
    RoutedPart*& part = of_partition[partition_of[i]];
    if (part == nullptr) {
      part = &out->parts.emplace_back();
      part->partition = partition_of[i];
    }
    part->own.append(records[i].begin, records[i].size);
    part->count++;
    part->max_timestamp = std::max(part->max_timestamp, records[i].timestamp);
  }
  for (RoutedPart& part : out->parts) part.body = part.own;
  return true;
}

}  // namespace thermocline::topic
