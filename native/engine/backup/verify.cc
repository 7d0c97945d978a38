#include "engine/backup/verify.h"

#include <rocksdb/metadata.h>
#include <rocksdb/sst_file_reader.h>

#include <memory>

#include "engine/record/envelope.h"
#include "engine/tier/meta.h"

namespace thermocline {

void ReportProblem(VerifyReport* report, std::string problem) {
  report->problem_count++;
  if (report->problems.size() < kMaxShownProblems) report->problems.push_back(std::move(problem));
}

namespace {

void VerifyTables(rocksdb::DB* db, VerifyReport* report) {
  std::vector<rocksdb::LiveFileMetaData> files;
  db->GetLiveFilesMetaData(&files);
  for (const rocksdb::LiveFileMetaData& file : files) {
    rocksdb::Options options;
    options.env = db->GetEnv();
    rocksdb::SstFileReader reader(options);
    const std::string path = file.db_path + file.name;
    rocksdb::Status s = reader.Open(path);
    // A compaction may have replaced it since the list was made.
    if (s.IsPathNotFound() || s.IsNotFound()) {
      std::vector<rocksdb::LiveFileMetaData> now;
      db->GetLiveFilesMetaData(&now);
      bool live = false;
      for (const auto& other : now) live = live || other.name == file.name;
      if (!live) continue;
    }
    if (s.ok()) s = reader.VerifyChecksum();
    if (!s.ok()) ReportProblem(report, "table " + file.name.substr(1) + ": " + s.ToString());
    report->tables++;
    report->table_bytes += file.size;
  }
}

std::string Printable(const rocksdb::Slice& key) {
  return "key " + key.ToString(/*hex=*/true).substr(0, 64) + " (hexadecimal)";
}

void VerifyShard(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family, const Shards& shards,
                 size_t index, const rocksdb::Snapshot* snapshot, const std::string& where,
                 VerifyReport* report) {
  const std::string name =
      "shard " + std::to_string(shards.table.shards()[index].id) + where + ": ";
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  options.fill_cache = false;
  options.verify_checksums = true;
  const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(options, family));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    report->records++;
    const rocksdb::Slice key = it->key();
    Envelope envelope;
    if (!DecodeEnvelope({it->value().data(), it->value().size()}, &envelope)) {
      ReportProblem(report, name + Printable(key) + " has a damaged envelope");
    }
    if (static_cast<size_t>(shards.IndexOf({key.data(), key.size()})) != index) {
      ReportProblem(report, name + Printable(key) + " belongs to another shard");
    }
  }
  if (!it->status().ok()) ReportProblem(report, name + it->status().ToString());
}

}  // namespace

Status VerifyStore(HotStore* store, VerifyReport* report) {
  rocksdb::DB* const db = store->db();
  const std::shared_ptr<const Shards> shards = store->shards();
  for (const std::string_view key :
       {meta_key::kFormat, meta_key::kState, meta_key::kShards, meta_key::kClock,
        meta_key::kShardTimes, meta_key::kHotTier, meta_key::kLog}) {
    std::string payload;
    bool found = false;
    const Status status = store->GetMeta(key, &payload, &found);
    if (!status.ok()) {
      ReportProblem(report,
                    "meta record " + std::string(key) + ": " + std::string(status.message()));
    }
  }
  VerifyTables(db, report);
  const auto verify = [&](rocksdb::DB* store, const auto& families, const std::string& where) {
    const rocksdb::Snapshot* snapshot = store->GetSnapshot();
    for (size_t i = 0; i < families.size(); i++) {
      VerifyShard(store, families[i], *shards, i, snapshot, where, report);
    }
    store->ReleaseSnapshot(snapshot);
  };
  verify(db, shards->handles, "");
  for (const ColderShards& colder : shards->colder) {
    VerifyTables(colder.db, report);
    verify(colder.db, colder.handles, " in the " + std::string(TierName(colder.tier)) + " tier");
  }
  return {};
}

}  // namespace thermocline
