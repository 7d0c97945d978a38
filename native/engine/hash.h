// The engine's hash of a key: hot cache, version counters and sketches all use this one value, so
// it is computed once per operation and passed along.
//
// Seeded once per process at random, so that nobody who chooses keys can choose collisions (hash
// flooding). Consequence: a hash must never be written to disk or sent to another process.
//
// Thread safety: pure function of the key and a constant set before main().
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>

namespace thermocline {
namespace hash_internal {

struct Seed {
  uint64_t a;
  uint64_t b;

  static Seed Random() {
    std::random_device device;
    auto next = [&device] { return (static_cast<uint64_t>(device()) << 32) | device(); };
    return {next(), next()};
  }
};

inline const Seed kSeed = Seed::Random();

inline uint64_t Read64(const char* p) {
  uint64_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

inline uint64_t Read32(const char* p) {
  uint32_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// Folds the 128-bit product: every input bit reaches every output bit.
inline uint64_t Mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// Odd constants with balanced bits (from the fractional digits of the golden ratio and sqrt(3)).
inline constexpr uint64_t kPrime0 = 0x9e3779b97f4a7c15;
inline constexpr uint64_t kPrime1 = 0xbb67ae8584caa73b;

}  // namespace hash_internal

// All 64 bits are usable: callers take disjoint bit fields of one hash for different purposes.
inline uint64_t HashKey(std::string_view key) {
  using namespace hash_internal;
  const char* p = key.data();
  size_t n = key.size();
  uint64_t state = kSeed.a;
  uint64_t a;
  uint64_t b;
  if (n <= 16) [[likely]] {
    // Two possibly overlapping reads cover every byte; the length below tells "a" from "a\0".
    if (n >= 8) {
      a = Read64(p);
      b = Read64(p + n - 8);
    } else if (n >= 4) {
      a = Read32(p);
      b = Read32(p + n - 4);
    } else if (n > 0) {
      const auto byte = [p](size_t i) { return static_cast<uint64_t>(static_cast<uint8_t>(p[i])); };
      a = (byte(0) << 16) | (byte(n >> 1) << 8) | byte(n - 1);
      b = 0;
    } else {
      a = b = 0;
    }
  } else {
    do {
      state = Mix(Read64(p) ^ kPrime0, Read64(p + 8) ^ state);
      p += 16;
      n -= 16;
    } while (n > 16);
    a = Read64(p + n - 16);
    b = Read64(p + n - 8);
  }
  return Mix(Mix(a ^ kSeed.b, b ^ state) ^ key.size(), state ^ kPrime1);
}

}  // namespace thermocline
