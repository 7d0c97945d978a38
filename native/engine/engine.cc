#include "engine/engine.h"

#ifdef __GLIBC__
#include <malloc.h>

#include <algorithm>
#endif

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "engine/feed/retention.h"
#include "engine/location.h"
#include "engine/metrics/rocks_listener.h"
#include "engine/platform/boot_id.h"
#include "engine/platform/file.h"
#include "engine/record/coding.h"
#include "engine/tier/expiry_filter.h"
#include "engine/tier/policy.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

constexpr int kTaskThreads = 2;
constexpr int kShardThreads = 2;
// How often the shards' times are written while there are writes. They are also written at close.
constexpr uint64_t kKeepShardTimesMs = 5 * 60 * 1000;
// After opening, for first reads to come in before shards that nobody used are moved.
constexpr uint64_t kShardsGraceMs = 10 * 60 * 1000;
constexpr uint64_t kMinShardsLookMs = 50;
constexpr uint64_t kMaxShardsLookMs = 60'000;
constexpr int kBackgroundNice = 10;
// One copies; one is there for a caller who gives up waiting.
constexpr int kReshardThreads = 2;

Status FlushStores(HotStore* hot, TierSet* tiers) {
  Status status = hot->Flush();
  for (int level = 1; level < tiers->levels() && status.ok(); level++) {
    status = tiers->store(level).Flush();
  }
  return status;
}

}  // namespace

Engine::Engine(std::string location, EngineOptions options)
    : location_(std::move(location)), options_(options), metrics_(std::make_unique<Metrics>()) {
  if (options_.slow_operations > 0) {
    metrics_->slow =
        std::make_unique<SlowLog>(options_.slow_operations, options_.slow_key_prefix_bytes);
  }
}

Engine::~Engine() { Close(); }

