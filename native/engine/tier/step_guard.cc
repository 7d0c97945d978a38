#include "engine/tier/step_guard.h"

#include <algorithm>
#include <utility>

namespace thermocline {

namespace {

// What a step may have to remember of the writes during it. A step that sees more moves nothing.
constexpr size_t kMaxDirtyBytes = 32 * kMiB;
constexpr size_t kMaxDirtyRanges = 256;
constexpr size_t kKeyOverhead = 64;

rocksdb::Slice AsSlice(std::string_view s) { return {s.data(), s.size()}; }

}  // namespace

bool StepGuard::DeleteNeedsMarker(int shard, std::string_view key) const {
  if (registered_ && shard == shard_ && key >= start_) return true;
  rocksdb::ReadOptions options;
  options.read_tier = rocksdb::kBlockCacheTier;
  const std::shared_ptr<const Shards> shards = deps_.shards.Load();
  for (const ColderShards& colder : shards->colder) {
    if (colder.IsUncertain(shard)) return true;
    rocksdb::PinnableSlice stored;
    const rocksdb::Status s =
        colder.db->Get(options, colder.handles[static_cast<size_t>(shard)], AsSlice(key), &stored);
    if (!s.IsNotFound()) return true;
  }
  return false;
}

void StepGuard::NoteCoveredKey(std::string_view key) {
  if (all_dirty_ || dirty_.contains(key)) return;
  dirty_bytes_ += key.size() + kKeyOverhead;
  if (dirty_bytes_ > kMaxDirtyBytes) {
    all_dirty_ = true;
    dirty_.clear();
    return;
  }
  dirty_.emplace(key);
}

void StepGuard::NoteRange(std::string_view start, std::string_view end, bool has_end) {
  if (!registered_ || (has_end && end <= start_)) return;
  if (dirty_ranges_.size() == kMaxDirtyRanges) {
    all_dirty_ = true;
  } else {
    dirty_ranges_.push_back({std::string(start), std::string(end), has_end});
  }
}

bool StepGuard::IsClean(std::string_view key) const {
  if (all_dirty_ || dirty_.contains(key)) return false;
  return std::none_of(dirty_ranges_.begin(), dirty_ranges_.end(), [&](const Range& range) {
    return key >= range.start && (!range.has_end || key < range.end);
  });
}

Status StepGuard::AppendIntent(rocksdb::WriteBatch* batch, uint64_t commit_id,
                               std::string_view start, std::string_view end, bool has_end) {
  RangeIntentRecord record{std::string(start), std::string(end), has_end};
  // Several range deletes of one commit have one id.
  std::string key = IntentKey(commit_id, static_cast<uint32_t>(appended_.size()));
  const rocksdb::Status s = batch->Put(deps_.meta, key, SealMeta(key, EncodeRangeIntent(record)));
  if (!s.ok()) return Status::From(s, "building a batch");
  appended_.emplace_back(std::move(key), std::move(record));
  return {};
}

void StepGuard::Writing() {
  if (appended_.empty()) return;
  const uint64_t before = deps_.hot->GetLatestSequenceNumber();
  for (auto& [key, record] : appended_) {
    writing_.push_back(deps_.intents->Add(std::move(key), std::move(record), before));
  }
  appended_.clear();
}

void StepGuard::WriteEnded(bool written) {
  appended_.clear();
  if (writing_.empty()) return;
  const uint64_t sequence = deps_.hot->GetLatestSequenceNumber();
  for (const auto& intent : writing_) {
    if (written) {
      deps_.intents->Written(intent.get(), sequence);
    } else {
      deps_.intents->Withdraw(intent);
    }
  }
  writing_.clear();
  if (written && deps_.on_intent) deps_.on_intent();
}

void StepGuard::Register(int shard, std::string_view start) {
  registered_ = true;
  shard_ = shard;
  start_.assign(start);
}

void StepGuard::Unregister() {
  registered_ = false;
  dirty_.clear();
  dirty_ranges_.clear();
  dirty_bytes_ = 0;
  all_dirty_ = false;
}

}  // namespace thermocline
