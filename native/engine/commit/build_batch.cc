// What a group of the committer becomes in its WriteBatch: which operations, in which order, as
// which records.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include "engine/commit/committer.h"
#include "engine/record/commit_header.h"
#include "engine/record/envelope.h"

namespace thermocline {

namespace {

constexpr uint32_t kNoOp = UINT32_MAX;
constexpr uint32_t kSortedOps = 16;  // with fewer, sorting saves nothing

// The first eight bytes as a number that orders as they do; a shorter key orders among its
// continuations, which the whole keys then decide.
uint64_t KeyPrefix(std::string_view key) {
  uint64_t prefix = 0;
  std::memcpy(&prefix, key.data(), std::min(key.size(), sizeof prefix));
  return __builtin_bswap64(prefix);
}

rocksdb::Slice AsSlice(std::string_view s) { return {s.data(), s.size()}; }

}  // namespace

// Of several operations on a key within one group only the last can ever be seen: no reader stands
// between them. Not with range deletes in the group, which do not pass key by key.
void Committer::MarkSuperseded() {
  if (has_range_delete_ || faithful_ || ops_.size() < 2) return;
  const size_t slots = std::bit_ceil(ops_.size() * 2);
  last_of_key_.assign(slots, kNoOp);
  for (size_t i = ops_.size(); i-- > 0;) {
    Op& op = ops_[i];
    for (size_t slot = op.hash & (slots - 1);; slot = (slot + 1) & (slots - 1)) {
      const uint32_t other = last_of_key_[slot];
      if (other == kNoOp) {
        last_of_key_[slot] = static_cast<uint32_t>(i);
        break;
      }
      if (ops_[other].hash == op.hash && ops_[other].packed.key == op.packed.key) {
        op.superseded = true;
        break;
      }
    }
  }
}

Status Committer::BuildBatch() {
  for (const Span& span : spans_) {
    if (span.kept == 0 && span.messages == nullptr) continue;
    const CommitHeader header{.origin = CommitOrigin::kUser,
                              .kind = span.atomic ? CommitKind::kAtomic : CommitKind::kRun,
                              .first_commit_id = span.first_commit_id,
                              .operation_count = span.kept};
    Status status = Status::From(batch_->PutLogData(AsSlice(EncodeCommitHeader(header).view())),
                                 "building a batch");
    if (span.atomic && span.kept >= kSortedOps && !has_range_delete_ && !faithful_) {
      SortSpan(span);
      for (size_t i = 0; i < sorted_.size() && status.ok(); i++) {
        status = AppendOp(ops_[sorted_[i].index], span.first_commit_id);
      }
    } else {
      uint64_t id = span.first_commit_id;
      for (size_t i = span.begin; i < span.end && status.ok(); i++) {
        if (ops_[i].superseded) continue;
        status = AppendOp(ops_[i], id);
        if (!span.atomic) id++;
      }
    }
    if (status.ok() && span.messages != nullptr) {
      status = deps_.append_messages(batch_.get(), span.first_commit_id, *span.messages);
    }
    if (!status.ok()) return status;
  }
  return {};
}

// By shard and key: each insertion into a memtable then begins where the one before ended. The
// keys of the span differ, so their order cannot be seen.
void Committer::SortSpan(const Span& span) {
  sorted_.clear();
  for (size_t i = span.begin; i < span.end; i++) {
    const Op& op = ops_[i];
    if (op.superseded) continue;
    sorted_.push_back({KeyPrefix(op.packed.key), static_cast<uint32_t>(i), op.shard});
  }
  std::sort(sorted_.begin(), sorted_.end(), [this](const SortedOp& a, const SortedOp& b) {
    if (a.shard != b.shard) return a.shard < b.shard;
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    return ops_[a.index].packed.key < ops_[b.index].packed.key;
  });
}

Status Committer::AppendOp(const Op& op, uint64_t commit_id) {
  if (op.packed.type == OpType::kDeleteRange) return AppendRangeDelete(op, commit_id);
  rocksdb::ColumnFamilyHandle* shard = shards_->handles[op.shard];
  rocksdb::Status s;
  if (op.packed.type == OpType::kPut) {
    const EnvelopeHeader envelope = EncodeEnvelopeHeader(0, op.packed.expiry_ms);
    const rocksdb::Slice key = AsSlice(op.packed.key);
    const rocksdb::Slice value[2] = {{envelope.bytes, envelope.size}, AsSlice(op.packed.value)};
    s = batch_->Put(shard, rocksdb::SliceParts(&key, 1), rocksdb::SliceParts(value, 2));
  } else if (deps_.tiers == nullptr || !deps_.tiers->DeleteNeedsMarker(op.shard, op.packed.key)) {
    // A real delete leaves nothing below to uncover (I3).
    s = batch_->Delete(shard, AsSlice(op.packed.key));
  } else {
    const EnvelopeHeader marker = EncodeEnvelopeHeader(kEnvelopeTombstone, 0);
    s = batch_->Put(shard, AsSlice(op.packed.key), AsSlice(marker.view()));
  }
  if (s.ok()) return {};
  return Status::From(s, "building a batch");
}

Status Committer::AppendRangeDelete(const Op& op, uint64_t commit_id) {
  const std::string_view start = op.packed.key;
  bool appended = false;
  if (deps_.tiers != nullptr) {
    Status status = deps_.tiers->AppendIntent(batch_.get(), commit_id, start, op.packed.value,
                                              op.packed.has_end);
    if (!status.ok()) return status;
    appended = true;
  }
  for (int shard = 0; shard < shards_->count(); shard++) {
    std::string end(op.packed.value);
    bool found = true;
    if (!op.packed.has_end) {
      Status status = BoundOf(shard, op, &end, &found);
      if (!status.ok()) return status;
    }
    if (!found || end <= start) continue;
    const rocksdb::Status s =
        batch_->DeleteRange(shards_->handles[static_cast<size_t>(shard)], AsSlice(start), end);
    if (!s.ok()) return Status::From(s, "building a batch");
    appended = true;
  }
  if (appended) return {};
  // No shard has a key from `start` on. The commit has an id, so it must take a sequence number.
  const std::string end = std::string(start) + '\0';
  return Status::From(batch_->DeleteRange(shards_->handles[0], AsSlice(start), end),
                      "building a batch");
}

// RocksDB's range deletes need an end. This thread is the only writer, so the largest key of the
// store and of the group before this operation is the largest there is.
Status Committer::BoundOf(int shard, const Op& before, std::string* end, bool* found) {
  Status status = deps_.last_key(shard, end, found);
  if (!status.ok()) return status;
  for (const Op& op : ops_) {
    if (&op == &before) break;
    if (op.packed.type != OpType::kPut || op.shard != shard) continue;
    if (!*found || op.packed.key > *end) {
      end->assign(op.packed.key);
      *found = true;
    }
  }
  if (*found) end->push_back('\0');
  return {};
}

}  // namespace thermocline
