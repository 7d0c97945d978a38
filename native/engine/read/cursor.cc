#include "engine/read/cursor.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "engine/options.h"
#include "engine/platform/time.h"
#include "engine/read/merge_source.h"
#include "engine/record/envelope.h"

namespace thermocline {

namespace {

// What a walk of everything reads of a file at once; block by block, a quarter of its time goes
// into calls of the system.
constexpr size_t kReadaheadBytes = 256 * kKiB;
constexpr uint32_t kMaxRecords = 4096;  // per chunk, so that tiny records do not make huge indexes

enum class SlotCover { kNone, kSome, kAll };

// How many of a shard's slots lie in an interval.
SlotCover CoverOf(const ShardTable& table, size_t shard, uint16_t first, uint16_t last) {
  if (first == 0 && last == kSlotCount - 1) return SlotCover::kAll;
  bool any = false;
  bool all = true;
  for (const SlotRange& range : table.shards()[shard].slots) {
    any = any || (range.first <= last && range.last >= first);
    all = all && range.first >= first && range.last <= last;
  }
  return all ? SlotCover::kAll : any ? SlotCover::kSome : SlotCover::kNone;
}

bool AllAscii(const std::string& bytes) {
  uint8_t seen = 0;
  for (const char c : bytes) seen |= static_cast<uint8_t>(c);
  return seen < 0x80;
}

}  // namespace

Cursor::Cursor(rocksdb::DB* db, std::shared_ptr<const ReadView> view, CursorOptions options,
               ThreadPool* pool, Metrics* metrics, CountReads count_reads)
    : db_(db),
      options_(std::move(options)),
      pool_(pool),
      metrics_(metrics),
      count_reads_(std::move(count_reads)),
      view_(std::move(view)),
      left_(options_.limit),
      lower_(options_.lower),
      upper_(options_.upper),
      lower_slice_(lower_),
      upper_slice_(upper_) {}

Cursor::~Cursor() = default;

bool Cursor::Take(uint32_t wanted, Chunk* chunk, std::function<void()> ready) {
  std::lock_guard lock(mutex_);
  if (!chunks_.empty()) {
    *chunk = std::move(chunks_.front());
    chunks_.pop_front();
    // Refill when half is used, so that the producer is woken once for several chunks.
    if (chunks_.size() <= kReadAhead / 2) ScheduleLocked();
    return true;
  }
  if (closed_ || exhausted_) {
    *chunk = Chunk{};
    chunk->last = true;
    if (closed_) chunk->status = {Code::kClosed, "the iterator is closed"};
    return true;
  }
  next_records_ = std::max(next_records_, std::min(wanted, kMaxRecords));
  ready_ = std::move(ready);
  ScheduleLocked();
  return false;
}

void Cursor::Seek(std::string target, uint64_t unread) {
  std::lock_guard lock(mutex_);
  if (closed_) return;
  pass_++;
  if (options_.limit != UINT64_MAX) {
    left_ += unread;
    for (const Chunk& chunk : chunks_) left_ += chunk.count;  // made, but never handed out
  }
  chunks_.clear();
  exhausted_ = false;
  next_records_ = 16;
  target_ = std::make_unique<std::string>(std::move(target));
}

void Cursor::Close() {
  std::function<void()> ready;
  {
    std::unique_lock lock(mutex_);
    closed_ = true;
    chunks_.clear();
    idle_.wait(lock, [this] { return !producing_; });
    // Under the lock: whoever calls Close second returns only once the iterators are gone.
    heap_.clear();
    sources_.clear();
    view_.reset();
    ready = std::exchange(ready_, nullptr);
  }
  if (ready) ready();
}

void Cursor::ScheduleLocked() {
  if (exhausted_ || closed_) return;
  // Reading ahead gives way to reads that somebody waits for, until somebody waits for it: then a
  // second task overtakes the first, which finds nothing to do.
  const bool overtake = producing_ && !running_ && ahead_ && ready_;
  if (producing_ && !overtake) return;
  producing_ = true;
  ahead_ = !ready_;
  pool_->Post([self = shared_from_this()] { self->Produce(); },
              ahead_ ? Priority::kLow : Priority::kNormal);
}

void Cursor::Produce() {
  std::unique_lock lock(mutex_);
  if (!producing_ || running_) return;
  running_ = true;
  while (!closed_ && !exhausted_ && chunks_.size() < kReadAhead) {
    std::unique_ptr<std::string> target = std::move(target_);
    const uint64_t pass = pass_;
    const uint32_t records = static_cast<uint32_t>(std::min<uint64_t>(next_records_, left_));
    lock.unlock();

    const uint64_t began = NowNanos();
    Chunk chunk;
    try {
      Status status;
      if (!opened_ || target) status = Position(target.get());
      if (status.ok()) {
        chunk = Fill(kArenaBytes, records);
      } else {
        chunk.last = true;
        chunk.status = std::move(status);
      }
    } catch (const std::exception& error) {
      chunk = Chunk{};
      chunk.last = true;
      chunk.status = {Code::kIo, std::string("a scan failed: ") + error.what()};
    }
    const uint64_t took = NowNanos() - began;
    metrics_->scan_chunk_nanos.Record(took);
    if (metrics_->slow && metrics_->slow->Wants(took)) Trace(chunk, took);

    lock.lock();
    if (closed_ || pass != pass_) continue;  // a seek came in between: this chunk is of the past
    if (options_.limit != UINT64_MAX) left_ -= std::min<uint64_t>(left_, chunk.count);
    if (left_ == 0) chunk.last = true;
    if (chunk.last) exhausted_ = true;
    metrics_->scan.Add(chunk.count, chunk.index_offset);
    next_records_ = std::min(next_records_ * 4, kMaxRecords);
    chunks_.push_back(std::move(chunk));
    if (ready_) {
      auto ready = std::exchange(ready_, nullptr);
      lock.unlock();
      ready();
      lock.lock();
    }
  }
  running_ = false;
  producing_ = false;
  idle_.notify_all();
}

// The keys and lengths of the chunk are still where Fill gathered them.
void Cursor::Trace(const Chunk& chunk, uint64_t took) const {
  SlowLog& slow = *metrics_->slow;
  std::string_view key;
  if (chunk.count > 0 && options_.keys) key = std::string_view(key_bytes_).substr(0, lengths_[0]);
  slow.Add({.kind = SlowKind::kScanChunk,
            .key_prefix = slow.PrefixOf(key),
            .records = chunk.count,
            .total_nanos = took,
            .store_nanos = took});
}

// A walk never thaws: one over everything would undo what freezing is for.
Status Cursor::CheckFrozen() const {
  const ShardTable& table = view_->shards()->table;
  if (!table.any_frozen()) return {};
  for (size_t i = 0; i < table.shards().size(); i++) {
    if (!table.shards()[i].frozen) continue;
    if (CoverOf(table, i, options_.first_slot, options_.last_slot) != SlotCover::kNone) {
      return FrozenError(table.shards()[i]);
    }
  }
  return {};
}

void Cursor::OpenSources() {
  rocksdb::ReadOptions options;
  options.fill_cache = options_.fill_cache;
  if (!options_.fill_cache) options.readahead_size = kReadaheadBytes;
  options.background_purge_on_iterator_cleanup = true;
  if (options_.has_lower) options.iterate_lower_bound = &lower_slice_;
  if (options_.has_upper) options.iterate_upper_bound = &upper_slice_;
  const Shards& shards = *view_->shards();
  const auto open = [&](rocksdb::DB* db, const rocksdb::Snapshot* snapshot,
                        const std::vector<rocksdb::ColumnFamilyHandle*>& handles, int level) {
    options.snapshot = snapshot;
    for (size_t i = 0; i < handles.size(); i++) {
      const SlotCover cover = CoverOf(shards.table, i, options_.first_slot, options_.last_slot);
      if (cover == SlotCover::kNone) continue;
      std::unique_ptr<rocksdb::Iterator> iterator(db->NewIterator(options, handles[i]));
      sources_.push_back(
          std::make_unique<MergeSource>(std::move(iterator), i, cover == SlotCover::kSome, level));
    }
  };
  open(db_, view_->snapshot(), shards.handles, 0);
  for (size_t i = 0; i < shards.colder.size(); i++) {
    open(shards.colder[i].db, view_->colder_snapshot(i), shards.colder[i].handles,
         static_cast<int>(i) + 1);
  }
  tiered_ = !shards.colder.empty();
  opened_ = true;
}

bool Cursor::IsShadowed(const MergeSource& source) const {
  if (has_key_ && source.key() == rocksdb::Slice(last_key_)) return true;
  return source.level() > 0 && !view_->intents().empty() &&
         Covers(view_->intents(), {source.key().data(), source.key().size()});
}

bool Cursor::Advance(Status* status) {
  MergeSource* const source = heap_[0];
  rocksdb::Iterator* const it = source->iterator();
  const bool reverse = options_.reverse;
  reverse ? it->Prev() : it->Next();
  if (source->Refresh()) {
    reverse ? SiftDown<true>(heap_) : SiftDown<false>(heap_);
    return true;
  }
  if (!it->status().ok()) {
    *status = Status::From(it->status(), "scanning");
    return false;
  }
  heap_[0] = heap_.back();
  heap_.pop_back();
  if (!heap_.empty()) reverse ? SiftDown<true>(heap_) : SiftDown<false>(heap_);
  return true;
}

Status Cursor::Position(const std::string* target) {
  if (!opened_) {
    Status status = CheckFrozen();
    if (!status.ok()) return status;
    OpenSources();
  }
  has_key_ = false;
  heap_.clear();
  for (const auto& source : sources_) {
    rocksdb::Iterator* it = source->iterator();
    if (target == nullptr) {
      options_.reverse ? it->SeekToLast() : it->SeekToFirst();
    } else {
      options_.reverse ? it->SeekForPrev(*target) : it->Seek(*target);
    }
    if (source->Refresh()) {
      heap_.push_back(source.get());
    } else if (!it->status().ok()) {
      // A shard that cannot be read must not be left out in silence.
      return Status::From(it->status(), "scanning");
    }
  }
  std::sort(heap_.begin(), heap_.end(), options_.reverse ? Before<true> : Before<false>);
  return {};
}

bool Cursor::IsWanted(const MergeSource& source) const {
  if (!source.mixed()) return true;
  const uint16_t slot = SlotOf({source.key().data(), source.key().size()});
  return slot >= options_.first_slot && slot <= options_.last_slot;
}

Chunk Cursor::Fill(size_t byte_budget, uint32_t record_budget) {
  Chunk chunk;
  key_bytes_.clear();
  lengths_.clear();
  Arena block(byte_budget);
  size_t used = 0;
  const uint64_t clock = view_->clock_ms();
  while (!heap_.empty() && chunk.count < record_budget) {
    MergeSource* const source = heap_[0];
    if (tiered_ && IsShadowed(*source)) {
      if (!Advance(&chunk.status)) break;
      continue;
    }
    const rocksdb::Slice stored = source->value();
    Envelope envelope;
    if (!DecodeEnvelope({stored.data(), stored.size()}, &envelope)) {
      chunk.status = {Code::kCorruption, "a scan met a value whose envelope is damaged"};
      break;
    }
    const rocksdb::Slice& key = source->key();
    if (!envelope.is_tombstone() && !IsExpired(envelope, clock) && IsWanted(*source)) {
      const size_t key_size = options_.keys ? key.size() : 0;
      const size_t value_size = options_.values ? envelope.payload.size() : 0;
      const size_t needed = used + value_size + key_bytes_.size() + key_size + 3 +
                            (lengths_.size() + 2) * sizeof(uint32_t);
      if (needed > block.capacity()) {
        if (chunk.count > 0) break;
        block = Arena(needed);  // a record larger than a chunk stands alone
      }
      if (options_.values) {
        std::memcpy(block.data() + used, envelope.payload.data(), value_size);
        used += value_size;
      }
      if (options_.keys) key_bytes_.append(key.data(), key_size);
      lengths_.push_back(static_cast<uint32_t>(key_size));
      lengths_.push_back(static_cast<uint32_t>(value_size));
      chunk.count++;
      source->Count();
    }
    if (tiered_) {
      last_key_.assign(source->key().data(), source->key().size());
      has_key_ = true;
    }
    if (!Advance(&chunk.status)) break;
  }
  chunk.last = heap_.empty() || !chunk.status.ok();
  for (const auto& source : sources_) {
    const uint64_t read = source->TakeCount();
    if (read > 0 && count_reads_) count_reads_(source->shard(), read);
  }
  chunk.keys_offset = static_cast<uint32_t>(used);
  std::memcpy(block.data() + used, key_bytes_.data(), key_bytes_.size());
  used += key_bytes_.size();
  used = (used + 3) & ~size_t{3};
  chunk.index_offset = static_cast<uint32_t>(used);
  if (!lengths_.empty()) {  // else there may be nothing to point to
    std::memcpy(block.data() + used, lengths_.data(), lengths_.size() * sizeof(uint32_t));
    used += lengths_.size() * sizeof(uint32_t);
  }
  chunk.ascii_keys = AllAscii(key_bytes_);
  block.set_size(used);
  block.Shrink();
  chunk.block = std::move(block);
  return chunk;
}

}  // namespace thermocline
