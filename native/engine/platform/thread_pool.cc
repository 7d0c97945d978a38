#include "engine/platform/thread_pool.h"

#include <pthread.h>

#include <utility>

namespace thermocline {

void NameThisThread(const std::string& name) {
#ifdef __APPLE__
  pthread_setname_np(name.substr(0, 15).c_str());
#else
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
#endif
}

ThreadPool::ThreadPool(std::string name, int threads) {
  threads_.reserve(static_cast<size_t>(threads));
  for (int i = 0; i < threads; i++) {
    threads_.emplace_back([this, name] { Run(name); });
  }
}

ThreadPool::~ThreadPool() { Shutdown(); }

void ThreadPool::Post(std::function<void()> task) {
  bool wake;
  {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
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

void ThreadPool::Run(const std::string& name) {
  NameThisThread(name);
  std::unique_lock lock(mutex_);
  for (;;) {
    while (tasks_.empty() && !stopping_) {
      idle_++;
      wake_.wait(lock);
      idle_--;
    }
    if (tasks_.empty()) return;
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    [&]() noexcept { task(); }();
    task = nullptr;  // what it owned is released outside the lock
    lock.lock();
  }
}

}  // namespace thermocline
