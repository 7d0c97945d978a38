#include "engine/platform/slow_disk.h"

#include <rocksdb/file_system.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "engine/platform/time.h"

namespace thermocline {

namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// A system lets so much be unwritten before it makes the writer wait.
constexpr uint64_t kMaxUnwritten = 16 << 20;

class SlowRandomFile : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  SlowRandomFile(std::unique_ptr<rocksdb::FSRandomAccessFile> target,
                 std::shared_ptr<SlowDisk> disk)
      : FSRandomAccessFileOwnerWrapper(std::move(target)), disk_(std::move(disk)) {}

  IOStatus Read(uint64_t offset, size_t n, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* debug) const override {
    const uint64_t done = disk_->Schedule(NowNanos(), n, Seeks(offset, n));
    const IOStatus s =
        FSRandomAccessFileOwnerWrapper::Read(offset, n, options, result, scratch, debug);
    SleepUntil(done);
    return s;
  }
  // At once, as far as the device can.
  IOStatus MultiRead(rocksdb::FSReadRequest* requests, size_t count, const IOOptions& options,
                     IODebugContext* debug) override {
    const uint64_t now = NowNanos();
    uint64_t done = now;
    for (size_t i = 0; i < count; i++) {
      const rocksdb::FSReadRequest& request = requests[i];
      done = std::max(done, disk_->Schedule(now, request.len, Seeks(request.offset, request.len)));
    }
    const IOStatus s = FSRandomAccessFileOwnerWrapper::MultiRead(requests, count, options, debug);
    SleepUntil(done);
    return s;
  }
  // RocksDB then reads ahead itself, in reads that are seen here.
  IOStatus Prefetch(uint64_t, size_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::NotSupported("reading ahead");
  }
  IOStatus ReadAsync(rocksdb::FSReadRequest& request, const IOOptions& options,
                     std::function<void(rocksdb::FSReadRequest&, void*)> callback, void* argument,
                     void**, rocksdb::IOHandleDeleter*, IODebugContext* debug) override {
    request.status =
        Read(request.offset, request.len, options, &request.result, request.scratch, debug);
    callback(request, argument);
    return IOStatus::OK();
  }

 private:
  bool Seeks(uint64_t offset, uint64_t bytes) const {
    return next_.exchange(offset + bytes, std::memory_order_relaxed) != offset;
  }

  const std::shared_ptr<SlowDisk> disk_;
  mutable std::atomic<uint64_t> next_{UINT64_MAX};
};

class SlowSequentialFile : public rocksdb::FSSequentialFileOwnerWrapper {
 public:
  SlowSequentialFile(std::unique_ptr<rocksdb::FSSequentialFile> target,
                     std::shared_ptr<SlowDisk> disk)
      : FSSequentialFileOwnerWrapper(std::move(target)), disk_(std::move(disk)) {}

  IOStatus Read(size_t n, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* debug) override {
    const IOStatus s = FSSequentialFileOwnerWrapper::Read(n, options, result, scratch, debug);
    if (s.ok()) disk_->Transfer(result->size(), std::exchange(first_, false));
    return s;
  }

 private:
  const std::shared_ptr<SlowDisk> disk_;
  bool first_ = true;
};

class SlowWritableFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  SlowWritableFile(std::unique_ptr<rocksdb::FSWritableFile> target, std::shared_ptr<SlowDisk> disk)
      : FSWritableFileOwnerWrapper(std::move(target)), disk_(std::move(disk)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    const IOStatus s = FSWritableFileOwnerWrapper::Append(data, options, debug);
    if (s.ok()) Wrote(data.size());
    return s;
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& verification,
                  IODebugContext* debug) override {
    const IOStatus s = FSWritableFileOwnerWrapper::Append(data, options, verification, debug);
    if (s.ok()) Wrote(data.size());
    return s;
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    Empty(true);
    return FSWritableFileOwnerWrapper::Sync(options, debug);
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    Empty(true);
    return FSWritableFileOwnerWrapper::Fsync(options, debug);
  }
  IOStatus RangeSync(uint64_t offset, uint64_t bytes, const IOOptions& options,
                     IODebugContext* debug) override {
    Empty(false);
    return FSWritableFileOwnerWrapper::RangeSync(offset, bytes, options, debug);
  }
  bool IsSyncThreadSafe() const override { return target()->IsSyncThreadSafe(); }

 private:
  void Wrote(uint64_t bytes) {
    if (unwritten_.fetch_add(bytes, std::memory_order_relaxed) + bytes > kMaxUnwritten) {
      Empty(false);
    }
  }
  void Empty(bool seeks) {
    disk_->Transfer(unwritten_.exchange(0, std::memory_order_relaxed), seeks);
  }

  const std::shared_ptr<SlowDisk> disk_;
  std::atomic<uint64_t> unwritten_{0};
};

