#include "engine/read/read_view.h"

#include <string>

namespace thermocline {

void ReadView::TakeColder(const TieredViewSource& tiers) {
  for (const ColderShards& colder : shards_->colder) colder_.push_back(colder.db->GetSnapshot());
  if (!tiers.intents->any()) return;
  intents_ = tiers.intents->At(snapshot_->GetSequenceNumber(), [&](const std::string& key) {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot_;
    std::string record;
    return db_->Get(options, tiers.meta, key, &record).ok();
  });
}

}  // namespace thermocline
