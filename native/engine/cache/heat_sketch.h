// The heat of records: how often each was read or written of late, estimated (TinyLFU).
//
// A count-min sketch with counters of eight bits. The four counters of a key lie in one cache line,
// which its hash chooses, so that counting an access costs one miss of the processor's cache; an
// access raises only the smallest of the four. Estimates are never too low for what was counted,
// and rarely too high while there are more counters than hot keys. Halving all counters now and
// then lets the past fade.
//
// Accesses are sampled: each is counted with a chance of one in kSampling. Counting every eighth
// would meet the same keys again and again in a program that reads in rounds.
//
// Sources: Cormode and Muthukrishnan, count-min sketch (2005), with conservative update; Einziger,
// Friedman and Manes, TinyLFU (2017).
// Thread safety: Touch, Add and Estimate from any thread; counts that collide may be lost, which an
// estimate can bear. Halve, Encode and Decode by one thread at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace thermocline {

class HeatSketch {
 public:
  static constexpr uint32_t kSampling = 8;
  static constexpr int kMax = 255;

  // `counters`: a power of two, at least 64; so many bytes of memory.
  explicit HeatSketch(size_t counters = size_t{1} << 21);
  HeatSketch(const HeatSketch&) = delete;
  HeatSketch& operator=(const HeatSketch&) = delete;

  // Counts one in kSampling of the calls.
  void Touch(uint64_t hash) {
    thread_local uint64_t random = 0x9e3779b97f4a7c15;
    random = random * 6364136223846793005 + 1442695040888963407;
    if (random >> 32 < (uint64_t{1} << 32) / kSampling) Add(hash);
  }
  void Add(uint64_t hash);
  // In sampled accesses since they began to fade, at most kMax.
  int Estimate(uint64_t hash) const;

  // Whether so much was counted that the past should fade.
  bool IsDue() const { return added_.load(std::memory_order_relaxed) >= 2 * counters_; }
  void Halve();

  // For keeping across restarts: u8 version, u8 log2 of counters, then pairs of (varint run of
  // zeros, counter) for the counters that are not zero.
  std::string Encode() const;
  // False if it is damaged or of another size; everything is then as before.
  bool Decode(std::string_view encoded);

  size_t memory_bytes() const { return counters_; }

 private:
  static constexpr size_t kLine = 64;
  static constexpr int kRows = 4;

  // The line, and the four places in it: each row has a quarter of the line.
  size_t LineOf(uint64_t hash) const { return (hash >> 20) & (counters_ / kLine - 1); }
  static size_t PlaceOf(uint64_t hash, int row) {
    return static_cast<size_t>(row) * (kLine / kRows) + ((hash >> (4 * row)) & (kLine / kRows - 1));
  }

  const size_t counters_;
  std::unique_ptr<std::atomic<uint8_t>[]> table_;
  std::atomic<uint64_t> added_{0};
};

}  // namespace thermocline
