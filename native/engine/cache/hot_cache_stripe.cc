#include "engine/cache/hot_cache_stripe.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__APPLE__)
#include <malloc/malloc.h>
#else
#include <malloc.h>
#endif

namespace thermocline {
namespace {

// See the header: a tenth of the bytes, every eighth eviction.
constexpr size_t kAheadShare = 10;
constexpr uint32_t kAheadTurn = 8;

size_t BlockBytes(void* block) {
#if defined(__APPLE__)
  return malloc_size(block);
#else
  // What malloc keeps in front of a block is one word.
  return malloc_usable_size(block) + sizeof(size_t);
#endif
}

}  // namespace

HotCacheEntry* HotCacheEntry::New(std::string_view key, uint64_t hash, std::string_view value,
                                  uint64_t expiry_ms, bool absent) {
  void* block = std::malloc(Size(key.size(), value.size()));
  if (block == nullptr) throw std::bad_alloc();
  auto* entry = new (block) HotCacheEntry{
      .newer = nullptr,
      .older = nullptr,
      .hash = hash,
      .expiry_ms = expiry_ms,
      .frequency = 0,
      .absent = absent,
      .pending = false,
      .in_main = false,
      .ahead = false,
      .key_size = static_cast<uint32_t>(key.size()),
      .value_size = static_cast<uint32_t>(value.size()),
  };
  // std::copy, since a view of nothing may be null, which memcpy must not be given.
  std::copy(value.begin(), value.end(), std::copy(key.begin(), key.end(), entry->data()));
  return entry;
}

void HotCacheEntry::Free(HotCacheEntry* entry) { std::free(entry); }

size_t HotCacheEntry::Charge() { return BlockBytes(this); }

void HotCacheGhosts::Reset(size_t buckets) {
  buckets_ = std::make_unique<Bucket[]>(buckets);
  mask_ = buckets - 1;
}

void HotCacheGhosts::Add(uint64_t hash) {
  uint16_t* fingerprints = BucketOf(hash).fingerprints;
  std::memmove(fingerprints + 1, fingerprints, (kWays - 1) * sizeof *fingerprints);
  fingerprints[0] = FingerprintOf(hash);
}

bool HotCacheGhosts::Take(uint64_t hash) {
  uint16_t* fingerprints = BucketOf(hash).fingerprints;
  uint16_t* const end = fingerprints + kWays;
  uint16_t* found = std::find(fingerprints, end, FingerprintOf(hash));
  if (found == end) return false;
  std::copy(found + 1, end, found);
  end[-1] = 0;
  return true;
}

void HotCacheStripe::Queue::Push(HotCacheEntry* entry, size_t charge) {
  entry->newer = nullptr;
  entry->older = newest;
  (newest != nullptr ? newest->newer : oldest) = entry;
  newest = entry;
  bytes += charge;
}

void HotCacheStripe::Queue::Unlink(HotCacheEntry* entry, size_t charge) {
  (entry->newer != nullptr ? entry->newer->older : newest) = entry->older;
  (entry->older != nullptr ? entry->older->newer : oldest) = entry->newer;
  bytes -= charge;
}

HotCacheStripe::~HotCacheStripe() {
  HotCacheGarbage garbage;
  Clear(&garbage);
}

void HotCacheStripe::Insert(HotCacheEntry* entry, HotCacheGarbage* garbage) {
  const size_t charge = entry->Charge();
  // Grow before making room, so that the larger tables are paid for too.
  if ((count_ + 1) * 4 > (mask_ + 1) * 3) {
    if (mask_ + 1 < kMaxSlots) {
      Resize((mask_ + 1) * 2);
    } else {
      EvictOne(garbage);
    }
  }
  MakeRoom(charge, garbage);

  size_t i = entry->hash & kTagMask & mask_;
  while (slots_[i] != 0) i = (i + 1) & mask_;
  slots_[i] = Pack(entry);
  // A guess is no return: the ghost waits for the read.
  entry->in_main = !entry->ahead && ghosts_.Take(entry->hash);
  QueueOf(entry).Push(entry, charge);
  ++count_;
  entry_bytes_ += charge;
}

void HotCacheStripe::Admit(HotCacheEntry* entry) {
  const size_t charge = entry->Charge();
  ahead_.Unlink(entry, charge);
  entry->ahead = false;
  entry->in_main = ghosts_.Take(entry->hash);
  QueueOf(entry).Push(entry, charge);
}

void HotCacheStripe::Replace(HotCacheEntry* old, HotCacheEntry* fresh, HotCacheGarbage* garbage) {
  const size_t old_charge = old->Charge();
  const size_t fresh_charge = fresh->Charge();
  slots_[SlotIndexOf(old)] = Pack(fresh);
  fresh->frequency = old->frequency;
  fresh->in_main = old->in_main;
  fresh->ahead = old->ahead;
  fresh->newer = old->newer;
  fresh->older = old->older;
  Queue& queue = QueueOf(fresh);
  (fresh->newer != nullptr ? fresh->newer->older : queue.newest) = fresh;
  (fresh->older != nullptr ? fresh->older->newer : queue.oldest) = fresh;
  queue.bytes += fresh_charge - old_charge;
  entry_bytes_ += fresh_charge - old_charge;
  garbage->Add(old);
  MakeRoom(0, garbage);
}

void HotCacheStripe::Remove(HotCacheEntry* entry, HotCacheGarbage* garbage) {
  const size_t charge = entry->Charge();
  if (entry->ahead) ++stats.ahead.unused;
  EraseSlot(SlotIndexOf(entry));
  QueueOf(entry).Unlink(entry, charge);
  --count_;
  entry_bytes_ -= charge;
  garbage->Add(entry);
  // A table grown for small entries would hold its bytes for ever when large ones take over.
  if (mask_ + 1 > kMinSlots && count_ * 8 < mask_ + 1) Resize((mask_ + 1) / 2);
}

void HotCacheStripe::RemovePending(uint64_t hash, HotCacheGarbage* garbage) {
  const uint64_t tag = hash & kTagMask;
  for (size_t i = tag & mask_; slots_[i] != 0;) {
    HotCacheEntry* entry = TagOf(slots_[i]) == tag ? Unpack(slots_[i]) : nullptr;
    if (entry != nullptr && entry->hash == hash && entry->pending) {
      Remove(entry, garbage);
      i = tag & mask_;  // removal moves slots, and may replace the table
    } else {
      i = (i + 1) & mask_;
    }
  }
}

void HotCacheStripe::Clear(HotCacheGarbage* garbage) {
  for (Queue* queue : {&small_, &main_, &ahead_}) {
    for (HotCacheEntry* entry = queue->oldest; entry != nullptr;) {
      HotCacheEntry* next = entry->newer;
      if (entry->ahead) ++stats.ahead.unused;
      garbage->Add(entry);
      entry = next;
    }
    *queue = {};
  }
  count_ = 0;
  entry_bytes_ = 0;
  Resize(kMinSlots);
}

// Where an entry of this stripe stands: compares whole slots, so it reads no other entry.
size_t HotCacheStripe::SlotIndexOf(HotCacheEntry* entry) const {
  const Slot wanted = Pack(entry);
  size_t i = entry->hash & kTagMask & mask_;
  while (slots_[i] != wanted) i = (i + 1) & mask_;
  return i;
}

// Closes the gap by moving later slots of the run back, so that no tombstones gather.
void HotCacheStripe::EraseSlot(size_t index) {
  for (size_t i = (index + 1) & mask_; slots_[i] != 0; i = (i + 1) & mask_) {
    const size_t home = TagOf(slots_[i]) & mask_;
    // Movable unless its home lies after the gap.
    if (((i - home) & mask_) >= ((i - index) & mask_)) {
      slots_[index] = slots_[i];
      index = i;
    }
  }
  slots_[index] = 0;
}

// Also forgets the ghosts: sizes change when the workload does, and then they say little.
void HotCacheStripe::Resize(size_t slots) {
  auto fresh = std::make_unique<Slot[]>(slots);
  const size_t fresh_mask = slots - 1;
  if (count_ != 0) {
    for (size_t i = 0; i <= mask_; ++i) {
      if (slots_[i] == 0) continue;
      size_t j = TagOf(slots_[i]) & fresh_mask;
      while (fresh[j] != 0) j = (j + 1) & fresh_mask;
      fresh[j] = slots_[i];
    }
  }
  slots_ = std::move(fresh);
  mask_ = fresh_mask;
  // As many fingerprints as half the slots: about the number of entries.
  ghosts_.Reset(slots / 32);
}

void HotCacheStripe::MakeRoom(size_t charge, HotCacheGarbage* garbage) {
  while (count_ != 0 && bytes() + charge > capacity_) EvictOne(garbage);
}

// REQUIRES: count_ != 0.
void HotCacheStripe::EvictOne(HotCacheGarbage* garbage) {
  if (EvictAhead(garbage)) return;
  for (;;) {
    if (small_.oldest != nullptr && (small_.bytes > capacity_ / 10 || main_.oldest == nullptr)) {
      HotCacheEntry* entry = small_.oldest;
      if (entry->frequency <= 1) {
        ghosts_.Add(entry->hash);
        Drop(entry, garbage);
        return;
      }
      const size_t charge = entry->Charge();
      small_.Unlink(entry, charge);
      entry->in_main = true;
      entry->frequency = 0;
      main_.Push(entry, charge);
    } else {
      HotCacheEntry* entry = main_.oldest;
      if (entry->frequency == 0) {
        Drop(entry, garbage);
        return;
      }
      --entry->frequency;
      const size_t charge = entry->Charge();
      main_.Unlink(entry, charge);
      main_.Push(entry, charge);
    }
  }
}

// Whether it was the turn of what was read ahead.
bool HotCacheStripe::EvictAhead(HotCacheGarbage* garbage) {
  if (ahead_.oldest == nullptr) return false;
  const bool alone = small_.oldest == nullptr && main_.oldest == nullptr;
  if (ahead_.bytes <= capacity_ / kAheadShare && !alone && ++evictions_to_ahead_ < kAheadTurn) {
    return false;
  }
  evictions_to_ahead_ = 0;
  Drop(ahead_.oldest, garbage);
  return true;
}

void HotCacheStripe::Drop(HotCacheEntry* entry, HotCacheGarbage* garbage) {
  ++stats.evictions;
  Remove(entry, garbage);
}

}  // namespace thermocline
