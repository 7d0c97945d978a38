// The heat of records: how often each was read or written of late, estimated (TinyLFU).
//
// A count-min sketch with counters of eight bits. The four counters of a key lie in one cache line,
// which its hash chooses, so that counting an access costs one miss of the processor's cache; an
// access raises only the smallest of the four. Estimates are never too low for what was counted,
// and rarely too high while there are more counters than hot keys. Halving all counters now and
// then lets the past fade.
//
// The unit is one read. Reads that find a record in a store are counted one by one: beside a store
// that costs nothing, and it is there that the border between what stays and what sinks lies. Those
// that find none count nowhere, so that keys that are not there take no room. Reads that the
// hot cache answers are sampled by chance, one in kHitSampling standing for all. (Every sixteenth
// would meet the same keys again and again in a program that reads in rounds.) A write counts for
// one in kWriteSampling of a read: writes go to hot in any case.
//
// Whoever remembers when records were last used (recency_sketch.h) is told of the same accesses.
//
// Sources: Cormode and Muthukrishnan, count-min sketch (2005), with conservative update; Einziger,
// Friedman and Manes, TinyLFU (2017).
// Thread safety: TouchWrite, Add and Estimate from any thread; counts that collide may be lost,
// which an estimate can bear. Halve, Encode and Decode by one thread at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/cache/recency_sketch.h"

namespace thermocline {

class HeatSketch {
 public:
  static constexpr int kHitSampling = 16;
  static constexpr int kWriteSampling = 8;
  static constexpr int kMax = 255;
  static constexpr size_t kMinCounters = size_t{1} << 21;
  // It is kept in one piece, and writes wait while it is written.
  static constexpr size_t kMaxCounters = size_t{1} << 22;

  // How many for a database of so many records: two to each, 2 MiB to 4 MiB. Of Zipfian (0.99)
  // reads of 2 million records the hottest 8% take 82.2%; those that a full sketch takes for the
  // hottest, 81.0% with one counter to each record and 81.9% with two.
  static size_t CountersFor(uint64_t records);

  // `counters`: a power of two, at least 64; so many bytes of memory.
  explicit HeatSketch(size_t counters = kMinCounters);
  HeatSketch(const HeatSketch&) = delete;
  HeatSketch& operator=(const HeatSketch&) = delete;

  // The caller's own random numbers, so that they can lie beside what else it keeps per thread.
  struct Chance {
    uint64_t random = 0x9e3779b97f4a7c15;
    // True with a chance of one in `of`, a power of two.
    bool Draw(int of) {
      random = random * 6364136223846793005 + 1442695040888963407;
      return (random >> 32 & static_cast<uint64_t>(of - 1)) == 0;
    }
  };

  // Tells `recency` of every access too. REQUIRES: before the first one; it outlives this.
  void Tell(RecencySketch* recency) { told_.push_back(recency); }

  // Counts one in kWriteSampling of the calls.
  void TouchWrite(uint64_t hash) {
    for (RecencySketch* recency : told_) recency->Touch(hash);
    thread_local Chance chance;
    if (chance.Draw(kWriteSampling)) Add(hash);
  }
  void Add(uint64_t hash, int reads = 1);
  // In reads since they began to fade, at most kMax.
  int Estimate(uint64_t hash) const;

  // Whether so much was counted that the past should fade.
  bool IsDue() const { return added_.load(std::memory_order_relaxed) >= kFadeAfter * counters_; }
  void Halve();

  // For keeping across restarts: u8 version (3), u8 log2 of counters, fixed64 reads counted since
  // they began to fade, then pairs of (varint run of zeros, counter) for the counters that are not
  // zero. Version 2 lacks the reads; it is taken to be due to fade.
  std::string Encode() const;
  // Of whatever number of counters: estimates get no lower by that. False if it is damaged;
  // everything is then as before.
  bool Decode(std::string_view encoded);

  size_t memory_bytes() const { return counters_; }

 private:
  static constexpr size_t kLine = 64;
  static constexpr int kRows = 4;
  // So long a memory tells records apart that are read once in a few million reads.
  static constexpr uint64_t kFadeAfter = 8;

  // The line, and the four places in it: each row has a quarter of the line.
  size_t LineOf(uint64_t hash) const { return (hash >> 20) & (counters_ / kLine - 1); }
  static size_t PlaceOf(uint64_t hash, int row) {
    return static_cast<size_t>(row) * (kLine / kRows) + ((hash >> (4 * row)) & (kLine / kRows - 1));
  }

  const size_t counters_;
  std::unique_ptr<std::atomic<uint8_t>[]> table_;
  std::atomic<uint64_t> added_{0};
  std::vector<RecencySketch*> told_;  // constant once there are accesses
};

}  // namespace thermocline
