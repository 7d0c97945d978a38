// What a FaultFileSystem hands to RocksDB: files and folders that ask it before every call, and
// tell it how much of them is written and synced.
//
// Ownership: RocksDB owns them; their FaultFileSystem must outlive them.
// Thread safety: as RocksDB uses them; what they share with the FaultFileSystem is guarded by its
// mutex.
#pragma once

#include <rocksdb/file_system.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "fault_file_system.h"

namespace thermocline::test {

// A file open for writing. Sync notes how far the file is safe, and writes nothing.
class FaultFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultFile(FaultFileSystem* disk, std::string name, std::shared_ptr<FaultFileSystem::File> file,
            std::unique_ptr<rocksdb::FSWritableFile> target)
      : FSWritableFileOwnerWrapper(std::move(target)),
        disk_(disk),
        name_(std::move(name)),
        file_(std::move(file)) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    bool torn = false;
    const rocksdb::IOStatus s = disk_->Enter(FaultFileSystem::kAppend, name_, &torn);
    if (s.ok()) return Write(data, options, debug);
    if (torn) (void)Write(rocksdb::Slice(data.data(), data.size() / 2), options, debug);
    return s;
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo&,
                           rocksdb::IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  rocksdb::IOStatus PositionedAppend(const rocksdb::Slice&, uint64_t, const rocksdb::IOOptions&,
                                     rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::NotSupported("direct I/O");
  }
  rocksdb::IOStatus PositionedAppend(const rocksdb::Slice&, uint64_t, const rocksdb::IOOptions&,
                                     const rocksdb::DataVerificationInfo&,
                                     rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::NotSupported("direct I/O");
  }
  rocksdb::IOStatus Truncate(uint64_t size, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
    if (disk_->stopped()) return rocksdb::IOStatus::IOError("the machine has stopped");
    std::lock_guard lock(disk_->mutex_);
    file_->written = size;
    file_->synced = std::min(file_->synced, size);
    return FSWritableFileOwnerWrapper::Truncate(size, options, debug);
  }

  rocksdb::IOStatus Sync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    uint64_t written;
    {
      std::lock_guard lock(disk_->mutex_);
      written = file_->written;
    }
    const rocksdb::IOStatus s = disk_->Enter(FaultFileSystem::kSync, name_);
    std::lock_guard lock(disk_->mutex_);
    if (!s.ok()) file_->sync_failed = true;
    if (!file_->sync_failed) file_->synced = std::max(file_->synced, written);
    return s;
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    return Sync(options, debug);
  }
  rocksdb::IOStatus RangeSync(uint64_t, uint64_t, const rocksdb::IOOptions&,
                              rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    const rocksdb::IOStatus s = disk_->Enter(FaultFileSystem::kClose, name_);
    const rocksdb::IOStatus closed = FSWritableFileOwnerWrapper::Close(options, debug);
    return s.ok() ? closed : s;
  }
  // Without this SyncWAL fails for the wrong reason, whatever the wrapper class does by default.
  bool IsSyncThreadSafe() const override { return target()->IsSyncThreadSafe(); }

 private:
  rocksdb::IOStatus Write(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) {
    const rocksdb::IOStatus s = FSWritableFileOwnerWrapper::Append(data, options, debug);
    if (s.ok()) {
      std::lock_guard lock(disk_->mutex_);
      file_->written += data.size();
    }
    return s;
  }

  FaultFileSystem* const disk_;
  const std::string name_;
  const std::shared_ptr<FaultFileSystem::File> file_;
};

// A folder. Its Fsync makes durable what had changed when it began.
class FaultDirectory : public rocksdb::FSDirectory {
 public:
  FaultDirectory(FaultFileSystem* disk, std::string name,
                 std::unique_ptr<rocksdb::FSDirectory> target)
      : disk_(disk), name_(std::move(name)), target_(std::move(target)) {}

  rocksdb::IOStatus Fsync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    const size_t changes = disk_->ChangesOf(name_);
    rocksdb::IOStatus s = disk_->Enter(FaultFileSystem::kSyncDirectory, name_);
    if (s.ok()) disk_->MakeDurable(name_, changes);
    return s;
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    return target_->Close(options, debug);
  }
  size_t GetUniqueId(char* id, size_t max_size) const override {
    return target_->GetUniqueId(id, max_size);
  }

 private:
  FaultFileSystem* const disk_;
  const std::string name_;
  const std::unique_ptr<rocksdb::FSDirectory> target_;
};

}  // namespace thermocline::test
