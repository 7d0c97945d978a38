#include "engine/engine.h"

#include <rocksdb/advanced_cache.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <future>
#include <utility>
#include <vector>

#include "engine/feed/retention.h"
#include "engine/metrics/rocks_listener.h"
#include "engine/platform/boot_id.h"
#include "engine/record/coding.h"
#include "engine/tier/expiry_filter.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

constexpr const char* kLockFile = "LOCK";
constexpr const char* kHotDirectory = "hot";
constexpr const char* kTopicsDirectory = "topics";
constexpr int kTaskThreads = 2;
// How often the shards' times are written while there are writes. They are also written at close.
constexpr uint64_t kKeepShardTimesMs = 5 * 60 * 1000;
constexpr int kBackgroundNice = 10;

Status FromErrno(int error, const std::string& doing) {
  const Code code = error == ENOSPC ? Code::kNoSpace : error == EROFS ? Code::kReadOnly : Code::kIo;
  return {code, doing + " failed: " + std::strerror(error)};
}

Status NotOurs(const std::string& location, const std::string& name) {
  return {Code::kInvalidArgument, location + " is not empty and holds no Thermocline database (" +
                                      name + " is in it): choose an empty folder"};
}

// What RocksDB leaves behind if it is killed before its first CURRENT file.
bool IsLeftover(const std::string& name) {
  return name == "LOCK" || name == "IDENTITY" || name.starts_with("LOG") ||
         name.starts_with("MANIFEST-") || name.starts_with("OPTIONS-") || name.ends_with(".log") ||
         name.ends_with(".dbtmp");
}

// Decides, before anything is touched, whether `location` is ours, new, or somebody else's.
Status CheckLocation(const std::string& location, const EngineOptions& options) {
  std::error_code error;
  const fs::file_status type = fs::status(location, error);
  if (error && error != std::errc::no_such_file_or_directory) {
    return FromErrno(error.value(), "opening " + location);
  }
  const std::string hot = (fs::path(location) / kHotDirectory).string();
  const bool exists = fs::is_directory(type) && HotStore::Exists(hot, &error);
  if (fs::is_directory(type) && error) return FromErrno(error.value(), "opening " + hot);
  if (exists) {
    if (!options.error_if_exists) return {};
    return {Code::kInvalidArgument,
            "a database exists at " + location + " and errorIfExists is set"};
  }
  if (fs::exists(type) && !fs::is_directory(type)) {
    return {Code::kInvalidArgument, location + " is a file, not a folder"};
  }
  if (!options.create_if_missing || options.read_only) {
    return {Code::kNotFound, "there is no database at " + location +
                                 (options.read_only ? "" : " and createIfMissing is false")};
  }
  if (!fs::exists(type)) return {};
  fs::directory_iterator entries(location, error);
  if (error) return FromErrno(error.value(), "reading the folder " + location);
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (name == kLockFile || (name == kHotDirectory && entry.is_directory(error))) continue;
    return NotOurs(location, name);
  }
  if (!fs::exists(hot, error)) return {};
  fs::directory_iterator files(hot, error);
  if (error) return FromErrno(error.value(), "reading the folder " + hot);
  for (const fs::directory_entry& file : files) {
    const std::string name = file.path().filename().string();
    if (!IsLeftover(name)) return NotOurs(location, std::string(kHotDirectory) + "/" + name);
  }
  return {};
}

rocksdb::Slice AsSlice(const std::string& s) { return {s.data(), s.size()}; }

}  // namespace

Engine::Engine(std::string location, EngineOptions options)
    : location_(std::move(location)), options_(options), metrics_(std::make_unique<Metrics>()) {}

Engine::~Engine() { Close(); }

Status Engine::Open(const std::string& location, EngineOptions options,
                    std::shared_ptr<Engine>* out) {
  Status status = Finish(&options);
  if (status.ok()) status = CheckLocation(location, options);
  if (!status.ok()) return status;
  if (!options.read_only) {
    std::error_code error;
    fs::create_directories(location, error);
    if (error) return FromErrno(error.value(), "creating the folder " + location);
  }
  std::shared_ptr<Engine> engine(new Engine(location, options));
  status = engine->OpenParts();
  if (!status.ok()) return status;
  *out = std::move(engine);
  return {};
}