class SlowFileSystem : public rocksdb::FileSystemWrapper {
 public:
  SlowFileSystem(const std::shared_ptr<rocksdb::FileSystem>& target, std::shared_ptr<SlowDisk> disk,
                 std::string folder)
      : FileSystemWrapper(target), disk_(std::move(disk)), folder_(std::move(folder)) {}
  const char* Name() const override { return "thermocline.SlowFileSystem"; }

  IOStatus NewRandomAccessFile(const std::string& name, const FileOptions& options,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                               IODebugContext* debug) override {
    const IOStatus s = FileSystemWrapper::NewRandomAccessFile(name, options, file, debug);
    if (s.ok() && IsSlow(name)) *file = std::make_unique<SlowRandomFile>(std::move(*file), disk_);
    return s;
  }
  IOStatus NewSequentialFile(const std::string& name, const FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* file,
                             IODebugContext* debug) override {
    const IOStatus s = FileSystemWrapper::NewSequentialFile(name, options, file, debug);
    if (s.ok() && IsSlow(name)) {
      *file = std::make_unique<SlowSequentialFile>(std::move(*file), disk_);
    }
    return s;
  }
  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                           IODebugContext* debug) override {
    return Slow(name, file, FileSystemWrapper::NewWritableFile(name, options, file, debug));
  }
  IOStatus ReopenWritableFile(const std::string& name, const FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* file,
                              IODebugContext* debug) override {
    return Slow(name, file, FileSystemWrapper::ReopenWritableFile(name, options, file, debug));
  }
  IOStatus ReuseWritableFile(const std::string& name, const std::string& old_name,
                             const FileOptions& options,
                             std::unique_ptr<rocksdb::FSWritableFile>* file,
                             IODebugContext* debug) override {
    return Slow(name, file,
                FileSystemWrapper::ReuseWritableFile(name, old_name, options, file, debug));
  }

 private:
  bool IsSlow(const std::string& name) const { return name.starts_with(folder_); }
  IOStatus Slow(const std::string& name, std::unique_ptr<rocksdb::FSWritableFile>* file,
                IOStatus s) {
    if (s.ok() && IsSlow(name)) *file = std::make_unique<SlowWritableFile>(std::move(*file), disk_);
    return s;
  }

  const std::shared_ptr<SlowDisk> disk_;
  const std::string folder_;
};

}  // namespace

uint64_t SlowDisk::Schedule(uint64_t now_nanos, uint64_t bytes, bool seeks) {
  if (seeks) seeks_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
  const uint64_t latency = seeks ? speed_.latency_nanos : 0;
  const uint64_t moving = static_cast<uint64_t>(static_cast<double>(bytes) * 1e9 /
                                                static_cast<double>(speed_.bytes_per_second));
  std::lock_guard lock(mutex_);
  const uint64_t begins = std::max(now_nanos, free_at_);
  free_at_ = begins + moving + (speed_.one_arm ? latency : 0);
  return free_at_ + (speed_.one_arm ? 0 : latency);
}

void SlowDisk::Transfer(uint64_t bytes, bool seeks) {
  SleepUntil(Schedule(NowNanos(), bytes, seeks));
}

void SleepUntil(uint64_t nanos) {
#ifdef __linux__
  // The system may be late by the slack, 50 microseconds by default: half of a SATA disk's latency.
  thread_local const int exact = prctl(PR_SET_TIMERSLACK, 1UL);
  (void)exact;
#endif
  const uint64_t now = NowNanos();
  if (nanos > now) std::this_thread::sleep_for(std::chrono::nanoseconds(nanos - now));
}

std::unique_ptr<rocksdb::Env> NewSlowEnv(rocksdb::Env* base, std::shared_ptr<SlowDisk> disk,
                                         std::string folder) {
  return rocksdb::NewCompositeEnv(
      std::make_shared<SlowFileSystem>(base->GetFileSystem(), std::move(disk), std::move(folder)));
}

}  // namespace thermocline
