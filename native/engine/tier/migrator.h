// The migrator: the thread that keeps the tiers as they should be.
//
// It carries out range deletes in the colder stores, promotes what is read from below and hot
// enough (promotion_bound.h), and, when a tier is above its high-water mark, sinks what is coldest:
// a hand goes around the shards in steps, and a threshold is chosen from a sample so that one round
// frees what is asked for. It pauses while writes wait, and keeps to the rate limit of the tier it
// writes to. What moves although nothing is full the sweeper decides (sweeper.h).
//
// Steps of one turn: range deletes; promotions; every second the tiers' fill levels, the fading of
// the sketch, and every few minutes its keeping; then a bounded part of what the sweeper has to do,
// followed by a rest as long.
//
// While writes are held for want of space on the hot tier's disk (space_gate.h), turns follow each
// other quickly and do nothing but make room.
//
// A tier that is full or fails is left alone for a while, and its trouble shows in status().
//
// Thread safety: Offer, Wake and status from any thread; Stop by one.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <vector>

#include "engine/cache/heat_sketch.h"
#include "engine/status.h"
#include "engine/tier/policy.h"
#include "engine/tier/promotion_bound.h"
#include "engine/tier/space_gate.h"
#include "engine/tier/stepper.h"
#include "engine/tier/sweeper.h"
#include "engine/tier/tier_report.h"

namespace thermocline {

struct MigratorStatus {
  uint64_t rounds = 0;        // of sinking
  int threshold = -1;         // records up to this heat sank in the last round; -1: none yet
  uint64_t paused_nanos = 0;  // because writes were waiting
  std::string trouble;        // why migration into a tier stands still; empty: it does not
};

class Migrator {
 public:
  struct Dependencies {
    Stepper* stepper = nullptr;
    TierSet* tiers = nullptr;
    HeatSketch* heat = nullptr;
    CurrentShards shards;
    rocksdb::DB* hot = nullptr;
    // Of a level: file_bytes, table_bytes, records, entries and deleted, memory_bytes,
    // capacity_bytes.
    std::function<TierFigures(int level)> figures;
    // What the disk of a level has in all and has used; false: it shares its disk with a colder
    // level, or cannot say.
    std::function<bool(int level, uint64_t* capacity, uint64_t* used)> disk;
    // How long the oldest waiting write waits.
    std::function<uint64_t()> queue_age_nanos;
    // All families of hot at once, as a database without a log needs it.
    std::function<Status()> flush_hot;
    // Keeps the sketches and the ledger.
    std::function<void()> keep_heat;
    SpaceGate* space = nullptr;
    // For the sweeper.
    EngineClock* clock = nullptr;
    MoveLedger* ledger = nullptr;
    std::vector<RecencySketch*> recency = {};
    std::function<Temperature(const Shards& shards, int shard)> temperature = {};
    uint64_t shards_grace_ms = 0;
    uint64_t shards_look_ms = 0;
  };

  explicit Migrator(Dependencies dependencies);
  ~Migrator() { Stop(); }
  Migrator(const Migrator&) = delete;
  Migrator& operator=(const Migrator&) = delete;

  // A record was read from below. Bounded and cheap: when much is waiting, it is dropped.
  void Offer(int shard, std::string_view key, uint64_t hash);
  // There is something to do, such as a range delete.
  void Wake();
  // Ends the step that is running, then joins the thread. Idempotent.
  void Stop();
  MigratorStatus status();

 private:
  using Queue = PromotionBound::Offers;

  void Run();
  void PromoteAll(Queue queue);
  void CheckLevels();
  // False: the level shares its disk with a colder one, or cannot say.
  bool FillOf(const TierFigures& figures, int level, uint64_t* used, uint64_t* capacity) const;
  PromotionBound::Fill HotFill() const;
  // The next colder level may be written to. Otherwise its trouble is set.
  bool TakesMore(int level);
  // Writing to the level failed a moment ago.
  bool IsLeftAlone(int level) const;
  void MakeSpace();
  void Sink(int level, uint64_t bytes);
  // Does a part of what the sweeper has to do.
  void Sweep();
  int ChooseThreshold(int level, double share);
  // Waits for writes to flow, and for the rate limit after moving `bytes`. False: stopping.
  bool Pace(int to, uint64_t bytes);
  bool Sleep(uint64_t nanos);
  bool stopping();
  // How a write to a level ended. A failure leaves the level alone for a while; otherwise its only
  // trouble is that it has reached its capacity, if it has.
  void SetTrouble(int to, const Status& status);

  const Dependencies deps_;
  PromotionBound promotion_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;                       // GUARDED_BY(mutex_)
  bool awake_ = false;                          // GUARDED_BY(mutex_)
  Queue queue_;                                 // GUARDED_BY(mutex_)
  std::unordered_set<uint64_t> queued_hashes_;  // GUARDED_BY(mutex_)
  size_t queued_bytes_ = 0;                     // GUARDED_BY(mutex_)
  MigratorStatus status_;                       // GUARDED_BY(mutex_): but for its trouble
  std::vector<std::string> troubles_;           // GUARDED_BY(mutex_): by level

  // The thread's own.
  Sweeper sweeper_;
  uint64_t sweep_rest_nanos_ = 0;  // until the next part; 0: there is none
  uint64_t swept_nanos_ = 0;
  std::vector<std::pair<int, std::string>> hands_;  // by level: shard and key
  std::vector<uint64_t> left_alone_until_;          // by level: a write to it has failed
  std::vector<uint64_t> full_;   // by level: at its capacity, and looked at again then; 0: not full
  std::vector<uint64_t> roomy_;  // by level: known to have room until then
  uint64_t checked_nanos_ = 0;
  uint64_t kept_nanos_ = 0;
  uint64_t made_space_nanos_ = 0;  // when records last sank for that; 0: never
  std::thread thread_;             // last: it runs over all the members above
};

}  // namespace thermocline
