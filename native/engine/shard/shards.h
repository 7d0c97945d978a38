// The shard table together with the column families it names: what routes a key to its store.
//
// Thread safety: a Shards is immutable once published and shared by shared_ptr; whoever holds it
// may use the handles. CurrentShards is safe from any thread.
// Ownership: a Shards keeps the families it names alive, dropped ones included, until the store
// closes (shard/families.h).
#pragma once

#include <rocksdb/db.h>

#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/shard/shard_table.h"
#include "engine/shard/slot.h"
#include "engine/tier/tier.h"
#include "engine/tier/uncertain_families.h"

namespace thermocline {

class ShardActivity;

using FamilyPtr = std::shared_ptr<rocksdb::ColumnFamilyHandle>;

// A colder tier's store, as reads and steps see it.
struct ColderShards {
  Tier tier = Tier::kCold;
  rocksdb::DB* db = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;  // by shard index
  std::vector<FamilyPtr> owned = {};                  // the same; empty in tests
  const UncertainFamilies* uncertain = nullptr;       // of the store; null in tests

  // Whether what the store shows of the shard does not say what it lacks.
  bool IsUncertain(int shard) const {
    return uncertain != nullptr && uncertain->Holds(handles[static_cast<size_t>(shard)]->GetID());
  }
};

struct Shards {
  ShardTable table;
  // By shard index, the order of table.shards(). Null handles stand for the default column family
  // (tests with a fake store).
  std::vector<rocksdb::ColumnFamilyHandle*> handles;

  // The colder tiers, hotter first: colder[i] is level i + 1. Empty: the hot store is all there is.
  std::vector<ColderShards> colder = {};

  std::vector<FamilyPtr> owned = {};                  // handles, held; empty in tests
  std::shared_ptr<ShardActivity> activity = nullptr;  // by shard index; null in tests

  int levels() const { return 1 + static_cast<int>(colder.size()); }
  int count() const { return static_cast<int>(handles.size()); }
  int IndexOf(std::string_view key) const { return table.IndexOfSlot(SlotOf(key)); }
};

// The Shards that count now. Copies share one state: what one publishes all others see.
//
// A split or merge publishes between two groups of the committer and under the exclusive side of
// the view latch, so a group of writes has one table, and so has a read view. Anybody else loads
// once and works with what it got: a shard that was replaced meanwhile shows the moment of the
// switch for as long as it is held.
class CurrentShards {
 public:
  CurrentShards() : CurrentShards(std::shared_ptr<const Shards>()) {}
  // Not explicit: what never changes is current too.
  CurrentShards(std::shared_ptr<const Shards> shards)
      : state_(std::make_shared<State>(std::move(shards))) {}
  CurrentShards(std::shared_ptr<Shards> shards)
      : CurrentShards(std::shared_ptr<const Shards>(std::move(shards))) {}

  std::shared_ptr<const Shards> Load() const {
    std::lock_guard lock(state_->mutex);
    return state_->shards;
  }
  // Valid until the end of the full expression.
  std::shared_ptr<const Shards> operator->() const { return Load(); }

  void Publish(std::shared_ptr<const Shards> shards) {
    {
      std::lock_guard lock(state_->mutex);
      state_->shards.swap(shards);
    }
    // The replaced one goes outside of the lock: it may be the last to hold a family.
  }

 private:
  struct State {
    explicit State(std::shared_ptr<const Shards> s) : shards(std::move(s)) {}
    std::mutex mutex;
    std::shared_ptr<const Shards> shards;  // GUARDED_BY(mutex)
  };
  std::shared_ptr<State> state_;
};

}  // namespace thermocline
