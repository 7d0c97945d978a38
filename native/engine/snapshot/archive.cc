#include "engine/snapshot/archive.h"

#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>

#include <filesystem>
#include <memory>
#include <system_error>

#include "engine/options.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kTableBytes = 64 * kMiB;
constexpr int kHighestLevel = 22;  // of zstd
// Larger than in live tables: nothing is read from an archive key by key.
constexpr size_t kBlockBytes = 32 * kKiB;
constexpr uint64_t kAskEvery = 256;  // records

rocksdb::Options ArchiveOptions(const FamilyStore& store) {
  rocksdb::Options options(store.db_options, store.shard_options);
  options.compression = rocksdb::kZSTD;
  options.compression_opts = rocksdb::CompressionOptions();
  options.compression_opts.level = kHighestLevel;
  options.compression_per_level.clear();
  options.bottommost_compression = rocksdb::kDisableCompressionOption;
  const auto* live =
      store.shard_options.table_factory->GetOptions<rocksdb::BlockBasedTableOptions>();
  rocksdb::BlockBasedTableOptions table =
      live != nullptr ? *live : rocksdb::BlockBasedTableOptions();
  table.block_size = kBlockBytes;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

Status Failed(const rocksdb::Status& s) { return Status::From(s, "archiving a shard"); }

}  // namespace

std::string ArchiveOf(const std::string& archives, const ShardInfo& frozen) {
  return archives + "/" + ShardColumnFamilyName(frozen.id, frozen.generation);
}

void DeleteArchive(const std::string& archives, const ShardInfo& info) {
  if (!info.frozen) return;
  std::error_code ignored;
  fs::remove_all(ArchiveOf(archives, info), ignored);
  fs::remove(archives, ignored);  // unless there are others
}

void CleanArchives(const std::string& archives, const ShardTable& table) {
  std::error_code error;
  std::vector<fs::path> rubbish;
  for (const fs::directory_entry& entry : fs::directory_iterator(archives, error)) {
    uint32_t id = 0;
    uint32_t generation = 0;
    if (!ParseShardColumnFamilyName(entry.path().filename().string(), &id, &generation)) continue;
    const int index = table.IndexOfId(id);
    const bool named = index >= 0 && table.IsFrozen(index) &&
                       table.shards()[static_cast<size_t>(index)].generation == generation;
    if (!named) rubbish.push_back(entry.path());
  }
  for (const fs::path& path : rubbish) fs::remove_all(path, error);
  fs::remove(archives, error);  // stays unless it is empty
}

void ArchiveCatalogue::Load(const std::string& archives, const ShardTable& table) {
  for (const ShardInfo& info : table.shards()) {
    SnapshotManifest manifest;
    if (info.frozen && ReadManifest(ArchiveOf(archives, info), &manifest).ok()) Add(info, manifest);
  }
}

void ArchiveCatalogue::Add(const ShardInfo& frozen, const SnapshotManifest& manifest) {
  ArchiveFigures figures{.bytes = manifest.bytes()};
  for (const SnapshotShard& shard : manifest.shards) figures.keys += shard.keys;
  std::lock_guard lock(mutex_);
  figures_[frozen.id] = {frozen.generation, figures};
}

ArchiveFigures ArchiveCatalogue::Get(const ShardInfo& frozen) const {
  std::lock_guard lock(mutex_);
  const auto found = figures_.find(frozen.id);
  if (found == figures_.end() || found->second.first != frozen.generation) return {};
  return found->second.second;
}

Status ArchiveFamily(const FamilyStore& store, rocksdb::ColumnFamilyHandle* family,
                     const rocksdb::Snapshot* snapshot, const std::string& dir,
                     SnapshotControl* control, const std::function<Status()>& go_on,
                     SnapshotTier* tier, uint64_t* records) {
  const rocksdb::Options options = ArchiveOptions(store);
  rocksdb::ReadOptions read;
  read.snapshot = snapshot;
  read.fill_cache = false;
  read.verify_checksums = true;
  read.readahead_size = 256 * kKiB;
  const std::unique_ptr<rocksdb::Iterator> it(store.db->NewIterator(read, family));
  it->SeekToFirst();
  while (it->Valid()) {
    SnapshotFile& file = tier->files.emplace_back();
    file.name =
        std::string(TierName(tier->tier)) + "-" + std::to_string(tier->files.size()) + ".sst";
    // The lowest: tables of one family do not overlap.
    file.level = static_cast<uint32_t>(store.shard_options.num_levels - 1);
    file.epoch = 1;
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(store.db_options), options);
    rocksdb::Status s = writer.Open(dir + "/" + file.name);
    for (; s.ok() && it->Valid() && writer.FileSize() < kTableBytes; it->Next()) {
      if (++*records % kAskEvery == 0) {
        Status status = go_on();
        if (!status.ok()) return status;
      }
      s = writer.Put(it->key(), it->value());
      control->bytes.fetch_add(it->key().size() + it->value().size(), std::memory_order_relaxed);
    }
    rocksdb::ExternalSstFileInfo info;
    if (s.ok()) s = writer.Finish(&info);
    if (!s.ok()) return Failed(s);
    file.size = info.file_size;
  }
  return Failed(it->status());
}

}  // namespace thermocline
