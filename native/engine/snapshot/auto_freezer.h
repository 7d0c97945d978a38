// Freezes shards whose temperature is frozen, as the option freeze.automatic says: a thread that
// looks at them now and then. What fails is tried again at the next look; its reason shows in
// trouble(). An empty shard is left alone.
//
// Thread safety: Stop by one thread, trouble from any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/shard/report.h"
#include "engine/snapshot/shard_freezer.h"

namespace thermocline {

// The shards to freeze, by id: live, frozen by temperature, and not empty.
std::vector<uint32_t> ShardsToFreeze(const std::vector<ShardReport>& shards);

class AutoFreezer {
 public:
  struct Dependencies {
    uint64_t look_ms = 0;  // between two looks
    std::function<std::vector<ShardReport>()> shards;
    ShardFreezer* freezer = nullptr;
  };

  // A minute, or less if shards are frozen within minutes.
  static uint64_t LookMs(const TemperatureAges& ages);

  explicit AutoFreezer(Dependencies dependencies);
  ~AutoFreezer() { Stop(); }
  AutoFreezer(const AutoFreezer&) = delete;
  AutoFreezer& operator=(const AutoFreezer&) = delete;

  // Aborts a freeze that is running, then joins the thread. Idempotent.
  void Stop();
  // Why the last freeze failed; empty: it did not.
  std::string trouble();

 private:
  void Run();
  void LookOnce();
  bool stopping();

  const Dependencies deps_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // GUARDED_BY(mutex_)
  std::string trouble_;    // GUARDED_BY(mutex_)
  std::thread thread_;     // last: it runs over all the members above
};

}  // namespace thermocline
