#include "engine/tier/tier_page.h"

#include <memory>
#include <string_view>

#include "engine/record/envelope.h"

namespace thermocline {

namespace {

struct Level {
  rocksdb::DB* db;
  rocksdb::ColumnFamilyHandle* family;
  const rocksdb::Snapshot* snapshot;
};

Level LevelOf(rocksdb::DB* hot, const ReadView& view, int level, int shard) {
  const Shards& shards = *view.shards();
  const size_t index = static_cast<size_t>(shard);
  if (level == 0) return {hot, shards.handles[index], view.snapshot()};
  const size_t i = static_cast<size_t>(level) - 1;
  return {shards.colder[i].db, shards.colder[i].handles[index], view.colder_snapshot(i)};
}

}  // namespace

Status ReadTierPage(rocksdb::DB* hot, const ReadView& view, int level, int shard,
                    const std::string& start, size_t max_records, size_t max_bytes,
                    TierPage* page) {
  *page = TierPage();
  const Level source = LevelOf(hot, view, level, shard);
  rocksdb::ReadOptions options;
  options.snapshot = source.snapshot;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(source.db->NewIterator(options, source.family));
  size_t bytes = 0;
  for (it->Seek(start); it->Valid(); it->Next()) {
    if (page->records.size() == max_records || bytes >= max_bytes) {
      page->next = it->key().ToString();
      return {};
    }
    Envelope envelope;
    if (!DecodeEnvelope({it->value().data(), it->value().size()}, &envelope)) {
      return {Code::kCorruption, "a tier holds a value whose envelope is damaged"};
    }
    const std::string_view key(it->key().data(), it->key().size());
    if (envelope.is_tombstone() || IsExpired(envelope, view.clock_ms())) continue;
    if (level > 0 && Covers(view.intents(), key)) continue;
    bool hidden = false;
    for (int above = 0; above < level && !hidden; above++) {
      const Level hotter = LevelOf(hot, view, above, shard);
      rocksdb::ReadOptions above_options;
      above_options.snapshot = hotter.snapshot;
      rocksdb::PinnableSlice stored;
      const rocksdb::Status s = hotter.db->Get(above_options, hotter.family, it->key(), &stored);
      if (!s.ok() && !s.IsNotFound()) return Status::From(s, "reading a tier");
      Envelope copy;
      // A clean copy is this very record.
      hidden =
          s.ok() && !(DecodeEnvelope({stored.data(), stored.size()}, &copy) && copy.clean_copy());
    }
    if (hidden) continue;
    bytes += key.size() + envelope.payload.size();
    page->records.emplace_back(key, envelope.payload);
  }
  page->done = true;
  return Status::From(it->status(), "reading a tier");
}

}  // namespace thermocline
