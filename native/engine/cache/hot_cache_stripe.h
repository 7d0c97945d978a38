// One stripe of the hot cache: a hash table of entries, the queues that decide what to evict, and
// the account of the bytes both take. Knows nothing of the fill race; hot_cache.h does.
//
// Eviction is S3-FIFO (Yang et al., SOSP '23). A new key enters a small queue (a tenth of the
// bytes). Falling out of it, a key read at least twice meanwhile moves to the main queue; any
// other leaves, and only its fingerprint is remembered. A key that returns while remembered enters
// the main queue at once. Falling out of the main queue, a key read since goes round again. So a
// scan passes through the small queue alone, and a hit writes nothing but two bits: no list moves
// under the lock, which is what LRU would cost.
//
// Thread safety: none. Whoever calls holds `mutex`. Entries that leave are handed to a
// HotCacheGarbage so that they can be freed after the lock is released.
//
// Invariants:
// 1. An entry is in the table if and only if it is in one of the queues; the stripe owns it. It is
//    in the queue of what was read ahead if and only if it has `ahead`; then it is not `in_main`.
// 2. bytes() counts every entry by what malloc gave for it, and the tables; outside a call it is
//    at most the capacity, unless the smallest tables alone are more.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>

namespace thermocline {

// A cached key, in one malloc block with its key and value behind it.
struct HotCacheEntry {
  HotCacheEntry* newer;
  HotCacheEntry* older;
  uint64_t hash;
  uint64_t expiry_ms : 48;  // 0 = never
  uint64_t frequency : 2;   // hits since it entered its queue, at most 3
  uint64_t absent : 1;      // the store has no such key; no value
  uint64_t pending : 1;     // being written: not served (hot_cache.h)
  uint64_t in_main : 1;
  uint64_t ahead : 1;  // read ahead, and not asked for yet
  uint32_t key_size;
  uint32_t value_size;

  static HotCacheEntry* New(std::string_view key, uint64_t hash, std::string_view value,
                            uint64_t expiry_ms, bool absent);
  static void Free(HotCacheEntry* entry);

  // What New would allocate before malloc's own overhead.
  static size_t Size(size_t key_size, size_t value_size) {
    return sizeof(HotCacheEntry) + key_size + value_size;
  }

  char* data() { return reinterpret_cast<char*>(this + 1); }
  std::string_view key() { return {data(), key_size}; }
  std::string_view value() { return {data() + key_size, value_size}; }

  // Bytes of memory behind this entry, malloc's overhead included.
  size_t Charge();
};

// Entries that have left a stripe. Declare it before the lock guard: it frees them when it goes
// out of scope, after the lock is released.
class HotCacheGarbage {
 public:
  HotCacheGarbage() = default;
  HotCacheGarbage(const HotCacheGarbage&) = delete;
  HotCacheGarbage& operator=(const HotCacheGarbage&) = delete;
  ~HotCacheGarbage() {
    while (head_ != nullptr) {
      HotCacheEntry* entry = head_;
      head_ = entry->older;
      HotCacheEntry::Free(entry);
    }
  }

  void Add(HotCacheEntry* entry) {
    entry->older = head_;
    head_ = entry;
  }

 private:
  HotCacheEntry* head_ = nullptr;
};

// The fingerprints of keys that recently fell out of the small queue: buckets of 16, each a FIFO.
// Two bytes a key and no list: hashing spreads insertions evenly, so that a bucket's own order
// comes close to the order over all. A wrong match (1 in 2,000) only sends a key to the main queue
// too soon.
class HotCacheGhosts {
 public:
  // Forgets everything. REQUIRES: a power of two.
  void Reset(size_t buckets);
  void Add(uint64_t hash);
  // Whether it was remembered; it no longer is.
  bool Take(uint64_t hash);
  size_t bytes() const { return (mask_ + 1) * sizeof(Bucket); }

 private:
  static constexpr int kWays = 16;
  struct Bucket {
    uint16_t fingerprints[kWays];  // newest first; 0 = none
  };

  Bucket& BucketOf(uint64_t hash) { return buckets_[(hash >> 20) & mask_]; }
  static uint16_t FingerprintOf(uint64_t hash) { return static_cast<uint16_t>((hash >> 4) | 1); }

  std::unique_ptr<Bucket[]> buckets_;
  size_t mask_ = 0;
};

// What became of the entries that were read ahead. The rest is still waiting to be asked for.
struct AheadStats {
  uint64_t filled = 0;
  uint64_t used = 0;    // answered a read
  uint64_t late = 0;    // a reader of the store was as fast
  uint64_t unused = 0;  // left before anybody asked
};

class alignas(64) HotCacheStripe {
 public:
  struct Stats {
    uint64_t hits = 0;
    uint64_t negative_hits = 0;
    uint64_t misses = 0;
    uint64_t fills = 0;
    uint64_t evictions = 0;
    AheadStats ahead;
  };

