#include "engine/feed/change_decoder.h"

#include <list>
#include <string>

#include "engine/record/commit_header.h"
#include "engine/record/envelope.h"
#include "engine/tier/meta.h"

namespace thermocline {

namespace {

std::string_view AsView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

constexpr uint32_t kNoFamily = UINT32_MAX;

class Decoder : public rocksdb::WriteBatch::Handler {
 public:
  Decoder(uint64_t base, uint64_t after, const ShardOfFamily& shard_of,
          const std::function<void(const Change&)>& sink)
      : next_(base), after_(after), shard_of_(shard_of), sink_(sink) {}

  void LogData(const rocksdb::Slice& blob) override {
    Finish();
    headed_ = DecodeCommitHeader(AsView(blob), &header_);
    if (!headed_) damage_ = "a commit header in the log is damaged";
    next_id_ = header_.first_commit_id;
  }

  rocksdb::Status PutCF(uint32_t family, const rocksdb::Slice& key,
                        const rocksdb::Slice& value) override {
    ChangeOperation operation;
    operation.key = AsView(key);
    Envelope envelope;
    const bool ours = Begin(family, operation.key, &operation.shard);
    if (!ours && IsIntent(family, operation.key)) {
      AddIntent(operation.key, AsView(value));
    } else if (ours && !DecodeEnvelope(AsView(value), &envelope)) {
      damage_ = "a record in the log has an unknown envelope";
    } else if (ours) {
      operation.type =
          envelope.is_tombstone() ? ChangeOperation::Type::kDelete : ChangeOperation::Type::kPut;
      operation.value = envelope.payload;
      operation.expiry_ms = envelope.expiry_ms;
      Add(operation);
    }
    return Go();
  }

  rocksdb::Status DeleteCF(uint32_t family, const rocksdb::Slice& key) override {
    ChangeOperation operation;
    operation.type = ChangeOperation::Type::kDelete;
    operation.key = AsView(key);
    if (Begin(family, operation.key, &operation.shard)) Add(operation);
    return Go();
  }

  rocksdb::Status DeleteRangeCF(uint32_t family, const rocksdb::Slice& start,
                                const rocksdb::Slice& end) override {
    ChangeOperation operation;
    operation.type = ChangeOperation::Type::kDeleteRange;
    operation.key = AsView(start);
    operation.value = AsView(end);
    int shard = kNotAShard;
    if (!Begin(family, operation.key, &shard)) return Go();
    // One call leaves a record in every shard, in the same order each time. They begin at the same
    // key; where the call named no end, each ends behind the shard's last key, so the farthest end
    // is that of all.
    ChangeOperation* last = current_.operations.empty() ? nullptr : &current_.operations.back();
    if (last != nullptr && last->type == operation.type && last->key == operation.key &&
        family != range_family_) {
      if (range_family_ == kNoFamily) range_family_ = family;
      if (operation.value > last->value) last->value = operation.value;
      current_.sequence = next_ - 1;
      return Go();
    }
    Add(operation);
    range_family_ = family;
    return Go();
  }

  rocksdb::Status SingleDeleteCF(uint32_t, const rocksdb::Slice&) override { return Foreign(); }
  rocksdb::Status MergeCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return Foreign();
  }
  rocksdb::Status PutEntityCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return Foreign();
  }

  bool Continue() override { return damage_ == nullptr; }

  // The last commit of the batch.
  void Finish() {
    if (!current_.operations.empty() && current_.sequence > after_) sink_(current_);
    current_.operations.clear();
  }
  const char* damage() const { return damage_; }

 private:
  // Counts a record. Whether it is a user's.
  bool Begin(uint32_t family, std::string_view key, int* shard) {
    next_++;
    if (!headed_) {
      damage_ = "the log has records without a commit header";
      return false;
    }
    if (header_.origin != CommitOrigin::kUser) return false;
    *shard = shard_of_(family, key);
    if (*shard != kNotAShard) return true;
    // A record of the database's own, within the commit.
    if (header_.kind == CommitKind::kAtomic) current_.sequence = next_ - 1;
    return false;
  }

  bool IsIntent(uint32_t family, std::string_view key) const {
    return damage_ == nullptr && header_.origin == CommitOrigin::kUser &&
           key.starts_with(meta_key::kIntents) && shard_of_(family, key) == kNotAShard;
  }

  // A range delete that colder tiers will carry out. The range tombstones that follow it say no
  // more, and there need not be any.
  void AddIntent(std::string_view key, std::string_view sealed) {
    std::string_view payload;
    RangeIntentRecord& range = ranges_.emplace_back();
    if (!OpenMeta(key, sealed, &payload).ok() || !DecodeRangeIntent(payload, &range).ok()) {
      damage_ = "a range delete in the log is damaged";
      return;
    }
    ChangeOperation operation;
    operation.type = ChangeOperation::Type::kDeleteRange;
    operation.key = range.start;
    operation.value = range.end;
    operation.has_end = range.has_end;
    Add(operation);
    range_family_ = kNoFamily;
  }

  void Add(const ChangeOperation& operation) {
    // In a run every operation is a commit.
    if (header_.kind == CommitKind::kRun) Finish();
    if (current_.operations.empty()) {
      current_.commit_id = next_id_++;
    }
    current_.sequence = next_ - 1;
    current_.operations.push_back(operation);
  }

  rocksdb::Status Foreign() {
    damage_ = "the log has a record of an unknown kind";
    return Go();
  }

  rocksdb::Status Go() const {
    return damage_ == nullptr ? rocksdb::Status::OK() : rocksdb::Status::Corruption(damage_);
  }

  uint64_t next_;  // the sequence number of the next record
  const uint64_t after_;
  const ShardOfFamily& shard_of_;
  const std::function<void(const Change&)>& sink_;
  CommitHeader header_;
  bool headed_ = false;
  uint64_t next_id_ = 0;
  Change current_;
  // The first family that has a tombstone of the current range.
  uint32_t range_family_ = kNoFamily;
  std::list<RangeIntentRecord> ranges_;  // whose strings the changes refer to
  const char* damage_ = nullptr;
};

}  // namespace

Status DecodeChanges(const rocksdb::WriteBatch& batch, uint64_t base, uint64_t after,
                     const ShardOfFamily& shard_of,
                     const std::function<void(const Change&)>& sink) {
  Decoder decoder(base, after, shard_of, sink);
  const rocksdb::Status s = batch.Iterate(&decoder);
  if (decoder.damage() != nullptr) return {Code::kCorruption, decoder.damage()};
  if (!s.ok()) return Status::From(s, "reading the log");
  decoder.Finish();
  return {};
}

}  // namespace thermocline
