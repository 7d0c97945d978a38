#include "engine/cache/recency_sketch.h"

#include <algorithm>
#include <vector>

#include "engine/record/coding.h"

namespace thermocline {

namespace {

constexpr char kVersion = 1;

}  // namespace

RecencySketch::RecencySketch(uint64_t epoch_ms, uint64_t now_ms, size_t cells)
    : epoch_ms_(epoch_ms),
      count_(cells),
      cells_(std::make_unique<std::atomic<uint8_t>[]>(cells)),
      epoch_(now_ms / epoch_ms) {
  now_.store(static_cast<uint8_t>(epoch_), std::memory_order_relaxed);
  for (size_t i = 0; i < count_; i++) cells_[i].store(static_cast<uint8_t>(epoch_));
}

int RecencySketch::EpochsSince(uint64_t hash) const {
  const uint8_t now = now_.load(std::memory_order_relaxed);
  int oldest = 0;
  for (int row = 0; row < kRows; row++) {
    oldest = std::max(oldest, AgeOf(CellOf(hash, row).load(std::memory_order_relaxed), now));
  }
  return std::min(oldest, kGreatestAge);
}

void RecencySketch::Advance(uint64_t now_ms) {
  const uint64_t epoch = now_ms / epoch_ms_;
  if (epoch <= epoch_) return;
  const uint64_t passed = epoch - epoch_;
  const uint8_t before = static_cast<uint8_t>(epoch_);
  const uint8_t after = static_cast<uint8_t>(epoch);
  for (size_t i = 0; i < count_; i++) {
    const uint8_t cell = cells_[i].load(std::memory_order_relaxed);
    const uint64_t age = static_cast<uint64_t>(AgeOf(cell, before)) + passed;
    if (age <= kGreatestAge) continue;
    // An access meanwhile wins.
    uint8_t expected = cell;
    cells_[i].compare_exchange_strong(expected, static_cast<uint8_t>(after - kGreatestAge),
                                      std::memory_order_relaxed);
  }
  epoch_ = epoch;
  now_.store(after, std::memory_order_relaxed);
}

std::string RecencySketch::Encode() const {
  std::string encoded(1, kVersion);
  PutFixed64(&encoded, epoch_ms_);
  PutFixed64(&encoded, epoch_);
  const uint8_t now = static_cast<uint8_t>(epoch_);
  const auto age_at = [&](size_t i) {
    return std::min(AgeOf(cells_[i].load(std::memory_order_relaxed), now), kGreatestAge);
  };
  for (size_t i = 0; i < count_;) {
    const int age = age_at(i);
    const size_t begin = i++;
    while (i < count_ && age_at(i) == age) i++;
    PutVarint32(&encoded, static_cast<uint32_t>(i - begin));
    encoded.push_back(static_cast<char>(age));
  }
  return encoded;
}

bool RecencySketch::Decode(std::string_view encoded) {
  if (encoded.size() < 17 || encoded[0] != kVersion) return false;
  if (DecodeFixed64(encoded.data() + 1) != epoch_ms_) return false;
  const uint64_t kept = DecodeFixed64(encoded.data() + 9);
  const uint64_t passed = epoch_ > kept ? epoch_ - kept : 0;
  const char* p = encoded.data() + 17;
  const char* const limit = encoded.data() + encoded.size();
  std::vector<uint8_t> cells;
  cells.reserve(count_);
  while (p < limit) {
    uint32_t run = 0;
    p = GetVarint32(p, limit, &run);
    if (p == nullptr || p == limit || run > count_ - cells.size()) return false;
    const uint64_t age = std::min<uint64_t>(static_cast<uint8_t>(*p++) + passed, kGreatestAge);
    cells.insert(cells.end(), run, static_cast<uint8_t>(epoch_ - age));
  }
  if (cells.size() != count_) return false;
  for (size_t i = 0; i < count_; i++) cells_[i].store(cells[i], std::memory_order_relaxed);
  return true;
}

}  // namespace thermocline
