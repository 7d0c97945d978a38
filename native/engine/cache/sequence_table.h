// Which keys are read soon after which: a table of associations, learned online in memory that is
// fixed when it is made.
//
// A node per key: how often it was seen, and up to kLinks keys that followed it within a window of
// reads, each with how often it did. The share of the two estimates the chance that the one follows
// the other. Within a window, and not at once, since streams interleave and nobody reads the same
// way twice.
//
// Counts are halved when a node has been seen kSeenMost times, so that the past fades. A link that
// is not confirmed is worn down by other followers until one takes its place (Misra and Gries). In
// a set of kWays nodes a new key takes the place of the one that was used least of late; every such
// taking ages the others.
//
// Against the field: Mithril (Yang et al., SoCC '17) mines such associations in batches and among
// blocks seen a middling number of times; C-Miner (Li et al., FAST '04) mines frequent
// subsequences offline. Both find more than single transitions do (a Markov table), because of the
// window; here too, but online and at a fixed cost per read: one node is written, one is read.
//
// Thread safety: all methods from any thread; sets are striped by lock. Ownership: keys are copied.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace thermocline {

// A key as it is copied about without allocation.
struct SequenceKey {
  static constexpr size_t kMost = 78;

  // REQUIRES: key.size() <= kMost.
  void Set(std::string_view key) {
    size = static_cast<uint8_t>(key.size());
    key.copy(bytes, key.size());
  }
  std::string_view view() const { return {bytes, size}; }

  uint8_t size = 0;
  char bytes[kMost];
};

class SequenceTable {
 public:
  static constexpr size_t kLinks = 6;
  static constexpr size_t kWays = 8;
  static constexpr int kSeenMost = 32;
  // A key follows another likely if it did so half of the times, and kConfident times at least.
  static constexpr uint32_t kConfident = 2;

  // `bytes`: what the table may take, at least that of one set (1,088).
  explicit SequenceTable(size_t bytes);
  SequenceTable(const SequenceTable&) = delete;
  SequenceTable& operator=(const SequenceTable&) = delete;

  // After `key`, `followers` were read (hashes, nearest first, of keys no longer than kMost).
  // REQUIRES: key.size() <= SequenceKey::kMost.
  void Learn(std::string_view key, uint64_t hash, const uint64_t* followers, size_t count);

  // What likely follows a key. How many there are; the values are for KeyOf.
  size_t Likely(uint64_t hash, std::array<uint64_t, kLinks>* followers);
  // False: it has been forgotten, or was never learned.
  bool KeyOf(uint64_t follower, SequenceKey* key);

  size_t nodes() const { return sets_ * kWays; }
  size_t memory_bytes() const { return sets_ * sizeof(Set); }

 private:
  // The upper 56 bits of a hash tell keys apart (a mistake costs a needless read); the lower eight
  // hold a count.
  static constexpr uint64_t kCount = 0xff;
  static uint64_t NameOf(uint64_t word) { return word & ~kCount; }
  static uint32_t CountOf(uint64_t word) { return static_cast<uint32_t>(word & kCount); }

  struct Node {
    std::array<uint64_t, kLinks> links{};  // name and count; 0: none
    uint8_t seen = 0;
    SequenceKey key;
  };
  static_assert(sizeof(Node) == 128);
  struct alignas(64) Set {
    std::array<uint64_t, kWays> names{};  // name, and takings it outlives; 0: none
    std::array<Node, kWays> nodes;
  };
  static constexpr size_t kStripes = 256;

  size_t IndexOf(uint64_t name) const {
    return static_cast<size_t>((static_cast<unsigned __int128>(name) * sets_) >> 64);
  }
  static Node* Find(Set* set, uint64_t name);
  static Node* FindOrTake(Set* set, uint64_t name, std::string_view key);
  static void Confirm(Node* node, uint64_t name, uint32_t* touched);

  const size_t sets_;
  std::array<std::mutex, kStripes> stripes_;
  std::unique_ptr<Set[]> table_;  // each GUARDED_BY the stripe of its index
};

}  // namespace thermocline
