#include "engine/cache/sequence_prefetcher.h"

#include <algorithm>
#include <utility>

namespace thermocline {

namespace {

constexpr uint8_t kMostSeen = 255;

// What a thread read last, and from whom: a thread may read several databases in turn.
struct Last {
  const SequencePrefetcher* from = nullptr;
  uint64_t hash = 0;
};
thread_local Last last_read;

}  // namespace

SequencePrefetcher::SequencePrefetcher(Dependencies dependencies, size_t keys)
    : deps_(std::move(dependencies)),
      entries_(keys),
      outstanding_(std::make_unique<std::atomic<uint64_t>[]>(kOutstanding)) {}

void SequencePrefetcher::Read(std::string_view key, uint64_t hash, bool hit) {
  const uint64_t reads = reads_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (reads < resting_until_.load(std::memory_order_relaxed)) return;
  std::atomic<uint64_t>& outstanding = outstanding_[hash & (kOutstanding - 1)];
  if (outstanding.load(std::memory_order_relaxed) == hash) {
    uint64_t expected = hash;
    if (outstanding.compare_exchange_strong(expected, 0, std::memory_order_relaxed) && hit) {
      used_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  const Last before = std::exchange(last_read, {this, hash});
  if (key.size() > kMaxKey) return;
  if (before.from == this && before.hash != hash) Learn(before.hash, key, hash);
  if (reads % kReadsWindow == 0) Judge();
  std::string next;
  uint64_t at = hash;
  for (int link = 0; link < kLinks; link++) {
    if (!Next(at, &next, &at) || at == hash) return;
    if (outstanding_[at & (kOutstanding - 1)].load(std::memory_order_relaxed) == at) continue;
    if (waiting_.load(std::memory_order_relaxed) >= kWaiting) return;
    waiting_.fetch_add(1, std::memory_order_relaxed);
    deps_.fetch(std::move(next), at);
  }
}

void SequencePrefetcher::Learn(uint64_t before, std::string_view key, uint64_t hash) {
  const size_t index = before & (entries_.size() - 1);
  std::lock_guard lock(stripes_[index % kStripes]);
  Entry& entry = entries_[index];
  if (entry.hash != before) {
    entry = Entry();
    entry.hash = before;
  }
  Successor* least = &entry.successors[0];
  for (Successor& successor : entry.successors) {
    if (successor.seen > 0 && successor.hash == hash) {
      if (successor.seen < kMostSeen) {
        successor.seen++;
      } else {
        for (Successor& other : entry.successors) other.seen /= 2;
      }
      return;
    }
    if (successor.seen < least->seen) least = &successor;
  }
  // One that was seen often is not given up for one that was seen once.
  if (least->seen > 1) {
    least->seen--;
    return;
  }
  *least = {hash, 1, std::string(key)};
}

bool SequencePrefetcher::Next(uint64_t hash, std::string* key, uint64_t* next) {
  const size_t index = hash & (entries_.size() - 1);
  std::lock_guard lock(stripes_[index % kStripes]);
  const Entry& entry = entries_[index];
  if (entry.hash != hash) return false;
  const Successor* best = &entry.successors[0];
  int all = 0;
  for (const Successor& successor : entry.successors) {
    all += successor.seen;
    if (successor.seen > best->seen) best = &successor;
  }
  if (best->seen < kConfident || 2 * best->seen < all) return false;
  *key = best->key;
  *next = best->hash;
  return true;
}

void SequencePrefetcher::Fetched(uint64_t hash, bool read) {
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  if (!read) return;
  outstanding_[hash & (kOutstanding - 1)].store(hash, std::memory_order_relaxed);
  if (prefetched_.fetch_add(1, std::memory_order_relaxed) % kWindow == kWindow - 1) Judge();
}

void SequencePrefetcher::Judge() {
  std::lock_guard lock(judge_mutex_);
  const uint64_t reads = reads_.load(std::memory_order_relaxed);
  const uint64_t prefetched = prefetched_.load(std::memory_order_relaxed) - judged_prefetched_;
  const uint64_t used = used_.load(std::memory_order_relaxed) - judged_used_;
  const bool wrong = prefetched >= kWindow &&
                     static_cast<double>(used) < kWorthwhile * static_cast<double>(prefetched);
  const bool idle = reads - judged_reads_ >= kReadsWindow && prefetched < kWindow / 16;
  if (!wrong && !idle && prefetched < kWindow && reads - judged_reads_ < kReadsWindow) return;
  judged_reads_ = reads;
  judged_prefetched_ += prefetched;
  judged_used_ += used;
  if (!wrong && !idle) return;
  switched_off_.fetch_add(1, std::memory_order_relaxed);
  resting_until_.store(reads + kRest, std::memory_order_relaxed);
}

SequencePrefetcher::Stats SequencePrefetcher::GetStats() const {
  Stats stats;
  stats.reads = reads_.load(std::memory_order_relaxed);
  stats.prefetched = prefetched_.load(std::memory_order_relaxed);
  stats.used = used_.load(std::memory_order_relaxed);
  stats.switched_off = switched_off_.load(std::memory_order_relaxed);
  stats.active = stats.reads >= resting_until_.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace thermocline
