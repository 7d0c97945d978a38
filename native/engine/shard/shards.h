// The shard table together with the column families it names: what routes a key to its store.
//
// Thread safety: immutable once built and shared by shared_ptr; whoever holds it may use the
// handles, which are destroyed with the last holder and before the database closes.
#pragma once

#include <rocksdb/db.h>

#include <atomic>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/shard/shard_table.h"
#include "engine/shard/slot.h"
#include "engine/tier/tier.h"

namespace thermocline {

// A colder tier's store, as reads and steps see it.
struct ColderShards {
  Tier tier = Tier::kCold;
  rocksdb::DB* db = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;  // by shard index
  // By shard index: false as long as the store has certainly never held anything of the shard, so
  // that it need not be asked. Null: always ask.
  const std::atomic<bool>* may_hold = nullptr;
  // Likewise: true once a change of the shard has failed. Its record may lie in the store's log all
  // the same and come up at the next opening, so what the store shows does not say what it lacks.
  const std::atomic<bool>* uncertain = nullptr;

  bool IsUncertain(int shard) const {
    return uncertain != nullptr && uncertain[shard].load(std::memory_order_acquire);
  }
  bool MayHold(int shard) const {
    return may_hold == nullptr || may_hold[shard].load(std::memory_order_acquire);
  }
};

struct Shards {
  ShardTable table;
  // By shard index, the order of table.shards(). Null handles stand for the default column family
  // (tests with a fake store).
  std::vector<rocksdb::ColumnFamilyHandle*> handles;

  // The colder tiers, hotter first: colder[i] is level i + 1. Empty: the hot store is all there is.
  std::vector<ColderShards> colder;

  int levels() const { return 1 + static_cast<int>(colder.size()); }
  int count() const { return static_cast<int>(handles.size()); }
  int IndexOf(std::string_view key) const { return table.IndexOfSlot(SlotOf(key)); }
};

}  // namespace thermocline
