#include "engine/tier/migrator.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "engine/hash.h"
#include "engine/platform/thread_pool.h"
#include "engine/platform/time.h"
#include "engine/tier/heat_sample.h"

namespace thermocline {

namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kCheckNanos = kSecond;
// While writes are held: how often it is seen whether there is room, and how long the room that
// records leave may take to show.
constexpr uint64_t kHeldNanos = kSecond / 20;
constexpr uint64_t kCompactionNanos = kSecond;
constexpr uint64_t kKeepNanos = 300 * kSecond;
constexpr uint64_t kLeaveAloneNanos = 30 * kSecond;
// How long a tier that had room a moment ago is taken to have some still.
constexpr uint64_t kRoomNanos = kSecond / 10;
// Of sweeping, to one turn.
constexpr uint64_t kSweepNanos = kSecond / 5;
constexpr size_t kMaxQueuedKeys = 8192;
constexpr size_t kMaxQueuedBytes = 1 * kMiB;
constexpr size_t kPromotionKeys = 256;  // to one step
// How long offers are collected of which only some are taken.
constexpr uint64_t kChooseNanos = kSecond / 5;
// Writes that wait longer than this make migration wait too, but not for ever.
constexpr uint64_t kSufferingNanos = 20'000'000;
constexpr uint64_t kPauseNanos = 20'000'000;
constexpr int kMaxPauses = 100;
// When processors are scarce, whoever is waited for goes first.
constexpr int kNice = 10;
constexpr int kSampleRecords = 1024;
constexpr int kSampleSeeks = 4;

}  // namespace

Migrator::Migrator(Dependencies dependencies)
    : deps_(std::move(dependencies)),
      promotion_({.heat = deps_.heat,
                  .shards = deps_.shards,
                  .hot = deps_.hot,
                  .fill = [this] { return HotFill(); },
                  .stopping = [this] { return stopping(); }}),
      troubles_(static_cast<size_t>(deps_.tiers->levels())),
      sweeper_({.stepper = deps_.stepper,
                .tiers = deps_.tiers,
                .heat = deps_.heat,
                .shards = deps_.shards,
                .hot = deps_.hot,
                .clock = deps_.clock,
                .ledger = deps_.ledger,
                .recency = deps_.recency,
                .temperature = deps_.temperature,
                .shards_grace_ms = deps_.shards_grace_ms,
                .shards_look_ms = deps_.shards_look_ms,
                .takes_more = [this](int level) { return TakesMore(level); },
                .flush_hot = deps_.flush_hot,
                .is_left_alone = [this](int level) { return IsLeftAlone(level + 1); }}),
      hands_(static_cast<size_t>(deps_.tiers->levels())),
      left_alone_until_(static_cast<size_t>(deps_.tiers->levels())),
      full_(static_cast<size_t>(deps_.tiers->levels())),
      roomy_(static_cast<size_t>(deps_.tiers->levels())) {
  kept_nanos_ = NowNanos();
  thread_ = std::thread([this] { Run(); });
}

void Migrator::Offer(int shard, std::string_view key, uint64_t hash) {
  if (!promotion_.Admits(hash)) return;
  std::lock_guard lock(mutex_);
  if (queued_hashes_.size() >= kMaxQueuedKeys || queued_bytes_ > kMaxQueuedBytes) return;
  if (!queued_hashes_.insert(hash).second) return;
  queue_[shard].emplace_back(key);
  queued_bytes_ += key.size();
  if (promotion_.IsChoosy()) return;  // the thread comes by itself
  if (!std::exchange(awake_, true)) wake_.notify_one();
}

void Migrator::Wake() {
  std::lock_guard lock(mutex_);
  awake_ = true;
  wake_.notify_one();
}

void Migrator::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

MigratorStatus Migrator::status() {
  std::lock_guard lock(mutex_);
  MigratorStatus status = status_;
  for (const std::string& trouble : troubles_) {
    if (trouble.empty()) continue;
    status.trouble += (status.trouble.empty() ? "" : "; ") + trouble;
  }
  return status;
}

