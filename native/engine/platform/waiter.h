// A call that is made once: when what a reader waits for is there, wherever that is first.
//
// Thread safety: Fire and fired from any thread. Ownership: shared by all that may fire it.
#pragma once

#include <atomic>
#include <functional>
#include <utility>

namespace thermocline {

class Waiter {
 public:
  explicit Waiter(std::function<void()> call) : call_(std::move(call)) {}
  // The function runs once, on whichever thread comes first. It must not block.
  void Fire() {
    if (!fired_.exchange(true, std::memory_order_acq_rel)) call_();
  }
  bool fired() const { return fired_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> fired_{false};
  const std::function<void()> call_;
};

}  // namespace thermocline
