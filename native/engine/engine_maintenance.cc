// The engine's rare and long calls: backup, compaction, estimates, and waiting for the committer.
#include <chrono>
#include <exception>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>

#include "engine/engine.h"
#include "engine/location.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

rocksdb::Slice AsSlice(const std::string& s) { return {s.data(), s.size()}; }

}  // namespace

Status Engine::CreateBackup(const std::string& dir, uint32_t keep, Backup* out,
                            SnapshotControl* control) {
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
  Status status = AwaitAccepted(control);
  // The archive stays as it is, and so does what the colder tiers hold.
  std::unique_lock<std::timed_mutex> no_freeze;
  std::unique_lock<std::timed_mutex> no_steps;
  if (status.ok()) status = LockUnless(StoppedBy(control), freezer_->backups(), &no_freeze);
  if (status.ok() && stepper_) status = stepper_->Lock(StoppedBy(control), &no_steps);
  if (!status.ok()) return status;
  return thermocline::CreateBackup(
      {.hot = &store_, .tiers = tiers_.get(), .archives = ArchivesFolder()}, dir, keep, control,
      out);
}

Status Engine::AtBoundary(const std::function<void()>& fn, bool durable) {
  std::promise<Status> done;
  std::future<Status> result = done.get_future();
  Status failed;
  auto boundary = std::make_unique<Submission>();
  boundary->overtakes = true;
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

Status Engine::AwaitAccepted(const SnapshotControl* control) {
  constexpr auto kLook = std::chrono::milliseconds(20);
  // Shared: an abort leaves it in the queue.
  const auto done = std::make_shared<std::promise<Status>>();
  std::future<Status> result = done->get_future();
  auto boundary = std::make_unique<Submission>();
  boundary->at_boundary = [](uint64_t) {};
  boundary->done = [done](const Status& status) { done->set_value(status); };
  Status status = Submit(std::move(boundary));
  while (status.ok() && result.wait_for(kLook) == std::future_status::timeout) {
    status = Stopped(control);
  }
  return status.ok() ? result.get() : status;
}

template <class Fn>
Status Engine::ForEachFamily(Fn&& fn) {
  const std::shared_ptr<const Shards> shards = shards_.Load();
  for (rocksdb::ColumnFamilyHandle* shard : shards->handles) {
    Status status = fn(store_.db(), shard);
    if (!status.ok()) return status;
  }
  for (const ColderShards& colder : shards->colder) {
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
  // Not behind writes that are held for want of space: this may be what makes it.
  Status status = AtBoundary([] {}, /*durable=*/false);
  if (!status.ok()) return status;
  return ForEachFamily([&](rocksdb::DB* db, rocksdb::ColumnFamilyHandle* shard) {
    const rocksdb::Status s =
        db->CompactRange(rocksdb::CompactRangeOptions(), shard, range.has_start ? &start : nullptr,
                         range.has_end ? &end : nullptr);
    // What a split or merge has just copied is compact.
    return s.IsColumnFamilyDropped() ? Status() : Status::From(s, "compacting");
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

}  // namespace thermocline