Status Engine::OpenParts() {
  const fs::path root(location_);
  Status status = lock_.Acquire((root / kLockFile).string(), options_.read_only);
  if (!status.ok()) return status;
  // The note is the boot during which the database was opened; a clean close takes it away.
  const std::string boot = BootId();
  const std::string note = lock_.Note();
  if (!note.empty() && note != boot) options_.after_power_loss = true;
  shared_ = MakeRocksShared(options_);
  const auto filter_clock = [this] {
    return view_clocks_->OldestOr([this] { return clock_.NowMs(); });
  };
  // What dropping means is known once the tiers are.
  const auto filter = std::make_shared<ExpiryFilterFactory>(filter_clock, ExpiryMode::kKeep);
  shared_.expiry_filter = filter;
  cache_ = std::make_unique<HotCache>(options_.memory.hot_cache);
  const std::string hot = (root / kHotDirectory).string();
  if (options_.changes.state == ChangesOptions::State::kAsBefore) {
    options_.changes = ReadRetention(hot);
  }
  const auto listener = std::make_shared<RocksListener>(metrics_.get());
  status = store_.Open(hot, options_, shared_, listener);
  if (store_.created_otherwise() && !options_.log_given) {
    options_.without_log = !options_.without_log;
    store_.Close();
    status = store_.Open(hot, options_, shared_, listener);
  }
  if (!status.ok()) return status;

  std::string payload;
  bool found = false;
  status = store_.GetMeta(meta_key::kClock, &payload, &found);
  if (!status.ok()) return status;
  if (found && payload.size() != 8) return {Code::kCorruption, "the clock's record is damaged"};
  if (found) clock_.RaiseTo(DecodeFixed64(payload.data()));

  status = OpenActivity();
  if (!status.ok()) return status;
  tiers_ = std::make_unique<TierSet>(TierSet::Dependencies{
      .location = location_, .hot = &store_, .filter_clock = filter_clock, .hot_filter = filter});
  status = tiers_->Open(options_, shared_);
  if (!status.ok()) return status;
  shards_ = tiers_->Extend(store_.shards());
  const bool tiered = !tiers_->empty();
  if (tiered) {
    OpenHeat();
    step_guard_ = std::make_unique<StepGuard>(StepGuard::Dependencies{.shards = shards_,
                                                                      .intents = &tiers_->intents(),
                                                                      .hot = store_.db(),
                                                                      .meta = store_.meta(),
                                                                      .heat = heat_.get(),
                                                                      .recency = recency_.get(),
                                                                      .on_intent = [this] {
                                                                        if (migrator_)
                                                                          migrator_->Wake();
                                                                      }});
  }

  const auto pool = [this](const char* name, int threads, WorkClass which, int nice) {
    return std::make_unique<ThreadPool>(
        name, threads, ThreadPoolOptions{.metrics = &metrics_->Work(which), .nice = nice});
  };
  read_pool_ = pool("tc-read", options_.threads.read, WorkClass::kRead, 0);
  task_pool_ = pool("tc-task", kTaskThreads, WorkClass::kTask, 0);
  background_pool_ =
      pool("tc-background", options_.threads.maintenance, WorkClass::kBackground, kBackgroundNice);
  if (options_.prefetch_sequence && cache_->enabled()) OpenPrefetcher();
  reader_ = std::make_unique<PointReader>(PointReader::Dependencies{
      .db = store_.db(),
      .shards = shards_,
      .cache = cache_.get(),
      .clock = &clock_,
      .pool = read_pool_.get(),
      .metrics = metrics_.get(),
      .activity = activity_.get(),
      .tiers = tiered ? tiers_.get() : nullptr,
      .heat = heat_.get(),
      .recency = recency_.get(),
      .prefetcher = prefetcher_.get(),
      .on_colder_read =
          [this](int shard, std::string_view key, uint64_t hash) {
            if (migrator_) migrator_->Offer(shard, key, hash);
          },
  });
  OpenTopics();
  if (options_.read_only) return {};

  status = OpenFeed();
  if (status.ok()) status = OpenOutbox();
  if (!status.ok()) return status;
  if (tiered && options_.tiers.automatic) OpenSpaceGate();
  OpenCommitter();
  if (tiered) {
    OpenStepper();
    if (options_.tiers.automatic) OpenMigrator();
  }
  lock_.SetNote(boot);
  return {};
}

