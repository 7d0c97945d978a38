// When and how often each shard is read and written.
//
// Purpose: what tells a busy shard from one that nobody uses, without a disk access and at a cost
// that point reads do not notice. Reads that miss the hot cache and all writes are counted; hits of
// the hot cache are sampled, one in kHitSample counting for all, because finding a key's shard
// costs as much as a hit. A record read so seldom that its hits are never sampled is one that its
// misses do not tell of either only as long as it stays cached.
//
// Rates are decaying counts: each event counts e^(-age / kRateSeconds). They follow a change within
// a minute or so.
//
// Thread safety: all methods from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/shard/shard_table.h"
#include "engine/status.h"

namespace thermocline {

class ShardActivity {
 public:
  static constexpr uint32_t kHitSample = 64;
  static constexpr double kRateSeconds = 60;

  struct Snapshot {
    uint64_t created_ms = 0;      // Unix; 0: before this was recorded
    uint64_t last_access_ms = 0;  // Unix; 0: never
    uint64_t reads = 0;           // records, since the database was opened
    uint64_t writes = 0;
    double reads_per_second = 0;
    double writes_per_second = 0;
  };

  // One cell per shard of the table, in its order.
  explicit ShardActivity(size_t shards);

  // For a table that was made from another one by splitting or merging. Shards that have kept their
  // generation share their cell with the other. The others were created now, and their counts and
  // rates are the sums of `share[i]` of those they were made from, by their index in `table`.
  ShardActivity(const ShardActivity& before, const ShardTable& table_before,
                const ShardTable& table, const std::vector<double>& share, uint64_t now_ms);

  void Read(size_t shard, uint64_t records, uint64_t now_ms);
  void Write(size_t shard, uint64_t records, uint64_t now_ms);
  Snapshot Get(size_t shard, uint64_t now_ms) const;

  // Of shards that have just been created.
  void SetCreated(uint64_t now_ms);

  // The times of all shards, for the meta column family: u8 version (1), varint32 shards, per shard
  // varint32 id, varint32 generation, fixed64 created, fixed64 last access.
  std::string Encode(const ShardTable& table) const;
  // Takes over the times of those generations that `table` has. ERR_CORRUPTION.
  Status Decode(std::string_view encoded, const ShardTable& table);

 private:
  struct Rate {
    double value = 0;  // decayed count at stamp_ms
    uint64_t stamp_ms = 0;
    uint64_t total = 0;

    void Add(uint64_t count, uint64_t now_ms);
    double At(uint64_t now_ms) const;
    void Join(const Rate& other, double share, uint64_t now_ms);
  };
  struct alignas(64) Cell {
    mutable std::mutex mutex;
    Rate reads;                   // GUARDED_BY(mutex)
    Rate writes;                  // GUARDED_BY(mutex)
    uint64_t created_ms = 0;      // GUARDED_BY(mutex)
    uint64_t last_access_ms = 0;  // GUARDED_BY(mutex)
  };

  std::vector<std::shared_ptr<Cell>> cells_;  // constant
};

enum class Temperature : uint8_t { kHot, kWarm, kCold, kFrozen };

// The longest time since the last access for each temperature, in milliseconds; beyond: frozen.
struct TemperatureAges {
  uint64_t hot_ms = 24ull * 3600 * 1000;
  uint64_t warm_ms = 7 * 24ull * 3600 * 1000;
  uint64_t cold_ms = 30 * 24ull * 3600 * 1000;
};

Temperature TemperatureOf(uint64_t idle_ms, const TemperatureAges& ages);

}  // namespace thermocline
