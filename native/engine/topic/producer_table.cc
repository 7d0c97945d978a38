#include "engine/topic/producer_table.h"

#include <algorithm>

#include "engine/record/coding.h"
#include "engine/record/crc32c.h"

namespace thermocline::topic {

namespace {

constexpr uint8_t kTableVersion = 1;

}  // namespace

ProducerTable::Verdict ProducerTable::Judge(uint64_t producer, uint64_t sequence,
                                            uint64_t* base_offset) const {
  const auto known = producers_.find(producer);
  if (known == producers_.end() || sequence > known->second.recent.back().sequence) {
    return Verdict::kNew;
  }
  for (const Batch& batch : known->second.recent) {
    if (batch.sequence != sequence) continue;
    *base_offset = batch.base_offset;
    return Verdict::kRepeated;
  }
  return Verdict::kTooOld;
}

void ProducerTable::Record(uint64_t producer, uint64_t sequence, uint64_t base_offset) {
  Producer& entry = producers_[producer];
  entry.recent.push_back({sequence, base_offset});
  if (entry.recent.size() > kRemembered) entry.recent.pop_front();
  entry.used = producer == kOutboxProducer ? UINT64_MAX : ++uses_;
  if (producers_.size() <= kMaxProducers) return;
  producers_.erase(
      std::min_element(producers_.begin(), producers_.end(),
                       [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
}

bool ProducerTable::Last(uint64_t producer, uint64_t* sequence) const {
  const auto known = producers_.find(producer);
  if (known == producers_.end()) return false;
  *sequence = known->second.recent.back().sequence;
  return true;
}

// u8 version, varint64 uses, varint64 producers, each: varint64 id, varint64 used, varint32
// batches, each: varint64 sequence, varint64 base offset; then the CRC-32C of all that.
std::string ProducerTable::Encode() const {
  std::string bytes(1, static_cast<char>(kTableVersion));
  PutVarint64(&bytes, uses_);
  PutVarint64(&bytes, producers_.size());
  for (const auto& [id, producer] : producers_) {
    PutVarint64(&bytes, id);
    PutVarint64(&bytes, producer.used);
    PutVarint32(&bytes, static_cast<uint32_t>(producer.recent.size()));
    for (const Batch& batch : producer.recent) {
      PutVarint64(&bytes, batch.sequence);
      PutVarint64(&bytes, batch.base_offset);
    }
  }
  PutFixed32(&bytes, Crc32c(bytes));
  return bytes;
}

bool ProducerTable::Decode(std::string_view encoded) {
  producers_.clear();
  uses_ = 0;
  if (encoded.size() < 5) return false;
  const std::string_view body = encoded.substr(0, encoded.size() - 4);
  if (DecodeFixed32(encoded.data() + body.size()) != Crc32c(body)) return false;
  const char* p = body.data();
  const char* const limit = p + body.size();
  if (*p++ != kTableVersion) return false;
  std::map<uint64_t, Producer> producers;
  uint64_t uses = 0;
  uint64_t count = 0;
  p = GetVarint64(p, limit, &uses);
  if (p != nullptr) p = GetVarint64(p, limit, &count);
  for (uint64_t i = 0; i < count && p != nullptr; i++) {
    uint64_t id = 0;
    uint32_t batches = 0;
    Producer producer;
    p = GetVarint64(p, limit, &id);
    if (p != nullptr) p = GetVarint64(p, limit, &producer.used);
    if (p != nullptr) p = GetVarint32(p, limit, &batches);
    if (p == nullptr || batches == 0 || batches > kRemembered) return false;
    for (uint32_t j = 0; j < batches && p != nullptr; j++) {
      Batch& batch = producer.recent.emplace_back();
      p = GetVarint64(p, limit, &batch.sequence);
      if (p != nullptr) p = GetVarint64(p, limit, &batch.base_offset);
    }
    producers[id] = std::move(producer);
  }
  if (p != limit) return false;
  producers_ = std::move(producers);
  uses_ = uses;
  return true;
}

}  // namespace thermocline::topic
