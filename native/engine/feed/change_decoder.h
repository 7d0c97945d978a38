// What users changed, out of a WriteBatch as the log holds it (docs/on-disk-format.md, The log).
//
// A batch of the log is one or more commits, each behind its header; RocksDB may have joined what
// several threads wrote at once, so user and internal commits can follow one another. Internal ones
// and the database's own records are passed over. The range deletes that one call left in each
// shard become one operation again. With colder tiers it is what the intent's record says: where
// the call named no end, the hot store's range tombstones end behind its own last key, and the
// records below may go on.
//
// Thread safety: pure functions; a Change refers to the batch it was decoded from.
#pragma once

#include <rocksdb/write_batch.h>

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "engine/status.h"

namespace thermocline {

struct ChangeOperation {
  enum class Type : uint8_t { kPut = 0, kDelete = 1, kDeleteRange = 2 };
  Type type = Type::kPut;
  int shard = -1;          // id; -1 for range deletes, which concern all
  uint64_t expiry_ms = 0;  // 0: none
  std::string_view key;    // the inclusive start of a range
  std::string_view value;  // the exclusive end of a range
  bool has_end = true;     // of a range; without one it is everything from the start on
};

// One commit of a user.
struct Change {
  uint64_t sequence = 0;  // of its last record: the log goes on behind it
  uint64_t commit_id = 0;
  std::vector<ChangeOperation> operations;
};

// Answered for a column family that holds no user's records.
inline constexpr int kNotAShard = -1;

// The id of the shard that a column family is, or was, of.
using ShardOfFamily = std::function<int(uint32_t family, std::string_view key)>;

// Calls `sink` for every user commit in the batch that ends behind `after`, in order. The batch
// begins with the sequence number `base`. ERR_CORRUPTION: what is no log of ours.
Status DecodeChanges(const rocksdb::WriteBatch& batch, uint64_t base, uint64_t after,
                     const ShardOfFamily& shard_of, const std::function<void(const Change&)>& sink);

}  // namespace thermocline
