#include "engine/snapshot/shard_snapshot.h"

#include <rocksdb/metadata.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "engine/location.h"
#include "engine/platform/file.h"
#include "engine/platform/file_lock.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kAttempts = 5;
constexpr std::chrono::milliseconds kPoll{1};
// Far more than any flush takes; a store that cannot flush has failed.
constexpr std::chrono::seconds kFlushDeadline{120};
constexpr size_t kChecksumThreads = 4;

Status CheckTarget(const std::string& dir) {
  std::error_code error;
  const fs::file_status type = fs::status(dir, error);
  if (!fs::exists(type)) return {};
  if (!fs::is_directory(type)) {
    return {Code::kInvalidArgument, dir + " is a file, not a folder"};
  }
  const bool empty = fs::is_empty(dir, error);
  if (error) return ErrnoStatus(error.value(), "reading the folder", dir);
  if (empty) return {};
  return {Code::kInvalidArgument, dir + " is not empty: give each snapshot a folder of its own"};
}

std::string FileName(uint32_t shard, Tier tier, size_t number) {
  char name[64];
  std::snprintf(name, sizeof name, "%04x-%s-%06zu.sst", shard, std::string(TierName(tier)).c_str(),
                number);
  return name;
}

uint64_t IntProperty(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family,
                     const std::string& name) {
  uint64_t value = 0;
  db->GetIntProperty(family, name, &value);
  return value;
}

}  // namespace

struct ShardSnapshotter::Capture {
  std::shared_ptr<const ReadView> view;
  std::vector<Part> parts;
  Status failed;
};

Status ShardSnapshotter::Take(const std::vector<uint32_t>& ids, const std::string& dir,
                              SnapshotControl* control, SnapshotReport* report) {
  Status status = CheckTarget(dir);
  if (!status.ok()) return status;
  std::error_code error;
  const fs::path target(dir);
  if (target.has_parent_path()) fs::create_directories(target.parent_path(), error);
  const std::string partial = dir + ".partial";
  if (!error) fs::create_directory(partial, error);
  if (error) return ErrnoStatus(error.value(), "creating the folder", partial);
  FileLock lock;
  status = lock.Acquire(partial + "/" + kLockFile, /*shared=*/false);
  if (status.code() == Code::kLocked) {
    return {Code::kLocked, "another snapshot is being written to " + dir};
  }
  if (!status.ok()) return status;
  // What an attempt that was killed has left, and nothing else.
  for (const fs::directory_entry& entry : fs::directory_iterator(partial, error)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".sst") || name == kManifestName ||
        name == std::string(kManifestName) + ".tmp") {
      fs::remove(entry.path(), error);
    } else if (name != kLockFile) {
      return {Code::kInvalidArgument,
              partial + " holds something else than a snapshot (" + name + "): move it away"};
    }
  }
  if (error) return ErrnoStatus(error.value(), "preparing the folder", partial);
  status = Fill(ids, partial, control, report);
  if (status.ok()) {
    fs::remove(partial + "/" + kLockFile, error);
    fs::rename(partial, dir, error);
    if (error) status = ErrnoStatus(error.value(), "renaming", partial);
  }
  if (!status.ok()) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    return status;
  }
  status = SyncFolder(target.has_parent_path() ? target.parent_path().string() : ".");
  if (status.ok()) status = Probe(Point::kNamed);
  return status;
}

