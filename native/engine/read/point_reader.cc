#include "engine/read/point_reader.h"

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/hash.h"
#include "engine/platform/time.h"
#include "engine/record/coding.h"
#include "engine/record/envelope.h"

namespace thermocline {

namespace {

constexpr uint32_t kMinChunk = 32;
constexpr uint32_t kMaxChunk = 128;

Status CorruptEnvelope(std::string_view key) {
  return {Code::kCorruption,
          "a stored value of " + std::to_string(key.size()) +
              "-byte key has an envelope this version does not know: it is damaged"};
}

ResultRef Keep(const ReadBatch& batch, std::string_view value, ArenaWriter* writer) {
  return batch.presence_only ? ResultRef{0, 0} : writer->Append(value);
}

// What MultiGet works on; one per pool thread, since constructing 128 PinnableSlices costs more
// than some reads.
struct Scratch {
  std::array<rocksdb::Slice, kMaxChunk> keys;
  std::array<rocksdb::PinnableSlice, kMaxChunk> values;
  std::array<rocksdb::Status, kMaxChunk> statuses;
  std::array<HotCache::FillTicket, kMaxChunk> tickets;
};

Scratch& ThreadScratch() {
  thread_local std::unique_ptr<Scratch> scratch = std::make_unique<Scratch>();
  return *scratch;
}

}  // namespace

// As TieredRead noted it before the hot store was asked.
struct PointReader::ColderPart {
  TieredRead below;
  bool fill = false;
  size_t store = 0;                 // which of the colder ones is asked
  std::vector<uint32_t> keys = {};  // places in ReadBatch::missing, of one shard
  std::vector<HotCache::FillTicket> tickets = {};
  uint64_t waited_nanos = 0;  // for threads of the stores above
  uint64_t posted_nanos = 0;