Status Engine::OpenActivity() {
  const ShardTable& table = store_.shards()->table;
  activity_ = std::make_unique<ShardActivity>(table.shards().size());
  shard_times_kept_ms_ = clock_.NowMs();
  if (store_.created()) activity_->SetCreated(shard_times_kept_ms_);
  std::string payload;
  bool found = false;
  Status status = store_.GetMeta(meta_key::kShardTimes, &payload, &found);
  if (status.ok() && found) return activity_->Decode(payload, table);
  if (status.ok() && store_.created()) {
    status = store_.PutMeta({{meta_key::kShardTimes, activity_->Encode(table)}}, /*sync=*/false);
  }
  return status;
}

Status Engine::CreateBackup(const std::string& dir, uint32_t keep, Backup* out) {
  if (options_.read_only) return {Code::kReadOnly, "the database is open read-only"};
  std::error_code error;
  fs::directory_iterator topics(fs::path(location_) / kTopicsDirectory, error);
  if (!error && topics != fs::directory_iterator()) {
    // Half of a database is none.
    return {
        Code::kInvalidArgument,
        "the database has topics, and backups hold records alone: copy the folder of the closed "
        "database instead"};
  }
  return thermocline::CreateBackup(&store_, dir, keep, out);
}

std::vector<ShardReport> Engine::ShardReports() {
  return ReportShards(store_.db(), *store_.shards(), *activity_, options_.temperature_ages,
                      clock_.NowMs());
}

void Engine::OpenCommitter() {
  rocksdb::DB* const db = store_.db();
  Committer::Dependencies dependencies;
  dependencies.write = [this, db, without_log = !store_.has_log()](rocksdb::WriteBatch* batch) {
    rocksdb::WriteOptions write;
    write.disableWAL = without_log;
    rocksdb::Status s = db->Write(write, batch);
    if (feed_ && s.ok()) feed_->Wrote(*batch);
    return s;
  };
  if (store_.has_log()) dependencies.sync = [db] { return db->SyncWAL(); };
  dependencies.resume = [db] { return db->Resume(); };
  dependencies.last_key = [this](int shard, std::string* key, bool* present) {
    return LastKey(shard, key, present);
  };
  dependencies.keep_clock = [this] { KeepClock(); };
  dependencies.count_writes = [this](const std::vector<uint32_t>& records) {
    const uint64_t now = clock_.NowMs();
    for (size_t i = 0; i < records.size(); i++) {
      if (records[i] > 0) activity_->Write(i, records[i], now);
    }
    if (now - shard_times_kept_ms_ > kKeepShardTimesMs) {
      shard_times_kept_ms_ = now;
      KeepShardTimes();
    }
  };
  dependencies.shards = store_.shards();
  dependencies.cache = cache_.get();
  dependencies.metrics = metrics_.get();
  dependencies.tiers = step_guard_.get();
  if (outbox_) {
    dependencies.append_messages = [this](rocksdb::WriteBatch* batch, uint64_t commit_id,
                                          const std::vector<OutgoingMessages>& messages) {
      return outbox_->Append(batch, commit_id, messages);
    };
    dependencies.messages_written = [this](uint64_t commit_id,
                                           std::vector<OutgoingMessages> messages) {
      outbox_->Written(commit_id, std::move(messages));
    };
  }
  dependencies.space = space_gate_.get();
  // Every commit takes at least one sequence number of RocksDB, so this never repeats an id.
  const uint64_t first_commit_id = db->GetLatestSequenceNumber() + 1;
  committer_ = std::make_unique<Committer>(std::move(dependencies), options_, first_commit_id);
}

