// Waiting for a lock that may be held for long, as long as the caller wants to.
//
// Thread safety: from any thread. Rejected: a condition variable beside the mutex; whoever holds
// the lock would have to know of those who wait.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>

#include "engine/status.h"

namespace thermocline {

inline constexpr std::chrono::milliseconds kLockPause{20};

// *lock holds the mutex on OK; ERR_ABORTED once `stopped`, asked every kLockPause, says so. Null
// never does.
inline Status LockUnless(const std::function<bool()>& stopped, std::timed_mutex& mutex,
                         std::unique_lock<std::timed_mutex>* lock) {
  *lock = std::unique_lock(mutex, std::defer_lock);
  if (!stopped) {
    lock->lock();
    return {};
  }
  do {
    if (stopped()) return {Code::kAborted, "the operation was aborted"};
  } while (!lock->try_lock_for(kLockPause));
  return {};
}

}  // namespace thermocline
