// How the engine's threads spend their time, by class of work.
//
//   read        point reads, chunks of cursors            a pool, options.threads.read, and one
//                                                         for each colder tier
//   commit      groups of writes                          one thread (commit/committer.h)
//   fsync       syncs of the log                          one thread (commit/fsync_stage.h)
//   task        rare calls that wait: flush, estimates    a pool of two
//   background  compactions asked for, and what nobody    a pool, options.threads.maintenance,
//               waits for                                 that the system runs after the others
//
// RocksDB's flushes and compactions run on threads of its own (options.threads.background).
//
// Thread safety: as metrics.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/metrics/counter.h"
#include "engine/metrics/histogram.h"

namespace thermocline {

enum class WorkClass : uint8_t { kRead, kCommit, kFsync, kTask, kBackground };
inline constexpr size_t kWorkClasses = 5;
// By WorkClass, as statistics name them.
inline constexpr const char* kWorkClassNames[kWorkClasses] = {"read", "commit", "fsync", "task",
                                                              "background"};

struct WorkSnapshot {
  uint64_t threads = 0;
  uint64_t queued = 0;   // waiting now
  uint64_t running = 0;  // being worked on now
  uint64_t tasks = 0;    // ended
  Histogram::Snapshot wait_nanos;
  Histogram::Snapshot run_nanos;
};

struct WorkMetrics {
  std::atomic<uint64_t> threads{0};
  std::atomic<uint64_t> queued{0};
  std::atomic<uint64_t> running{0};
  Counter tasks;
  Histogram wait_nanos;
  Histogram run_nanos;

  WorkSnapshot Snapshot() const {
    return {.threads = threads.load(std::memory_order_relaxed),
            .queued = queued.load(std::memory_order_relaxed),
            .running = running.load(std::memory_order_relaxed),
            .tasks = tasks.Total(),
            .wait_nanos = wait_nanos.TakeSnapshot(),
            .run_nanos = run_nanos.TakeSnapshot()};
  }
};

}  // namespace thermocline
