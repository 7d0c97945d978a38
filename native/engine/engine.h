// START HERE. The engine: one open database. It owns every part and hands each its dependencies.
//
//   HotStore     RocksDB with one column family per shard         tier/
//   Committer    the one thread that writes                       commit/
//   PointReader  single and batched reads                         read/
//   Cursor       ordered walks over a read view                   read/
//   HotCache     records in memory in front of the store          cache/
//   SequencePrefetcher  reads likely ones into it ahead, if asked for    cache/
//   ChangeFeed   the users' commits, out of the log               feed/
//   TopicStore   append-only logs beside the store                topic/
//   Outbox       messages that are committed with records         topic/
//   TierSet      the colder stores, if there are any              tier/
//   Stepper      moves records between the stores                 tier/
//   Migrator     decides what to move, and when                   tier/
//   Resharder    splits and merges shards                         shard/
//   ShardSnapshotter, ShardRestorer   shards to folders and back  snapshot/
//   ShardFreezer shards into the archive and back                 snapshot/
//   Metrics      counters and latency histograms                  metrics/
//
// Thread safety: every method from any thread between Open and Close.
// Ownership: sessions (session.h) share an Engine through the Registry (registry.h); the last one
// closes it. REQUIRES for Close: no operation is running and every cursor and view is released,
// which Session::Close sees to.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/backup/backup.h"
#include "engine/backup/verify.h"
#include "engine/cache/hot_cache.h"
#include "engine/cache/sequence_prefetcher.h"
#include "engine/clock.h"
#include "engine/commit/committer.h"
#include "engine/commit/transaction.h"
#include "engine/feed/change_feed.h"
#include "engine/hash.h"
#include "engine/metrics/history.h"
#include "engine/metrics/metrics.h"
#include "engine/metrics/sampler.h"
#include "engine/options.h"
#include "engine/platform/block_pool.h"
#include "engine/platform/file_lock.h"
#include "engine/platform/thread_pool.h"
#include "engine/read/cursor.h"
#include "engine/read/point_reader.h"
#include "engine/read/read_view.h"
#include "engine/shard/activity.h"
#include "engine/shard/auto_splitter.h"
#include "engine/shard/report.h"
#include "engine/shard/resharder.h"
#include "engine/snapshot/archive.h"
#include "engine/snapshot/auto_freezer.h"
#include "engine/snapshot/shard_freezer.h"
#include "engine/snapshot/shard_restore.h"
#include "engine/snapshot/shard_snapshot.h"
#include "engine/status.h"
#include "engine/tier/hot_store.h"
#include "engine/tier/migrator.h"
#include "engine/tier/space_gate.h"
#include "engine/tier/step_guard.h"
#include "engine/tier/stepper.h"
#include "engine/tier/tier_report.h"
#include "engine/tier/tier_set.h"
#include "engine/topic/outbox.h"
#include "engine/topic/topic_store.h"