void Engine::OpenTopics() {
  topics_ = std::make_unique<topic::TopicStore>(
      topic::TopicStore::Options{.folder = (fs::path(location_) / kTopicsDirectory).string(),
                                 .read_only = options_.read_only,
                                 .after_power_loss = options_.after_power_loss,
                                 .appender = {}},
      topic::TopicStore::Dependencies{
          .now_ms = [this] { return clock_.NowMs(); },
          .sync = nullptr,
          .offsets = {.get = [this](std::string_view key, std::string* payload,
                                    bool* found) { return store_.GetMeta(key, payload, found); },
                      .put =
                          [this](std::string_view key, std::string payload, bool sync) {
                            return store_.PutMeta({{key, std::move(payload)}}, sync);
                          }}});
  // Now, and not when they are first used: the next opening knows nothing of the loss.
  if (options_.after_power_loss && !options_.read_only) topics_->OpenAll();
}

void Engine::OpenStepper() {
  stepper_ = std::make_unique<Stepper>(Stepper::Dependencies{
      .hot = &store_,
      .tiers = tiers_.get(),
      .guard = step_guard_.get(),
      .shards = shards_,
      .clock = &clock_,
      .at_boundary = [this](const std::function<void()>& fn,
                            bool durable) { return AtBoundary(fn, durable); },
      .write =
          [db = store_.db(), without_log = !store_.has_log()](rocksdb::WriteBatch* batch) {
            rocksdb::WriteOptions write;
            write.disableWAL = without_log;
            return db->Write(write, batch);
          },
  });
}

Status Engine::AtBoundary(const std::function<void()>& fn, bool durable) {
  std::promise<Status> done;
  std::future<Status> result = done.get_future();
  Status failed;
  auto boundary = std::make_unique<Submission>();
  boundary->of_step = true;
  boundary->durability = durable && store_.has_log() ? Durability::kFsync : Durability::kWal;
  boundary->at_boundary = [&](uint64_t) {
    try {
      fn();
    } catch (const std::exception& error) {
      failed = {Code::kIo, std::string("migration failed: ") + error.what()};
    }
  };
  boundary->done = [&](const Status& status) { done.set_value(status); };
  Status status = Submit(std::move(boundary));
  if (status.ok()) status = result.get();
  if (status.ok()) status = std::move(failed);
  if (status.ok() && durable && !store_.has_log()) status = store_.Flush();
  return status;
}

void Engine::KeepClock() {
  std::string clock;
  PutFixed64(&clock, clock_.NowMs());
  // If this fails the store has failed, and the callers of its writes learn it.
  (void)store_.PutMeta({{meta_key::kClock, clock}}, /*sync=*/false);
}

void Engine::KeepShardTimes() {
  (void)store_.PutMeta({{meta_key::kShardTimes, activity_->Encode(store_.shards()->table)}},
                       /*sync=*/false);
}

void Engine::Close() {
  std::call_once(closed_, [this] {
    if (migrator_) migrator_->Stop();
    if (committer_) committer_->Stop();
    if (outbox_) outbox_->Stop();
    if (topics_) topics_->Close();
    if (read_pool_) read_pool_->Shutdown();
    if (task_pool_) task_pool_->Shutdown();
    if (background_pool_) background_pool_->Shutdown();
    if (store_.db() != nullptr && committer_) {
      // First, since the clock's record could meet a full disk and hide that from the flush.
      if (!store_.has_log()) close_status_ = Flush();
      KeepClock();
      KeepShardTimes();
      if (heat_) KeepHeat();
    }
    CloseFeed();
    migrator_.reset();
    reader_.reset();
    stepper_.reset();
    // Only a log that has been synced may be held to be whole after the next boot.
    const bool whole =
        committer_ && close_status_.ok() && (!store_.has_log() || store_.db()->SyncWAL().ok());
    step_guard_.reset();
    shards_.reset();
    tiers_.reset();
    store_.Close();
    if (whole) lock_.SetNote("");
    // JavaScript objects may keep the engine's shell for long; its memory and its lock go now.
    cache_.reset();
    shared_ = RocksShared();
    lock_.Release();
#ifdef __GLIBC__
    // Caches and memtables were freed into many arenas of malloc, which would keep them.
    malloc_trim(0);
#endif
  });
}