Status ShardSnapshotter::Fill(const std::vector<uint32_t>& ids, const std::string& dir,
                              SnapshotControl* control, SnapshotReport* report) {
  Status status = CaptureFiles(ids, dir, control, report);
  if (!status.ok()) return status;
  std::vector<SnapshotFile*> files;
  for (SnapshotShard& shard : report->manifest.shards) {
    for (SnapshotTier& tier : shard.tiers) {
      for (SnapshotFile& file : tier.files) files.push_back(&file);
    }
  }
  control->total_bytes.store(report->manifest.bytes(), std::memory_order_relaxed);
  status = InParallel(files.size(), kChecksumThreads, [&](size_t i) {
    const std::string path = dir + "/" + files[i]->name;
    Status checked = ChecksumFile(path, files[i]->size, control, &files[i]->crc);
    std::shared_ptr<File> file;
    // A copy is in the system's hands alone so far.
    if (checked.ok()) checked = File::Open(path, File::Mode::kWrite, &file);
    return checked.ok() ? file->Sync() : checked;
  });
  if (status.ok()) status = Probe(Point::kChecked);
  if (status.ok()) {
    status = ReplaceFile(dir + "/" + kManifestName, EncodeManifest(report->manifest),
                         /*durable=*/true);
  }
  if (status.ok()) status = SyncFolder(dir);
  if (status.ok()) status = Probe(Point::kDescribed);
  return status;
}

Status ShardSnapshotter::CaptureFiles(const std::vector<uint32_t>& ids, const std::string& dir,
                                      SnapshotControl* control, SnapshotReport* report) {
  if (deps_.stepper != nullptr && deps_.tiers->intents().any()) {
    // So that the manifest need not name them; those that come meanwhile it does.
    Status status = deps_.stepper->ApplyIntents(StoppedBy(control));
    if (!status.ok()) return status;
  }
  std::unique_lock<std::timed_mutex> steps;
  if (deps_.stepper != nullptr) {
    Status status = deps_.stepper->Lock(StoppedBy(control), &steps);
    if (!status.ok()) return status;
  }
  for (uint64_t attempt = 1;; attempt++) {
    Status status = Stopped(control);
    if (!status.ok()) return status;
    report->attempts = attempt;
    Capture capture;
    bool mixed = false;
    const bool hold = attempt == kAttempts;
    const auto rest = [&] {
      Status s = WaitForTables(capture.parts, control);
      if (s.ok()) s = Probe(Point::kFlushed);
      if (s.ok()) s = Link(capture, dir, control, report, &mixed);
      if (s.ok()) s = Probe(Point::kLinked);
      return s;
    };
    status = deps_.at_boundary(
        [&] {
          capture.failed = TakeMoment(ids, &capture);
          if (capture.failed.ok()) capture.failed = Probe(Point::kSwitched);
          if (capture.failed.ok() && hold) capture.failed = rest();
        },
        /*durable=*/false);
    if (status.ok()) status = capture.failed;
    if (status.ok() && !hold) status = rest();
    if (!status.ok() || !mixed) return status;
    if (hold) return {Code::kIo, "the shards' files kept changing: nothing was written"};
  }
}

Status ShardSnapshotter::TakeMoment(const std::vector<uint32_t>& ids, Capture* capture) {
  capture->view = deps_.new_view();
  const Shards& shards = *capture->view->shards();
  rocksdb::FlushOptions flush;
  flush.wait = false;
  flush.allow_write_stall = true;
  std::vector<rocksdb::ColumnFamilyHandle*> hot;
  for (size_t i = 0; i < ids.size(); i++) {
    const int index = shards.table.IndexOfId(ids[i]);
    if (index < 0) return {Code::kNotFound, "there is no shard " + std::to_string(ids[i])};
    const size_t at = static_cast<size_t>(index);
    if (shards.table.IsFrozen(index)) return FrozenError(shards.table.shards()[at]);
    capture->parts.push_back({i, Tier::kHot, deps_.hot->db(), shards.handles[at]});
    hot.push_back(shards.handles[at]);
    for (const ColderShards& colder : shards.colder) {
      capture->parts.push_back({i, colder.tier, colder.db, colder.handles[at]});
    }
  }
  return Status::From(deps_.hot->db()->Flush(flush, hot), "flushing a shard");
}