bool Migrator::stopping() {
  std::lock_guard lock(mutex_);
  return stopping_;
}

bool Migrator::Sleep(uint64_t nanos) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, std::chrono::nanoseconds(nanos), [this] { return stopping_; });
  return !stopping_;
}

void Migrator::Run() {
  NameThisThread("tc-migrate");
  LowerThisThread(kNice);
  bool bounded = false;
  for (;;) {
    const bool held = deps_.space->state() != SpaceState::kOpen;
    Queue queue;
    {
      std::unique_lock lock(mutex_);
      uint64_t wait = sweep_rest_nanos_ > 0 ? sweep_rest_nanos_ : kCheckNanos;
      if (promotion_.IsChoosy()) wait = std::min(wait, kChooseNanos);
      wake_.wait_for(lock, std::chrono::nanoseconds(held ? kHeldNanos : wait),
                     [this] { return awake_ || stopping_; });
      if (stopping_) return;
      awake_ = false;
      queue.swap(queue_);
      queued_hashes_.clear();
      queued_bytes_ = 0;
    }
    try {
      // What an earlier opening has found to be hot is not pushed out by whatever is read first.
      if (!std::exchange(bounded, true)) promotion_.Look();
      if (deps_.tiers->intents().any()) {
        SetTrouble(0, deps_.stepper->ApplyIntents());
      }
      (void)deps_.space->Measure();
      if (deps_.space->state() == SpaceState::kOpen) {
        PromoteAll(std::move(queue));
      } else {
        MakeSpace();
      }
      const uint64_t now = NowNanos();
      if (now - checked_nanos_ >= kCheckNanos) {
        checked_nanos_ = now;
        if (deps_.heat->IsDue()) {
          deps_.heat->Halve();
          promotion_.HeatFaded();
          sweeper_.HeatFaded();
        }
        promotion_.Look();
        CheckLevels();
        sweeper_.Look();
        if (now - kept_nanos_ > kKeepNanos) {
          kept_nanos_ = now;
          deps_.keep_heat();
        }
      }
      Sweep();
    } catch (const std::exception& error) {
      SetTrouble(0, {Code::kIo, std::string("migration failed: ") + error.what()});
    }
  }
}

void Migrator::PromoteAll(Queue queue) {
  promotion_.Choose(&queue);
  for (auto& [shard, keys] : queue) {
    std::sort(keys.begin(), keys.end());
    for (size_t begin = 0; begin < keys.size() && !stopping(); begin += kPromotionKeys) {
      const size_t end = std::min(keys.size(), begin + kPromotionKeys);
      const std::vector<std::string> some(keys.begin() + static_cast<std::ptrdiff_t>(begin),
                                          keys.begin() + static_cast<std::ptrdiff_t>(end));
      uint64_t copied = 0;
      // What fails is promoted when it is read again.
      (void)deps_.stepper->Promote(shard, some, &copied);
      if (!Pace(0, 0)) return;
    }
  }
}

void Migrator::CheckLevels() {
  for (int level = 0; level + 1 < deps_.tiers->levels() && !stopping(); level++) {
    // Its trouble ends with it, whether or not anything wants to sink.
    if (full_[static_cast<size_t>(level) + 1] != 0) (void)TakesMore(level);
    uint64_t used = 0;
    uint64_t capacity = 0;
    if (!FillOf(deps_.figures(level), level, &used, &capacity)) continue;
    const uint64_t bytes = BytesToSink(used, capacity);
    if (bytes == 0) continue;
    if (TakesMore(level)) Sink(level, bytes);
  }
}

bool Migrator::FillOf(const TierFigures& figures, int level, uint64_t* used,
                      uint64_t* capacity) const {
  *capacity = figures.capacity_bytes;
  *used = figures.LiveBytes();
  if (*capacity != 0) return true;
  const uint64_t to_come_back = figures.file_bytes - std::min(figures.file_bytes, *used);
  if (!deps_.disk(level, capacity, used)) return false;
  *used -= std::min(*used, to_come_back);
  return true;
}

