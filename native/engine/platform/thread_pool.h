// A fixed set of named threads that run queued tasks in order.
//
// Thread safety: Post may be called from any thread. Shutdown (or the destructor) runs what is
// already queued, then joins; it must not be called from a pool thread.
// Invariant: no exception leaves a task (Post takes noexcept work; a throw ends the process with
// a message rather than unwinding into RocksDB or Node).
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace thermocline {

class ThreadPool {
 public:
  ThreadPool(std::string name, int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void Post(std::function<void()> task);
  void Shutdown();
  int threads() const { return static_cast<int>(threads_.size()); }

 private:
  void Run(const std::string& name);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;  // GUARDED_BY(mutex_)
  int idle_ = 0;                             // GUARDED_BY(mutex_)
  bool stopping_ = false;                    // GUARDED_BY(mutex_)

  std::vector<std::thread> threads_;  // written by the constructor and Shutdown alone
};

// Names the calling thread as debuggers and top show it (15 characters at most).
void NameThisThread(const std::string& name);

}  // namespace thermocline
