#include "engine/tier/sweeper.h"

#include <rocksdb/rate_limiter.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <utility>

#include "engine/hash.h"
#include "engine/platform/time.h"
#include "engine/tier/entry_counts.h"

namespace thermocline {

namespace {

constexpr uint64_t kLookMs = 60'000;
constexpr uint64_t kFirstSweepMs = 60'000;  // after opening, at the latest
constexpr size_t kMaxTables = 64;           // to one look
// To one step over a table.
constexpr size_t kStepKeys = 4096;
constexpr int kStepEntries = 65'536;
constexpr uint64_t kWorthFlushing = 1024;
constexpr uint64_t kWorthFlushingBytes = 4 * kMiB;
constexpr uint64_t kRetryMs = 30'000;
constexpr uint64_t kOutputBytes = 64 * kMiB;

std::string_view View(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

std::unique_ptr<rocksdb::SstFileReader> OpenTable(rocksdb::Env* env, const std::string& path) {
  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;
  rocksdb::Options options;
  options.env = env;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  auto reader = std::make_unique<rocksdb::SstFileReader>(options);
  return reader->Open(path).ok() ? std::move(reader) : nullptr;
}

}  // namespace

Sweeper::Sweeper(Dependencies dependencies)
    : deps_(std::move(dependencies)),
      wall_ms_(deps_.clock->NowMs()),
      steady_ms_(NowNanos() / 1'000'000),
      now_ms_(wall_ms_),
      age_due_ms_(deps_.recency.size()),
      age_vain_nanos_(deps_.recency.size()),
      tidy_due_ms_(now_ms_ + kLookMs),
      removed_(static_cast<size_t>(deps_.tiers->levels())) {
  for (size_t level = 0; level < deps_.recency.size(); level++) {
    const RecencySketch* const recency = deps_.recency[level];
    if (recency == nullptr) continue;
    age_due_ms_[level] = now_ms_ + std::min(kFirstSweepMs, AgeSweepMs(recency->age_ms()));
  }
  shards_due_ms_ = now_ms_ + deps_.shards_grace_ms;
}

rocksdb::DB* Sweeper::DbOf(const Shards& shards, int level) const {
  return level == 0 ? deps_.hot : shards.colder[static_cast<size_t>(level) - 1].db;
}

rocksdb::ColumnFamilyHandle* Sweeper::FamilyOf(const Shards& shards, int level, int shard) {
  const auto& handles =
      level == 0 ? shards.handles : shards.colder[static_cast<size_t>(level) - 1].handles;
  return handles[static_cast<size_t>(shard)];
}

uint64_t Sweeper::Now() {
  const uint64_t wall = deps_.clock->NowMs();
  const uint64_t steady = NowNanos() / 1'000'000;
  now_ms_ += std::max(wall - wall_ms_, steady - steady_ms_);
  wall_ms_ = wall;
  steady_ms_ = steady;
  return now_ms_;
}

void Sweeper::AdvanceTime() {
  const uint64_t now = Now();
  for (RecencySketch* recency : deps_.recency) {
    if (recency != nullptr) recency->Advance(now);
  }
}

void Sweeper::Look() {
  AdvanceTime();
  if (HasWork()) return;
  const uint64_t now = Now();
  const std::shared_ptr<const Shards> shards = deps_.shards.Load();
  if (now >= retry_ms_) TakeUpWaiting();
  if (deps_.temperature && now >= shards_due_ms_) {
    shards_due_ms_ = now + deps_.shards_look_ms;
    LookForIdleShards(*shards);
  }
  for (int level = 0; level + 1 < deps_.tiers->levels(); level++) LookForAge(level, now);
  if (now >= tidy_due_ms_) {
    tidy_due_ms_ = now + kLookMs;
    LookForUntidyTables(*shards);
  }
}

// What failed comes last, so that it keeps nobody else from being tried.
void Sweeper::TakeUpWaiting() {
  std::stable_partition(waiting_.begin(), waiting_.end(),
                        [](const Job& job) { return !job.failed; });
  jobs_.swap(waiting_);
}

bool Sweeper::IsNoted(const Job& job) const {
  const auto same = [&](const Job& other) {
    return other.cause == job.cause && other.from == job.from && other.to == job.to &&
           other.shard.id == job.shard.id && other.copies_alone == job.copies_alone &&
           other.table == job.table && other.compact == job.compact;
  };
  return std::any_of(jobs_.begin(), jobs_.end(), same) ||
         std::any_of(waiting_.begin(), waiting_.end(), same);
}

void Sweeper::Note(Job job) {
  // One that waits is of a sweep that has not come to its end.
  if (!IsNoted(job)) jobs_.push_back(std::move(job));
}

void Sweeper::LookForAge(int level, uint64_t now_ms) {
  const size_t at = static_cast<size_t>(level);
  if (at >= deps_.recency.size() || deps_.recency[at] == nullptr || now_ms < age_due_ms_[at]) {
    return;
  }
  const uint64_t vain_ms = std::exchange(age_vain_nanos_[at], 0) / 1'000'000;
  age_due_ms_[at] = now_ms + AgeSweepMs(deps_.recency[at]->age_ms(), vain_ms);
  const std::shared_ptr<const Shards> shards = deps_.shards.Load();
  for (const ShardInfo& info : shards->table.shards()) {
    if (info.frozen) continue;
    Job job;
    job.cause = MoveCause::kAge;
    job.from = level;
    job.to = level + 1;
    job.shard = info;
    Note(std::move(job));
  }
}

void Sweeper::LookForIdleShards(const Shards& shards) {
  const int levels = deps_.tiers->levels();
  for (int shard = 0; shard < shards.count(); shard++) {
    const ShardInfo& info = shards.table.shards()[static_cast<size_t>(shard)];
    if (info.frozen) continue;
    const int belongs = LevelOfShard(deps_.temperature(shards, shard), levels);
    const auto add = [&](int from, int to, bool copies_alone) {
      Job job;
      job.cause = MoveCause::kShard;
      job.from = from;
      job.to = to;
      job.shard = info;
      job.copies_alone = copies_alone;
      Note(std::move(job));
    };
    for (int level = 0; level < belongs; level++) {
      // A copy is dropped by a step to the next tier, and written by one that goes further.
      if (level == 0 && belongs > 1) add(0, 1, /*copies_alone=*/true);
      add(level, belongs, /*copies_alone=*/false);
    }
  }
}

void Sweeper::LookForUntidyTables(const Shards& shards) {
  Seen living;
  size_t tables = 0;
  for (int level = 0; level < deps_.tiers->levels(); level++) {
    for (int shard = 0; shard < shards.count(); shard++) {
      LookAtTables(shards, level, shard, &tables, &living);
    }
  }
  const auto forget = [&](Seen* seen) {
    std::erase_if(*seen, [&](const std::string& table) { return !living.contains(table); });
  };
  forget(&markers_seen_);
  forget(&copies_seen_);
  forget(&deletions_seen_);
}

void Sweeper::LookAtTables(const Shards& shards, int level, int shard, size_t* tables,
                           Seen* living) {
  const ShardInfo& info = shards.table.shards()[static_cast<size_t>(shard)];
  rocksdb::DB* const db = DbOf(shards, level);
  rocksdb::ColumnFamilyHandle* const family = FamilyOf(shards, level, shard);
  rocksdb::TablePropertiesCollection all;
  if (info.frozen || !db->GetPropertiesOfAllTables(family, &all).ok()) return;
  const bool lowest = level + 1 == deps_.tiers->levels();
  uint64_t oldest_snapshot = 0;  // 0: there is none
  db->GetIntProperty(family, rocksdb::DB::Properties::kOldestSnapshotSequence, &oldest_snapshot);
  // What a deletion hides is about as large as what there is.
  uint64_t records = 0;
  uint64_t bytes = 0;
  for (const auto& [path, table] : all) {
    records += table->num_entries - table->num_deletions;
    bytes += table->raw_key_size + table->raw_value_size;
  }
  const uint64_t record_bytes = bytes / std::max<uint64_t>(1, records);
  for (const auto& [path, table] : all) {
    living->insert(path);
    if (*tables >= kMaxTables) continue;
    const EntryCounts counts = EntryCountsOf(*table);
    const auto worth = [&, &entries = table->num_entries](uint64_t useless) {
      return IsWorthTidying(useless, entries, deps_.tidy_least);
    };
    const auto first_time = [&, &name = path](Seen* seen) { return seen->insert(name).second; };
    const uint64_t hidden = table->num_deletions * record_bytes;
    const bool markers = !lowest && worth(counts.markers) && first_time(&markers_seen_);
    const bool copies = level == 0 && worth(counts.copies) && first_time(&copies_seen_);
    // Those that a snapshot may see beneath would come out of a compaction as they went in.
    const bool free = oldest_snapshot == 0 || oldest_snapshot >= table->key_largest_seqno;
    const bool deletions = free &&
                           (worth(table->num_deletions) ||
                            HidesMuch(table->num_deletions, table->num_entries, hidden)) &&
                           first_time(&deletions_seen_);
    if (!markers && !copies && !deletions) continue;
    (*tables)++;
    Job job;
    job.cause = MoveCause::kTidy;
    job.from = level;
    job.to = level + 1;
    job.shard = info;
    job.table = path;
    if (markers || copies) {
      // Its entries first: what they leave is compacted with the next table.
      deletions_seen_.erase(path);
    } else {
      job.compact = true;
      job.hidden_bytes = hidden;
    }
    Note(std::move(job));
  }
}

Sweeper::Progress Sweeper::Step() {
  if (jobs_.empty()) return FlushWhatShrank();
  Progress progress;
  const std::shared_ptr<const Shards> shards = deps_.shards.Load();
  const ShardInfo& info = jobs_.front().shard;
  const int shard = shards->table.IndexOfId(info.id);
  const bool same = shard >= 0 && shards->table.shards()[static_cast<size_t>(shard)] == info;
  const uint64_t began = ThreadNanos();
  const Outcome outcome =
      same ? Advance(&jobs_.front(), shard, *shards, &progress) : Outcome::kEnds;
  if (jobs_.front().cause == MoveCause::kAge && progress.bytes == 0) {
    age_vain_nanos_[static_cast<size_t>(jobs_.front().from)] += ThreadNanos() - began;
  }
  if (outcome != Outcome::kGoesOn) {
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    if (outcome == Outcome::kWaits) {
      job.failed = !progress.status.ok();
      // The files it holds may be deleted meanwhile.
      job.entries.reset();
      job.reader.reset();
      if (waiting_.empty()) retry_ms_ = Now() + kRetryMs;
      waiting_.push_back(std::move(job));
    }
  }
  return progress;
}

Sweeper::Outcome Sweeper::Advance(Job* job, int shard, const Shards& shards, Progress* progress) {
  if (job->compact) return CompactTable(*job, shard, shards, progress);
  if (!job->table.empty()) {
    // Markers and copies need no room below, they give it back.
    const bool alone = deps_.is_left_alone && deps_.is_left_alone(job->to - 1);
    return alone ? Outcome::kWaits : TidyTable(job, shard, progress);
  }
  if (job->start.empty()) {
    // A step begins with a sync of the log.
    const std::unique_ptr<rocksdb::Iterator> any(
        DbOf(shards, job->from)
            ->NewIterator(rocksdb::ReadOptions(), FamilyOf(shards, job->from, shard)));
    any->SeekToFirst();
    if (!any->Valid()) return Outcome::kEnds;
  }
  if (!deps_.takes_more(job->to - 1)) return Outcome::kWaits;
  StepPlan plan;
  plan.start = job->start;
  if (job->cause == MoveCause::kAge) {
    const RecencySketch& recency = *deps_.recency[static_cast<size_t>(job->from)];
    plan.pick = [&recency](std::string_view key, const Envelope&) {
      return recency.IsOld(HashKey(key));
    };
  } else {
    const Temperature temperature = deps_.temperature(shards, shard);
    if (LevelOfShard(temperature, deps_.tiers->levels()) < job->to) {
      return Outcome::kEnds;  // it was used
    }
    if (job->copies_alone) {
      plan.pick = [](std::string_view, const Envelope& envelope) { return envelope.clean_copy(); };
    }
  }
  return Sink(job, shard, plan, progress);
}

Sweeper::Outcome Sweeper::Sink(Job* job, int shard, const StepPlan& planned, Progress* progress) {
  StepPlan plan = planned;
  plan.shard = shard;
  plan.from = job->from;
  plan.to = job->to;
  plan.cause = job->cause;
  StepResult result;
  progress->to = job->to;
  progress->status = deps_.stepper->Run(plan, &result);
  // Whoever has set the shard aside is done with it in a while.
  if (!progress->status.ok() || result.set_aside) return Outcome::kWaits;
  progress->bytes = result.bytes;
  Removed& removed = removed_[static_cast<size_t>(job->from)];
  removed.entries += result.records + result.markers + result.dropped;
  removed.bytes += result.bytes;
  job->start = result.next;
  return result.done ? Outcome::kEnds : Outcome::kGoesOn;
}

Sweeper::Outcome Sweeper::TidyTable(Job* job, int shard, Progress* progress) {
  if (!job->entries) {
    const std::shared_ptr<const Shards> shards = deps_.shards.Load();
    job->reader = OpenTable(DbOf(*shards, job->from)->GetEnv(), job->table);
    if (!job->reader) return Outcome::kEnds;  // compacted meanwhile
    job->entries.reset(job->reader->NewIterator(rocksdb::ReadOptions()));
    job->entries->Seek(job->start);
  }
  const auto cooled = [this](std::string_view key, const Envelope& envelope) {
    return envelope.clean_copy() && HasCooled(deps_.heat->Estimate(HashKey(key)));
  };
  std::vector<std::string> keys;
  rocksdb::Iterator& it = *job->entries;
  for (int i = 0; i < kStepEntries && keys.size() < kStepKeys && it.Valid(); i++, it.Next()) {
    Envelope envelope;
    if (!DecodeEnvelope(View(it.value()), &envelope)) continue;  // whoever reads it says so
    if (envelope.is_tombstone() || cooled(View(it.key()), envelope)) {
      keys.push_back(it.key().ToString());
    }
  }
  const std::string next = it.Valid() ? it.key().ToString() : std::string();
  const Outcome outcome = it.Valid() ? Outcome::kGoesOn : Outcome::kEnds;
  if (keys.empty()) {
    job->start = next;
    return outcome;
  }
  StepPlan plan;
  plan.keys = &keys;
  plan.pick = cooled;  // what the key has now may be something else
  const std::string first = keys.front();
  const Outcome sunk = Sink(job, shard, plan, progress);
  job->start = sunk == Outcome::kWaits ? first : next;
  return sunk == Outcome::kWaits ? sunk : outcome;
}

Sweeper::Outcome Sweeper::CompactTable(const Job& job, int shard, const Shards& shards,
                                       Progress* progress) {
  rocksdb::DB* const db = DbOf(shards, job.from);
  rocksdb::ColumnFamilyHandle* const family = FamilyOf(shards, job.from, shard);
  rocksdb::ColumnFamilyMetaData meta;
  db->GetColumnFamilyMetaData(family, &meta);
  const std::string name = job.table.substr(job.table.rfind('/'));
  const rocksdb::SstFileMetaData* table = nullptr;
  int level = -1;
  int below = -1;  // the next level that holds anything
  for (const rocksdb::LevelMetaData& each : meta.levels) {
    if (level >= 0 && below < 0 && !each.files.empty()) below = each.level;
    for (const rocksdb::SstFileMetaData& file : each.files) {
      if (file.name != name || file.being_compacted) continue;
      table = &file;
      level = each.level;
    }
  }
  if (table == nullptr) return Outcome::kEnds;
  const int last = db->NumberLevels(family) - 1;
  // From level 0 to the one that RocksDB fills from there.
  const int output = level == 0 ? (below < 0 ? last : below) : std::min(level + 1, last);
  uint64_t bytes = table->size;
  for (const rocksdb::LevelMetaData& each : meta.levels) {
    if (each.level != output && each.level != 0) continue;
    for (const rocksdb::SstFileMetaData& file : each.files) {
      const bool apart =
          file.largestkey < table->smallestkey || table->largestkey < file.smallestkey;
      if (!apart && &file != table) bytes += file.size;
    }
  }
  const auto limiter = db->GetDBOptions().rate_limiter;
  const uint64_t limit = limiter ? static_cast<uint64_t>(limiter->GetBytesPerSecond()) : 0;
  if (bytes > MostToCompact(job.hidden_bytes, limit)) return Outcome::kEnds;
  rocksdb::CompactionOptions options;
  options.output_file_size_limit = kOutputBytes;
  const rocksdb::Status s = db->CompactFiles(options, family, {name}, output);
  // These say that RocksDB is at work on the same tables, that the shard was replaced, or that the
  // database closes.
  if (s.IsAborted() || s.IsInvalidArgument() || s.IsIncomplete() || s.IsColumnFamilyDropped() ||
      s.IsShutdownInProgress()) {
    return Outcome::kEnds;
  }
  progress->to = job.from;
  progress->status = Status::From(s, "compacting a table of deletions");
  if (s.ok()) deps_.ledger->Add(job.cause, {.tables = 1, .last_ms = deps_.clock->NowMs()});
  return Outcome::kEnds;
}

int Sweeper::LevelThatShrank() const {
  for (size_t level = 0; level < removed_.size(); level++) {
    const Removed& removed = removed_[level];
    if (removed.entries >= kWorthFlushing || removed.bytes >= kWorthFlushingBytes) {
      return static_cast<int>(level);
    }
  }
  return -1;
}

Sweeper::Progress Sweeper::FlushWhatShrank() {
  Progress progress;
  progress.to = LevelThatShrank();
  removed_[static_cast<size_t>(progress.to)] = {};
  progress.status = progress.to == 0 ? deps_.flush_hot() : deps_.tiers->store(progress.to).Flush();
  return progress;
}

}  // namespace thermocline