namespace thermocline {

// A half-open range of keys; either end may be open.
struct KeyRange {
  bool has_start = false;
  bool has_end = false;
  std::string start;  // inclusive
  std::string end;    // exclusive
};

// What stats() shows of one tier's store. Figures of the disk and of compression are a second old
// or so: they are too slow to ask for on a caller's thread.
struct StoreGauges {
  Tier tier = Tier::kHot;
  uint64_t table_bytes = 0;
  std::vector<uint64_t> files_by_level;  // tables, over all shards
  uint64_t pending_compaction_bytes = 0;
  uint64_t running_compactions = 0;
  uint64_t block_cache_bytes = 0;
  uint64_t block_cache_capacity_bytes = 0;
  uint64_t block_cache_hits = 0;
  uint64_t block_cache_misses = 0;
  uint64_t compactions = 0;
  uint64_t compaction_nanos = 0;
  uint64_t compaction_read_bytes = 0;
  uint64_t compaction_written_bytes = 0;
  uint64_t found = 0;           // reads that ended here; 0 without colder tiers
  uint64_t capacity_bytes = 0;  // as configured; 0: what the file system has
  uint64_t moved_in_records = 0;
  uint64_t moved_in_bytes = 0;
  uint64_t moved_out_records = 0;
  uint64_t moved_out_bytes = 0;
  uint64_t raw_bytes = 0;            // in the tables, before compression
  uint64_t data_bytes = 0;           // the same, compressed
  uint64_t reserve_bytes = 0;        // of the disk, that writes leave alone; 0: none
  uint64_t disk_capacity_bytes = 0;  // of the file system; 0: it cannot say
  uint64_t disk_used_bytes = 0;
};

// What stats() shows beside the counters.
struct EngineGauges {
  int shards = 0;
  uint64_t in_flight_bytes = 0;
  uint64_t in_flight_limit_bytes = 0;
  uint64_t queue_age_nanos = 0;     // of the oldest write that waits for the committer
  uint64_t target_group_bytes = 0;  // what GroupSizer asks for at present
  uint64_t hot_cache_bytes = 0;
  uint64_t hot_cache_entries = 0;
  uint64_t hot_cache_capacity_bytes = 0;
  uint64_t block_cache_bytes = 0;
  uint64_t block_cache_capacity_bytes = 0;
  uint64_t block_cache_pinned_bytes = 0;  // in use by reads and iterators: cannot be evicted
  uint64_t memtable_bytes = 0;
  uint64_t memtable_budget_bytes = 0;
  uint64_t table_reader_bytes = 0;
  uint64_t transaction_bytes = 0;  // recent writes kept for open transactions
  uint64_t transaction_budget_bytes = 0;
  BlockPoolStats buffers;  // packed writes and results, of all databases of the process
  uint64_t sst_bytes = 0;
  uint64_t estimated_keys = 0;
  uint64_t running_compactions = 0;
  uint64_t running_flushes = 0;
  uint64_t pending_compaction_bytes = 0;
  std::vector<StoreGauges> stores;                    // hot first
  std::optional<SequencePrefetcher::Stats> prefetch;  // none: it was not asked for
  uint64_t absent = 0;    // reads that no tier could answer; 0 without colder tiers
  uint64_t promoted = 0;  // records copied up
  std::string trouble;    // why migration stands still; empty: it does not
};

class Engine {
 public:
  // Opens or creates the database in `location`. ERR_NOT_FOUND, ERR_INVALID_ARGUMENT, ERR_LOCKED,
  // ERR_CORRUPTION, ERR_FORMAT_VERSION, ERR_IO, ERR_NO_SPACE.
  static Status Open(const std::string& location, EngineOptions options,
                     std::shared_ptr<Engine>* out);
  // Deletes the database in `location`: what Thermocline wrote and nothing else.
  static Status Destroy(const std::string& location);

  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Applies what was accepted, stops every thread, closes the store. Idempotent.
  void Close();
  // Not OK if the store has no log and its last flush failed: records that were never flushed are
  // lost then. REQUIRES: after Close.
  const Status& close_status() const { return close_status_; }

  Status Submit(std::unique_ptr<Submission> submission);
  PointReader& reader() { return *reader_; }
  std::shared_ptr<const ReadView> NewView();
  // Calls `opened` on the committer's thread with a transaction whose view is exactly the moment
  // between two groups. ERR_READ_ONLY, ERR_CLOSED.
  Status BeginTransaction(std::function<void(std::shared_ptr<Transaction>)> opened);
  std::shared_ptr<Cursor> NewCursor(std::shared_ptr<const ReadView> view, CursorOptions options);

  // Accepts writes again after a full disk (Committer::Resume).
  Status Resume();
  // Writes all memtables to tables; returns when they are durable. What was accepted is in them,
  // but for what waits for a thaw.
  Status Flush();
  // Rewrites the range so that deleted and overwritten records give their space back.
  Status Compact(const KeyRange& range);
  // Bytes on disk and in memtables that the range takes, roughly.
  Status ApproximateSize(const KeyRange& range, uint64_t* bytes);

