#include "engine/backup/verify.h"

#include <rocksdb/metadata.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table_properties.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/backup/verify_records.h"
#include "engine/snapshot/archive.h"
#include "engine/snapshot/shard_restore.h"
#include "engine/tier/meta.h"

namespace thermocline {

namespace {

// One family of the read view.
struct Family {
  rocksdb::DB* db = nullptr;
  rocksdb::ColumnFamilyHandle* handle = nullptr;
  const rocksdb::Snapshot* snapshot = nullptr;
  Tier tier = Tier::kHot;
};

uint64_t Property(const Family& family, const std::string& name) {
  uint64_t value = 0;
  family.db->GetIntProperty(family.handle, name, &value);
  return value;
}

std::vector<Family> FamiliesOf(const ReadView& view, rocksdb::DB* hot, size_t shard) {
  const Shards& shards = *view.shards();
  std::vector<Family> families = {{hot, shards.handles[shard], view.snapshot(), Tier::kHot}};
  for (size_t i = 0; i < shards.colder.size(); i++) {
    const ColderShards& colder = shards.colder[i];
    families.push_back({colder.db, colder.handles[shard], view.colder_snapshot(i), colder.tier});
  }
  return families;
}

bool IsLive(rocksdb::DB* db, const std::string& name) {
  std::vector<rocksdb::LiveFileMetaData> now;
  db->GetLiveFilesMetaData(&now);
  return std::any_of(now.begin(), now.end(), [&](const auto& file) { return file.name == name; });
}

rocksdb::Status VerifyTable(rocksdb::DB* db, const rocksdb::LiveFileMetaData& file) {
  const std::string path = file.db_path + file.name;
  rocksdb::Options options;
  options.env = db->GetEnv();
  uint64_t size = 0;
  rocksdb::Status s = options.env->GetFileSize(path, &size);
  if (s.ok() && size != file.size) {
    return rocksdb::Status::Corruption(std::to_string(size) + " bytes instead of " +
                                       std::to_string(file.size));
  }
  rocksdb::SstFileReader reader(options);
  if (s.ok()) s = reader.Open(path);
  if (s.ok()) s = reader.VerifyChecksum();
  rocksdb::ReadOptions read;
  read.fill_cache = false;
  return s.ok() ? reader.VerifyNumEntries(read) : s;
}

Status VerifyTables(rocksdb::DB* db, SnapshotControl* control, VerifyReport* report) {
  std::vector<rocksdb::LiveFileMetaData> files;
  db->GetLiveFilesMetaData(&files);
  for (const rocksdb::LiveFileMetaData& file : files) {
    Status status = Stopped(control);
    if (!status.ok()) return status;
    const rocksdb::Status s = VerifyTable(db, file);
    control->bytes.fetch_add(file.size, std::memory_order_relaxed);
    // A compaction may have replaced it since the list was made.
    if (!s.ok() && !IsLive(db, file.name)) continue;
    if (!s.ok()) ReportProblem(report, "table " + file.name.substr(1) + ": " + s.ToString());
    report->tables++;
    report->table_bytes += file.size;
  }
  return {};
}

void VerifyMeta(const HotStore& store, VerifyReport* report) {
  for (const std::string_view key :
       {meta_key::kFormat, meta_key::kState, meta_key::kShards, meta_key::kClock,
        meta_key::kShardTimes, meta_key::kHotTier, meta_key::kLog}) {
    std::string payload;
    bool found = false;
    const Status status = store.GetMeta(key, &payload, &found);
    if (!status.ok()) {
      ReportProblem(report,
                    "meta record " + std::string(key) + ": " + std::string(status.message()));
    }
  }
}

// The names of a family's tables; none while its memtables hold anything.
std::vector<std::string> TablesAlone(const Family& family) {
  std::vector<std::string> names;
  if (Property(family, rocksdb::DB::Properties::kNumEntriesActiveMemTable) != 0 ||
      Property(family, rocksdb::DB::Properties::kNumEntriesImmMemTables) != 0) {
    return names;
  }
  rocksdb::ColumnFamilyMetaData meta;
  family.db->GetColumnFamilyMetaData(family.handle, &meta);
  for (const rocksdb::LevelMetaData& level : meta.levels) {
    for (const rocksdb::SstFileMetaData& file : level.files) names.push_back(file.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// `before`: the tables from before the view was taken. If they are the same now, and alone, nothing
// else was read in the view: numbers of files are never used again.
TableFigures FiguresOf(const Family& family, const std::vector<std::string>& before) {
  TableFigures figures;
  rocksdb::ColumnFamilyMetaData meta;
  family.db->GetColumnFamilyMetaData(family.handle, &meta);
  rocksdb::TablePropertiesCollection tables;
  if (before.empty() || !family.db->GetPropertiesOfAllTables(family.handle, &tables).ok()) {
    return figures;
  }
  int levels = 0;
  for (const rocksdb::LevelMetaData& level : meta.levels) {
    if (level.files.empty()) continue;
    levels++;
    // Tables of level 0 overlap.
    if (level.level == 0 && level.files.size() > 1) figures.unique_keys = false;
    const rocksdb::SstFileMetaData* last = nullptr;
    for (const rocksdb::SstFileMetaData& file : level.files) {
      // One sequence number is one write of a key, or none was worth keeping.
      if (file.smallest_seqno != file.largest_seqno) figures.unique_keys = false;
      if (last != nullptr && last->largestkey >= file.smallestkey) figures.unique_keys = false;
      last = &file;
    }
  }
  if (levels > 1) figures.unique_keys = false;
  for (const auto& [name, table] : tables) {
    figures.entries += table->num_entries;
    figures.deletions += table->num_deletions;
  }
  figures.known = tables.size() == before.size() && TablesAlone(family) == before;
  return figures;
}

// The counts of a shard's families, added to the report.
Status VerifyShard(const ReadView& view, const std::vector<Family>& families,
                   const std::vector<std::vector<std::string>>& tables_before, size_t shard,
                   uint64_t now_ms, SnapshotControl* control, VerifyReport* report) {
  const Shards& shards = *view.shards();
  std::vector<VerifyCount> counts(families.size());
  std::vector<RecordLevel> levels;
  uint64_t left = 0;  // of the progress
  for (size_t i = 0; i < families.size(); i++) {
    const Family& family = families[i];
    counts[i].shard = shards.table.shards()[shard].id;
    counts[i].tier = family.tier;
    counts[i].estimated_records = Property(family, rocksdb::DB::Properties::kEstimateNumKeys);
    counts[i].table_bytes = Property(family, rocksdb::DB::Properties::kTotalSstFilesSize);
    left += counts[i].table_bytes;
    rocksdb::ReadOptions options;
    options.snapshot = family.snapshot;
    options.fill_cache = false;
    options.verify_checksums = true;
    levels.push_back({&counts[i], StreamFamily(std::unique_ptr<rocksdb::Iterator>(
                                      family.db->NewIterator(options, family.handle)))});
  }
  const RecordChecks checks{
      .owns =
          [&](std::string_view key) { return static_cast<size_t>(shards.IndexOf(key)) == shard; },
      .covered = [&](std::string_view key) { return Covers(view.intents(), key); },
      .now_ms = now_ms,
      .go_on =
          [&](uint64_t bytes) {
            const uint64_t step = std::min(bytes, left);
            left -= step;
            control->bytes.fetch_add(step, std::memory_order_relaxed);
            return Stopped(control);
          },
  };
  Status status = VerifyRecords(std::move(levels), checks, report);
  if (!status.ok()) return status;
  control->bytes.fetch_add(left, std::memory_order_relaxed);
  for (size_t i = 0; i < families.size(); i++) {
    const std::string problem =
        CountProblem(FiguresOf(families[i], tables_before[i]), counts[i].records);
    if (!problem.empty()) {
      ReportProblem(report, "shard " + std::to_string(counts[i].shard) + " in the " +
                                std::string(TierName(counts[i].tier)) + " tier: " + problem);
    }
    report->counts.push_back(counts[i]);
  }
  return {};
}

// What it met is in *report, which is empty; what is wrong with the archive as a whole is the
// result.
Status VerifyArchive(const std::string& folder, const Shards& shards, const ShardInfo& info,
                     uint64_t now_ms, SnapshotControl* control, VerifyReport* report) {
  SnapshotManifest manifest;
  SnapshotControl part;  // of the archive alone: its bytes are not the whole
  part.closing = [control] { return control->stopped(); };
  Status status = VerifySnapshot(folder, &part, &manifest);
  control->bytes.fetch_add(part.bytes.load(std::memory_order_relaxed), std::memory_order_relaxed);
  if (!status.ok()) return status;
  if (manifest.shards.size() != 1 || manifest.shards[0].info.id != info.id ||
      manifest.shards[0].info.slots != info.slots) {
    return {Code::kCorruption, "it is the archive of another shard"};
  }
  const SnapshotShard& frozen = manifest.shards[0];
  std::vector<VerifyCount> counts(frozen.tiers.size());
  std::vector<RecordLevel> levels;
  for (size_t i = 0; i < frozen.tiers.size(); i++) {
    counts[i] = {.shard = info.id,
                 .tier = frozen.tiers[i].tier,
                 .frozen = true,
                 .estimated_records = frozen.keys};
    std::vector<std::string> paths;
    for (const SnapshotFile& file : frozen.tiers[i].files) {
      paths.push_back(folder + "/" + file.name);
      counts[i].table_bytes += file.size;
    }
    levels.push_back({&counts[i], StreamTables(std::move(paths))});
  }
  const RecordChecks checks{
      .owns =
          [&](std::string_view key) {
            return shards.table.shards()[static_cast<size_t>(shards.IndexOf(key))].id == info.id;
          },
      .covered =
          [&](std::string_view key) {
            return std::any_of(manifest.intents.begin(), manifest.intents.end(),
                               [&](const RangeIntentRecord& range) {
                                 return key >= range.start && (!range.has_end || key < range.end);
                               });
          },
      .now_ms = now_ms,
      .go_on = [&](uint64_t) { return Stopped(control); },
  };
  status = VerifyRecords(std::move(levels), checks, report);
  if (!status.ok()) return status;
  report->tables = manifest.files();
  report->table_bytes = manifest.bytes();
  report->counts = std::move(counts);
  if (report->records == frozen.keys) return {};
  return {Code::kCorruption, "it holds " + std::to_string(report->records) +
                                 " records, and its manifest says " + std::to_string(frozen.keys)};
}

void Add(VerifyReport part, VerifyReport* report) {
  report->tables += part.tables;
  report->table_bytes += part.table_bytes;
  report->records += part.records;
  report->shadowed += part.shadowed;
  report->problem_count += part.problem_count - part.problems.size();
  for (std::string& problem : part.problems) ReportProblem(report, std::move(problem));
  report->counts.insert(report->counts.end(), part.counts.begin(), part.counts.end());
}

}  // namespace

void ReportProblem(VerifyReport* report, std::string problem) {
  report->problem_count++;
  if (report->problems.size() < kMaxShownProblems) report->problems.push_back(std::move(problem));
}

std::string CountProblem(const TableFigures& figures, uint64_t records) {
  if (!figures.known || figures.deletions > figures.entries) return "";
  const uint64_t written = figures.entries - figures.deletions;
  const bool exact = figures.deletions == 0 && figures.unique_keys;
  if (exact ? records == written : records <= written) return "";
  return "its tables say that they hold " + std::string(exact ? "" : "at most ") +
         std::to_string(written) + " records, and " + std::to_string(records) + " were met";
}

Status VerifyStore(const VerifySource& source, SnapshotControl* control, VerifyReport* report) {
  VerifyMeta(*source.hot, report);
  const std::shared_ptr<const Shards> before = source.shards.Load();
  std::vector<std::vector<std::vector<std::string>>> tables_before;  // by shard, then by level
  for (size_t i = 0; i < before->handles.size(); i++) {
    auto& tables = tables_before.emplace_back();
    tables.push_back(TablesAlone({source.hot->db(), before->handles[i], nullptr, Tier::kHot}));
    for (const ColderShards& colder : before->colder) {
      tables.push_back(TablesAlone({colder.db, colder.handles[i], nullptr, colder.tier}));
    }
  }
  const std::shared_ptr<const ReadView> view = source.new_view();
  // Steps that the view shows had asked for the time before they chose.
  const uint64_t now_ms = source.now_ms();
  const Shards& shards = *view->shards();
  if (view->shards() != before) {
    // Split, merged or replaced in between: nothing is known of their tables.
    tables_before.assign(shards.handles.size(),
                         std::vector<std::vector<std::string>>(1 + shards.colder.size()));
  }

  uint64_t total = 0;
  std::vector<rocksdb::DB*> stores = {source.hot->db()};
  for (const ColderShards& colder : shards.colder) stores.push_back(colder.db);
  for (rocksdb::DB* const store : stores) {
    std::vector<rocksdb::LiveFileMetaData> files;
    store->GetLiveFilesMetaData(&files);
    for (const rocksdb::LiveFileMetaData& file : files) total += 2 * file.size;
  }
  for (const ShardInfo& info : shards.table.shards()) {
    SnapshotManifest manifest;
    if (info.frozen && ReadManifest(ArchiveOf(source.archives, info), &manifest).ok()) {
      total += manifest.bytes();
    }
  }
  control->total_bytes.store(total, std::memory_order_relaxed);

  for (rocksdb::DB* const store : stores) {
    Status status = VerifyTables(store, control, report);
    if (!status.ok()) return status;
  }
  for (size_t i = 0; i < shards.handles.size(); i++) {
    const ShardInfo& info = shards.table.shards()[i];
    Status status;
    if (!info.frozen) {
      status = VerifyShard(*view, FamiliesOf(*view, source.hot->db(), i), tables_before[i], i,
                           now_ms, control, report);
      if (!status.ok()) return status;
      continue;
    }
    VerifyReport part;
    status = VerifyArchive(ArchiveOf(source.archives, info), shards, info, now_ms, control, &part);
    if (status.code() == Code::kAborted) return status;
    const std::shared_ptr<const Shards> now = source.shards.Load();
    const int index = now->table.IndexOfId(info.id);
    // Thawed meanwhile: the archive is gone, and its records were verified then.
    if (index < 0 || now->table.shards()[static_cast<size_t>(index)] != info) continue;
    if (!status.ok()) {
      ReportProblem(&part, "archive of shard " + std::to_string(info.id) + ": " +
                               std::string(status.message()));
    }
    Add(std::move(part), report);
  }
  // What was estimated of what has changed meanwhile.
  control->bytes.store(total, std::memory_order_relaxed);
  return {};
}

}  // namespace thermocline