PromotionBound::Fill Migrator::HotFill() const {
  const TierFigures figures = deps_.figures(0);
  PromotionBound::Fill fill{.records = figures.records};
  // Unknown if others have filled its disk.
  if (!FillOf(figures, 0, &fill.used, &fill.capacity)) fill.capacity = 0;
  return fill;
}

bool Migrator::IsLeftAlone(int level) const {
  return NowNanos() < left_alone_until_[static_cast<size_t>(level)];
}

bool Migrator::TakesMore(int level) {
  const size_t to = static_cast<size_t>(level) + 1;
  if (IsLeftAlone(level + 1) || NowNanos() < full_[to]) return false;
  if (full_[to] == 0 && NowNanos() < roomy_[to]) return true;
  const TierFigures below = deps_.figures(level + 1);
  if (HasRoom(below.LiveBytes(), below.capacity_bytes)) {
    if (std::exchange(full_[to], 0) != 0) SetTrouble(level + 1, {});
    roomy_[to] = NowNanos() + kRoomNanos;
    return true;
  }
  full_[to] = NowNanos() + kLeaveAloneNanos;
  // Nothing was written, so it takes markers still.
  SetTrouble(level + 1, {});
  return false;
}

void Migrator::MakeSpace() {
  const uint64_t now = NowNanos();
  if (made_space_nanos_ != 0 && now - made_space_nanos_ < kCompactionNanos) return;
  // Logs are deleted once what is in them lies in tables.
  SetTrouble(0, deps_.flush_hot());
  (void)deps_.space->Measure();
  if (deps_.space->state() == SpaceState::kOpen) return;
  if (TakesMore(0)) {
    deps_.space->SetHopeless(false);
    const uint64_t reserve = deps_.space->reserve_bytes();
    Sink(0, 2 * reserve - std::min(deps_.space->free_bytes(), reserve));
  } else {
    deps_.space->SetHopeless(true);
  }
  made_space_nanos_ = NowNanos();
}

// Looks at every shard from the hand on and from a few keys on that the tables' bounds offer.
int Migrator::ChooseThreshold(int level, double share) {
  HeatSample sample{};
  const std::shared_ptr<const Shards> shards = deps_.shards.Load();
  const auto& colder = shards->colder;
  rocksdb::DB* const db = level == 0 ? deps_.hot : colder[static_cast<size_t>(level) - 1].db;
  const auto& handles =
      level == 0 ? shards->handles : colder[static_cast<size_t>(level) - 1].handles;
  for (int shard = 0; shard < shards->count(); shard++) {
    rocksdb::ColumnFamilyHandle* const family = handles[static_cast<size_t>(shard)];
    const auto add = [&](const std::string& start) {
      AddHeatOf(db, family, start, kSampleRecords, *deps_.heat, &sample);
    };
    add(hands_[static_cast<size_t>(level)].second);
    const std::vector<std::string> starts = StartsOfTables(db, family);
    const size_t stride = std::max<size_t>(1, starts.size() / kSampleSeeks);
    for (size_t i = 0; i < starts.size(); i += stride) add(starts[i]);
  }
  return HeatThreshold(sample, share);
}