Status Engine::Open(const std::string& location, EngineOptions options,
                    std::shared_ptr<Engine>* out) {
  Status status = Finish(&options);
  if (status.ok()) status = CheckLocation(location, options);
  if (!status.ok()) return status;
  if (!options.read_only) {
    std::error_code error;
    fs::create_directories(location, error);
    if (error) return ErrnoStatus(error.value(), "creating the folder", location);
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
  shared_.block_cache = std::make_shared<CountingCache>(shared_.block_cache, shared_.activity);
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

  tiers_ = std::make_unique<TierSet>(TierSet::Dependencies{
      .location = location_, .hot = &store_, .filter_clock = filter_clock, .hot_filter = filter});
  status = tiers_->Open(options_, shared_);
  if (!status.ok()) return status;
  status = OpenShards();
  if (!status.ok()) return status;
  OpenHashSeed();
  const bool tiered = !tiers_->empty();
  if (tiered) {
    OpenHeat();
    step_guard_ = std::make_unique<StepGuard>(StepGuard::Dependencies{.shards = shards_,
                                                                      .intents = &tiers_->intents(),
                                                                      .hot = store_.db(),
                                                                      .meta = store_.meta(),
                                                                      .heat = heat_.get(),
                                                                      .on_intent = [this] {
                                                                        if (migrator_)
                                                                          migrator_->Wake();
                                                                      }});
  }
  OpenRecency();

  const auto pool = [this](const char* name, int threads, WorkClass which, int nice) {
    return std::make_unique<ThreadPool>(
        name, threads, ThreadPoolOptions{.metrics = &metrics_->Work(which), .nice = nice});
  };
  read_pool_ = pool("tc-read", options_.threads.read, WorkClass::kRead, 0);
  std::vector<ThreadPool*> colder_pools;
  for (int level = 1; level < tiers_->levels(); level++) {
    const std::string name = "tc-read-" + std::string(TierName(tiers_->TierOf(level)));
    colder_read_pools_.push_back(
        pool(name.c_str(), ColderReadThreads(options_.threads.read), WorkClass::kRead, 0));
    colder_pools.push_back(colder_read_pools_.back().get());
  }
  task_pool_ = pool("tc-task", kTaskThreads, WorkClass::kTask, 0);
  background_pool_ =
      pool("tc-background", options_.threads.maintenance, WorkClass::kBackground, kBackgroundNice);
  shard_pool_ = pool("tc-shard", kShardThreads, WorkClass::kBackground, 0);
  if (options_.prefetch_sequence) {
    prefetcher_ = std::make_unique<SequencePrefetcher>(
        SequencePrefetcher::Dependencies{
            .cache = cache_.get(),
            .fetch = [this](std::string_view key,
                            uint64_t hash) { return reader_->FetchAhead(key, hash); },
            .rests = options_.prefetch_rests},
        options_.memory.prefetch);
  }
  reader_ = std::make_unique<PointReader>(PointReader::Dependencies{
      .db = store_.db(),
      .shards = shards_,
      .cache = cache_.get(),
      .clock = &clock_,
      .pool = read_pool_.get(),
      .colder_pools = std::move(colder_pools),
      .metrics = metrics_.get(),
      .tiers = tiered ? tiers_.get() : nullptr,
      .heat = heat_.get(),
      .prefetcher = prefetcher_.get(),
      .on_colder_read =
          [this](int shard, std::string_view key, uint64_t hash) {
            if (migrator_) migrator_->Offer(shard, key, hash);
          },
      .thaw = options_.freeze.thaw_on_access && !options_.read_only
                  ? [this](std::vector<uint32_t> ids,
                           std::function<void(const Status&)>
                               done) { ThawForReads(std::move(ids), std::move(done)); }
                  : decltype(PointReader::Dependencies::thaw)(),
  });
  OpenTopics();
  OpenArchives();
  if (options_.read_only) {
    OpenMetrics();
    return {};
  }

  status = OpenFeed();
  if (status.ok()) status = OpenOutbox();
  if (!status.ok()) return status;
  if (tiered && options_.tiers.automatic) OpenSpaceGate();
  OpenCommitter();
  if (tiered) {
    OpenStepper();
    if (options_.tiers.automatic) OpenMigrator();
  }
  OpenMetrics();
  OpenResharder();
  OpenSnapshots();
  lock_.SetNote(boot);
  return {};
}

// The families of all tiers, and when they were used.
Status Engine::OpenShards() {
  auto shards = std::make_shared<Shards>(*tiers_->Extend(store_.shards()));
  shards->activity = std::make_shared<ShardActivity>(shards->table.shards().size());
  ShardActivity& activity = *shards->activity;
  shard_times_kept_ms_ = clock_.NowMs();
  if (store_.created()) activity.SetCreated(shard_times_kept_ms_);
  std::string payload;
  bool found = false;
  Status status = store_.GetMeta(meta_key::kShardTimes, &payload, &found);
  if (status.ok() && found) {
    status = activity.Decode(payload, shards->table);
  } else if (status.ok() && store_.created()) {
    status = store_.PutMeta({{meta_key::kShardTimes, activity.Encode(shards->table)}},
                            /*sync=*/false);
  }
  shards_ = store_.current_shards();
  shards_.Publish(std::move(shards));
  return status;
}

std::vector<ShardReport> Engine::ShardReports() {
  return ReportShards(store_.db(), *shards_.Load(), options_.temperature_ages, clock_.NowMs(),
                      archives_);
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
    const std::shared_ptr<const Shards> shards = shards_.Load();
    for (size_t i = 0; i < records.size(); i++) {
      if (records[i] > 0) shards->activity->Write(i, records[i], now);
    }
    if (now - shard_times_kept_ms_ > kKeepShardTimesMs) {
      shard_times_kept_ms_ = now;
      KeepShardTimes();
    }
  };
  dependencies.thaw = [this](const std::vector<uint32_t>& ids) { ThawForWrites(ids); };
  dependencies.shards = shards_;
  dependencies.notes = &change_notes_;
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
      .writes_held = [this] { return space_gate_ && space_gate_->state() != SpaceState::kOpen; },
      .ledger = &moves_,
  });
}

void Engine::OpenMigrator() {
  migrator_ = std::make_unique<Migrator>(Migrator::Dependencies{
      .stepper = stepper_.get(),
      .tiers = tiers_.get(),
      .heat = heat_.get(),
      .shards = shards_,
      .hot = store_.db(),
      .figures = [this](int level) { return FiguresOf(level); },
      .disk = [this](int level, uint64_t* capacity,
                     uint64_t* used) { return DiskOf(level, capacity, used); },
      .queue_age_nanos = [this] { return committer_->queue_age_nanos(); },
      .flush_hot = [this] { return store_.Flush(); },
      .keep_heat = [this] { KeepHeat(); },
      .space = space_gate_.get(),
      .clock = &clock_,
      .ledger = &moves_,
      .recency = RecencyByLevel(),
      .temperature = options_.tiers.sink_idle_shards
                         ? [this](const Shards& shards,
                                  int shard) { return TemperatureOfShard(shards, shard); }
                         : decltype(Migrator::Dependencies::temperature)(),
      .shards_grace_ms = std::min(kShardsGraceMs, options_.temperature_ages.hot_ms),
      .shards_look_ms =
          std::clamp(options_.temperature_ages.hot_ms / 4, kMinShardsLookMs, kMaxShardsLookMs),
  });
  if (tiers_->intents().any()) migrator_->Wake();
}