Status Engine::Destroy(const std::string& location) {
  std::error_code error;
  const bool there = fs::exists(location, error);
  if (error) return FromErrno(error.value(), "opening " + location);
  if (!there) return {};
  const fs::path root(location);
  const fs::path hot = root / kHotDirectory;
  const bool exists = HotStore::Exists(hot.string(), &error);
  if (error) return FromErrno(error.value(), "opening " + hot.string());
  if (!exists) {
    return {Code::kInvalidArgument,
            location + " holds no Thermocline database: nothing was deleted"};
  }
  FileLock lock;
  Status status = lock.Acquire((root / kLockFile).string(), /*shared=*/false);
  if (!status.ok()) return status;
  status = topic::TopicStore::Destroy((root / kTopicsDirectory).string());
  std::vector<TierSet::Found> tiers;
  if (status.ok()) status = TierSet::Find(location, hot.string(), &tiers);
  // The hot store last: it is what finds the others, should this be cut short.
  for (const TierSet::Found& tier : tiers) {
    if (status.ok()) status = TierStore::Destroy(tier.directory, tier.uuid, nullptr);
  }
  if (status.ok()) status = HotStore::Destroy(hot.string());
  if (!status.ok()) return status;
  fs::remove(hot, error);  // both folders stay if somebody keeps files of their own in them
  fs::remove(root / kLockFile, error);
  if (error) return FromErrno(error.value(), "deleting the lock file");
  fs::remove(root, error);
  return {};
}

Status Engine::Submit(std::unique_ptr<Submission> submission) {
  if (!committer_) return {Code::kReadOnly, "the database is open read-only"};
  if (!submission->messages.empty()) {
    Status status = CheckMessages(*submission);
    if (!status.ok()) return status;
  }
  return committer_->Submit(std::move(submission));
}

std::shared_ptr<const ReadView> Engine::NewView() {
  return std::make_shared<const ReadView>(
      store_.db(), shards_, [this] { return clock_.NowMs(); }, view_clocks_,
      TieredViewSource{&tiers_->latch(), &tiers_->intents(), store_.meta()});
}

Status Engine::BeginTransaction(std::function<void(std::shared_ptr<Transaction>)> opened) {
  auto boundary = std::make_unique<Submission>();
  boundary->at_boundary = [this, opened = std::move(opened)](uint64_t last_commit_id) {
    // Registered before the view is taken, so that no commit falls between the two.
    committer_->recent().Begin(last_commit_id);
    opened(std::make_shared<Transaction>(&committer_->recent(), last_commit_id, NewView()));
  };
  return Submit(std::move(boundary));
}

Status Engine::Resume() {
  if (!committer_) return {Code::kReadOnly, "the database is open read-only"};
  return committer_->Resume();
}

std::shared_ptr<Cursor> Engine::NewCursor(std::shared_ptr<const ReadView> view,
                                          CursorOptions options) {
  return std::make_shared<Cursor>(
      store_.db(), std::move(view), std::move(options), read_pool_.get(), metrics_.get(),
      [this](size_t shard, uint64_t records) { activity_->Read(shard, records, clock_.NowMs()); });
}

Status Engine::Flush() {
  if (options_.read_only) return {Code::kReadOnly, "the database is open read-only"};
  Status status = store_.Flush();
  for (int level = 1; level < tiers_->levels() && status.ok(); level++) {
    status = tiers_->store(level).Flush();
  }
  return status;
}

template <class Fn>
Status Engine::ForEachFamily(Fn&& fn) {
  for (rocksdb::ColumnFamilyHandle* shard : shards_->handles) {
    Status status = fn(store_.db(), shard);
    if (!status.ok()) return status;
  }
  for (const ColderShards& colder : shards_->colder) {
    for (rocksdb::ColumnFamilyHandle* shard : colder.handles) {
      Status status = fn(colder.db, shard);
      if (!status.ok()) return status;
    }
  }
  return {};
}

Status Engine::Compact(const KeyRange& range) {
  if (options_.read_only) return {Code::kReadOnly, "the database is open read-only"};
  const rocksdb::Slice start = AsSlice(range.start);
  const rocksdb::Slice end = AsSlice(range.end);
  return ForEachFamily([&](rocksdb::DB* db, rocksdb::ColumnFamilyHandle* shard) {
    return Status::From(
        db->CompactRange(rocksdb::CompactRangeOptions(), shard, range.has_start ? &start : nullptr,
                         range.has_end ? &end : nullptr),
        "compacting");
  });
}

