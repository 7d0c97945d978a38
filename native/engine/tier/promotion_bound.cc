#include "engine/tier/promotion_bound.h"

#include <algorithm>
#include <memory>

#include "engine/platform/time.h"
#include "engine/tier/heat_sample.h"

namespace thermocline {

namespace {

constexpr uint64_t kSecond = 1'000'000'000;
// Of hot, by bytes, what is promoted must be hotter than this.
constexpr double kCooler = 0.25;
constexpr int kSamples = 16;  // to a look
constexpr int kRecords = 64;  // to a sample
constexpr uint64_t kRests = 10;
constexpr double kPromotedShare = 0.01;  // of hot's records, in a second
constexpr double kFewOffers = 8;
constexpr uint64_t kMostChoosing = 2 * kSecond;  // that add up

}  // namespace

void PromotionBound::Look() {
  const uint64_t began = NowNanos();
  if (began < again_nanos_ || !offered_.exchange(false, std::memory_order_relaxed)) return;
  const int above = above_.load(std::memory_order_relaxed);
  const auto [used, capacity, records] = deps_.fill();
  most_ = 0;
  if (capacity == 0 || IsRoomy(used, capacity)) {
    // Slowly: what is a little cooler may come up, and not all that was ever read.
    Set(above - std::max(1, above / 8));
    choosy_.store(false, std::memory_order_relaxed);
    return;
  }
  choosy_.store(true, std::memory_order_relaxed);
  most_ = kPromotedShare * static_cast<double>(records);
  SampleHot();
  const double sinks = static_cast<double>(BytesToSink(used, capacity));
  const double share = std::max(kCooler, sinks / static_cast<double>(std::max<uint64_t>(1, used)));
  const bool empty = std::all_of(sample_.begin(), sample_.end(), [](uint64_t n) { return n == 0; });
  // A heat of kMax may be of any height.
  Set(empty ? 0 : std::min(HeatThreshold(sample_, share), HeatSketch::kMax - 1));
  again_nanos_ = NowNanos() + kRests * (NowNanos() - began);
}

// At a place that moves on, and where tables begin, as neighbours are often alike.
void PromotionBound::SampleHot() {
  for (uint64_t& bytes : sample_) bytes /= 2;
  const std::shared_ptr<const Shards> shards = deps_.shards.Load();
  auto& [shard, key] = hand_;
  int found = 0;
  for (int tried = 0; found < kSamples && tried < shards->count() + kSamples; tried++) {
    if (deps_.stopping()) return;
    shard %= shards->count();
    rocksdb::ColumnFamilyHandle* const family = shards->handles[static_cast<size_t>(shard)];
    const bool at_table = tried % 2 == 1;
    std::string start = key;
    if (at_table) {
      const std::vector<std::string> starts = StartsOfTables(deps_.hot, family);
      start = starts[++table_ % starts.size()];
    }
    HeatSample some{};
    const std::string next = AddHeatOf(deps_.hot, family, start, kRecords, *deps_.heat, &some);
    bool any = false;
    for (size_t heat = 0; heat < some.size(); heat++) {
      sample_[heat] += some[heat];
      any = any || some[heat] != 0;
    }
    found += any ? 1 : 0;
    if (!at_table) key = next;
    if (at_table && key.empty()) shard++;
  }
}

void PromotionBound::Choose(Offers* offers) {
  const uint64_t now = NowNanos();
  const double seconds = static_cast<double>(std::min(now - chose_nanos_, kMostChoosing)) /
                         static_cast<double>(kSecond);
  chose_nanos_ = now;
  HottestOffers hottest;
  if (most_ > 0) {
    HeatSample offered{};
    for (const auto& [shard, keys] : *offers) {
      for (const std::string& key : keys) offered[static_cast<size_t>(HeatOf(key))]++;
    }
    hottest = ChooseHottest(offered, static_cast<uint64_t>(std::max(kFewOffers, seconds * most_)));
  }
  // The bound may have risen since they were offered, too.
  const int above = above_.load(std::memory_order_relaxed);
  for (auto& [shard, keys] : *offers) {
    std::erase_if(keys, [&](const std::string& key) {
      const int heat = HeatOf(key);
      if (heat <= above || heat < hottest.coolest) return true;
      if (heat > hottest.coolest) return false;
      if (hottest.ties == 0) return true;
      hottest.ties--;
      return false;
    });
  }
}

void PromotionBound::HeatFaded() {
  Set(above_.load(std::memory_order_relaxed) / 2);
  // So that the sample tells of the same records in what is left of their heat.
  HeatSample halved{};
  for (size_t heat = 0; heat < sample_.size(); heat++) halved[heat / 2] += sample_[heat];
  sample_ = halved;
}

void PromotionBound::RaiseTo(int heat) {
  Set(std::max(above_.load(std::memory_order_relaxed), std::min(heat, HeatSketch::kMax - 1)));
}

void PromotionBound::Set(int heat) {
  above_.store(std::max(kLeast, heat), std::memory_order_relaxed);
}

}  // namespace thermocline
