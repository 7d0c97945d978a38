#include "engine/shard/activity.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/record/coding.h"

namespace thermocline {

namespace {

constexpr uint8_t kVersion = 1;

Status Corrupt() { return {Code::kCorruption, "the shards' times are damaged"}; }

}  // namespace

void ShardActivity::Rate::Add(uint64_t count, uint64_t now_ms) {
  value = At(now_ms) * kRateSeconds + static_cast<double>(count);
  stamp_ms = std::max(stamp_ms, now_ms);
  total += count;
}

double ShardActivity::Rate::At(uint64_t now_ms) const {
  if (now_ms <= stamp_ms) return value / kRateSeconds;
  const double seconds = static_cast<double>(now_ms - stamp_ms) / 1000;
  return value * std::exp(-seconds / kRateSeconds) / kRateSeconds;
}

void ShardActivity::Rate::Join(const Rate& other, double share, uint64_t now_ms) {
  value = (At(now_ms) + share * other.At(now_ms)) * kRateSeconds;
  stamp_ms = now_ms;
  total += static_cast<uint64_t>(share * static_cast<double>(other.total));
}

ShardActivity::ShardActivity(size_t shards) : cells_(shards) {
  for (auto& cell : cells_) cell = std::make_shared<Cell>();
}

ShardActivity::ShardActivity(const ShardActivity& before, const ShardTable& table_before,
                             const ShardTable& table, const std::vector<double>& share,
                             uint64_t now_ms) {
  const auto overlap = [](const ShardInfo& a, const ShardInfo& b) {
    for (const SlotRange& one : a.slots) {
      for (const SlotRange& other : b.slots) {
        if (one.first <= other.last && other.first <= one.last) return true;
      }
    }
    return false;
  };
  for (size_t i = 0; i < table.shards().size(); i++) {
    const ShardInfo& shard = table.shards()[i];
    const int kept = table_before.IndexOfId(shard.id);
    if (kept >= 0 && table_before.shards()[static_cast<size_t>(kept)] == shard) {
      cells_.push_back(before.cells_[static_cast<size_t>(kept)]);
      continue;
    }
    auto cell = std::make_shared<Cell>();
    cell->created_ms = now_ms;
    for (size_t j = 0; j < table_before.shards().size(); j++) {
      if (!overlap(shard, table_before.shards()[j])) continue;
      const Cell& source = *before.cells_[j];
      std::lock_guard lock(source.mutex);
      cell->reads.Join(source.reads, share[i], now_ms);
      cell->writes.Join(source.writes, share[i], now_ms);
      cell->last_access_ms = std::max(cell->last_access_ms, source.last_access_ms);
    }
    cells_.push_back(std::move(cell));
  }
}

void ShardActivity::Read(size_t shard, uint64_t records, uint64_t now_ms) {
  Cell& cell = *cells_[shard];
  std::lock_guard lock(cell.mutex);
  cell.reads.Add(records, now_ms);
  cell.last_access_ms = std::max(cell.last_access_ms, now_ms);
}

void ShardActivity::Write(size_t shard, uint64_t records, uint64_t now_ms) {
  Cell& cell = *cells_[shard];
  std::lock_guard lock(cell.mutex);
  cell.writes.Add(records, now_ms);
  cell.last_access_ms = std::max(cell.last_access_ms, now_ms);
}

ShardActivity::Snapshot ShardActivity::Get(size_t shard, uint64_t now_ms) const {
  const Cell& cell = *cells_[shard];
  std::lock_guard lock(cell.mutex);
  return {cell.created_ms,   cell.last_access_ms,   cell.reads.total,
          cell.writes.total, cell.reads.At(now_ms), cell.writes.At(now_ms)};
}

void ShardActivity::SetCreated(uint64_t now_ms) {
  for (const auto& cell : cells_) {
    std::lock_guard lock(cell->mutex);
    cell->created_ms = now_ms;
  }
}

std::string ShardActivity::Encode(const ShardTable& table) const {
  std::string encoded(1, static_cast<char>(kVersion));
  PutVarint32(&encoded, static_cast<uint32_t>(cells_.size()));
  for (size_t i = 0; i < cells_.size(); i++) {
    const Cell& cell = *cells_[i];
    std::lock_guard lock(cell.mutex);
    PutVarint32(&encoded, table.shards()[i].id);
    PutVarint32(&encoded, table.shards()[i].generation);
    PutFixed64(&encoded, cell.created_ms);
    PutFixed64(&encoded, cell.last_access_ms);
  }
  return encoded;
}

Status ShardActivity::Decode(std::string_view encoded, const ShardTable& table) {
  if (encoded.empty() || static_cast<uint8_t>(encoded[0]) != kVersion) return Corrupt();
  const char* p = encoded.data() + 1;
  const char* const limit = encoded.data() + encoded.size();
  uint32_t count = 0;
  p = GetVarint32(p, limit, &count);
  for (uint32_t i = 0; i < count && p != nullptr; i++) {
    uint32_t id = 0;
    uint32_t generation = 0;
    p = GetVarint32(p, limit, &id);
    if (p != nullptr) p = GetVarint32(p, limit, &generation);
    if (p == nullptr || limit - p < 16) return Corrupt();
    const uint64_t created = DecodeFixed64(p);
    const uint64_t last_access = DecodeFixed64(p + 8);
    p += 16;
    const int index = table.IndexOfId(id);
    if (index < 0 || table.shards()[static_cast<size_t>(index)].generation != generation) continue;
    Cell& cell = *cells_[static_cast<size_t>(index)];
    std::lock_guard lock(cell.mutex);
    cell.created_ms = created;
    cell.last_access_ms = std::max(cell.last_access_ms, last_access);
  }
  return p == limit ? Status() : Corrupt();
}

Temperature TemperatureOf(uint64_t idle_ms, const TemperatureAges& ages) {
  if (idle_ms <= ages.hot_ms) return Temperature::kHot;
  if (idle_ms <= ages.warm_ms) return Temperature::kWarm;
  return idle_ms <= ages.cold_ms ? Temperature::kCold : Temperature::kFrozen;
}

}  // namespace thermocline
