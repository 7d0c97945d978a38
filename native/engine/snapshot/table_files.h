// Table files on their way between a store and a folder.
//
// RocksDB never changes a table, it only deletes it. So a hard link is as good as a copy, and where
// the file system allows none a copy is made.
//
// Thread safety: all functions from any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "engine/platform/start_gate.h"
#include "engine/status.h"

namespace thermocline {

// A long task's progress, and the caller's hold on it. Thread safety: all members from any thread.
struct SnapshotControl {
  std::atomic<bool> aborted{false};
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> total_bytes{0};
  StartGate gate;  // of a task that waits for a thread
  // Asked now and then; null: never. True ends the task like `aborted`. Set before the task runs.
  std::function<bool()> closing;

  bool stopped() const { return aborted.load(std::memory_order_relaxed) || (closing && closing()); }
};

// For those who wait. Null: never. REQUIRES: `control` outlives it.
inline std::function<bool()> StoppedBy(const SnapshotControl* control) {
  if (control == nullptr) return nullptr;
  return [control] { return control->stopped(); };
}

inline Status Stopped(const SnapshotControl* control) {
  if (control == nullptr || !control->stopped()) return {};
  return {Code::kAborted, "the operation was aborted"};
}

// Makes `to` from `from`; *linked says whether without copying. Does not sync.
// ERR_ABORTED between two pieces, and then `to` is not there.
Status LinkOrCopy(const std::string& from, const std::string& to, const SnapshotControl* control,
                  bool* linked);

// Reads the whole file. Adds to control->bytes. ERR_CORRUPTION if it is not `size` bytes long.
Status ChecksumFile(const std::string& path, uint64_t size, SnapshotControl* control,
                    uint32_t* crc);

// Runs fn(0) to fn(count - 1) on as many threads, up to `threads`; the first error, after which no
// further call begins.
Status InParallel(size_t count, size_t threads, const std::function<Status(size_t)>& fn);

}  // namespace thermocline