  const EngineOptions& options() const { return options_; }
  const std::string& location() const { return location_; }
  HotCache& cache() { return *cache_; }
  Metrics& metrics() { return *metrics_; }
  EngineClock& clock() { return clock_; }
  topic::TopicStore& topics() { return *topics_; }
  ThreadPool& read_pool() { return *read_pool_; }
  // For rare calls that wait (flush, estimates): never on the read pool.
  ThreadPool& task_pool() { return *task_pool_; }
  // For what takes long and should not disturb: the system runs it after everything else.
  ThreadPool& background_pool() { return *background_pool_; }
  // For splits and merges: they may take hours, or be paused. Made when it is first used.
  ThreadPool& reshard_pool();
  // For snapshots and restores of shards, several at once.
  ThreadPool& shard_pool() { return *shard_pool_; }
  EngineGauges Gauges();
  std::vector<ShardReport> ShardReports();
  // Of what was accepted before, and maybe more; see backup/backup.h. ERR_READ_ONLY for a database
  // that is open read-only, ERR_INVALID_ARGUMENT for one with topics, which a backup would leave
  // out. Steps of migration wait meanwhile. ERR_ABORTED if `control` says so, also while it waits
  // for a freeze or a step.
  Status CreateBackup(const std::string& dir, uint32_t keep, Backup* out,
                      SnapshotControl* control = nullptr);
  // Reads everything and changes nothing (backup/verify.h). Without `control` it cannot be stopped.
  Status Verify(VerifyReport* report, SnapshotControl* control = nullptr);
  MetricsSnapshot Snapshot();
  // The last minute, a point a second.
  const MetricsHistory& history() const { return history_; }
  // RocksDB's tickers of a tier's store by name, in *tickers; false if the options did not ask for
  // them or there is no such tier.
  bool Tickers(Tier tier, std::map<std::string, uint64_t>* tickers);
  // One of RocksDB's properties over a tier's shards: *number if it is one that can be added up,
  // else *text, what each shard says. False if RocksDB does not know it or there is no such tier.
  bool Property(Tier tier, const std::string& name, std::optional<uint64_t>* number,
                std::string* text);

  // A reader of the change feed behind a sequence number, or from now on. ERR_INVALID_ARGUMENT if
  // the feed is off, ERR_READ_ONLY.
  Status ReadChanges(bool has_since, uint64_t since, bool durable,
                     std::shared_ptr<ChangeReader>* out);

  TierSet& tiers() { return *tiers_; }
  rocksdb::DB* hot_db() { return store_.db(); }
  // Null: messages cannot be committed with records here.
  topic::Outbox* outbox() { return outbox_.get(); }
  // Moves records between the tiers; null if there is one tier alone, or nothing may be written.
  Stepper* stepper() { return stepper_.get(); }
  // Null likewise, or if the options say so.
  Migrator* migrator() { return migrator_.get(); }
  SpaceGate* space_gate() { return space_gate_.get(); }
  HeatSketch* heat() { return heat_.get(); }
  // Null: the level's records do not sink by age.
  RecencySketch* recency(size_t level) {
    return level < recency_.size() ? recency_[level].get() : nullptr;
  }
  // Null unless the options ask for it.
  SequencePrefetcher* prefetcher() { return prefetcher_.get(); }
  // Splits and merges shards; null when read-only.
  Resharder* resharder() { return resharder_.get(); }
  // All null when read-only.
  ShardSnapshotter* snapshotter() { return snapshotter_.get(); }
  ShardRestorer* restorer() { return restorer_.get(); }
  ShardFreezer* freezer() { return freezer_.get(); }
  CurrentShards shards() const { return shards_; }
  TierReport ReportTiers();

 private:
  Engine(std::string location, EngineOptions options);
  Status OpenParts();
  void OpenCommitter();
  void OpenTopics();
  Status OpenFeed();
  Status OpenOutbox();
  Status CheckMessages(const Submission& submission) const;
  void CloseFeed();
  void OpenStepper();
  void OpenMigrator();
  void OpenSpaceGate();
  // Why migration stands still or writes wait for space; empty: they do not.
  std::string Trouble();
  void OpenResharder();
  void OpenSnapshots();
  void OpenArchives();
  std::string ArchivesFolder() const;
  void ThawForWrites(const std::vector<uint32_t>& ids);
  void ThawForReads(std::vector<uint32_t> ids, std::function<void(const Status&)> done);
  // But for what the tier did.
  TierFigures FiguresOf(int level);
  bool DiskOf(int level, uint64_t* capacity, uint64_t* used);
  // The store of a level, as RocksDB sees it.
  struct StoreFamilies {
    rocksdb::DB* db;
    const std::vector<rocksdb::ColumnFamilyHandle*>* families;
    std::shared_ptr<const Shards> held;  // keeps the families
  };
  StoreFamilies StoreOf(int level);
  uint64_t RecordsOf(int level);  // about
  StoreGauges StoreGaugesOf(int level);
  void OpenMetrics();
  void CloseMetrics();
  void SampleMetrics() noexcept;
  void SampleStores();
  StallCause ProbeStall(const std::string& family);
  void OpenHashSeed();
  void OpenHeat();
  void OpenRecency();  // after OpenHeat, with colder tiers or without
  // The pages that are kept of a tier's ages.
  std::vector<std::string> KeptRecency(Tier tier);
  void KeepHeat();
  std::vector<RecencySketch*> RecencyByLevel() const;
  Temperature TemperatureOfShard(const Shards& shards, int shard) const;
  // Runs fn on the committer's thread between two groups and waits for it; see Stepper.
  Status AtBoundary(const std::function<void()>& fn, bool durable);
  // Waits until what was accepted is written or refused, but for writes that wait for the thaw of a
  // frozen shard and what waits behind them. ERR_ABORTED if `control` says so. REQUIRES: not
  // read-only.
  Status AwaitAccepted(const SnapshotControl* control);
  // Every store's column families: hot first.
  template <class Fn>
  Status ForEachFamily(Fn&& fn);
  Status LastKey(int shard, std::string* key, bool* found);
  Status OpenShards();
  void KeepClock();
  void KeepShardTimes();

