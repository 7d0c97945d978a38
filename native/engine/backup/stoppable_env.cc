#include "engine/backup/stoppable_env.h"

#include <rocksdb/file_system.h>

#include <string>
#include <utility>

namespace thermocline {

namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

using Stopped = std::shared_ptr<const std::function<bool()>>;

IOStatus Ask(const Stopped& stopped) {
  return (*stopped)() ? IOStatus::Aborted("the operation was aborted") : IOStatus::OK();
}

class StoppableSequentialFile final : public rocksdb::FSSequentialFileOwnerWrapper {
 public:
  StoppableSequentialFile(std::unique_ptr<rocksdb::FSSequentialFile> target, Stopped stopped)
      : FSSequentialFileOwnerWrapper(std::move(target)), stopped_(std::move(stopped)) {}

  IOStatus Read(size_t n, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* debug) override {
    const IOStatus s = Ask(stopped_);
    return s.ok() ? FSSequentialFileOwnerWrapper::Read(n, options, result, scratch, debug) : s;
  }

 private:
  const Stopped stopped_;
};

class StoppableWritableFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  StoppableWritableFile(std::unique_ptr<rocksdb::FSWritableFile> target, Stopped stopped)
      : FSWritableFileOwnerWrapper(std::move(target)), stopped_(std::move(stopped)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    const IOStatus s = Ask(stopped_);
    return s.ok() ? FSWritableFileOwnerWrapper::Append(data, options, debug) : s;
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& check, IODebugContext* debug) override {
    const IOStatus s = Ask(stopped_);
    return s.ok() ? FSWritableFileOwnerWrapper::Append(data, options, check, debug) : s;
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    const IOStatus s = Ask(stopped_);
    return s.ok() ? FSWritableFileOwnerWrapper::Sync(options, debug) : s;
  }

 private:
  const Stopped stopped_;
};

class StoppableFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  StoppableFileSystem(const std::shared_ptr<rocksdb::FileSystem>& target,
                      std::function<bool()> stopped)
      : FileSystemWrapper(target),
        stopped_(std::make_shared<const std::function<bool()>>(std::move(stopped))) {}
  const char* Name() const override { return "thermocline.stoppable"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* file,
                             IODebugContext* debug) override {
    IOStatus s = Ask(stopped_);
    if (s.ok()) s = target()->NewSequentialFile(path, options, file, debug);
    if (s.ok()) *file = std::make_unique<StoppableSequentialFile>(std::move(*file), stopped_);
    return s;
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                           IODebugContext* debug) override {
    IOStatus s = Ask(stopped_);
    if (s.ok()) s = target()->NewWritableFile(path, options, file, debug);
    if (s.ok()) *file = std::make_unique<StoppableWritableFile>(std::move(*file), stopped_);
    return s;
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* debug) override {
    Ask(stopped_).PermitUncheckedError();
    return target()->RenameFile(from, to, options, debug);
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions& options,
                      IODebugContext* debug) override {
    Ask(stopped_).PermitUncheckedError();
    return target()->DeleteFile(path, options, debug);
  }

 private:
  const Stopped stopped_;
};

}  // namespace

std::unique_ptr<rocksdb::Env> NewStoppableEnv(std::function<bool()> stopped) {
  if (!stopped) return nullptr;
  return rocksdb::NewCompositeEnv(
      std::make_shared<StoppableFileSystem>(rocksdb::FileSystem::Default(), std::move(stopped)));
}

}  // namespace thermocline
