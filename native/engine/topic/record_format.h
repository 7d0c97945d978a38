// The records in the body of a batch. lib/topics/packer.ts writes this form, so that a body crosses
// the boundary and reaches the file without being built again.
//
//   u8         flags: 1 timestamp, 2 id, 4 key, 8 headers; the others are 0
//   varint64   [timestamp] zigzag of (timestamp - the batch's first timestamp), ms
//   varint32, bytes   [id] what the program calls the message
//   varint32, bytes   [key]
//   varint32   [headers] their number, at least 1, then of each
//     varint32, bytes   name
//     varint32, bytes   value
//   varint32, bytes   payload
//
// A record without a timestamp has the batch's first. The offset is the batch's base offset plus
// the record's place.
//
// Thread safety: pure functions over memory that the caller keeps alive.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/record/coding.h"

namespace thermocline::topic {

inline constexpr uint8_t kRecordHasTimestamp = 1;
inline constexpr uint8_t kRecordHasId = 2;
inline constexpr uint8_t kRecordHasKey = 4;
inline constexpr uint8_t kRecordHasHeaders = 8;

struct RecordView {
  uint64_t timestamp = 0;  // Unix ms
  bool has_id = false;
  bool has_key = false;
  std::string_view id;
  std::string_view key;
  uint32_t header_count = 0;
  std::string_view headers;  // as stored, without their number
  std::string_view payload;
};

// Decodes one record at `p`. Returns the position behind it, or nullptr if the bytes are not a
// well-formed record within `limit`.
const char* DecodeRecord(const char* p, const char* limit, uint64_t first_timestamp,
                         RecordView* record);

// What a walk over a whole body finds.
struct BodyFacts {
  uint64_t max_timestamp = 0;
};
// Whether the body is exactly `count` well-formed records.
bool CheckBody(std::string_view body, uint32_t count, uint64_t first_timestamp, BodyFacts* facts);

// Builds a body record by record (tests, tools and the change feed; programs pack in JavaScript).
class BodyBuilder {
 public:
  using Header = std::pair<std::string_view, std::string_view>;

  explicit BodyBuilder(uint64_t first_timestamp = 0) : first_timestamp_(first_timestamp) {}

  struct Fields {
    const std::string_view* id = nullptr;
    const std::string_view* key = nullptr;
    const uint64_t* timestamp = nullptr;
    const std::vector<Header>* headers = nullptr;
  };
  void Add(std::string_view payload, const Fields& fields);
  void Add(std::string_view payload) { Add(payload, Fields()); }
  void AddWithKey(std::string_view key, std::string_view payload);

  uint64_t first_timestamp() const { return first_timestamp_; }
  uint32_t count() const { return count_; }
  const std::string& bytes() const { return bytes_; }

 private:
  const uint64_t first_timestamp_;
  uint32_t count_ = 0;
  std::string bytes_;
};

}  // namespace thermocline::topic
