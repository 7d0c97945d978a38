#include "engine/cache/heat_sketch.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "engine/record/coding.h"

namespace thermocline {

namespace {

constexpr char kVersion = 3;
constexpr char kWithoutAdded = 2;  // the version before

}  // namespace

HeatSketch::HeatSketch(size_t counters)
    : counters_(counters), table_(std::make_unique<std::atomic<uint8_t>[]>(counters)) {}

size_t HeatSketch::CountersFor(uint64_t records) {
  return std::clamp(std::bit_ceil(2 * std::min<uint64_t>(records, kMaxCounters)), kMinCounters,
                    kMaxCounters);
}

void HeatSketch::Add(uint64_t hash, int reads) {
  for (RecencySketch* recency : told_) recency->Touch(hash);
  std::atomic<uint8_t>* const line = table_.get() + LineOf(hash) * kLine;
  int least = kMax;
  for (int row = 0; row < kRows; row++) {
    least = std::min<int>(least, line[PlaceOf(hash, row)].load(std::memory_order_relaxed));
  }
  // Reads of what can get no hotter let the past fade too.
  added_.fetch_add(static_cast<uint64_t>(reads), std::memory_order_relaxed);
  if (least == kMax) return;
  const int raised = std::min(least + reads, kMax);
  for (int row = 0; row < kRows; row++) {
    std::atomic<uint8_t>& counter = line[PlaceOf(hash, row)];
    if (counter.load(std::memory_order_relaxed) < raised) {
      counter.store(static_cast<uint8_t>(raised), std::memory_order_relaxed);
    }
  }
}

int HeatSketch::Estimate(uint64_t hash) const {
  const std::atomic<uint8_t>* const line = table_.get() + LineOf(hash) * kLine;
  int least = kMax;
  for (int row = 0; row < kRows; row++) {
    least = std::min<int>(least, line[PlaceOf(hash, row)].load(std::memory_order_relaxed));
  }
  return least;
}

void HeatSketch::Halve() {
  for (size_t i = 0; i < counters_; i++) {
    const uint8_t count = table_[i].load(std::memory_order_relaxed);
    if (count != 0) table_[i].store(count / 2, std::memory_order_relaxed);
  }
  added_.store(added_.load(std::memory_order_relaxed) / 2, std::memory_order_relaxed);
}

std::string HeatSketch::Encode() const {
  std::string encoded = {kVersion, static_cast<char>(std::bit_width(counters_) - 1)};
  PutFixed64(&encoded, added_.load(std::memory_order_relaxed));
  uint32_t zeros = 0;
  for (size_t i = 0; i < counters_; i++) {
    const uint8_t count = table_[i].load(std::memory_order_relaxed);
    if (count == 0) {
      zeros++;
      continue;
    }
    PutVarint32(&encoded, zeros);
    encoded.push_back(static_cast<char>(count));
    zeros = 0;
  }
  return encoded;
}

bool HeatSketch::Decode(std::string_view encoded) {
  const bool with_added = !encoded.empty() && encoded[0] == kVersion;
  const size_t header = with_added ? 2 + sizeof(uint64_t) : 2;
  if (encoded.size() < header || (!with_added && encoded[0] != kWithoutAdded)) return false;
  const int log2 = encoded[1];
  if (log2 < 6 || log2 >= static_cast<int>(std::bit_width(kMaxCounters))) return false;
  const size_t kept = size_t{1} << log2;
  const char* p = encoded.data() + header;
  const char* const limit = encoded.data() + encoded.size();
  std::vector<uint8_t> counts(kept);
  for (size_t at = 0; p < limit; at++) {
    uint32_t zeros = 0;
    p = GetVarint32(p, limit, &zeros);
    if (p == nullptr || p == limit || zeros >= kept - at) return false;
    at += zeros;
    counts[at] = static_cast<uint8_t>(*p++);
  }
  // The lower bits of a key's line are the same in both. With fewer lines here several share one,
  // and the hottest of each place counts; with more the keys of one may be in any of several.
  counts.resize(std::max(kept, counters_));
  for (size_t i = kept; i < counts.size(); i++) counts[i] = counts[i % kept];
  for (size_t i = counters_; i < counts.size(); i++) {
    counts[i % counters_] = std::max(counts[i % counters_], counts[i]);
  }
  for (size_t i = 0; i < counters_; i++) table_[i].store(counts[i], std::memory_order_relaxed);
  // Counters that are raised together hold less than what was added.
  const uint64_t added = with_added ? DecodeFixed64(encoded.data() + 2) : kFadeAfter * counters_;
  added_.store(std::min(added, kFadeAfter * counters_), std::memory_order_relaxed);
  return true;
}

}  // namespace thermocline
