// Point reads below the hot store (I2): warm, then cold, each asked only for what is still missing.
//
// The order in which a reader of the present asks keeps records that sink from falling between two
// stores: a store lets go of a record only after the lower one holds it. Records that are lifted go
// the other way; a reader that overlaps such a move reads again (Again).
//
// Thread safety: pure functions over what the caller holds, but for the counters.
#pragma once

#include <rocksdb/db.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "engine/metrics/counter.h"
#include "engine/read/read_view.h"
#include "engine/shard/shards.h"
#include "engine/tier/range_intents.h"
#include "engine/tier/tier_set.h"

namespace thermocline {

// Which level answered the reads that the hot cache did not.
struct TierReadCounters {
  std::array<Counter, kTierCount> found;  // by tier
  Counter absent;
};

// What a read notes before it asks the hot store.
class TieredRead {
 public:
  TieredRead(TierSet* tiers, const Shards& shards, const ReadView* view)
      : tiers_(tiers), shards_(shards), view_(view) {
    if (view_ != nullptr) return;
    lifts_ = tiers_->lifts();
    if (tiers_->intents().any()) present_ = tiers_->intents().Pending();
  }

  size_t stores() const { return shards_.colder.size(); }
  // Asks one of the colder stores, 0 is the warmest, for a key that all above it lack.
  rocksdb::Status Get(size_t store, int shard, const rocksdb::Slice& key,
                      rocksdb::PinnableSlice* stored) const;
  // Whether a pending range delete says that no colder store is to be asked for a key.
  bool IsGone(const rocksdb::Slice& key) const {
    return !intents().empty() && Covers(intents(), {key.data(), key.size()});
  }
  // The same for `count` keys of one shard. REQUIRES: none of them is gone.
  void MultiGet(size_t store, int shard, size_t count, const rocksdb::Slice* keys,
                rocksdb::PinnableSlice* values, rocksdb::Status* statuses) const;

  // Whether what was read below the hot store must be read again, the hot store first.
  bool Again() const { return view_ == nullptr && tiers_->lifts() != lifts_; }

 private:
  rocksdb::ReadOptions OptionsOf(size_t store) const;
  const RangeIntents::List& intents() const { return view_ ? view_->intents() : present_; }

  TierSet* const tiers_;
  const Shards& shards_;
  const ReadView* const view_;
  uint64_t lifts_ = 0;
  RangeIntents::List present_;
};

}  // namespace thermocline
