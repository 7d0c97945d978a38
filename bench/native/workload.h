// The data of the peer benchmark: bench/peers/workload.mjs in C++, byte for byte. run.mjs compares
// the fingerprints of both before it prints a figure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace thermocline::bench {

inline constexpr size_t kKeySize = 16;
inline constexpr size_t kBatch = 1000;
inline constexpr size_t kWorkingSet = 10'000;

class XorShift32 {
 public:
  explicit XorShift32(uint32_t seed) : x_(seed) {}
  uint32_t Next() {
    x_ ^= x_ << 13;
    x_ ^= x_ >> 17;
    x_ ^= x_ << 5;
    return x_;
  }

 private:
  uint32_t x_;
};

class Workload {
 public:
  Workload(size_t records, size_t value_size)
      : records_(records), value_size_(value_size), keys_(records * kKeySize, '\0') {
    FillRandom(0x1234567, &keys_);
    const size_t half = value_size / 2;
    std::string random((records * half + 3) & ~size_t{3}, '\0');
    FillRandom(0x7e57da7a, &random);
    values_.reserve(records * value_size);
    for (size_t i = 0; i < records; i++) {
      values_.append(random, i * half, half);
      values_.append(random, i * half, value_size - half);
    }
    every_key_ = Shuffled(records, 0xabcdef);
    const size_t set = std::min(kWorkingSet, records);
    working_set_.resize(records);
    for (size_t i = 0; i < records; i++) working_set_[i] = every_key_[i % set];
  }

  size_t records() const { return records_; }
  size_t value_size() const { return value_size_; }
  std::string_view Key(size_t i) const { return {keys_.data() + i * kKeySize, kKeySize}; }
  std::string_view Value(size_t i) const { return {values_.data() + i * value_size_, value_size_}; }
  const std::vector<uint32_t>& every_key() const { return every_key_; }
  const std::vector<uint32_t>& working_set() const { return working_set_; }

  // FNV-1a of all keys.
  uint32_t KeyFingerprint() const {
    uint32_t h = 0x811c9dc5;
    for (const char c : keys_) h = (h ^ static_cast<uint8_t>(c)) * 0x01000193;
    return h;
  }

 private:
  static void FillRandom(uint32_t seed, std::string* out) {
    XorShift32 random(seed);
    for (size_t i = 0; i + 4 <= out->size(); i += 4) {
      const uint32_t word = random.Next();
      std::memcpy(out->data() + i, &word, 4);
    }
  }

  static std::vector<uint32_t> Shuffled(size_t count, uint32_t seed) {
    XorShift32 random(seed);
    std::vector<uint32_t> order(count);
    for (size_t i = 0; i < count; i++) order[i] = static_cast<uint32_t>(i);
    for (size_t i = count - 1; i > 0; i--) std::swap(order[i], order[random.Next() % (i + 1)]);
    return order;
  }

  size_t records_;
  size_t value_size_;
  std::string keys_;
  std::string values_;
  std::vector<uint32_t> every_key_;
  std::vector<uint32_t> working_set_;
};

}  // namespace thermocline::bench