  HotCacheStripe() { Resize(kMinSlots); }
  ~HotCacheStripe();
  HotCacheStripe(const HotCacheStripe&) = delete;
  HotCacheStripe& operator=(const HotCacheStripe&) = delete;

  // Call once, before any insertion.
  void SetCapacity(size_t bytes) { capacity_ = bytes; }

  HotCacheEntry* Find(std::string_view key, uint64_t hash) const;

  // Notes a hit.
  static void Touch(HotCacheEntry* entry) {
    if (entry->frequency < 3) ++entry->frequency;
  }

  // What was read ahead has been asked for: it is an entry like others now.
  void Admit(HotCacheEntry* entry);

  // Takes ownership; evicts until the entry fits. REQUIRES: Find(key) is null; Fits(its charge).
  void Insert(HotCacheEntry* entry, HotCacheGarbage* garbage);

  // Puts `fresh` (owned from now on) in the place of `old`: same key, same age, same frequency.
  void Replace(HotCacheEntry* old, HotCacheEntry* fresh, HotCacheGarbage* garbage);

  void Remove(HotCacheEntry* entry, HotCacheGarbage* garbage);

  // Removes all pending entries of this hash (several keys may have it).
  void RemovePending(uint64_t hash, HotCacheGarbage* garbage);

  void Clear(HotCacheGarbage* garbage);

  // Larger entries are not cached: one must not push out a good part of the stripe.
  bool Fits(size_t charge) const { return charge <= capacity_ / 8; }

  size_t bytes() const { return entry_bytes_ + table_bytes(); }
  size_t count() const { return count_; }

  std::mutex mutex;

 private:
  // A slot packs an entry's address and 20 bits of its hash in 8 bytes, so that probing, deleting
  // and growing read the slots alone. The home of an entry is its tag modulo the number of slots,
  // which therefore never exceeds 2^20.
  using Slot = uint64_t;
  static constexpr int kAddressBits = 44;  // 48-bit addresses, multiples of 16
  static constexpr uint64_t kTagMask = (1 << 20) - 1;
  static constexpr size_t kMinSlots = 64;
  static constexpr size_t kMaxSlots = kTagMask + 1;

  static Slot Pack(HotCacheEntry* entry) {
    const auto address = reinterpret_cast<uintptr_t>(entry);
    assert(address % 16 == 0 && address >> 48 == 0);
    return ((entry->hash & kTagMask) << kAddressBits) | (address >> 4);
  }
  static HotCacheEntry* Unpack(Slot slot) {
    return reinterpret_cast<HotCacheEntry*>((slot << (64 - kAddressBits)) >>
                                            (64 - kAddressBits - 4));
  }
  static uint64_t TagOf(Slot slot) { return slot >> kAddressBits; }

  // A doubly linked queue; `bytes` is the sum of the charges.
  struct Queue {
    HotCacheEntry* newest = nullptr;
    HotCacheEntry* oldest = nullptr;
    size_t bytes = 0;

    void Push(HotCacheEntry* entry, size_t charge);
    void Unlink(HotCacheEntry* entry, size_t charge);
  };

  Queue& QueueOf(const HotCacheEntry* entry) {
    return entry->in_main ? main_ : entry->ahead ? ahead_ : small_;
  }
  size_t SlotIndexOf(HotCacheEntry* entry) const;
  void EraseSlot(size_t index);
  void Resize(size_t slots);
  void MakeRoom(size_t charge, HotCacheGarbage* garbage);
  void EvictOne(HotCacheGarbage* garbage);
  bool EvictAhead(HotCacheGarbage* garbage);
  void Drop(HotCacheEntry* entry, HotCacheGarbage* garbage);
  size_t table_bytes() const { return (mask_ + 1) * sizeof(Slot) + ghosts_.bytes(); }

  // All that follows is GUARDED_BY(mutex). What a hit touches stands with the mutex in one line.
  std::unique_ptr<Slot[]> slots_;
  size_t mask_ = 0;

 public:
  Stats stats;

 private:
  size_t count_ = 0;
  size_t entry_bytes_ = 0;
  size_t capacity_ = 0;
  Queue small_;
  Queue main_;
  Queue ahead_;
  uint32_t evictions_to_ahead_ = 0;  // since one of ahead_ was evicted
  HotCacheGhosts ghosts_;
};

inline HotCacheEntry* HotCacheStripe::Find(std::string_view key, uint64_t hash) const {
  const uint64_t tag = hash & kTagMask;
  for (size_t i = tag & mask_;; i = (i + 1) & mask_) {
    const Slot slot = slots_[i];
    if (slot == 0) return nullptr;
    if (TagOf(slot) != tag) continue;
    HotCacheEntry* entry = Unpack(slot);
    if (entry->key() == key) return entry;
  }
}

}  // namespace thermocline
