#include "engine/shard/shard_table.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstdio>
#include <unordered_set>
#include <utility>

#include "engine/record/coding.h"
#include "engine/record/crc32c.h"

namespace thermocline {
namespace {

constexpr uint8_t kVersion = 1;
// With a byte per shard, which an older reader must not overlook: it would find a frozen shard
// empty.
constexpr uint8_t kFrozenVersion = 2;
constexpr uint16_t kUnowned = 0xffff;

Status Invalid(std::string message) {
  return {Code::kInvalidArgument, "shard table: " + std::move(message)};
}

Status Corrupt(std::string message) {
  return {Code::kCorruption, "shard table: " + std::move(message)};
}

// Sorts, and joins ranges that touch. Overlaps stay for the caller to find.
void Normalize(std::vector<SlotRange>* slots) {
  std::sort(slots->begin(), slots->end(),
            [](const SlotRange& a, const SlotRange& b) { return a.first < b.first; });
  std::vector<SlotRange> joined;
  for (const SlotRange& range : *slots) {
    if (!joined.empty() && joined.back().last + 1 == range.first) {
      joined.back().last = range.last;
    } else {
      joined.push_back(range);
    }
  }
  *slots = std::move(joined);
}

}  // namespace

std::string ShardColumnFamilyName(uint32_t id, uint32_t generation) {
  char name[sizeof "shard_" + 8 + 1 + 8];
  std::snprintf(name, sizeof name, "shard_%04x_%08x", id, generation);
  return name;
}

Status FrozenError(const ShardInfo& shard) {
  return {Code::kFrozen, "shard " + std::to_string(shard.id) +
                             " is frozen: thaw it with shards.thaw(" + std::to_string(shard.id) +
                             "), or set freeze.thawOnAccess"};
}

bool ParseShardColumnFamilyName(std::string_view name, uint32_t* id, uint32_t* generation) {
  constexpr std::string_view kPrefix = "shard_";
  if (!name.starts_with(kPrefix)) return false;
  const size_t separator = name.find('_', kPrefix.size());
  if (separator == std::string_view::npos) return false;
  const auto parse = [](std::string_view digits, uint32_t* value) {
    return std::from_chars(digits.data(), digits.data() + digits.size(), *value, 16).ec ==
           std::errc();
  };
  uint32_t parsed_id;
  uint32_t parsed_generation;
  if (!parse(name.substr(kPrefix.size(), separator - kPrefix.size()), &parsed_id)) return false;
  if (!parse(name.substr(separator + 1), &parsed_generation)) return false;
  // Formatting again rejects everything the parser was lenient about.
  if (ShardColumnFamilyName(parsed_id, parsed_generation) != name) return false;
  *id = parsed_id;
  *generation = parsed_generation;
  return true;
}

ShardTable ShardTable::Equal(int shards) {
  assert(shards >= 1 && shards <= kMaxInitialShards);
  std::vector<ShardInfo> infos(static_cast<size_t>(shards));
  for (int i = 0; i < shards; ++i) {
    infos[i].id = static_cast<uint32_t>(i);
    infos[i].slots = {{static_cast<uint16_t>(kSlotCount * i / shards),
                       static_cast<uint16_t>(kSlotCount * (i + 1) / shards - 1)}};
  }
  ShardTable table;
  const Status status = Create(std::move(infos), &table);
  assert(status.ok());
  (void)status;
  return table;
}

Status ShardTable::Create(std::vector<ShardInfo> shards, ShardTable* out) {
  if (shards.empty()) return Invalid("no shards");
  if (shards.size() > kSlotCount) return Invalid("more shards than slots");
  std::vector<uint16_t> index_of_slot(kSlotCount, kUnowned);
  std::unordered_set<uint32_t> ids;
  int owned = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    ShardInfo& shard = shards[i];
    const std::string name = "shard " + std::to_string(shard.id);
    if (!ids.insert(shard.id).second) return Invalid(name + " appears twice");
    if (shard.slots.empty()) return Invalid(name + " owns no slot");
    for (const SlotRange& range : shard.slots) {
      if (range.first > range.last || range.last >= kSlotCount) {
        return Invalid(name + " has an impossible slot range");
      }
      for (int slot = range.first; slot <= range.last; ++slot) {
        if (index_of_slot[slot] != kUnowned) {
          return Invalid("slot " + std::to_string(slot) + " has two owners");
        }
        index_of_slot[slot] = static_cast<uint16_t>(i);
      }
      owned += range.last - range.first + 1;
    }
    Normalize(&shard.slots);
  }
  if (owned != kSlotCount) {
    const auto gap = std::find(index_of_slot.begin(), index_of_slot.end(), kUnowned);
    return Invalid("slot " + std::to_string(gap - index_of_slot.begin()) + " has no owner");
  }
  out->any_frozen_ = std::any_of(shards.begin(), shards.end(),
                                 [](const ShardInfo& shard) { return shard.frozen; });
  out->shards_ = std::move(shards);
  out->index_of_slot_ = std::move(index_of_slot);
  return Status::Ok();
}