  const std::string location_;
  EngineOptions options_;  // constant once open
  FileLock lock_;
  EngineClock clock_;
  const std::shared_ptr<ViewClocks> view_clocks_ = std::make_shared<ViewClocks>();
  std::unique_ptr<Metrics> metrics_;
  RocksShared shared_;
  std::unique_ptr<HotCache> cache_;
  HotStore store_;
  std::unique_ptr<TierSet> tiers_;
  CurrentShards shards_;                   // of all tiers
  std::unique_ptr<StepGuard> step_guard_;  // none without colder tiers
  std::unique_ptr<SpaceGate> space_gate_;  // like migrator_, unless read-only
  std::unique_ptr<HeatSketch> heat_;       // likewise
  // By level; null: its records do not sink by age.
  std::vector<std::unique_ptr<RecencySketch>> recency_;
  // The keys of what is kept of sketches that this opening does not have. An opening that is short,
  // such as one by a command, leaves them for the next one that does; a longer one deletes them.
  std::vector<std::string> untold_recency_;
  uint64_t opened_ms_ = 0;
  HashSeed hash_seed_{};
  bool knows_hashes_ = false;  // what is kept of hashes is of this process's seed
  MoveLedger moves_;
  std::unique_ptr<Stepper> stepper_;  // likewise, and when read-only
  std::unique_ptr<ThreadPool> read_pool_;
  std::vector<std::unique_ptr<ThreadPool>> colder_read_pools_;  // by colder level
  std::unique_ptr<ThreadPool> task_pool_;
  std::unique_ptr<ThreadPool> background_pool_;
  std::once_flag reshard_pool_made_;
  std::unique_ptr<ThreadPool> reshard_pool_;
  std::unique_ptr<ThreadPool> shard_pool_;
  uint64_t shard_times_kept_ms_ = 0;  // the committer's thread's own, once open
  std::unique_ptr<PointReader> reader_;
  std::unique_ptr<SequencePrefetcher>
      prefetcher_;                        // reads through reader_, which tells it of reads
  std::unique_ptr<ChangeFeed> feed_;      // none when read-only, or turned off
  std::unique_ptr<Committer> committer_;  // none when read-only
  std::unique_ptr<topic::TopicStore> topics_;
  std::unique_ptr<topic::Outbox> outbox_;  // none when read-only, or without a log
  std::unique_ptr<Migrator> migrator_;     // like stepper_
  MetricsHistory history_;
  std::mutex sampled_mutex_;
  std::vector<StoreGauges> sampled_;  // GUARDED_BY(sampled_mutex_), by level: the slow figures
  // The sampler's thread's own: when each level's tables were last read, and what changed since.
  std::vector<std::pair<uint64_t, uint64_t>> sampled_tables_;  // next time allowed, changes seen
  std::unique_ptr<MetricsSampler> sampler_;
  ChangeNotes change_notes_;
  std::unique_ptr<Resharder> resharder_;  // none when read-only
  ArchiveCatalogue archives_;
  std::mutex thawing_mutex_;
  std::set<uint32_t> thawing_;                     // GUARDED_BY(thawing_mutex_): by writes
  std::unique_ptr<ShardFreezer> freezer_;          // none when read-only
  std::unique_ptr<AutoFreezer> auto_freezer_;      // likewise, and unless the options ask for it
  std::unique_ptr<AutoSplitter> auto_splitter_;    // likewise, and unless the options ask for it
  std::unique_ptr<ShardSnapshotter> snapshotter_;  // likewise none when read-only
  std::unique_ptr<ShardRestorer> restorer_;
  std::once_flag closed_;
  Status close_status_;
};

}  // namespace thermocline
