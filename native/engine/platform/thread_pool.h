// A fixed set of named threads that run queued tasks.
//
// Tasks have priorities. A priority is a head start, not a rank: each level is overtaken only by
// tasks of the level above that were posted within kHeadStartNanos after it. So background work
// yields while there is other work, and still nothing starves. (Deadline scheduling, where the
// deadline is the time of posting plus the level's delay: among the heads of the levels' queues the
// earliest deadline runs.)
//
// Thread safety: Post may be called from any thread. Shutdown (or the destructor) runs what is
// already queued, then joins; it must not be called from a pool thread.
// Invariants: tasks of one priority start in the order they were posted. No exception leaves a
// task (Post takes noexcept work; a throw ends the process with a message rather than unwinding
// into RocksDB or Node).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/metrics/work.h"

namespace thermocline {

enum class Priority : uint8_t { kHigh, kNormal, kLow };
inline constexpr size_t kPriorities = 3;

struct ThreadPoolOptions {
  WorkMetrics* metrics = nullptr;  // outlives the pool; null: nothing is counted
  // Added to the threads' niceness, 0 to 19: the system runs them after others when processors are
  // scarce. Only where niceness belongs to threads (Linux).
  int nice = 0;
};

class ThreadPool {
 public:
  static constexpr uint64_t kHeadStartNanos = 20'000'000;

  // Throws std::system_error if the system gives no more threads.
  ThreadPool(std::string name, int threads, ThreadPoolOptions options = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void Post(std::function<void()> task, Priority priority = Priority::kNormal);
  void Shutdown();
  int threads() const { return static_cast<int>(threads_.size()); }

 private:
  struct Task {
    std::function<void()> run;
    uint64_t posted_nanos = 0;
  };

  void Run(const std::string& name);
  bool HasTaskLocked() const;
  // REQUIRES: HasTaskLocked().
  Task TakeLocked();

  const ThreadPoolOptions options_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_[kPriorities];  // GUARDED_BY(mutex_)
  int idle_ = 0;                         // GUARDED_BY(mutex_)
  bool stopping_ = false;                // GUARDED_BY(mutex_)

  std::vector<std::thread> threads_;  // written by the constructor and Shutdown alone
};

// Names the calling thread as debuggers and top show it (15 characters at most).
void NameThisThread(const std::string& name);
// Adds to the calling thread's niceness, see ThreadPoolOptions, and makes it a batch thread: one
// that interrupts nobody when it wakes up.
void LowerThisThread(int nice);

}  // namespace thermocline