std::string ShardTable::Encode() const {
  std::string encoded(1, static_cast<char>(any_frozen_ ? kFrozenVersion : kVersion));
  PutVarint32(&encoded, static_cast<uint32_t>(shards_.size()));
  for (const ShardInfo& shard : shards_) {
    PutVarint32(&encoded, shard.id);
    PutVarint32(&encoded, shard.generation);
    if (any_frozen_) encoded.push_back(shard.frozen ? 1 : 0);
    PutVarint32(&encoded, static_cast<uint32_t>(shard.slots.size()));
    for (const SlotRange& range : shard.slots) {
      PutVarint32(&encoded, range.first);
      PutVarint32(&encoded, static_cast<uint32_t>(range.last - range.first));
    }
  }
  PutFixed32(&encoded, Crc32c(encoded));
  return encoded;
}

Status ShardTable::Decode(std::string_view encoded, ShardTable* out) {
  if (encoded.size() < 1 + sizeof(uint32_t)) return Corrupt("too short");
  // The checksum comes first: a damaged version byte is damage, not a newer format.
  const std::string_view body = encoded.substr(0, encoded.size() - sizeof(uint32_t));
  if (DecodeFixed32(body.data() + body.size()) != Crc32c(body)) {
    return Corrupt("checksum does not match");
  }
  const auto version = static_cast<uint8_t>(body[0]);
  if (version != kVersion && version != kFrozenVersion) {
    return {Code::kFormatVersion,
            "shard table: version " + std::to_string(version) + " is not known"};
  }

  const char* p = body.data() + 1;
  const char* const limit = body.data() + body.size();
  // Counts are checked against the slots before anything is allocated by them.
  const auto read_count = [&p, limit](uint32_t* count) {
    p = GetVarint32(p, limit, count);
    return p != nullptr && *count >= 1 && *count <= kSlotCount;
  };
  uint32_t shard_count;
  if (!read_count(&shard_count)) return Corrupt("bad number of shards");
  std::vector<ShardInfo> shards(shard_count);
  for (ShardInfo& shard : shards) {
    uint32_t range_count;
    if ((p = GetVarint32(p, limit, &shard.id)) == nullptr) return Corrupt("bad shard id");
    if ((p = GetVarint32(p, limit, &shard.generation)) == nullptr) {
      return Corrupt("bad generation");
    }
    if (version == kFrozenVersion) {
      if (p == limit || static_cast<uint8_t>(*p) > 1) return Corrupt("bad state of a shard");
      shard.frozen = *p++ != 0;
    }
    if (!read_count(&range_count)) return Corrupt("bad number of slot ranges");
    for (uint32_t i = 0; i < range_count; ++i) {
      uint32_t first;
      uint32_t length;
      if ((p = GetVarint32(p, limit, &first)) == nullptr ||
          (p = GetVarint32(p, limit, &length)) == nullptr || first >= kSlotCount ||
          length >= kSlotCount - first) {
        return Corrupt("bad slot range");
      }
      shard.slots.push_back({static_cast<uint16_t>(first), static_cast<uint16_t>(first + length)});
    }
  }
  if (p != limit) return Corrupt("bytes left over");

  const Status status = Create(std::move(shards), out);
  if (!status.ok()) return {Code::kCorruption, std::string(status.message())};
  return Status::Ok();
}

int ShardTable::IndexOfId(uint32_t id) const {
  for (size_t i = 0; i < shards_.size(); ++i) {
    if (shards_[i].id == id) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace thermocline
