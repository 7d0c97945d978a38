#include "engine/cache/hot_cache.h"

#include <algorithm>
#include <bit>

namespace thermocline {
namespace {

// Stripes are as many as give each a mebibyte: fewer would be contended, and with more a stripe's
// eighth would be too little for ordinary values.
constexpr size_t kStripeBytes = size_t{1} << 20;
constexpr size_t kMaxStripes = 256;

size_t StripeCount(size_t capacity) {
  if (capacity == 0) return 0;
  return std::bit_floor(std::clamp<size_t>(capacity / kStripeBytes, 1, kMaxStripes));
}

}  // namespace

HotCache::HotCache(size_t capacity_bytes) : stripe_count_(StripeCount(capacity_bytes)) {
  if (!enabled()) return;
  stripes_ = std::make_unique<HotCacheStripe[]>(stripe_count_);
  for (size_t i = 0; i < stripe_count_; ++i) {
    stripes_[i].SetCapacity(capacity_bytes / stripe_count_);
  }
  versions_ = std::make_unique<std::atomic<uint32_t>[]>(kVersions);
}

HotCache::~HotCache() = default;

bool HotCache::FillEntry(std::string_view key, uint64_t hash, FillTicket ticket,
                         std::string_view value, uint64_t expiry_ms, bool absent, bool ahead) {
  // Looking first without the lock spares the copy when a write has come between.
  if (!enabled() || !StillValid(hash, ticket)) return false;
  HotCacheStripe& stripe = StripeOf(hash);
  if (!stripe.Fits(HotCacheEntry::Size(key.size(), value.size()))) return false;
  HotCacheEntry* entry = HotCacheEntry::New(key, hash, value, expiry_ms, absent);
  entry->ahead = ahead;
  HotCacheGarbage garbage;
  std::lock_guard lock(stripe.mutex);
  if (!StillValid(hash, ticket)) {
    garbage.Add(entry);
    return false;
  }
  if (HotCacheEntry* there = stripe.Find(key, hash)) {
    // Another reader was faster. With two valid tickets both read the same version.
    garbage.Add(entry);
    if (there->ahead && !ahead) {
      stripe.Admit(there);
      ++stripe.stats.ahead.late;
    }
    return !ahead;
  }
  stripe.Insert(entry, &garbage);
  ++(ahead ? stripe.stats.ahead.filled : stripe.stats.fills);
  return true;
}

bool HotCache::Contains(std::string_view key, uint64_t hash) {
  if (!enabled()) return false;
  HotCacheStripe& stripe = StripeOf(hash);
  std::lock_guard lock(stripe.mutex);
  return stripe.Find(key, hash) != nullptr;
}

bool HotCache::BeginWrite(std::string_view key, uint64_t hash) {
  if (!enabled()) return false;
  std::atomic<uint32_t>& version = VersionOf(hash);
  // Only this thread writes the counters, so a load and a store need not be one operation.
  const uint32_t current = version.load(std::memory_order_relaxed);
  if ((current & 1) == 0) {
    // Must stand before the lock: see the argument at the top of the header.
    version.store(current + 1, std::memory_order_relaxed);
    touched_versions_.push_back(static_cast<uint32_t>(VersionIndex(hash)));
  }
  HotCacheStripe& stripe = StripeOf(hash);
  std::lock_guard lock(stripe.mutex);
  HotCacheEntry* entry = stripe.Find(key, hash);
  if (entry == nullptr) return false;
  if (!entry->pending) {
    entry->pending = true;
    pending_hashes_.push_back(hash);
    ++pending_count_;
  }
  return true;
}

void HotCache::PublishEntry(std::string_view key, uint64_t hash, std::string_view value,
                            uint64_t expiry_ms, bool absent) {
  if (!HasPending()) return;
  HotCacheStripe& stripe = StripeOf(hash);
  HotCacheGarbage garbage;
  std::lock_guard lock(stripe.mutex);
  HotCacheEntry* entry = stripe.Find(key, hash);
  if (entry == nullptr || !entry->pending) return;
  const bool fits = stripe.Fits(HotCacheEntry::Size(key.size(), value.size()));
  HotCacheEntry* fresh = nullptr;
  if (fits && entry->value_size != value.size()) {
    // May throw; the entry then still counts as pending, for AbandonWrite to erase.
    fresh = HotCacheEntry::New(key, hash, value, expiry_ms, absent);
  }
  --pending_count_;
  if (!fits) {
    stripe.Remove(entry, &garbage);
  } else if (fresh != nullptr) {
    stripe.Replace(entry, fresh, &garbage);
  } else {
    std::copy(value.begin(), value.end(), entry->data() + entry->key_size);
    entry->expiry_ms = expiry_ms;
    entry->absent = absent;
    entry->pending = false;
  }
}

void HotCache::EndWrite() {
  if (HasPending()) {
    for (const uint64_t hash : pending_hashes_) {
      HotCacheStripe& stripe = StripeOf(hash);
      HotCacheGarbage garbage;
      std::lock_guard lock(stripe.mutex);
      stripe.RemovePending(hash, &garbage);
    }
  }
  pending_hashes_.clear();
  pending_count_ = 0;
  for (const uint32_t index : touched_versions_) {
    std::atomic<uint32_t>& version = versions_[index];
    version.store(version.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  touched_versions_.clear();
}

void HotCache::BeginClear() {
  if (!enabled()) return;
  epoch_.store(epoch_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  for (size_t i = 0; i < stripe_count_; ++i) {
    HotCacheGarbage garbage;
    std::lock_guard lock(stripes_[i].mutex);
    stripes_[i].Clear(&garbage);
  }
  pending_hashes_.clear();
  pending_count_ = 0;
}

void HotCache::EndClear() {
  if (!enabled()) return;
  epoch_.store(epoch_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

HotCache::Stats HotCache::GetStats() const {
  Stats stats;
  for (size_t i = 0; i < stripe_count_; ++i) {
    std::lock_guard lock(stripes_[i].mutex);
    const HotCacheStripe::Stats& counted = stripes_[i].stats;
    stats.hits += counted.hits;
    stats.negative_hits += counted.negative_hits;
    stats.misses += counted.misses;
    stats.fills += counted.fills;
    stats.evictions += counted.evictions;
    stats.ahead.filled += counted.ahead.filled;
    stats.ahead.used += counted.ahead.used;
    stats.ahead.late += counted.ahead.late;
    stats.ahead.unused += counted.ahead.unused;
    stats.bytes += stripes_[i].bytes();
    stats.entries += stripes_[i].count();
  }
  return stats;
}

}  // namespace thermocline
