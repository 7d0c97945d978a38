// Decides once whether a task that waits for a thread begins or was cancelled before.
//
// Thread safety: both from any thread; exactly one of them succeeds, once.
#pragma once

#include <atomic>
#include <cstdint>

namespace thermocline {

class StartGate {
 public:
  // False: it was cancelled, and must not begin.
  bool Begin() { return Leave(State::kBegun); }
  // False: it has begun.
  bool Cancel() { return Leave(State::kCancelled) || state_ == State::kCancelled; }

 private:
  enum class State : uint8_t { kWaiting, kBegun, kCancelled };
  bool Leave(State to) {
    State waiting = State::kWaiting;
    return state_.compare_exchange_strong(waiting, to);
  }
  std::atomic<State> state_{State::kWaiting};
};

}  // namespace thermocline