  void Add(uint32_t key, const HotCache::FillTicket& ticket) {
    keys.push_back(key);
    tickets.push_back(ticket);
  }
};

void PointReader::NoteSampledHit(std::string_view key) {
  const std::shared_ptr<const Shards> shards = deps_.shards.Load();
  NoteReads(*shards, static_cast<size_t>(shards->IndexOf(key)), ShardActivity::kHitSample);
}

void PointReader::NoteReads(const Shards& shards, size_t shard, uint64_t records) {
  if (shards.activity) shards.activity->Read(shard, records, deps_.clock->NowMs());
}

Status PointReader::GetStored(std::string_view key, uint64_t hash, const ReadView* view,
                              rocksdb::PinnableSlice* stored, std::string_view* value,
                              bool* found) {
  *found = false;
  // The ticket first: what a replaced family shows is then older than a write after the switch.
  const HotCache::FillTicket ticket = view ? HotCache::FillTicket{} : deps_.cache->BeginFill(hash);
  const std::shared_ptr<const Shards> held = view ? view->shards() : deps_.shards.Load();
  const Shards& shards = *held;
  const int shard = shards.IndexOf(key);
  if (shards.table.any_frozen() && shards.table.IsFrozen(shard)) {
    return FrozenError(shards.table.shards()[static_cast<size_t>(shard)]);
  }
  NoteReads(shards, static_cast<size_t>(shard), 1);
  const SequencePrefetcher::Reading reading(deps_.prefetcher);
  int level = 0;
  const rocksdb::Status s =
      AskStores(shard, shards, view, {key.data(), key.size()}, stored, &level);
  if (s.IsNotFound()) {
    if (view == nullptr) deps_.cache->FillAbsent(key, hash, ticket);
    return {};
  }
  if (!s.ok()) return Status::From(s, "reading a key");
  Envelope envelope;
  if (!DecodeEnvelope({stored->data(), stored->size()}, &envelope)) return CorruptEnvelope(key);
  const uint64_t now =
      envelope.expiry_ms == 0 ? 0 : (view ? view->clock_ms() : deps_.clock->NowMs());
  if (envelope.is_tombstone() || IsExpired(envelope, now)) {
    // Whatever is above a marker or an expired record is written, and then the cache hears of it.
    if (view == nullptr) deps_.cache->FillAbsent(key, hash, ticket);
    return {};
  }
  if (view == nullptr) {
    NoteStoreRead(shard, key, hash, level);
    deps_.cache->Fill(key, hash, ticket, envelope.payload, envelope.expiry_ms);
  }
  *value = envelope.payload;
  *found = true;
  return {};
}

rocksdb::Status PointReader::AskStores(int shard, const Shards& shards, const ReadView* view,
                                       const rocksdb::Slice& key, rocksdb::PinnableSlice* stored,
                                       int* level, bool counted) {
  rocksdb::ReadOptions options;
  if (view != nullptr) options.snapshot = view->snapshot();
  rocksdb::ColumnFamilyHandle* const family = shards.handles[static_cast<size_t>(shard)];
  if (deps_.tiers == nullptr) return deps_.db->Get(options, family, key, stored);
  for (;;) {
    const TieredRead below(deps_.tiers, shards, view);
    *level = 0;
    rocksdb::Status s = deps_.db->Get(options, family, key, stored);
    const bool ask_below = s.IsNotFound();
    for (size_t store = 0; store < below.stores() && s.IsNotFound(); store++) {
      stored->Reset();
      s = below.Get(store, shard, key, stored);
      *level = static_cast<int>(store) + 1;
    }
    if (ask_below && below.Again()) continue;
    if (counted && s.ok()) {
      CountTier(*level);
    } else if (counted && s.IsNotFound()) {
      tier_reads_.absent.Add();
    }
    return s;
  }
}

bool PointReader::FetchAhead(std::string_view key, uint64_t hash) {
  // As GetStored: the ticket first.
  const HotCache::FillTicket ticket = deps_.cache->BeginFill(hash);
  if (!ticket.can_fill() || deps_.cache->Contains(key, hash)) return false;
  const std::shared_ptr<const Shards> shards = deps_.shards.Load();
  const int shard = shards->IndexOf(key);
  if (shards->table.any_frozen() && shards->table.IsFrozen(shard)) return false;
  rocksdb::PinnableSlice stored;
  int level = 0;
  const rocksdb::Status s = AskStores(shard, *shards, nullptr, {key.data(), key.size()}, &stored,
                                      &level, /*counted=*/false);
  if (s.IsNotFound()) return deps_.cache->FillAhead(key, hash, ticket, {}, 0, /*absent=*/true);
  Envelope envelope;
  if (!s.ok() || !DecodeEnvelope({stored.data(), stored.size()}, &envelope)) return false;
  const uint64_t now = envelope.expiry_ms == 0 ? 0 : deps_.clock->NowMs();
  const bool absent = envelope.is_tombstone() || IsExpired(envelope, now);
  if (absent) return deps_.cache->FillAhead(key, hash, ticket, {}, 0, /*absent=*/true);
  // It is promoted if it is hot, and that its readers alone decide.
  if (level > 0 && deps_.on_colder_read) deps_.on_colder_read(shard, key, hash);
  return deps_.cache->FillAhead(key, hash, ticket, envelope.payload, envelope.expiry_ms, false);
}

bool PointReader::Start(const std::shared_ptr<ReadBatch>& batch) {
  batch->began_nanos = NowNanos();
  batch->results.assign(batch->count, ResultRef{});
  try {
    if (AskCacheForAll(batch.get())) return true;
  } catch (const std::exception& error) {
    batch->status = {Code::kInvalidArgument, std::string("a read failed: ") + error.what()};
    return true;
  }
  return StartPlanned(batch, Status());
}

bool PointReader::StartPlanned(const std::shared_ptr<ReadBatch>& batch, const Status& thawed) {
  Plan(batch.get());
  if (batch->shards->table.any_frozen()) {
    std::vector<uint32_t> frozen = FrozenOf(*batch);
    if (!frozen.empty() && thawed.ok() && deps_.thaw && batch->view == nullptr) {
      deps_.thaw(std::move(frozen), [this, batch](const Status& status) {
        batch->chunks.clear();
        if (StartPlanned(batch, status)) batch->done();
      });
      return false;
    }
    if (!frozen.empty()) RefuseFrozen(batch.get(), thawed);
    if (batch->chunks.empty()) return true;
  }
  const size_t workers = std::min(batch->chunks.size(), static_cast<size_t>(deps_.pool->threads()));
  for (size_t i = 0; i < workers; i++) {
    deps_.pool->Post([this, batch] { Work(batch); });
  }
  return false;
}

// Returns true if nothing is left to read.
bool PointReader::AskCacheForAll(ReadBatch* batch) {
  const char* p = batch->packed.get();
  const char* const limit = p + batch->packed_size;
  const bool ask = batch->ask_cache && batch->view == nullptr;
  ArenaWriter writer(&batch->arenas);
  bool predict = false;
  uint64_t last = 0;  // of those that the prefetcher observed
  for (uint32_t i = 0; i < batch->count; i++) {
    uint32_t size = 0;
    p = GetVarint32(p, limit, &size);
    if (p == nullptr || static_cast<size_t>(limit - p) < size) {
      batch->status = {Code::kInvalidArgument, "a packed read is malformed"};
      return true;
    }
    const std::string_view key(p, size);
    p += size;
    batch->key_bytes += size;
    const uint64_t hash = HashKey(key);
    Cached cached = Cached::kMiss;
    if (ask) {
      bool observe = false;
      const auto keep = [&](std::string_view value) {
        batch->results[i] = Keep(*batch, value, &writer);
      };
      cached = AskCache(key, hash, keep, &observe);
      if (observe) [[unlikely]] {
        predict = deps_.prefetcher->Note(key, hash);
        last = hash;
      }
    }
    if (cached == Cached::kMiss) batch->missing.push_back({key, hash, i, 0});
  }
  if (predict) deps_.prefetcher->Predict(last);
  return batch->missing.empty();
}

void PointReader::Plan(ReadBatch* batch) {
  batch->shards = batch->view ? batch->view->shards() : deps_.shards.Load();
  const Shards& shards = *batch->shards;
  auto& missing = batch->missing;
  for (auto& key : missing) key.shard = static_cast<uint16_t>(shards.IndexOf(key.bytes));
  if (shards.count() > 1) {
    std::stable_sort(missing.begin(), missing.end(),
                     [](const auto& a, const auto& b) { return a.shard < b.shard; });
  }
  const uint32_t total = static_cast<uint32_t>(missing.size());
  const uint32_t threads = static_cast<uint32_t>(deps_.pool->threads());
  const uint32_t chunk = std::clamp(total / (2 * threads), kMinChunk, kMaxChunk);
  uint32_t begin = 0;
  for (uint32_t i = 1; i <= total; i++) {
    if (i == total || missing[i].shard != missing[begin].shard || i - begin == chunk) {
      batch->chunks.emplace_back(begin, i);
      begin = i;
    }
  }
  batch->chunks_left.store(batch->chunks.size(), std::memory_order_relaxed);
}

std::vector<uint32_t> PointReader::FrozenOf(const ReadBatch& batch) {
  std::vector<uint32_t> ids;
  for (const auto& [begin, end] : batch.chunks) {
    const ShardInfo& info = batch.shards->table.shards()[batch.missing[begin].shard];
    if (info.frozen && (ids.empty() || ids.back() != info.id)) ids.push_back(info.id);
  }
  return ids;
}

// The others of the batch are read.
void PointReader::RefuseFrozen(ReadBatch* batch, const Status& thawed) {
  const std::vector<ShardInfo>& infos = batch->shards->table.shards();
  std::erase_if(batch->chunks, [&](const auto& chunk) {
    const ShardInfo& info = infos[batch->missing[chunk.first].shard];
    if (!info.frozen) return false;
    for (uint32_t i = chunk.first; i < chunk.second; i++) {
      Fail(batch, batch->missing[i].index, thawed.ok() ? FrozenError(info) : thawed);
    }
    return true;
  });
  batch->chunks_left.store(batch->chunks.size(), std::memory_order_relaxed);
}

void PointReader::Work(const std::shared_ptr<ReadBatch>& batch) {
  size_t finished = 0;
  {
    ArenaWriter writer(&batch->arenas);
    for (;;) {
      const size_t next = batch->next_chunk.fetch_add(1, std::memory_order_relaxed);
      if (next >= batch->chunks.size()) break;
      if (next == 0) batch->taken_nanos = NowNanos();
      const auto [begin, end] = batch->chunks[next];
      try {
        ReadChunk(batch, begin, end, &writer);
      } catch (const std::exception& error) {
        for (uint32_t i = begin; i < end; i++) FailByException(batch.get(), i, error);
      }
      finished++;
    }
  }
  Finish(batch.get(), finished);
}

void PointReader::WorkColder(const std::shared_ptr<ReadBatch>& batch, const ColderPart& part) {
  {
    ArenaWriter writer(&batch->arenas);
    try {
      ReadColder(batch, part, &writer);
    } catch (const std::exception& error) {
      for (const uint32_t i : part.keys) FailByException(batch.get(), i, error);
    }
  }
  Finish(batch.get(), 1);
}

void PointReader::Finish(ReadBatch* batch, size_t chunks) {
  if (chunks == 0) return;
  // acq_rel: the last worker sees what all others wrote.
  if (batch->chunks_left.fetch_sub(chunks, std::memory_order_acq_rel) != chunks) return;
  const uint64_t took = NowNanos() - batch->began_nanos;
  deps_.metrics->get_many_nanos.Record(took);
  if (deps_.metrics->slow && deps_.metrics->slow->Wants(took)) Trace(*batch, took);
  batch->done();
}

void PointReader::Trace(const ReadBatch& batch, uint64_t took) const {
  SlowLog& slow = *deps_.metrics->slow;
  // Of several chunks one may have waited while another was read.
  const uint64_t queued =
      std::min(took, batch.taken_nanos - batch.began_nanos +
                         batch.colder_wait_nanos.load(std::memory_order_relaxed));
  const auto first =
      std::min_element(batch.missing.begin(), batch.missing.end(),
                       [](const auto& a, const auto& b) { return a.index < b.index; });
  slow.Add({.kind = batch.count == 1 ? SlowKind::kGet : SlowKind::kGetMany,
            .key_prefix = slow.PrefixOf(first->bytes),
            .records = batch.count,
            .total_nanos = took,
            .queue_nanos = queued,
            .store_nanos = took - queued});
}

void PointReader::Fail(ReadBatch* batch, uint32_t index, const Status& status) {
  batch->results[index] = ResultRef{0, ResultRef::kFailed};
  std::lock_guard lock(batch->status_mutex);
  if (batch->status.ok()) batch->status = status;
}

void PointReader::FailByException(ReadBatch* batch, uint32_t place, const std::exception& error) {
  Fail(batch, batch->missing[place].index,
       {Code::kIo, std::string("a read failed: ") + error.what()});
}

void PointReader::ReadChunk(const std::shared_ptr<ReadBatch>& batch, uint32_t begin, uint32_t end,
                            ArenaWriter* writer) {
  const ReadView* view = batch->view.get();
  const Shards& shards = *batch->shards;
  rocksdb::ReadOptions options;
  if (view != nullptr) options.snapshot = view->snapshot();
  const auto* keys = batch->missing.data() + begin;
  const size_t count = end - begin;
  rocksdb::ColumnFamilyHandle* shard = shards.handles[keys[0].shard];
  NoteReads(shards, keys[0].shard, count);
  Scratch& scratch = ThreadScratch();
  for (size_t i = 0; i < count; i++) {
    scratch.keys[i] = {keys[i].bytes.data(), keys[i].bytes.size()};
    if (view != nullptr) continue;
    scratch.tickets[i] = deps_.cache->BeginFill(keys[i].hash);
  }
  // If the table was switched since the batch was planned, what the replaced family shows may be
  // older than the tickets. It is still an answer, since the batch is older too.
  const bool fill = view == nullptr && deps_.shards.Load() == batch->shards;
  const SequencePrefetcher::Reading reading(deps_.prefetcher);
  std::optional<TieredRead> below;
  if (deps_.tiers != nullptr) below.emplace(deps_.tiers, shards, view);
  if (count == 1) {
    scratch.statuses[0] = deps_.db->Get(options, shard, scratch.keys[0], &scratch.values[0]);
  } else {
    deps_.db->MultiGet(options, shard, count, scratch.keys.data(), scratch.values.data(),
                       scratch.statuses.data());
  }
  std::shared_ptr<ColderPart> rest;
  if (below) rest = TakeMissing(*below, begin, count, fill);
  for (size_t i = 0; i < count; i++) {
    if (below && scratch.statuses[i].ok()) CountTier(0);
    if (below && scratch.statuses[i].IsNotFound()) {
      if (!below->IsGone(scratch.keys[i])) continue;  // it is in the rest
      tier_reads_.absent.Add();
    }
    Settle(batch.get(), keys[i], scratch.statuses[i], scratch.values[i], 0,
           fill ? &scratch.tickets[i] : nullptr, writer);
    scratch.values[i].Reset();
  }
  if (rest) PostColder(batch, std::move(rest));
}

std::shared_ptr<PointReader::ColderPart> PointReader::TakeMissing(const TieredRead& below,
                                                                  uint32_t begin, size_t count,
                                                                  bool fill) {
  const Scratch& scratch = ThreadScratch();
  std::shared_ptr<ColderPart> part;
  for (size_t i = 0; i < count; i++) {
    if (!scratch.statuses[i].IsNotFound() || below.IsGone(scratch.keys[i])) continue;
    if (!part) part = std::make_shared<ColderPart>(ColderPart{.below = below, .fill = fill});
    part->Add(begin + static_cast<uint32_t>(i), scratch.tickets[i]);
  }
  return part;
}

void PointReader::PostColder(const std::shared_ptr<ReadBatch>& batch,
                             std::shared_ptr<ColderPart> part) {
  if (deps_.metrics->slow) part->posted_nanos = NowNanos();
  ThreadPool* const pool = deps_.colder_pools[part->store];
  // One chunk more, so that whoever ends first leaves the batch to the other.
  batch->chunks_left.fetch_add(1, std::memory_order_relaxed);
  try {
    pool->Post([this, batch, part = std::move(part)] { WorkColder(batch, *part); });
  } catch (...) {
    batch->chunks_left.fetch_sub(1, std::memory_order_relaxed);
    throw;
  }
}

void PointReader::ReadColder(const std::shared_ptr<ReadBatch>& batch, const ColderPart& part,
                             ArenaWriter* writer) {
  uint64_t waited = part.waited_nanos;
  if (part.posted_nanos != 0) {
    waited += NowNanos() - part.posted_nanos;
    uint64_t longest = batch->colder_wait_nanos.load(std::memory_order_relaxed);
    while (longest < waited && !batch->colder_wait_nanos.compare_exchange_weak(
                                   longest, waited, std::memory_order_relaxed)) {
    }
  }
  const size_t count = part.keys.size();
  const int shard = batch->missing[part.keys[0]].shard;
  Scratch& scratch = ThreadScratch();
  for (size_t i = 0; i < count; i++) {
    const std::string_view key = batch->missing[part.keys[i]].bytes;
    scratch.keys[i] = {key.data(), key.size()};
  }
  const SequencePrefetcher::Reading reading(deps_.prefetcher);
  part.below.MultiGet(part.store, shard, count, scratch.keys.data(), scratch.values.data(),
                      scratch.statuses.data());
  const bool again = part.below.Again();
  const bool lowest = part.store + 1 == part.below.stores();
  std::shared_ptr<ColderPart> rest;
  for (size_t i = 0; i < count; i++) {
    int level = static_cast<int>(part.store) + 1;
    rocksdb::Status& s = scratch.statuses[i];
    if (again) {
      scratch.values[i].Reset();
      s = AskStores(shard, *batch->shards, batch->view.get(), scratch.keys[i], &scratch.values[i],
                    &level);
    } else if (s.IsNotFound() && !lowest) {
      if (!rest) {
        rest = std::make_shared<ColderPart>(ColderPart{.below = part.below,
                                                       .fill = part.fill,
                                                       .store = part.store + 1,
                                                       .waited_nanos = waited});
      }
      rest->Add(part.keys[i], part.tickets[i]);
      continue;
    } else if (s.ok()) {
      CountTier(level);
    } else if (s.IsNotFound()) {
      tier_reads_.absent.Add();
    }
    Settle(batch.get(), batch->missing[part.keys[i]], s, scratch.values[i], level,
           part.fill ? &part.tickets[i] : nullptr, writer);
    scratch.values[i].Reset();
  }
  if (rest) PostColder(batch, std::move(rest));
}

void PointReader::Settle(ReadBatch* batch, const ReadBatch::Key& key, const rocksdb::Status& s,
                         const rocksdb::PinnableSlice& stored, int level,
                         const HotCache::FillTicket* ticket, ArenaWriter* writer) {
  if (s.IsNotFound()) {
    if (ticket != nullptr) deps_.cache->FillAbsent(key.bytes, key.hash, *ticket);
    return;
  }
  if (!s.ok()) return Fail(batch, key.index, Status::From(s, "reading keys"));
  Envelope envelope;
  if (!DecodeEnvelope({stored.data(), stored.size()}, &envelope)) {
    return Fail(batch, key.index, CorruptEnvelope(key.bytes));
  }
  const ReadView* view = batch->view.get();
  const uint64_t now =
      envelope.expiry_ms == 0 ? 0 : (view ? view->clock_ms() : deps_.clock->NowMs());
  if (envelope.is_tombstone() || IsExpired(envelope, now)) {
    if (ticket != nullptr) deps_.cache->FillAbsent(key.bytes, key.hash, *ticket);
    return;
  }
  batch->results[key.index] = Keep(*batch, envelope.payload, writer);
  if (view == nullptr) NoteStoreRead(key.shard, key.bytes, key.hash, level);
  if (ticket != nullptr) {
    deps_.cache->Fill(key.bytes, key.hash, *ticket, envelope.payload, envelope.expiry_ms);
  }
}

}  // namespace thermocline
