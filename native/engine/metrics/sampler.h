// The thread that takes a point of the metrics' history every second, for the first time after one,
// and with it what is too slow to ask for on a caller's thread.
//
// Thread safety: Stop by one thread; idempotent. No exception leaves `sample`: it must not throw.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace thermocline {

class MetricsSampler {
 public:
  explicit MetricsSampler(std::function<void()> sample);
  ~MetricsSampler() { Stop(); }
  MetricsSampler(const MetricsSampler&) = delete;
  MetricsSampler& operator=(const MetricsSampler&) = delete;

  void Stop();

 private:
  void Run();

  const std::function<void()> sample_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // GUARDED_BY(mutex_)
  std::thread thread_;
};

}  // namespace thermocline
