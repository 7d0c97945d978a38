#include "engine/topic/record_format.h"

#include <algorithm>

namespace thermocline::topic {

namespace {

constexpr uint8_t kKnownFlags =
    kRecordHasTimestamp | kRecordHasId | kRecordHasKey | kRecordHasHeaders;

const char* GetText(const char* p, const char* limit, std::string_view* text) {
  uint32_t size = 0;
  p = GetVarint32(p, limit, &size);
  if (p == nullptr || static_cast<size_t>(limit - p) < size) return nullptr;
  *text = {p, size};
  return p + size;
}

void PutText(std::string* out, std::string_view text) {
  PutVarint32(out, static_cast<uint32_t>(text.size()));
  out->append(text);
}

uint64_t ZigZag(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}

uint64_t UnZigZag(uint64_t v) { return (v >> 1) ^ (~(v & 1) + 1); }

// Behind a record of a payload alone, of less than 16 KiB: nearly every record of most logs. Null:
// it is another one, or none.
inline const char* PassPlainRecord(const char* p, const char* limit) {
  if (limit - p < 3 || *p != 0) return nullptr;
  const auto low = static_cast<uint8_t>(p[1]);
  const auto high = static_cast<uint8_t>(p[2]);
  if (low >= 0x80 && high >= 0x80) return nullptr;
  const size_t size = low < 0x80 ? low : (low & 0x7fu) | (size_t{high} << 7);
  p += low < 0x80 ? 2 : 3;
  return static_cast<size_t>(limit - p) < size ? nullptr : p + size;
}

}  // namespace

const char* DecodeRecord(const char* p, const char* limit, uint64_t first_timestamp,
                         RecordView* record) {
  if (p >= limit) return nullptr;
  const auto flags = static_cast<uint8_t>(*p++);
  record->timestamp = first_timestamp;
  record->has_id = (flags & kRecordHasId) != 0;
  record->has_key = (flags & kRecordHasKey) != 0;
  record->header_count = 0;
  if (flags != 0) {
    if ((flags & ~kKnownFlags) != 0) return nullptr;
    if ((flags & kRecordHasTimestamp) != 0) {
      uint64_t delta = 0;
      p = GetVarint64(p, limit, &delta);
      if (p == nullptr) return nullptr;
      record->timestamp = first_timestamp + UnZigZag(delta);
    }
    if (record->has_id && (p = GetText(p, limit, &record->id)) == nullptr) return nullptr;
    if (record->has_key && (p = GetText(p, limit, &record->key)) == nullptr) return nullptr;
    if ((flags & kRecordHasHeaders) != 0) {
      p = GetVarint32(p, limit, &record->header_count);
      // Two bytes each at least: a number that cannot be is refused before it is counted to.
      if (p == nullptr || record->header_count == 0 ||
          record->header_count > static_cast<size_t>(limit - p) / 2) {
        return nullptr;
      }
      const char* const begin = p;
      std::string_view text;
      for (uint32_t i = 0; i < 2 * record->header_count; i++) {
        p = GetText(p, limit, &text);
        if (p == nullptr) return nullptr;
      }
      record->headers = {begin, static_cast<size_t>(p - begin)};
    }
  }
  return GetText(p, limit, &record->payload);
}

bool CheckBody(std::string_view body, uint32_t count, uint64_t first_timestamp, BodyFacts* facts) {
  facts->max_timestamp = first_timestamp;
  // Two bytes each at least.
  if (count > body.size() / 2) return false;
  const char* p = body.data();
  const char* const limit = p + body.size();
  RecordView record;
  bool any_first = false;
  uint64_t max = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (const char* const end = PassPlainRecord(p, limit)) {
      p = end;
      max = std::max(max, first_timestamp);
      any_first = true;
      continue;
    }
    p = DecodeRecord(p, limit, first_timestamp, &record);
    if (p == nullptr) return false;
    max = any_first ? std::max(max, record.timestamp) : record.timestamp;
    any_first = true;
  }
  if (any_first) facts->max_timestamp = max;
  return p == limit;
}

void BodyBuilder::Add(std::string_view payload, const Fields& fields) {
  const bool has_headers = fields.headers != nullptr && !fields.headers->empty();
  bytes_.push_back(static_cast<char>(
      (fields.timestamp ? kRecordHasTimestamp : 0) | (fields.id ? kRecordHasId : 0) |
      (fields.key ? kRecordHasKey : 0) | (has_headers ? kRecordHasHeaders : 0)));
  if (fields.timestamp) {
    PutVarint64(&bytes_, ZigZag(static_cast<int64_t>(*fields.timestamp - first_timestamp_)));
  }
  if (fields.id) PutText(&bytes_, *fields.id);
  if (fields.key) PutText(&bytes_, *fields.key);
  if (has_headers) {
    PutVarint32(&bytes_, static_cast<uint32_t>(fields.headers->size()));
    for (const auto& [name, value] : *fields.headers) {
      PutText(&bytes_, name);
      PutText(&bytes_, value);
    }
  }
  PutText(&bytes_, payload);
  count_++;
}

void BodyBuilder::AddWithKey(std::string_view key, std::string_view payload) {
  Add(payload, {.key = &key});
}

}  // namespace thermocline::topic
