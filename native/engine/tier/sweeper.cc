#include "engine/tier/sweeper.h"

#include <rocksdb/table.h>

#include <algorithm>
#include <utility>

#include "engine/hash.h"
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
constexpr uint64_t kOutputBytes = 64 * kMiB;
constexpr uint64_t kMaxCompactionBytes = 512 * kMiB;  // larger ones are RocksDB's own affair

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
      opened_ms_(deps_.clock->NowMs()),
      age_due_ms_(deps_.recency.size()),
      tidy_due_ms_(opened_ms_ + kLookMs),
      removed_(static_cast<size_t>(deps_.tiers->levels())) {
  for (size_t level = 0; level < deps_.recency.size(); level++) {
    const RecencySketch* const recency = deps_.recency[level];
    if (recency == nullptr) continue;
    age_due_ms_[level] = opened_ms_ + std::min(kFirstSweepMs, AgeSweepMs(recency->age_ms()));
  }
  shards_due_ms_ = opened_ms_ + deps_.shards_grace_ms;
}

rocksdb::DB* Sweeper::DbOf(const Shards& shards, int level) const {
  return level == 0 ? deps_.hot : shards.colder[static_cast<size_t>(level) - 1].db;
}

rocksdb::ColumnFamilyHandle* Sweeper::FamilyOf(const Shards& shards, int level, int shard) {
  const auto& handles =
      level == 0 ? shards.handles : shards.colder[static_cast<size_t>(level) - 1].handles;
  return handles[static_cast<size_t>(shard)];
}

void Sweeper::AdvanceTime() {
  for (RecencySketch* recency : deps_.recency) {
    if (recency != nullptr) recency->Advance(deps_.clock->NowMs());
  }
}

void Sweeper::Look() {
  AdvanceTime();
  if (HasWork()) return;
  const uint64_t now = deps_.clock->NowMs();
  const std::shared_ptr<const Shards> shards = deps_.shards.Load();
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

void Sweeper::LookForAge(int level, uint64_t now_ms) {
  const size_t at = static_cast<size_t>(level);
  if (at >= deps_.recency.size() || deps_.recency[at] == nullptr || now_ms < age_due_ms_[at]) {
    return;
  }
  age_due_ms_[at] = now_ms + AgeSweepMs(deps_.recency[at]->age_ms());
  const std::shared_ptr<const Shards> shards = deps_.shards.Load();
  for (const ShardInfo& info : shards->table.shards()) {
    if (info.frozen) continue;
    Job& job = jobs_.emplace_back();
    job.cause = MoveCause::kAge;
    job.from = level;
    job.to = level + 1;
    job.shard = info;
  }
}

void Sweeper::LookForIdleShards(const Shards& shards) {
  const int levels = deps_.tiers->levels();
  for (int shard = 0; shard < shards.count(); shard++) {
    const ShardInfo& info = shards.table.shards()[static_cast<size_t>(shard)];
    if (info.frozen) continue;
    const int belongs = LevelOfShard(deps_.temperature(shards, shard), levels);
    const auto add = [&](int from, int to, bool copies_alone) {
      Job& job = jobs_.emplace_back();
      job.cause = MoveCause::kShard;
      job.from = from;
      job.to = to;
      job.shard = info;
      job.copies_alone = copies_alone;
    };
    for (int level = 0; level < belongs; level++) {
      // A copy is dropped by a step to the next tier, and written by one that goes further.
      if (level == 0 && belongs > 1) add(0, 1, /*copies_alone=*/true);
      add(level, belongs, /*copies_alone=*/false);
    }
  }
}

void Sweeper::LookForUntidyTables(const Shards& shards) {
  std::set<std::string> living;
  for (int level = 0; level < deps_.tiers->levels(); level++) {
    for (int shard = 0; shard < shards.count(); shard++) {
      LookAtTables(shards, level, shard, &living);
    }
  }
  const auto forget = [&](std::set<std::string>* seen) {
    std::erase_if(*seen, [&](const std::string& table) { return !living.contains(table); });
  };
  forget(&markers_seen_);
  forget(&copies_seen_);
  forget(&deletions_seen_);
}

void Sweeper::LookAtTables(const Shards& shards, int level, int shard,
                           std::set<std::string>* living) {
  const ShardInfo& info = shards.table.shards()[static_cast<size_t>(shard)];
  rocksdb::TablePropertiesCollection tables;
  if (info.frozen || !DbOf(shards, level)
                          ->GetPropertiesOfAllTables(FamilyOf(shards, level, shard), &tables)
                          .ok()) {
    return;
  }
  const bool lowest = level + 1 == deps_.tiers->levels();
  for (const auto& [path, table] : tables) {
    living->insert(path);
    if (jobs_.size() >= kMaxTables) continue;
    const EntryCounts counts = EntryCountsOf(*table);
    const auto worth = [&, &entries = table->num_entries](uint64_t useless,
                                                          std::set<std::string>* seen) {
      return IsWorthTidying(useless, entries, deps_.tidy_least) && seen->insert(path).second;
    };
    const bool markers = !lowest && worth(counts.markers, &markers_seen_);
    const bool copies = level == 0 && worth(counts.copies, &copies_seen_);
    const bool deletions = worth(table->num_deletions, &deletions_seen_);
    if (!markers && !copies && !deletions) continue;
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
    }
    jobs_.push_back(std::move(job));
  }
}

