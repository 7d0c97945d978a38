// The engine's hash of a key: hot cache, version counters and sketches all use this one value, so
// it is computed once per operation and passed along.
//
// Seeded at random, so that nobody who chooses keys can choose collisions (hash flooding). A
// process has one seed. What is kept of hashes, the sketches, means something under the seed of
// whoever kept it alone, so each database keeps the seed, and the first one that a process opens
// decides (FixHashSeed). Hashes of before that are of another seed, so nothing may be left of them.
//
// Thread safety: pure function of the key and of a seed that stays as it is once an engine is open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string_view>

namespace thermocline {

struct HashSeed {
  uint64_t a;
  uint64_t b;

  static HashSeed Random() {
    std::random_device device;
    auto next = [&device] { return (static_cast<uint64_t>(device()) << 32) | device(); };
    return {next(), next()};
  }
  bool operator==(const HashSeed&) const = default;
};

// The process's seed from now on. The first call takes over what its database kept, if anything.
HashSeed FixHashSeed(const std::optional<HashSeed>& kept);
// As in a new process, for tests. REQUIRES: no engine is open.
void ForgetHashSeed();

namespace hash_internal {

inline HashSeed seed = HashSeed::Random();

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
  uint64_t state = seed.a;
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
  return Mix(Mix(a ^ seed.b, b ^ state) ^ key.size(), state ^ kPrime1);
}

}  // namespace thermocline
