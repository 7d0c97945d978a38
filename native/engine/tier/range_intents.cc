#include "engine/tier/range_intents.h"

#include <algorithm>
#include <utility>

namespace thermocline {

std::shared_ptr<RangeIntent> RangeIntents::Add(std::string key, RangeIntentRecord range,
                                               uint64_t before) {
  auto intent = std::make_shared<RangeIntent>();
  intent->key = std::move(key);
  intent->range = std::move(range);
  intent->before = before;
  std::lock_guard lock(mutex_);
  intents_.push_back(intent);
  count_.store(intents_.size(), std::memory_order_release);
  return intent;
}

void RangeIntents::Written(RangeIntent* intent, uint64_t sequence) {
  intent->written_by.store(sequence, std::memory_order_release);
}

void RangeIntents::Withdraw(const std::shared_ptr<RangeIntent>& intent) {
  std::lock_guard lock(mutex_);
  std::erase(intents_, intent);
  count_.store(intents_.size(), std::memory_order_release);
}

void RangeIntents::Recover(std::string key, RangeIntentRecord range) {
  const auto intent = Add(std::move(key), std::move(range), 0);
  Written(intent.get(), 0);
}

void RangeIntents::Clear(const List& applied) {
  std::lock_guard lock(mutex_);
  std::erase_if(intents_, [&](const auto& intent) {
    return std::find(applied.begin(), applied.end(), intent) != applied.end();
  });
  count_.store(intents_.size(), std::memory_order_release);
}

RangeIntents::List RangeIntents::Pending() const {
  List list;
  std::lock_guard lock(mutex_);
  for (const auto& intent : intents_) {
    if (intent->written_by.load(std::memory_order_acquire) != UINT64_MAX) list.push_back(intent);
  }
  return list;
}

RangeIntents::List RangeIntents::At(
    uint64_t sequence, const std::function<bool(const std::string& key)>& in_meta) const {
  List list;
  std::lock_guard lock(mutex_);
  for (const auto& intent : intents_) {
    if (sequence <= intent->before) continue;
    const uint64_t written = intent->written_by.load(std::memory_order_acquire);
    if (sequence >= written || in_meta(intent->key)) list.push_back(intent);
  }
  return list;
}

}  // namespace thermocline
