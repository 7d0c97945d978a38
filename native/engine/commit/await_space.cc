// The committer while writes are held for want of space on the hot tier's disk (tier/space_gate.h).

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>

#include "engine/commit/committer.h"

namespace thermocline {

void Committer::AwaitSpace() {
  constexpr auto kLook = std::chrono::milliseconds(10);
  while (deps_.space->state() == SpaceState::kHeld) {
    {
      std::unique_lock lock(mutex_);
      // What was accepted is written if it can be: the migrator has stopped.
      if (stopping_) return;
      for (auto& submission : queue_) taken_.push_back(std::move(submission));
      queue_.clear();
      arrived_bytes_ += std::exchange(queue_bytes_, 0);
    }
    const auto boundary =
        std::find_if(taken_.begin() + static_cast<std::ptrdiff_t>(taken_next_), taken_.end(),
                     [](const auto& next) { return next->overtakes; });
    if (boundary != taken_.end()) {
      group_.clear();
      group_.push_back(std::move(*boundary));
      taken_.erase(boundary);
      deps_.metrics->Work(WorkClass::kCommit).queued.fetch_sub(1, std::memory_order_relaxed);
      RunGroup();
      continue;
    }
    // Writes nothing, so it may go when its turn comes.
    if (taken_next_ == taken_.size() || taken_[taken_next_]->at_boundary) return;
    std::unique_lock lock(mutex_);
    if (!queue_.empty() || stopping_) continue;
    sleeping_ = true;
    wake_.wait_for(lock, kLook);
    sleeping_ = false;
    lock.unlock();
    // Whatever the migrator does: nobody waits without end.
    deps_.space->MeasureAndTell();
  }
}

}  // namespace thermocline
