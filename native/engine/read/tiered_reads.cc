#include "engine/read/tiered_reads.h"

#include <vector>

namespace thermocline {

namespace {

std::string_view View(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

}  // namespace

rocksdb::ReadOptions TieredRead::OptionsOf(size_t colder) const {
  rocksdb::ReadOptions options;
  if (view_ != nullptr) options.snapshot = view_->colder_snapshot(colder);
  return options;
}

rocksdb::Status TieredRead::Get(int shard, const rocksdb::Slice& key,
                                rocksdb::PinnableSlice* stored, int* level) const {
  rocksdb::Status s = rocksdb::Status::NotFound();
  if (!intents().empty() && Covers(intents(), View(key))) return s;
  for (size_t i = 0; i < shards_.colder.size() && s.IsNotFound(); i++) {
    const ColderShards& colder = shards_.colder[i];
    stored->Reset();
    s = colder.db->Get(OptionsOf(i), colder.handles[static_cast<size_t>(shard)], key, stored);
    *level = static_cast<int>(i) + 1;
  }
  return s;
}

void TieredRead::MultiGet(int shard, size_t count, const rocksdb::Slice* keys,
                          rocksdb::PinnableSlice* values, rocksdb::Status* statuses,
                          int* levels) const {
  std::vector<size_t> missing;
  for (size_t i = 0; i < count; i++) {
    if (!statuses[i].IsNotFound()) continue;
    if (!intents().empty() && Covers(intents(), View(keys[i]))) continue;
    missing.push_back(i);
  }
  std::vector<rocksdb::Slice> asked;
  std::vector<rocksdb::PinnableSlice> found;
  std::vector<rocksdb::Status> results;
  for (size_t i = 0; i < shards_.colder.size() && !missing.empty(); i++) {
    const ColderShards& colder = shards_.colder[i];
    asked.clear();
    for (const size_t index : missing) asked.push_back(keys[index]);
    found = std::vector<rocksdb::PinnableSlice>(missing.size());
    results.assign(missing.size(), rocksdb::Status());
    colder.db->MultiGet(OptionsOf(i), colder.handles[static_cast<size_t>(shard)], missing.size(),
                        asked.data(), found.data(), results.data());
    std::vector<size_t> still;
    for (size_t j = 0; j < missing.size(); j++) {
      const size_t index = missing[j];
      statuses[index] = results[j];
      if (results[j].IsNotFound()) {
        still.push_back(index);
      } else {
        values[index] = std::move(found[j]);
        levels[index] = static_cast<int>(i) + 1;
      }
    }
    missing.swap(still);
  }
}

}  // namespace thermocline
