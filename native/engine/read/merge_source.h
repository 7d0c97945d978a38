// One shard's iterator in one tier as the merging cursor sees it.
//
// The first eight bytes of the key are kept as a number, so that most comparisons of the merge are
// one instruction. Thread safety: none; owned by a cursor's producing thread.
#pragma once

#include <rocksdb/iterator.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace thermocline {

class MergeSource {
 public:
  // `mixed`: some of the source's keys are of slots that the cursor does not want. `level`: 0 hot,
  // growing with each colder tier.
  explicit MergeSource(std::unique_ptr<rocksdb::Iterator> iterator, size_t shard = 0,
                       bool mixed = false, int level = 0)
      : iterator_(std::move(iterator)), level_(level), shard_(shard), mixed_(mixed) {}

  int level() const { return level_; }

  rocksdb::Iterator* iterator() { return iterator_.get(); }
  const rocksdb::Slice& key() const { return key_; }
  size_t shard() const { return shard_; }
  bool mixed() const { return mixed_; }
  void Count() { count_++; }
  // Records counted since the last call.
  uint64_t TakeCount() { return std::exchange(count_, 0); }
  rocksdb::Slice value() const { return iterator_->value(); }

  // Re-reads the position after the iterator moved. Returns false at its end.
  bool Refresh() {
    if (!iterator_->Valid()) return false;
    key_ = iterator_->key();
    prefix_ = PrefixOf(key_);
    return true;
  }

  int Compare(const MergeSource& other) const {
    if (prefix_ != other.prefix_) return prefix_ < other.prefix_ ? -1 : 1;
    return key_.compare(other.key_);
  }

 private:
  // Big-endian, padded with zeros: orders like the bytes themselves, except that ties remain.
  static uint64_t PrefixOf(const rocksdb::Slice& key) {
    uint64_t prefix = 0;
    std::memcpy(&prefix, key.data(), std::min<size_t>(key.size(), 8));
    if constexpr (std::endian::native == std::endian::little) prefix = __builtin_bswap64(prefix);
    return prefix;
  }

  std::unique_ptr<rocksdb::Iterator> iterator_;
  const int level_;
  rocksdb::Slice key_;
  uint64_t prefix_ = 0;
  const size_t shard_;
  const bool mixed_;
  uint64_t count_ = 0;
};

// Whether `a` comes out before `b`: by key, and for the same key the hotter tier first, whichever
// way the walk goes.
template <bool kReverse>
inline bool Before(const MergeSource* a, const MergeSource* b) {
  const int order = a->Compare(*b);
  if (order == 0) [[unlikely]] {
    return a->level() < b->level();
  }
  return kReverse ? order > 0 : order < 0;
}

// Restores the heap order below the root after the root's key changed. std::pop_heap followed by
// std::push_heap would sift twice.
template <bool kReverse>
inline void SiftDown(std::vector<MergeSource*>& heap) {
  const size_t size = heap.size();
  size_t hole = 0;
  MergeSource* const moved = heap[0];
  for (;;) {
    size_t child = 2 * hole + 1;
    if (child >= size) break;
    if (child + 1 < size && Before<kReverse>(heap[child + 1], heap[child])) child++;
    if (!Before<kReverse>(heap[child], moved)) break;
    heap[hole] = heap[child];
    hole = child;
  }
  heap[hole] = moved;
}

}  // namespace thermocline