ThreadPool& Engine::reshard_pool() {
  std::call_once(reshard_pool_made_, [this] {
    reshard_pool_ = std::make_unique<ThreadPool>(
        "tc-reshard", kReshardThreads,
        ThreadPoolOptions{.metrics = nullptr, .nice = kBackgroundNice});
  });
  return *reshard_pool_;
}

void Engine::OpenResharder() {
  resharder_ = std::make_unique<Resharder>(Resharder::Dependencies{
      .hot = &store_,
      .tiers = tiers_.get(),
      .stepper = stepper_.get(),
      .notes = &change_notes_,
      .clock = &clock_,
      .at_boundary = [this](const std::function<void()>& fn,
                            bool durable) { return AtBoundary(fn, durable); },
      .fail = [this](const Status& cause) { committer_->Fail(cause); },
      .queue_age_nanos = [this] { return committer_->queue_age_nanos(); },
  });
  if (!options_.auto_split.enabled()) return;
  auto_splitter_ = std::make_unique<AutoSplitter>(AutoSplitter::Dependencies{
      .limits = options_.auto_split,
      .hot = store_.db(),
      .shards = shards_,
      .resharder = resharder_.get(),
  });
}

void Engine::KeepClock() {
  std::string clock;
  PutFixed64(&clock, clock_.NowMs());
  // If this fails the store has failed, and the callers of its writes learn it.
  (void)store_.PutMeta({{meta_key::kClock, clock}}, /*sync=*/false);
}

void Engine::KeepShardTimes() {
  const std::shared_ptr<const Shards> shards = shards_.Load();
  (void)store_.PutMeta({{meta_key::kShardTimes, shards->activity->Encode(shards->table)}},
                       /*sync=*/false);
}

void Engine::Close() {
  std::call_once(closed_, [this] {
    CloseMetrics();
    if (prefetcher_) prefetcher_->Stop();
    if (auto_splitter_) auto_splitter_->Stop();
    if (auto_freezer_) auto_freezer_->Stop();
    if (migrator_) migrator_->Stop();
    if (committer_) committer_->Stop();
    if (outbox_) outbox_->Stop();
    if (topics_) topics_->Close();
    if (shard_pool_) shard_pool_->Shutdown();  // reads go on in the others once it has thawed
    if (read_pool_) read_pool_->Shutdown();
    for (const auto& pool : colder_read_pools_) pool->Shutdown();  // each takes from the former
    if (task_pool_) task_pool_->Shutdown();
    if (background_pool_) background_pool_->Shutdown();
    if (reshard_pool_) reshard_pool_->Shutdown();
    if (store_.db() != nullptr && committer_) {
      // First, since the clock's record could meet a full disk and hide that from the flush.
      if (!store_.has_log()) close_status_ = FlushStores(&store_, tiers_.get());
      KeepClock();
      KeepShardTimes();
      if (heat_) KeepHeat();
    }
    CloseFeed();
    auto_splitter_.reset();
    auto_freezer_.reset();
    freezer_.reset();
    snapshotter_.reset();
    restorer_.reset();
    resharder_.reset();
    migrator_.reset();
    reader_.reset();
    prefetcher_.reset();
    stepper_.reset();
    // Only a log that has been synced may be held to be whole after the next boot.
    const bool whole =
        committer_ && close_status_.ok() && (!store_.has_log() || store_.db()->SyncWAL().ok());
    step_guard_.reset();
    shards_.Publish(nullptr);
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
  const std::shared_ptr<ShardActivity> activity = view->shards()->activity;
  return std::make_shared<Cursor>(store_.db(), std::move(view), std::move(options),
                                  read_pool_.get(), metrics_.get(),
                                  [this, activity](size_t shard, uint64_t records) {
                                    activity->Read(shard, records, clock_.NowMs());
                                  });
}

Status Engine::Flush() {
  if (options_.read_only) return {Code::kReadOnly, "the database is open read-only"};
  const Status status = AwaitAccepted(nullptr);
  return status.ok() ? FlushStores(&store_, tiers_.get()) : status;
}

Status Engine::LastKey(int shard, std::string* key, bool* found) {
  const std::shared_ptr<const Shards> shards = shards_.Load();
  std::unique_ptr<rocksdb::Iterator> it(store_.db()->NewIterator(
      rocksdb::ReadOptions(), shards->handles[static_cast<size_t>(shard)]));
  it->SeekToLast();
  *found = it->Valid();
  if (*found) key->assign(it->key().data(), it->key().size());
  return Status::From(it->status(), "finding the last key");
}

}  // namespace thermocline
