#include "engine/read/tiered_reads.h"

namespace thermocline {

rocksdb::ReadOptions TieredRead::OptionsOf(size_t store) const {
  rocksdb::ReadOptions options;
  if (view_ != nullptr) options.snapshot = view_->colder_snapshot(store);
  return options;
}

rocksdb::Status TieredRead::Get(size_t store, int shard, const rocksdb::Slice& key,
                                rocksdb::PinnableSlice* stored) const {
  if (IsGone(key)) return rocksdb::Status::NotFound();
  const ColderShards& colder = shards_.colder[store];
  return colder.db->Get(OptionsOf(store), colder.handles[static_cast<size_t>(shard)], key, stored);
}

void TieredRead::MultiGet(size_t store, int shard, size_t count, const rocksdb::Slice* keys,
                          rocksdb::PinnableSlice* values, rocksdb::Status* statuses) const {
  if (count == 1) {
    statuses[0] = Get(store, shard, keys[0], &values[0]);
    return;
  }
  const ColderShards& colder = shards_.colder[store];
  colder.db->MultiGet(OptionsOf(store), colder.handles[static_cast<size_t>(shard)], count, keys,
                      values, statuses);
}

}  // namespace thermocline