Status ShardSnapshotter::WaitForTables(const std::vector<Part>& parts,
                                       const SnapshotControl* control) {
  const auto deadline = std::chrono::steady_clock::now() + kFlushDeadline;
  for (const Part& part : parts) {
    if (part.tier != Tier::kHot) {
      // Nobody writes there while the steps' lock is held.
      const rocksdb::Status s = part.db->Flush(rocksdb::FlushOptions(), part.family);
      if (!s.ok()) return Status::From(s, "flushing a shard's colder records");
    }
    while (IntProperty(part.db, part.family, rocksdb::DB::Properties::kNumImmutableMemTable) > 0) {
      Status status = Stopped(control);
      if (!status.ok()) return status;
      if (IntProperty(part.db, part.family, rocksdb::DB::Properties::kBackgroundErrors) > 0) {
        const rocksdb::Status s = part.db->Flush(rocksdb::FlushOptions(), part.family);
        if (!s.ok()) return Status::From(s, "flushing a shard");
      }
      if (std::chrono::steady_clock::now() > deadline) {
        return {Code::kIo, "the store does not flush its memtables"};
      }
      std::this_thread::sleep_for(kPoll);
    }
  }
  return {};
}

Status ShardSnapshotter::Link(const Capture& capture, const std::string& dir,
                              SnapshotControl* control, SnapshotReport* report, bool* mixed) {
  SnapshotManifest& manifest = report->manifest;
  manifest = {};
  report->linked = 0;
  const ReadView& view = *capture.view;
  manifest.clock_ms = view.clock_ms();
  manifest.created_ms =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count());
  manifest.source = deps_.hot->identity().uuid;
  for (const auto& intent : view.intents()) manifest.intents.push_back(intent->range);
  const uint64_t moment = view.snapshot()->GetSequenceNumber();
  std::vector<std::string> made;
  Status status;
  for (const Part& part : capture.parts) {
    if (manifest.shards.size() == part.shard) {
      SnapshotShard& shard = manifest.shards.emplace_back();
      uint32_t generation = 0;
      ParseShardColumnFamilyName(part.family->GetName(), &shard.info.id, &generation);
      const ShardTable& table = view.shards()->table;
      shard.info = table.shards()[static_cast<size_t>(table.IndexOfId(shard.info.id))];
    }
    SnapshotShard& shard = manifest.shards.back();
    SnapshotTier& tier = shard.tiers.emplace_back();
    tier.tier = part.tier;
    shard.keys += IntProperty(part.db, part.family, rocksdb::DB::Properties::kEstimateNumKeys);
    rocksdb::Status s = part.db->DisableFileDeletions();
    if (!s.ok()) return Status::From(s, "keeping a shard's files");
    rocksdb::ColumnFamilyMetaData meta;
    part.db->GetColumnFamilyMetaData(part.family, &meta);
    for (const rocksdb::LevelMetaData& level : meta.levels) {
      for (const rocksdb::SstFileMetaData& file : level.files) {
        if (part.tier == Tier::kHot && file.smallest_seqno > moment) continue;
        if (part.tier == Tier::kHot && file.largest_seqno > moment) *mixed = true;
        if (*mixed || !status.ok()) break;
        SnapshotFile& entry = tier.files.emplace_back();
        entry.name = FileName(shard.info.id, part.tier, tier.files.size());
        entry.size = file.size;
        entry.level = static_cast<uint32_t>(level.level);
        entry.smallest_sequence = file.smallest_seqno;
        entry.largest_sequence = file.largest_seqno;
        entry.epoch = file.epoch_number;
        entry.smallest = file.smallest;
        entry.largest = file.largest;
        bool linked = false;
        status = LinkOrCopy(file.directory + "/" + file.relative_filename, dir + "/" + entry.name,
                            control, &linked);
        if (status.ok()) made.push_back(dir + "/" + entry.name);
        if (linked) report->linked++;
      }
    }
    s = part.db->EnableFileDeletions();
    if (status.ok()) status = Status::From(s, "keeping a shard's files");
    if (*mixed || !status.ok()) break;
  }
  if (*mixed) {
    std::error_code ignored;
    for (const std::string& path : made) fs::remove(path, ignored);
  }
  return status;
}

}  // namespace thermocline
