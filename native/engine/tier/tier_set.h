// The colder stores of a database, opened beside its hot one.
//
// Purpose: which tiers there are is decided here, from what hot's meta records and what the options
// ask for: a recorded tier is opened and its identity checked, a wanted one is created, an unwanted
// one is removed if it holds nothing. Without colder tiers nothing below exists, and nothing of
// this costs anything.
//
// Thread safety: Open and Close by one thread; the rest as each member says.
// Ownership: owns the stores, the view latch and the list of range intents. The hot store outlives
// it.
#pragma once

#include <rocksdb/db.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/options.h"
#include "engine/rocks_options.h"
#include "engine/shard/shards.h"
#include "engine/status.h"
#include "engine/tier/expiry_filter.h"
#include "engine/tier/hot_store.h"
#include "engine/tier/range_intents.h"
#include "engine/tier/tier_paths.h"
#include "engine/tier/tier_store.h"
#include "engine/tier/view_latch.h"

namespace thermocline {

class TierSet {
 public:
  struct Dependencies {
    std::string location;  // the database's folder
    HotStore* hot = nullptr;
    std::function<uint64_t()> filter_clock;           // for the stores' expiry filters
    std::shared_ptr<ExpiryFilterFactory> hot_filter;  // told whether there are colder stores
  };

  explicit TierSet(Dependencies dependencies) : deps_(std::move(dependencies)) {}
  ~TierSet() { Close(); }
  TierSet(const TierSet&) = delete;
  TierSet& operator=(const TierSet&) = delete;

  // REQUIRES: the hot store is open.
  Status Open(const EngineOptions& options, const RocksShared& shared);
  // REQUIRES: no view, read or step uses the stores.
  void Close();

  // A colder store that a closed hot store records.
  struct Found {
    std::string directory;
    std::string uuid;
  };
  // Those of the hot store in `hot_directory`; none if that is not one of ours.
  static Status Find(const std::string& location, const std::string& hot_directory,
                     std::vector<Found>* found);

  bool empty() const { return stores_.empty(); }
  int levels() const { return 1 + static_cast<int>(stores_.size()); }
  // REQUIRES: 1 <= level < levels().
  TierStore& store(int level) { return *stores_[static_cast<size_t>(level) - 1]; }
  // -1: the database has no such tier.
  int LevelOf(Tier tier) const;
  Tier TierOf(int level) const;
  // The table of the hot store together with the column families of the colder ones.
  std::shared_ptr<const Shards> Extend(const std::shared_ptr<const Shards>& hot) const;

  // The meta record that says how far a tier has come, and its payload now.
  std::pair<std::string_view, std::string> RecordOf(int level) const;

  ViewLatch& latch() { return latch_; }
  RangeIntents& intents() { return intents_; }

  // Records are about to leave a colder store for a hotter one. A reader of the present that came
  // past the hotter store before they were there, and meets the colder one after they have left it,
  // would miss them: it compares this number before and after, and reads again (read/tiered_reads).
  void LiftingBegins() { lifts_.fetch_add(1, std::memory_order_seq_cst); }
  uint64_t lifts() const { return lifts_.load(std::memory_order_seq_cst); }

 private:
  // Before anything is opened: whether each tier has a folder of its own.
  Status CheckFolders(const EngineOptions& options);
  Status ReadRecord(Tier tier, const EngineOptions& options, ColderTierRecord* record,
                    std::string* payload, bool* recorded);
  // Whether a new tier would take up the store of another one that has never held anything.
  Status CheckNotRecorded(Tier tier, const std::string& folder, const EngineOptions& options);
  // Where the options, or else the record, say that a tier is.
  std::string PathOf(Tier tier, const EngineOptions& options, const ColderTierRecord& record,
                     bool recorded) const;
  Status OpenTier(Tier tier, const EngineOptions& options, const RocksShared& shared);
  // Refuses another path than the one that a restore has put the tier to.
  Status CheckMoved(Tier tier, const TierOptions& wanted, const ColderTierRecord& record) const;
  Status RemoveTier(Tier tier, const ColderTierRecord& record, const EngineOptions& options,
                    const RocksShared& shared);
  Status LoadIntents();
  Status DropIntents(const EngineOptions& options);

  const Dependencies deps_;
  MovedTiers moved_;  // by a restore: take precedence over hot's records
  std::vector<std::unique_ptr<TierStore>> stores_;  // hotter first
  std::vector<std::string> paths_;                  // as recorded, likewise
  std::vector<std::shared_ptr<ExpiryFilterFactory>> filters_;
  ViewLatch latch_;
  RangeIntents intents_;
  std::atomic<uint64_t> lifts_{0};
};

}  // namespace thermocline
