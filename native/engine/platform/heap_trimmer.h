// Gives freed memory back to the system while the process rests.
//
// Results are Buffers that V8 frees in bursts, and memtables that flushes free: malloc keeps both,
// scattered, for the next allocation of the same kind, which may never come. Trimming walks all of
// malloc and holds its locks meanwhile, up to milliseconds for each 10 MiB, so it must not happen
// while anybody works.
//
// Steps: one thread looks once a second, and ten times a second once the resident size has grown by
// kGrowthBytes since the last trim. A look that finds that the whole process used less than a tenth
// of one processor since the look before trims. A process whose size is steady never trims again.
//
// Thread safety: all methods of HeapTrimmer from any thread; TrimPolicy belongs to one thread.
// Ownership: one for each process, for malloc is the process's; the thread lives while a database
// is open. Where malloc cannot trim (anything but glibc) there is no thread.
//
// Alternative rejected: trimming after each flush. It stops the committer, which is at work then.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace thermocline {

struct TrimSample {
  uint64_t now_nanos = 0;
  uint64_t processor_nanos = 0;  // of all threads, since the process began
  uint64_t resident_bytes = 0;
};

// When to trim: pure, so that it can be tested without a clock.
class TrimPolicy {
 public:
  static constexpr uint64_t kGrowthBytes = 32u << 20;
  static constexpr uint64_t kWatchNanos = 1'000'000'000;  // between looks, and least between trims
  static constexpr uint64_t kArmedNanos = 100'000'000;    // between looks, once there is a reason
  static constexpr uint64_t kBusyPart = 10;               // busy: used 1/10 of one processor

  explicit TrimPolicy(const TrimSample& first)
      : last_(first), floor_bytes_(first.resident_bytes), trimmed_nanos_(first.now_nanos) {}

  // Whether to trim now.
  bool Look(const TrimSample& sample);
  // After a trim.
  void Trimmed(const TrimSample& sample);
  // Until the next look.
  uint64_t PauseNanos() const { return armed_ ? kArmedNanos : kWatchNanos; }

 private:
  TrimSample last_;
  uint64_t floor_bytes_;  // the least since the last trim
  uint64_t trimmed_nanos_;
  bool armed_ = false;
};

class HeapTrimmer {
 public:
  HeapTrimmer() = default;
  ~HeapTrimmer();  // REQUIRES: every Begin had its End.
  HeapTrimmer(const HeapTrimmer&) = delete;
  HeapTrimmer& operator=(const HeapTrimmer&) = delete;

  // Once for each database that opens, and once after it has closed.
  void Begin();
  void End();
  // How often it has trimmed.
  uint64_t trims() const;

 private:
  void Run(uint64_t turn);

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  int databases_ = 0;   // GUARDED_BY(mutex_)
  uint64_t turn_ = 0;   // GUARDED_BY(mutex_): a thread ends when its turn is over
  uint64_t trims_ = 0;  // GUARDED_BY(mutex_)
  std::thread thread_;  // GUARDED_BY(mutex_)
};

}  // namespace thermocline
