// Why RocksDB slows or stops writes, and since when.
//
// Steps: RocksDB tells the listener that a column family's condition has changed, without a cause;
// the probe asks that family at once what it waits for. A stall begins when a family leaves the
// normal condition and ends when it is back there; families stall each for themselves.
//
// Thread safety: StallTracker locks its own state; StallCauseOf is pure. The probe runs under the
// tracker's lock of the probe, so that it never runs after SetProbe(nullptr) has returned.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "engine/metrics/counter.h"

namespace thermocline {

enum class StallCause : uint8_t {
  kMemtables,          // memtables are filled faster than they are flushed
  kLevel0Files,        // tables arrive faster than they are compacted
  kPendingCompaction,  // so much is to be compacted that the tree loses its shape
  kUnknown,            // it was over before it could be asked
};
inline constexpr size_t kStallCauses = 4;

// What one column family waits for.
struct StallPressure {
  uint64_t immutable_memtables = 0;
  uint64_t level0_files = 0;
  uint64_t pending_compaction_bytes = 0;
};

// Where RocksDB begins to slow writes down. 0: that cause does not exist.
struct StallLimits {
  uint64_t immutable_memtables = 0;
  uint64_t level0_files = 0;
  uint64_t pending_compaction_bytes = 0;
};

// In RocksDB's own order of precedence.
StallCause StallCauseOf(const StallPressure& pressure, const StallLimits& limits);

struct StallTotals {
  uint64_t count = 0;
  uint64_t nanos = 0;  // those that go on included
};

struct StallSnapshot {
  std::array<StallTotals, kStallCauses> by_cause;  // by StallCause
  uint64_t running = 0;                            // column families that stall now
  uint64_t oldest_nanos = 0;                       // how long the oldest of them lasts; 0: none
  StallCause oldest_cause = StallCause::kUnknown;
};

class StallTracker {
 public:
  using Probe = std::function<StallCause(const std::string& family)>;

  // Null: there is nobody to ask. Waits for a probe that is running.
  void SetProbe(Probe probe);
  // REQUIRES of both: `family` does not stall, or does, as the case may be; else they do nothing.
  // End returns how long it lasted, in *nanos.
  bool Begin(const std::string& family, uint64_t now);
  bool End(const std::string& family, uint64_t now, uint64_t* nanos);
  StallSnapshot Snapshot(uint64_t now);

 private:
  struct Running {
    StallCause cause = StallCause::kUnknown;
    uint64_t began = 0;
  };
  std::mutex probe_mutex_;
  Probe probe_;  // GUARDED_BY(probe_mutex_)

  std::mutex mutex_;
  std::map<std::string, Running> running_;         // GUARDED_BY(mutex_)
  std::array<StallTotals, kStallCauses> ended_{};  // GUARDED_BY(mutex_); counts begun ones too
};

}  // namespace thermocline
