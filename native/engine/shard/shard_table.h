// The shard table: which shard owns which slot. Stored in hot's meta column family; one write of
// it is what makes a split, merge, restore or thaw take effect.
//
// A value type, immutable once built; share it as std::shared_ptr<const ShardTable>. A reader
// keeps the table it started with.
//
// Invariants (Create and Decode refuse anything else):
// 1. Every slot belongs to exactly one shard.
// 2. Shard ids are unique; every shard owns at least one slot.
// 3. A shard's ranges are ascending, disjoint and not adjacent, so that equal tables have equal
//    encodings.
// The order of the shards is kept: an index into shards() is how the engine names a shard in its
// per-shard arrays while this table is current.
//
// Thread safety: const after construction; share freely.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/shard/slot.h"
#include "engine/status.h"

namespace thermocline {

struct SlotRange {  // inclusive at both ends
  uint16_t first = 0;
  uint16_t last = 0;

  friend bool operator==(const SlotRange&, const SlotRange&) = default;
};

struct ShardInfo {
  uint32_t id = 0;
  uint32_t generation = 0;  // a shard's data is replaced by filling a new generation aside
  std::vector<SlotRange> slots;
  // Its records are in an archive (snapshot/shard_freezer.h): the families of this generation are
  // there and empty, and must neither be read nor written.
  bool frozen = false;

  friend bool operator==(const ShardInfo&, const ShardInfo&) = default;
};

// The column family of one generation of a shard, in each tier's store: `shard_%04x_%08x`.
// A frozen shard's folder in the archive has the same name.
std::string ShardColumnFamilyName(uint32_t id, uint32_t generation);
// What refuses an operation on a frozen shard: ERR_FROZEN.
Status FrozenError(const ShardInfo& shard);
// False unless `name` is exactly what ShardColumnFamilyName gives for some id and generation.
bool ParseShardColumnFamilyName(std::string_view name, uint32_t* id, uint32_t* generation);

class ShardTable {
 public:
  static constexpr int kMaxInitialShards = 256;

  // An empty table, good only to be assigned to.
  ShardTable() = default;

  // The table of a new database: ids 0 to shards - 1, generation 0, contiguous ranges whose sizes
  // differ by at most one. REQUIRES: 1 <= shards <= kMaxInitialShards.
  static ShardTable Equal(int shards);

  // Builds a table from any set of shards, sorting and joining each shard's ranges.
  // ERR_INVALID_ARGUMENT if the invariants cannot be met; *out is then unchanged.
  static Status Create(std::vector<ShardInfo> shards, ShardTable* out);

  // ERR_CORRUPTION for damage, ERR_FORMAT_VERSION for a newer format; *out is then unchanged.
  static Status Decode(std::string_view encoded, ShardTable* out);

  // u8 version (1, or 2 if a shard is frozen), varint32 shards, per shard: varint32 id, varint32
  // generation, in version 2 a u8 (1: frozen), varint32 ranges, per range: varint32 first, varint32
  // last - first; fixed32 CRC-32C of all that.
  std::string Encode() const;

  const std::vector<ShardInfo>& shards() const { return shards_; }
  int size() const { return static_cast<int>(shards_.size()); }

  // Index into shards(). REQUIRES: slot < kSlotCount and a table that is not empty.
  int IndexOfSlot(uint16_t slot) const { return index_of_slot_[slot]; }
  int IndexOfKey(std::string_view key) const { return IndexOfSlot(SlotOf(key)); }

  bool any_frozen() const { return any_frozen_; }
  bool IsFrozen(int index) const { return shards_[static_cast<size_t>(index)].frozen; }

  // Index into shards(), -1 if there is no shard of that id. Linear: not for hot paths.
  int IndexOfId(uint32_t id) const;

  friend bool operator==(const ShardTable& a, const ShardTable& b) {
    return a.shards_ == b.shards_;
  }

 private:
  std::vector<ShardInfo> shards_;
  std::vector<uint16_t> index_of_slot_;  // kSlotCount entries, or none in an empty table
  bool any_frozen_ = false;
};

}  // namespace thermocline
