// A slower disk than the one there is, for tests and benchmarks: files as usual, but every transfer
// takes the time that a stated device would take.
//
// The model: a transfer takes latency + bytes / bandwidth. The latency is spared when a read goes
// on where the last one of the same file ended. A device with one arm does one transfer at a time,
// latency included; one without does latencies side by side, and shares its bandwidth. Writes wait
// where a program would wait for a disk: at Sync, at RangeSync, and when much is not yet written.
// There is no page cache in front: every read that RocksDB's block cache does not answer pays, as
// with direct I/O. Names, sizes and deletions cost nothing.
//
// Thread safety: all methods from any thread. Ownership: the Env and the files opened through it
// share the disk; the base Env outlives them.
#pragma once

#include <rocksdb/env.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace thermocline {

struct DiskSpeed {
  uint64_t latency_nanos = 0;
  uint64_t bytes_per_second = 0;
  bool one_arm = false;
};

// What a SATA SSD and a hard disk do, roughly.
inline constexpr DiskSpeed kSataSsd{100'000, 500'000'000, false};
inline constexpr DiskSpeed kHardDisk{8'000'000, 150'000'000, true};

class SlowDisk {
 public:
  explicit SlowDisk(DiskSpeed speed) : speed_(speed) {}

  // When a transfer that begins at `now_nanos` (monotonic) ends. Takes the device's time, but does
  // not wait.
  uint64_t Schedule(uint64_t now_nanos, uint64_t bytes, bool seeks);
  // Waits for a transfer that begins now.
  void Transfer(uint64_t bytes, bool seeks);

  uint64_t seeks() const { return seeks_.load(std::memory_order_relaxed); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  const DiskSpeed speed_;
  std::mutex mutex_;
  uint64_t free_at_ = 0;  // GUARDED_BY(mutex_)
  std::atomic<uint64_t> seeks_{0};
  std::atomic<uint64_t> bytes_{0};
};

// Until a moment of the monotonic clock, within microseconds.
void SleepUntil(uint64_t nanos);

// Files under `folder` are on `disk`, all others where `base` puts them. An empty folder: all.
std::unique_ptr<rocksdb::Env> NewSlowEnv(rocksdb::Env* base, std::shared_ptr<SlowDisk> disk,
                                         std::string folder = {});

}  // namespace thermocline
