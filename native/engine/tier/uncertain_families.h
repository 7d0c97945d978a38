// The column families of a colder store in which something may come up at the next opening.
//
// A change whose sync failed is not in the store: no read finds it. Its bytes may lie in the
// store's log or its list of tables all the same, and opening brings them back. So from then on
// what the store shows of such a family does not say what it lacks: a delete of a record of its
// needs a marker, and whatever sinks past it must delete there.
//
// Families go by RocksDB's number, which is never used twice: a shard that was split, merged or
// restored has new families, and what was uncertain ends with the former ones.
//
// Thread safety: all methods from any thread. Holds() costs one load as long as nothing failed.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace thermocline {

class UncertainFamilies {
 public:
  // `last_key`: the largest key of the change.
  void Add(uint32_t family, std::string_view last_key) {
    std::lock_guard lock(mutex_);
    std::string& last = last_keys_[family];
    if (last < last_key) last.assign(last_key);
    any_.store(true, std::memory_order_seq_cst);
  }

  bool Holds(uint32_t family) const {
    if (!any_.load(std::memory_order_acquire)) return false;
    std::lock_guard lock(mutex_);
    return last_keys_.contains(family);
  }

  // No key beyond it may come up; empty: none at all.
  std::string LastKey(uint32_t family) const {
    std::lock_guard lock(mutex_);
    const auto found = last_keys_.find(family);
    return found == last_keys_.end() ? std::string() : found->second;
  }

 private:
  std::atomic<bool> any_{false};
  mutable std::mutex mutex_;
  std::map<uint32_t, std::string> last_keys_;  // GUARDED_BY(mutex_)
};

}  // namespace thermocline
