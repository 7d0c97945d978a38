// Every option of the engine, with its unit and default.
//
// Purpose: one plain struct that the binding fills and the engine reads. Validation of types and
// names happens in lib/options.ts; Validate() here checks what only the engine can know.
// Thread safety: a value type, never changed after the engine has opened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/compression.h"
#include "engine/shard/activity.h"
#include "engine/shard/reshard_plan.h"
#include "engine/status.h"
#include "engine/tier/tier.h"

namespace rocksdb {
class Env;
class Statistics;
}  // namespace rocksdb

namespace thermocline {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;
inline constexpr size_t kGiB = 1024 * kMiB;

// Limits of a record. Keys are routed, hashed and compared on every operation, so they stay small;
// a value must fit a WriteBatch (4 GiB) together with its group.
inline constexpr size_t kMaxKeyBytes = 64 * kKiB;
inline constexpr size_t kMaxValueBytes = 1 * kGiB;

// Upper bounds of what the engine keeps in memory; all in bytes.
struct MemoryBudget {
  size_t hot_cache = 64 * kMiB;      // record cache (cache/hot_cache.h); 0 turns it off
  size_t block_cache = 128 * kMiB;   // RocksDB blocks, indexes and filters of all shards
  size_t write_buffer = 128 * kMiB;  // memtables of all shards together
  size_t prefetch = 16 * kMiB;       // what predictive prefetch has learned, where it is asked for
};

// Far above any machine; RocksDB's cache dies on budgets that no address space holds.
inline constexpr size_t kMaxMemoryBytes = 1024 * kGiB;

struct ThreadOptions {
  int read = 0;         // point reads and cursors; 0: one per processor, at most 8
  int background = 0;   // flushes and compactions; 0: one per processor, 2 to 8
  int maintenance = 1;  // work that nobody waits for (metrics/work.h)
};

// The change feed (feed/change_feed.h): whether the log is kept for it, and how much of it.
struct ChangesOptions {
  enum class State : uint8_t { kAsBefore, kOff, kOn };
  State state = State::kAsBefore;  // as the database was last opened; a new one has no feed
  // A log file goes once it is older, or once there are more bytes; 0: no such bound. With neither
  // the default number of bytes is kept.
  uint64_t retain_bytes = 0;
  uint64_t retain_ms = 0;

  bool on() const { return state == State::kOn; }
};
inline constexpr uint64_t kDefaultRetainBytes = 1 * kGiB;

// Shards in an archive (snapshot/shard_freezer.h).
struct FreezeOptions {
  bool automatic = false;  // shards whose temperature is frozen are frozen without being asked
  bool thaw_on_access =
      false;  // reads thaw what they need; else they are refused. Writes always do
};

struct EngineOptions {
  bool create_if_missing = true;
  bool error_if_exists = false;
  bool read_only = false;
  int shards = 0;  // 0: the database's own number, or kDefaultShards for a new one; 1 to 256
  MemoryBudget memory;
  ThreadOptions threads;
  Compression compression;  // of tables written from now on
  TemperatureAges temperature_ages;
  AutoSplit auto_split;  // off
  FreezeOptions freeze;

  // No write-ahead log at all: fixed when the database is created. If log_given, opening one that
  // was created otherwise is refused; else it is opened as it was created.
  bool without_log = false;
  bool log_given = false;

  // Reads records ahead that are likely asked for next (cache/sequence_prefetcher.h).
  bool prefetch_sequence = false;
  // Whether that rests while it does not pay. False: for tests, which have no disk to wait for.
  bool prefetch_rests = true;

  // Write path. Bytes are counted as packed by the caller.
  size_t min_group_bytes = 64 * kKiB;  // the target size of a WriteBatch adapts between these two;
  size_t max_group_bytes = 4 * kMiB;   // a larger commit goes alone
  uint64_t commit_window_nanos = 0;    // how long a group may wait for company
  size_t transaction_memory_bytes = 64 * kMiB;  // recent writes kept while transactions are open
  size_t hard_in_flight_bytes = 512 * kMiB;     // above: writes are refused with ERR_BACKPRESSURE

  ChangesOptions changes;

  // Which colder tiers there are, and what each tier's store is like (tier/tier.h).
  TiersOptions tiers;

  // Recover the log up to its first damage instead of refusing to open. The engine sets it itself
  // if the machine was booted since the database was last open and not closed; see HotDbOptions.
  bool after_power_loss = false;

  // How many of the slowest operations are kept, and how much of their keys. 0: none.
  size_t slow_operations = 0;
  size_t slow_key_prefix_bytes = 16;

  // Files and clocks of the stores; not owned. Null: the operating system's. Tests inject faults.
  rocksdb::Env* env = nullptr;
  // RocksDB's tickers; null, as they cost every read a little: none are kept. Benchmarks count with
  // them what a lookup asked of memory and disk.
  std::shared_ptr<rocksdb::Statistics> statistics;
  // Makes them, for every store of its own.
  bool tickers = false;
};

inline constexpr int kDefaultShards = 4;
inline constexpr int kMaxShards = 256;

// Named starting points; single options override them.
//   balanced    64 MiB hot cache, 128 MiB block cache, 128 MiB write buffer
//   production  512 MiB / 1 GiB / 256 MiB: a server with memory of its own
//   bulk-load   no hot cache / 64 MiB / 512 MiB: fewer, larger flushes
//   low-memory  4 / 8 / 8 MiB
// and each of them the default compression.
// Returns ERR_INVALID_ARGUMENT for an unknown name.
Status ApplyPreset(std::string_view name, EngineOptions* options);

// Checks ranges and fills the automatic values (threads).
Status Finish(EngineOptions* options);

}  // namespace thermocline
