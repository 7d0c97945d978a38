#include "engine/metrics/sampler.h"

#include <chrono>
#include <utility>

#include "engine/platform/thread_pool.h"

namespace thermocline {

MetricsSampler::MetricsSampler(std::function<void()> sample)
    : sample_(std::move(sample)), thread_([this] { Run(); }) {}

void MetricsSampler::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void MetricsSampler::Run() {
  NameThisThread("tc-metrics");
  auto next = std::chrono::steady_clock::now();
  for (;;) {
    // At a steady pace; after a pause of the machine it does not catch up.
    next += std::chrono::seconds(1);
    const auto now = std::chrono::steady_clock::now();
    if (next < now) next = now;
    {
      std::unique_lock lock(mutex_);
      if (wake_.wait_until(lock, next, [this] { return stopping_; })) return;
    }
    sample_();
  }
}

}  // namespace thermocline
