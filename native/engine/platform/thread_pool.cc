#include "engine/platform/thread_pool.h"

#include <pthread.h>
#ifdef __linux__
#include <sched.h>
#include <sys/resource.h>
#endif

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/platform/time.h"

namespace thermocline {

void NameThisThread(const std::string& name) {
#ifdef __APPLE__
  pthread_setname_np(name.substr(0, 15).c_str());
#else
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
#endif
}

void LowerThisThread(int nice) {
#ifdef __linux__
  if (nice <= 0) return;
  // On Linux "this process" is this thread. Raising niceness needs no privilege.
  setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + nice);
  // Nor does it interrupt whoever runs when it wakes up from a rest.
  const sched_param none{};
  (void)sched_setscheduler(0, SCHED_BATCH, &none);
#else
  (void)nice;
#endif
}

ThreadPool::ThreadPool(std::string name, int threads, ThreadPoolOptions options)
    : options_(options) {
  if (options_.metrics != nullptr) options_.metrics->threads += static_cast<uint64_t>(threads);
  threads_.reserve(static_cast<size_t>(threads));
  try {
    for (int i = 0; i < threads; i++) {
      threads_.emplace_back([this, name] { Run(name); });
    }
  } catch (...) {
    Shutdown();  // those that were started; one left unjoined would end the process
    throw;
  }
}

ThreadPool::~ThreadPool() { Shutdown(); }

void ThreadPool::Post(std::function<void()> task, Priority priority) {
  const uint64_t now = NowNanos();
  if (options_.metrics != nullptr) {
    options_.metrics->queued.fetch_add(1, std::memory_order_relaxed);
  }
  bool wake;
  {
    std::lock_guard lock(mutex_);
    tasks_[static_cast<size_t>(priority)].push_back({std::move(task), now});
    wake = idle_ > 0;
  }
  if (wake) wake_.notify_one();
}

void ThreadPool::Shutdown() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

bool ThreadPool::HasTaskLocked() const {
  return std::any_of(std::begin(tasks_), std::end(tasks_),
                     [](const std::deque<Task>& level) { return !level.empty(); });
}

ThreadPool::Task ThreadPool::TakeLocked() {
  std::deque<Task>* first = nullptr;
  uint64_t earliest = UINT64_MAX;
  for (size_t level = 0; level < kPriorities; level++) {
    if (tasks_[level].empty()) continue;
    const uint64_t deadline = tasks_[level].front().posted_nanos + level * kHeadStartNanos;
    if (deadline >= earliest) continue;
    earliest = deadline;
    first = &tasks_[level];
  }
  Task task = std::move(first->front());
  first->pop_front();
  return task;
}

void ThreadPool::Run(const std::string& name) {
  NameThisThread(name);
  LowerThisThread(options_.nice);
  WorkMetrics* const metrics = options_.metrics;
  std::unique_lock lock(mutex_);
  for (;;) {
    while (!HasTaskLocked() && !stopping_) {
      idle_++;
      wake_.wait(lock);
      idle_--;
    }
    if (!HasTaskLocked()) return;
    Task task = TakeLocked();
    lock.unlock();
    const uint64_t began = NowNanos();
    if (metrics != nullptr) {
      metrics->queued.fetch_sub(1, std::memory_order_relaxed);
      metrics->running.fetch_add(1, std::memory_order_relaxed);
      metrics->wait_nanos.Record(began - task.posted_nanos);
    }
    [&]() noexcept { task.run(); }();
    task.run = nullptr;  // what it owned is released outside the lock
    if (metrics != nullptr) {
      metrics->run_nanos.Record(NowNanos() - began);
      metrics->running.fetch_sub(1, std::memory_order_relaxed);
      metrics->tasks.Add();
    }
    lock.lock();
  }
}

}  // namespace thermocline