Sweeper::Progress Sweeper::Step() {
  Progress progress;
  Job& job = jobs_.front();
  const std::shared_ptr<const Shards> shards = deps_.shards.Load();
  const int shard = shards->table.IndexOfId(job.shard.id);
  const bool same = shard >= 0 && shards->table.shards()[static_cast<size_t>(shard)] == job.shard;
  if (!same || !Advance(&job, shard, *shards, &progress)) jobs_.pop_front();
  if (jobs_.empty() && progress.status.ok()) {
    progress.status = FlushWhatShrank();
    if (!progress.status.ok()) progress.to = 0;
  }
  return progress;
}

bool Sweeper::Advance(Job* job, int shard, const Shards& shards, Progress* progress) {
  if (job->compact) {
    CompactTable(*job, shard, shards, progress);
    return false;
  }
  if (!deps_.takes_more(job->to - 1)) return false;
  if (!job->table.empty()) return TidyTable(job, shard, progress);
  StepPlan plan;
  plan.start = job->start;
  if (job->cause == MoveCause::kAge) {
    const RecencySketch& recency = *deps_.recency[static_cast<size_t>(job->from)];
    plan.pick = [&recency](std::string_view key, const Envelope&) {
      return recency.IsOld(HashKey(key));
    };
  } else {
    const Temperature temperature = deps_.temperature(shards, shard);
    if (LevelOfShard(temperature, deps_.tiers->levels()) < job->to) return false;  // it was used
    if (job->copies_alone) {
      plan.pick = [](std::string_view, const Envelope& envelope) { return envelope.clean_copy(); };
    }
  }
  if (job->start.empty()) {
    // A step begins with a sync of the log.
    const std::unique_ptr<rocksdb::Iterator> any(
        DbOf(shards, job->from)
            ->NewIterator(rocksdb::ReadOptions(), FamilyOf(shards, job->from, shard)));
    any->SeekToFirst();
    if (!any->Valid()) return false;
  }
  return Sink(job, shard, plan, progress);
}

bool Sweeper::Sink(Job* job, int shard, const StepPlan& planned, Progress* progress) {
  StepPlan plan = planned;
  plan.shard = shard;
  plan.from = job->from;
  plan.to = job->to;
  plan.cause = job->cause;
  StepResult result;
  progress->to = job->to;
  progress->status = deps_.stepper->Run(plan, &result);
  if (!progress->status.ok() || result.set_aside) return false;
  progress->bytes = result.bytes;
  removed_[static_cast<size_t>(job->from)] += result.records + result.markers + result.dropped;
  job->start = result.next;
  return !result.done;
}

bool Sweeper::TidyTable(Job* job, int shard, Progress* progress) {
  if (!job->entries) {
    const std::shared_ptr<const Shards> shards = deps_.shards.Load();
    job->reader = OpenTable(DbOf(*shards, job->from)->GetEnv(), job->table);
    if (!job->reader) return false;  // compacted meanwhile
    job->entries.reset(job->reader->NewIterator(rocksdb::ReadOptions()));
    job->entries->SeekToFirst();
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
  const bool more = it.Valid();
  if (keys.empty()) return more;
  StepPlan plan;
  plan.keys = &keys;
  plan.pick = cooled;  // what the key has now may be something else
  (void)Sink(job, shard, plan, progress);
  return more && progress->status.ok();
}

void Sweeper::CompactTable(const Job& job, int shard, const Shards& shards, Progress* progress) {
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
  if (table == nullptr) return;
  const int last = db->NumberLevels(family) - 1;
  // From level 0 to the one that RocksDB fills from there.
  const int output = level == 0 ? (below < 0 ? last : below) : std::min(level + 1, last);
  // Closing the database waits for the end.
  uint64_t bytes = table->size;
  for (const rocksdb::LevelMetaData& each : meta.levels) {
    if (each.level != output && each.level != 0) continue;
    for (const rocksdb::SstFileMetaData& file : each.files) {
      const bool apart =
          file.largestkey < table->smallestkey || table->largestkey < file.smallestkey;
      if (!apart && &file != table) bytes += file.size;
    }
  }
  if (bytes > kMaxCompactionBytes) return;
  rocksdb::CompactionOptions options;
  options.output_file_size_limit = kOutputBytes;
  const rocksdb::Status s = db->CompactFiles(options, family, {name}, output);
  if (s.ok()) {
    deps_.ledger->Add(job.cause, {.tables = 1, .last_ms = deps_.clock->NowMs()});
  } else if (!s.IsAborted() && !s.IsInvalidArgument() && !s.IsIncomplete()) {
    // Those say that RocksDB is at work on the same tables.
    progress->to = job.from;
    progress->status = Status::From(s, "compacting a table of deletions");
  }
}

Status Sweeper::FlushWhatShrank() {
  Status status;
  for (size_t level = 0; level < removed_.size(); level++) {
    if (std::exchange(removed_[level], 0) < kWorthFlushing) continue;
    Status flushed =
        level == 0 ? deps_.flush_hot() : deps_.tiers->store(static_cast<int>(level)).Flush();
    if (status.ok()) status = std::move(flushed);
  }
  return status;
}

}  // namespace thermocline