void Migrator::Sink(int level, uint64_t bytes) {
  const TierFigures before = deps_.figures(level);
  const uint64_t held = std::max<uint64_t>(1, before.LiveBytes());
  const int threshold = ChooseThreshold(
      level, static_cast<double>(bytes) / static_cast<double>(std::max(held, bytes)));
  // What has just sunk does not come up again.
  if (level == 0) promotion_.RaiseTo(threshold);
  // Bytes of keys and values make fewer in the tables.
  const double ratio = before.raw_bytes == 0 ? 1
                                             : static_cast<double>(before.data_bytes) /
                                                   static_cast<double>(before.raw_bytes);
  auto& [hand_shard, hand_key] = hands_[static_cast<size_t>(level)];
  uint64_t freed = 0;
  // Once around: every shard, the first one in two parts.
  for (int visited = 0; visited <= deps_.shards->count() && freed < bytes;) {
    StepPlan plan;
    plan.shard = hand_shard % deps_.shards->count();  // there may be fewer than there were
    plan.from = level;
    plan.to = level + 1;
    plan.start = hand_key;
    plan.cause = MoveCause::kCapacity;
    plan.pick = [&](std::string_view key, const Envelope&) {
      return deps_.heat->Estimate(HashKey(key)) <= threshold;
    };
    StepResult result;
    const Status status = deps_.stepper->Run(plan, &result);
    SetTrouble(level + 1, status);
    if (!status.ok()) return;
    freed += static_cast<uint64_t>(static_cast<double>(result.freed) * ratio);
    hand_key = result.next;
    if (result.done) {
      hand_key.clear();
      hand_shard = (hand_shard + 1) % deps_.shards->count();
      visited++;
    }
    if (!Pace(level + 1, result.bytes)) return;
  }
  // Deletions in memory count for nothing yet.
  SetTrouble(level, level == 0 ? deps_.flush_hot() : deps_.tiers->store(level).Flush());
  std::lock_guard lock(mutex_);
  status_.rounds++;
  status_.threshold = threshold;
}

void Migrator::Sweep() {
  const uint64_t began = NowNanos();
  // Offers wake the thread in the midst of the rest.
  if (began - swept_nanos_ < sweep_rest_nanos_) return;
  sweep_rest_nanos_ = 0;
  while (sweeper_.HasWork() && deps_.space->state() == SpaceState::kOpen) {
    const Sweeper::Progress progress = sweeper_.Step();
    if (progress.to >= 0) SetTrouble(progress.to, progress.status);
    if (!Pace(std::max(0, progress.to), progress.bytes)) return;
    swept_nanos_ = NowNanos();
    sweep_rest_nanos_ = swept_nanos_ - began;
    if (sweep_rest_nanos_ > kSweepNanos) break;
  }
  if (!sweeper_.HasWork()) sweep_rest_nanos_ = 0;
}

bool Migrator::Pace(int to, uint64_t bytes) {
  // It goes through the sketches, so not at every step.
  if (NowNanos() - checked_nanos_ >= kCheckNanos) sweeper_.AdvanceTime();
  if (to > 0) {
    const uint64_t limit = deps_.tiers->store(to).options().rate_limit_bytes;
    if (limit > 0 && !Sleep(bytes * kSecond / limit)) return false;
  }
  (void)deps_.space->Measure();
  // Writes that wait for space wait for migration.
  const int most = deps_.space->state() == SpaceState::kOpen ? kMaxPauses : 0;
  for (int pause = 0; pause < most; pause++) {
    if (deps_.queue_age_nanos() < kSufferingNanos) break;
    const uint64_t began = NowNanos();
    if (!Sleep(kPauseNanos)) return false;
    std::lock_guard lock(mutex_);
    status_.paused_nanos += NowNanos() - began;
  }
  return !stopping();
}

void Migrator::SetTrouble(int to, const Status& status) {
  const size_t at = static_cast<size_t>(to);
  if (!status.ok()) left_alone_until_[at] = NowNanos() + kLeaveAloneNanos;
  if (!status.ok() && to > 0) {
    // RocksDB stops writing after a full disk until it is told to go on.
    deps_.tiers->store(to).db()->Resume().PermitUncheckedError();
  }
  std::string trouble(status.message());
  if (status.ok() && full_[at] != 0) {
    trouble = "the " + std::string(TierName(deps_.tiers->TierOf(to))) +
              " tier is full: it has reached its capacity";
  }
  std::lock_guard lock(mutex_);
  troubles_[at] = std::move(trouble);
}

}  // namespace thermocline
