#include "engine/metrics/slow_log.h"

#include <algorithm>
#include <utility>

#include "engine/platform/time.h"

namespace thermocline {

namespace {

bool Slower(const SlowOperation& a, const SlowOperation& b) {
  return a.total_nanos > b.total_nanos;
}

}  // namespace

void SlowLog::Add(SlowOperation operation) {
  operation.ended_ms = SystemMillis();
  std::lock_guard lock(mutex_);
  if (kept_.size() == keep_) {
    if (operation.total_nanos <= kept_.front().total_nanos) return;
    std::pop_heap(kept_.begin(), kept_.end(), Slower);
    kept_.pop_back();
  }
  kept_.push_back(std::move(operation));
  std::push_heap(kept_.begin(), kept_.end(), Slower);
  if (kept_.size() == keep_) {
    floor_.store(kept_.front().total_nanos, std::memory_order_relaxed);
  }
}

std::vector<SlowOperation> SlowLog::Snapshot() const {
  std::vector<SlowOperation> operations;
  {
    std::lock_guard lock(mutex_);
    operations = kept_;
  }
  std::sort(operations.begin(), operations.end(), Slower);
  return operations;
}

void SlowLog::Clear() {
  std::lock_guard lock(mutex_);
  kept_.clear();
  floor_.store(0, std::memory_order_relaxed);
}

}  // namespace thermocline
