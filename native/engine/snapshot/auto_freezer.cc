#include "engine/snapshot/auto_freezer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/platform/thread_pool.h"

namespace thermocline {

namespace {

constexpr int kNice = 10;
constexpr uint64_t kMaxLookMs = 60'000;
constexpr uint64_t kMinLookMs = 50;

}  // namespace

std::vector<uint32_t> ShardsToFreeze(const std::vector<ShardReport>& shards) {
  std::vector<uint32_t> ids;
  for (const ShardReport& shard : shards) {
    if (shard.info.frozen || shard.temperature != Temperature::kFrozen || shard.empty) continue;
    ids.push_back(shard.info.id);
  }
  return ids;
}

uint64_t AutoFreezer::LookMs(const TemperatureAges& ages) {
  return std::clamp(ages.cold_ms / 4, kMinLookMs, kMaxLookMs);
}

AutoFreezer::AutoFreezer(Dependencies dependencies) : deps_(std::move(dependencies)) {
  thread_ = std::thread([this] { Run(); });
}

void AutoFreezer::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::string AutoFreezer::trouble() {
  std::lock_guard lock(mutex_);
  return trouble_;
}

bool AutoFreezer::stopping() {
  std::lock_guard lock(mutex_);
  return stopping_;
}

void AutoFreezer::Run() {
  NameThisThread("tc-freeze");
  LowerThisThread(kNice);
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    LookOnce();
    lock.lock();
    wake_.wait_for(lock, std::chrono::milliseconds(deps_.look_ms), [this] { return stopping_; });
  }
}

void AutoFreezer::LookOnce() {
  std::string trouble;
  for (const uint32_t id : ShardsToFreeze(deps_.shards())) {
    if (stopping()) return;
    SnapshotControl control;
    control.closing = [this] { return stopping(); };
    const Status status = deps_.freezer->Freeze(id, &control);
    if (!status.ok()) trouble = std::string(status.message());
  }
  std::lock_guard lock(mutex_);
  trouble_ = std::move(trouble);
}

}  // namespace thermocline
