// The shard table together with the column families it names: what routes a key to its store.
//
// Thread safety: immutable once built and shared by shared_ptr; whoever holds it may use the
// handles, which are destroyed with the last holder and before the database closes.
#pragma once

#include <rocksdb/db.h>

#include <memory>
#include <string_view>
#include <vector>

#include "engine/shard/shard_table.h"
#include "engine/shard/slot.h"

namespace thermocline {

struct Shards {
  ShardTable table;
  // By shard index, the order of table.shards(). Null handles stand for the default column family
  // (tests with a fake store).
  std::vector<rocksdb::ColumnFamilyHandle*> handles;

  int count() const { return static_cast<int>(handles.size()); }
  int IndexOf(std::string_view key) const { return table.IndexOfSlot(SlotOf(key)); }
};

}  // namespace thermocline
