// The hot cache: values, and the absence of keys, in memory in front of all tiers. A probe runs on
// the calling thread, so that a hit costs no hop to another.
//
// Ownership: the cache owns copies of what it is given. Views handed to callbacks live as long as
// the callback.
//
// Thread safety: Get, BeginFill, Fill, FillAbsent and GetStats from any thread. The writer side
// (BeginWrite to EndClear) from one thread, the committer. Stripes (hot_cache_stripe.h) have a
// lock each; the version counters and the epoch are atomics apart from those locks.
//
// Memory: `capacity_bytes` covers keys, values, malloc's overhead, hash tables and eviction
// state. The 2^16 version counters (256 KiB) and the stripes themselves (under 64 KiB) are fixed
// and come on top.
//
// The invariant (I9): Get never serves a value older than an acknowledged write, nor older than
// what the same caller has read before, from here or from the store.
//
// The steps. Every key has, by its hash, one of 2^16 version counters, shared with other keys.
//   committer:  BeginWrite(k) for each operation: the counter becomes odd; a cached entry becomes
//               pending (kept, not served)
//               the store write, which makes the values readable in the store
//               Publish(k, v) for each operation, last one first; EndWrite(): counters even
//               acknowledges the group
//   reader:     Get(k) misses; t = BeginFill(k) notes the counter
//               reads the store
//               Fill(k, v, t): under the stripe's lock, inserts if the counter is even and as noted
//
// Why no old value gets in. Say reader R read the store before write W was readable there, and
// calls Fill. The store of the odd counter comes before BeginWrite's critical section on k's
// stripe in the committer's program order. Critical sections of one stripe are totally ordered:
//   - Fill's comes before BeginWrite's: the entry is there for BeginWrite, which makes it pending.
//   - Fill's comes after: through the lock it sees the odd counter, or a later value. Counters
//     only grow (wrapping takes 2^31 groups during one read), so it never again equals the noted
//     value, and Fill refuses.
// If R noted the even value that W's EndWrite stored, its acquire load pairs with that release
// store: the store write happened before R's read, which therefore sees W. So what Fill inserts is
// the newest readable value, and no write of k is between BeginWrite and EndWrite.
// BeginWrite takes the stripe's lock even if nothing is cached: the argument needs it, and an
// entry may only be looked for under it.
//
// Why no old value stays. From BeginWrite on, k's entry is pending or gone, and no Fill passes.
// Only Publish ends that state, with a value that the store already shows: whoever read it there
// cannot meet an older one here. Publishing last operation first, and only into entries that are
// still pending, makes the last operation on a key win at once; publishing in order would show
// the earlier ones to a reader that has already read the later one from the store. Acknowledgement
// follows EndWrite, so it never meets the entry from before the write.
//
// Why Publish precedes EndWrite. Then "pending implies an odd counter" holds, so no Fill can race
// Publish for a pending entry, and no pending entry outlives its group: EndWrite erases what was
// not published.
//
// Order of memory. Under the stripe's lock relaxed loads of the counters would do (argument
// above); BeginFill's acquire and EndWrite's release carry the store write to the reader. Nothing
// needs sequential consistency. The epoch works like a counter common to all keys: BeginClear
// makes it odd and then empties every stripe under its lock.
//
// Rejected: checking the counter in Get (an atomic load on another line for every hit; pending
// entries make it needless); removing the entry in BeginWrite and inserting it anew (loses its
// place in the queues: a key both read and written often would never stay).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/cache/hot_cache_stripe.h"

namespace thermocline {

class HotCache {
 public:
  enum class Found { kMiss, kValue, kAbsent };

  // What a reader noted before it read the store. Valid for one key (its hash).
  struct FillTicket {
    uint32_t version = 1;
    uint64_t epoch = 1;

    // False: a write is going on, so do not bother to prepare a fill.
    bool can_fill() const { return ((version | epoch) & 1) == 0; }
  };

  struct Stats {
    uint64_t hits = 0;
    uint64_t negative_hits = 0;  // of absent keys and of expired records
    uint64_t misses = 0;
    uint64_t fills = 0;
    uint64_t evictions = 0;
    uint64_t bytes = 0;
    uint64_t entries = 0;
    AheadStats ahead;
  };

  // 0 disables the cache: every call is a cheap miss or does nothing.
  explicit HotCache(size_t capacity_bytes);
  ~HotCache();
  HotCache(const HotCache&) = delete;
  HotCache& operator=(const HotCache&) = delete;

  bool enabled() const { return stripe_count_ != 0; }

  // Everywhere below: `hash` is HashKey(key).