Status Engine::ApproximateSize(const KeyRange& range, uint64_t* bytes) {
  *bytes = 0;
  // RocksDB wants both ends; this end is above every key that is not made of 0xff bytes alone.
  const std::string end = range.has_end ? range.end : std::string(64, '\xff');
  const rocksdb::Range rocks_range(AsSlice(range.start), AsSlice(end));
  rocksdb::SizeApproximationOptions options;
  options.include_files = true;
  options.include_memtables = true;
  return ForEachFamily([&](rocksdb::DB* db, rocksdb::ColumnFamilyHandle* shard) {
    uint64_t size = 0;
    const rocksdb::Status s = db->GetApproximateSizes(options, shard, &rocks_range, 1, &size);
    if (s.ok()) *bytes += size;
    return Status::From(s, "estimating a size");
  });
}

Status Engine::LastKey(int shard, std::string* key, bool* found) {
  std::unique_ptr<rocksdb::Iterator> it(store_.db()->NewIterator(
      rocksdb::ReadOptions(), store_.shards()->handles[static_cast<size_t>(shard)]));
  it->SeekToLast();
  *found = it->Valid();
  if (*found) key->assign(it->key().data(), it->key().size());
  return Status::From(it->status(), "finding the last key");
}

EngineGauges Engine::Gauges() {
  EngineGauges gauges;
  gauges.shards = store_.shards()->count();
  gauges.in_flight_limit_bytes = options_.hard_in_flight_bytes;
  gauges.transaction_budget_bytes = options_.transaction_memory_bytes;
  gauges.memtable_budget_bytes = options_.memory.write_buffer;
  gauges.buffers = block_pool::GetStats();
  if (committer_) {
    gauges.in_flight_bytes = committer_->in_flight_bytes();
    gauges.transaction_bytes = committer_->recent().bytes();
    gauges.queue_age_nanos = committer_->queue_age_nanos();
    gauges.target_group_bytes = committer_->target_group_bytes();
  }
  const HotCache::Stats cache = cache_->GetStats();
  gauges.hot_cache_bytes = cache.bytes;
  gauges.hot_cache_entries = cache.entries;
  gauges.hot_cache_capacity_bytes = options_.memory.hot_cache;
  gauges.block_cache_bytes = shared_.block_cache->GetUsage();
  gauges.block_cache_capacity_bytes = shared_.block_cache->GetCapacity();
  gauges.block_cache_pinned_bytes = shared_.block_cache->GetPinnedUsage();
  gauges.memtable_bytes = shared_.write_buffer_manager->memory_usage();
  for (rocksdb::ColumnFamilyHandle* shard : store_.shards()->handles) {
    const auto property = [&](const std::string& name) {
      uint64_t value = 0;
      store_.db()->GetIntProperty(shard, name, &value);
      return value;
    };
    gauges.table_reader_bytes += property(rocksdb::DB::Properties::kEstimateTableReadersMem);
    gauges.sst_bytes += property(rocksdb::DB::Properties::kTotalSstFilesSize);
    gauges.estimated_keys += property(rocksdb::DB::Properties::kEstimateNumKeys);
    gauges.pending_compaction_bytes +=
        property(rocksdb::DB::Properties::kEstimatePendingCompactionBytes);
  }
  store_.db()->GetIntProperty(rocksdb::DB::Properties::kNumRunningCompactions,
                              &gauges.running_compactions);
  store_.db()->GetIntProperty(rocksdb::DB::Properties::kNumRunningFlushes, &gauges.running_flushes);
  return gauges;
}

MetricsSnapshot Engine::Snapshot() {
  MetricsSnapshot snapshot = metrics_->Snapshot();
  const HotCache::Stats cache = cache_->GetStats();
  snapshot.hot_cache_hits += cache.hits;
  snapshot.hot_cache_negative_hits += cache.negative_hits;
  snapshot.hot_cache_misses += cache.misses;
  return snapshot;
}

}  // namespace thermocline
