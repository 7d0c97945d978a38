#include "engine/shard/auto_splitter.h"

#include <chrono>
#include <utility>
#include <vector>

#include "engine/platform/thread_pool.h"

namespace thermocline {

namespace {

constexpr int kNice = 10;

}  // namespace

uint64_t ShardBytes(rocksdb::DB* hot, const Shards& shards, size_t index) {
  uint64_t bytes = 0;
  const auto add = [&bytes](rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family) {
    const auto property = [&](const std::string& name) {
      uint64_t value = 0;
      db->GetIntProperty(family, name, &value);
      return value;
    };
    bytes += property(rocksdb::DB::Properties::kTotalSstFilesSize);
    // An empty memtable takes memory too, as much as a small shard.
    if (property(rocksdb::DB::Properties::kNumEntriesActiveMemTable) +
            property(rocksdb::DB::Properties::kNumEntriesImmMemTables) >
        0) {
      bytes += property(rocksdb::DB::Properties::kCurSizeAllMemTables);
    }
  };
  add(hot, shards.handles[index]);
  for (const ColderShards& colder : shards.colder) add(colder.db, colder.handles[index]);
  return bytes;
}

AutoSplitter::AutoSplitter(Dependencies dependencies) : deps_(std::move(dependencies)) {
  thread_ = std::thread([this] { Run(); });
}

void AutoSplitter::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::string AutoSplitter::trouble() {
  std::lock_guard lock(mutex_);
  return trouble_;
}

bool AutoSplitter::Sleep(uint64_t nanos) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, std::chrono::nanoseconds(nanos), [this] { return stopping_; });
  return !stopping_;
}

void AutoSplitter::Run() {
  NameThisThread("tc-shards");
  LowerThisThread(kNice);
  do {
    while (MoveOnce()) {
    }
  } while (Sleep(trouble().empty() ? kLookNanos : kLeaveAloneNanos));
}

bool AutoSplitter::MoveOnce() {
  const std::shared_ptr<const Shards> shards = deps_.shards.Load();
  std::vector<uint64_t> bytes;
  for (size_t i = 0; i < shards->handles.size(); i++) {
    bytes.push_back(ShardBytes(deps_.hot, *shards, i));
  }
  const std::optional<AutoMove> move = NextAutoMove(shards->table, bytes, deps_.limits);
  if (!move) {
    std::lock_guard lock(mutex_);
    trouble_.clear();
    return false;
  }
  ReshardControl control;
  control.closing = [this] {
    std::lock_guard lock(mutex_);
    return stopping_;
  };
  std::vector<uint32_t> ids;
  const Status status = deps_.resharder->Run(
      {.split = move->split, .id = move->id, .other = move->other, .at = std::nullopt}, &control,
      &ids);
  std::lock_guard lock(mutex_);
  trouble_ = std::string(status.message());
  return status.ok() && !stopping_;
}

}  // namespace thermocline