  // On kValue has called fn(std::string_view value, uint64_t expiry_ms) under a lock: copy and
  // return, call nothing of this cache. now_ms() gives Unix milliseconds and is called, under the
  // lock, only for entries that expire. An expired record is kAbsent: expiry never uncovers an
  // older value, in any tier. *first_use becomes true if the entry was read ahead and this is the
  // first that asks for it.
  template <class Clock, class Fn>
  Found Get(std::string_view key, uint64_t hash, Clock&& now_ms, Fn&& fn,
            bool* first_use = nullptr) {
    if (!enabled()) return Found::kMiss;
    HotCacheStripe& stripe = StripeOf(hash);
    std::lock_guard lock(stripe.mutex);
    HotCacheEntry* entry = stripe.Find(key, hash);
    if (entry == nullptr || entry->pending) {
      ++stripe.stats.misses;
      return Found::kMiss;
    }
    if (entry->expiry_ms != 0 && static_cast<uint64_t>(now_ms()) >= entry->expiry_ms) [[unlikely]] {
      // Not touched: an expired value should make room.
      ++stripe.stats.negative_hits;
      return Found::kAbsent;
    }
    if (entry->ahead) [[unlikely]] {
      stripe.Admit(entry);
      ++stripe.stats.ahead.used;
      if (first_use != nullptr) *first_use = true;
    } else {
      HotCacheStripe::Touch(entry);
    }
    if (entry->absent) {
      ++stripe.stats.negative_hits;
      return Found::kAbsent;
    }
    ++stripe.stats.hits;
    std::forward<Fn>(fn)(entry->value(), static_cast<uint64_t>(entry->expiry_ms));
    return Found::kValue;
  }

  // Call before reading the store for a key that Get missed.
  FillTicket BeginFill(uint64_t hash) const {
    if (!enabled()) return {};
    return {VersionOf(hash).load(std::memory_order_acquire),
            epoch_.load(std::memory_order_acquire)};
  }

  // Offer what the store said after BeginFill. True if the key is cached now; false if a write
  // came between, or the value is too large (over an eighth of a stripe).
  // REQUIRES: the newest value of the key at some moment after BeginFill, not one from a snapshot.
  bool Fill(std::string_view key, uint64_t hash, FillTicket ticket, std::string_view value,
            uint64_t expiry_ms) {
    return FillEntry(key, hash, ticket, value, expiry_ms, false);
  }
  bool FillAbsent(std::string_view key, uint64_t hash, FillTicket ticket) {
    return FillEntry(key, hash, ticket, {}, 0, true);
  }
  // The same for what nobody has asked for yet; `absent`: the store has no such key. True if it was
  // cached by this call.
  bool FillAhead(std::string_view key, uint64_t hash, FillTicket ticket, std::string_view value,
                 uint64_t expiry_ms, bool absent) {
    return FillEntry(key, hash, ticket, value, expiry_ms, absent, /*ahead=*/true);
  }
  // Whether there is an entry, served or pending. Counts as no read.
  bool Contains(std::string_view key, uint64_t hash);

  // --- Writer side. REQUIRES: one thread at a time, in the order given at the top. ---

  // For every key of a group, before the store write; a key may come several times. True if the
  // key is cached, so that publishing it has a point.
  bool BeginWrite(std::string_view key, uint64_t hash);

  // Whether any entry awaits its Publish: without one a group may go straight to EndWrite.
  bool HasPending() const { return pending_count_ != 0; }

  // After the store write, for the group's operations in REVERSE order. Acts only on entries still
  // pending.
  void Publish(std::string_view key, uint64_t hash, std::string_view value, uint64_t expiry_ms) {
    PublishEntry(key, hash, value, expiry_ms, false);
  }
  void PublishAbsent(std::string_view key, uint64_t hash) { PublishEntry(key, hash, {}, 0, true); }

  // Ends the group: erases entries that were not published, makes its counters even.
  void EndWrite();

  // After a store write that failed: as EndWrite, without any Publish before.
  void AbandonWrite() { EndWrite(); }

  // Around a change that does not pass key by key (range delete, restore, thaw). Drops everything;
  // nothing is filled until EndClear. May stand inside a group, after its BeginWrite calls or
  // before them; the store write comes between BeginClear and EndClear.
  void BeginClear();
  void EndClear();

  // ----------------------------------------------------------------------------------------------

  // Locks one stripe after the other: sums need not be of one moment.
  Stats GetStats() const;

 private:
  static constexpr size_t kVersions = size_t{1} << 16;

  // The hash's bits: the low 20 place an entry in its stripe's table, 4-19 and 20 up serve the
  // ghosts, 32-47 choose the counter, the top 8 the stripe.
  static size_t VersionIndex(uint64_t hash) { return (hash >> 32) & (kVersions - 1); }
  std::atomic<uint32_t>& VersionOf(uint64_t hash) const { return versions_[VersionIndex(hash)]; }
  HotCacheStripe& StripeOf(uint64_t hash) const {
    return stripes_[(hash >> 56) & (stripe_count_ - 1)];
  }

  bool StillValid(uint64_t hash, FillTicket ticket) const {
    return ticket.can_fill() && VersionOf(hash).load(std::memory_order_relaxed) == ticket.version &&
           epoch_.load(std::memory_order_relaxed) == ticket.epoch;
  }
  bool FillEntry(std::string_view key, uint64_t hash, FillTicket ticket, std::string_view value,
                 uint64_t expiry_ms, bool absent, bool ahead = false);
  void PublishEntry(std::string_view key, uint64_t hash, std::string_view value, uint64_t expiry_ms,
                    bool absent);

  size_t stripe_count_ = 0;  // a power of two, or 0 if disabled
  std::unique_ptr<HotCacheStripe[]> stripes_;
  std::unique_ptr<std::atomic<uint32_t>[]> versions_;
  alignas(64) std::atomic<uint64_t> epoch_{0};

  // The committer's alone, empty between groups.
  std::vector<uint32_t> touched_versions_;
  std::vector<uint64_t> pending_hashes_;  // of the entries made pending
  size_t pending_count_ = 0;              // of those, not published yet (eviction not deducted)
};

}  // namespace thermocline
