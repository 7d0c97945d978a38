// A place in the code under test where a test can hold whoever comes.
//
// Thread safety: all methods from any thread.
#pragma once

#include <condition_variable>
#include <mutex>

namespace thermocline::test {

class Gate {
 public:
  void Hold() {
    std::lock_guard lock(mutex_);
    held_ = true;
  }
  void Release() {
    std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  // Waits until so many stand inside.
  void AwaitVisitors(int visitors = 1) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return inside_ >= visitors; });
  }
  void Pass() {
    std::unique_lock lock(mutex_);
    inside_++;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
    inside_--;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  int inside_ = 0;
};

}  // namespace thermocline::test
