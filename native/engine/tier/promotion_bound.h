// Which of the records that are read from below come up into the hot tier: the hottest, and no more
// of them than pays.
//
// What comes up must be hotter than a quarter of what the tier holds. Heat is an estimate, and a
// tier that sinks what is coldest by it and takes what is a little hotter by it goes round and
// round with records that are alike: the gap between the two must be wider than the estimate's
// error. How hot that is, is found out again while there are offers, from a sample whose older part
// fades: heat grows with every read until it is halved.
//
// Of what is hot enough a tier that is not roomy takes 1% of its records in a second, the hottest
// first; so it waits for a while for offers to choose from. Reasons and figures: docs/decisions,
// promotion is scarce, and the hottest offers.
//
// Thread safety: Admits from any thread, the rest by one, the migrator's.
#pragma once

#include <rocksdb/db.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/cache/heat_sketch.h"
#include "engine/hash.h"
#include "engine/shard/shards.h"
#include "engine/tier/policy.h"

namespace thermocline {

class PromotionBound {
 public:
  using Offers = std::map<int, std::vector<std::string>>;  // keys by shard

  // Of the hot tier. A capacity of 0 is unknown.
  struct Fill {
    uint64_t used = 0;
    uint64_t capacity = 0;
    uint64_t records = 0;
  };
  struct Dependencies {
    const HeatSketch* heat = nullptr;
    CurrentShards shards;
    rocksdb::DB* hot = nullptr;
    std::function<Fill()> fill;
    // Looking ends early if it says so.
    std::function<bool()> stopping;
  };

  explicit PromotionBound(Dependencies dependencies) : deps_(std::move(dependencies)) {}
  PromotionBound(const PromotionBound&) = delete;
  PromotionBound& operator=(const PromotionBound&) = delete;

  // Whether a record is hot enough to be offered.
  bool Admits(uint64_t hash) {
    if (!offered_.load(std::memory_order_relaxed)) offered_.store(true, std::memory_order_relaxed);
    return deps_.heat->Estimate(hash) > above_.load(std::memory_order_relaxed);
  }

  // Whether hot takes only some of what is hot enough. From any thread. It is worth while to wait
  // for more to choose from.
  bool IsChoosy() const { return choosy_.load(std::memory_order_relaxed); }

  // Finds the bound out again, if there were offers; a tenth of the time is spent on it at most.
  void Look();
  // Leaves what is to be promoted.
  void Choose(Offers* offers);
  // All heat was halved.
  void HeatFaded();
  // Records up to this heat are sinking: they do not come up again.
  void RaiseTo(int heat);

 private:
  // Read once and perhaps written once: nothing that promotion pays for.
  static constexpr int kLeast = 2;

  int HeatOf(const std::string& key) const { return deps_.heat->Estimate(HashKey(key)); }
  void Set(int heat);
  void SampleHot();

  const Dependencies deps_;
  std::atomic<int> above_{kLeast};
  std::atomic<bool> offered_{true};  // since the last look
  std::atomic<bool> choosy_{false};
  HeatSample sample_{};               // of hot
  std::pair<int, std::string> hand_;  // where SampleHot goes on: shard and key
  size_t table_ = 0;                  // likewise: at whose beginning
  uint64_t again_nanos_ = 0;
  double most_ = 0;           // promotions in a second; 0: as many as are offered
  uint64_t chose_nanos_ = 0;  // among offers
};

}  // namespace thermocline
