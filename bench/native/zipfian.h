// The zipfian choices of YCSB: bench/ycsb/generators.mjs in C++.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>

namespace thermocline::bench {

inline constexpr double kZipfianTheta = 0.99;

inline double Zeta(uint64_t count) {
  double sum = 0;
  for (uint64_t i = 1; i <= count; i++) sum += 1 / std::pow(static_cast<double>(i), kZipfianTheta);
  return sum;
}

// Ranks 0 to items - 1, the smaller the likelier.
class Zipfian {
 public:
  // `zeta`: Zeta(items).
  Zipfian(uint64_t items, double zeta, uint64_t seed)
      : items_(static_cast<double>(items)), zeta_(zeta), random_(seed) {
    const double two = 1 + std::pow(0.5, kZipfianTheta);
    eta_ = (1 - std::pow(2 / items_, 1 - kZipfianTheta)) / (1 - two / zeta);
  }

  uint64_t Next() {
    const double u = std::uniform_real_distribution<double>(0, 1)(random_);
    const double uz = u * zeta_;
    if (uz < 1) return 0;
    if (uz < 1 + std::pow(0.5, kZipfianTheta)) return 1;
    return static_cast<uint64_t>(items_ * std::pow(eta_ * u - eta_ + 1, 1 / (1 - kZipfianTheta)));
  }

 private:
  const double items_;
  const double zeta_;
  double eta_ = 0;
  std::mt19937_64 random_;
};

// Ranks of ten thousand million items, strewn over 0 to count - 1 by a hash.
class ScrambledZipfian {
 public:
  ScrambledZipfian(uint64_t count, uint64_t seed) : count_(count), ranks_(kItems, kZeta, seed) {}

  uint64_t Next() { return Hash(ranks_.Next()) % count_; }

 private:
  static constexpr uint64_t kItems = 10'000'000'000;
  static constexpr double kZeta = 26.46902820178302;  // of kItems

  // FNV-1a over the eight bytes, made positive as a signed number.
  static uint64_t Hash(uint64_t value) {
    uint64_t hash = 0xcbf29ce484222325;
    for (int i = 0; i < 8; i++) {
      hash = (hash ^ (value & 0xff)) * 0x100000001b3;
      value >>= 8;
    }
    return static_cast<int64_t>(hash) < 0 ? -hash : hash;
  }

  const uint64_t count_;
  Zipfian ranks_;
};

}  // namespace thermocline::bench
