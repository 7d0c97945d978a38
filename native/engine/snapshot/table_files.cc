#include "engine/snapshot/table_files.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/platform/file.h"
#include "engine/record/crc32c.h"

namespace thermocline {

namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;

// Calls fn with the file's bytes in order.
Status ReadAll(const File& file, uint64_t size, const SnapshotControl* control,
               const std::function<Status(uint64_t at, char* data, size_t size)>& fn) {
  const std::unique_ptr<char[]> piece(new char[std::min<uint64_t>(size, kPieceBytes) + 1]);
  for (uint64_t at = 0; at < size;) {
    Status status = Stopped(control);
    const size_t now = static_cast<size_t>(std::min<uint64_t>(size - at, kPieceBytes));
    if (status.ok()) status = file.Read(at, piece.get(), now);
    if (status.ok()) status = fn(at, piece.get(), now);
    if (!status.ok()) return status;
    at += now;
  }
  return {};
}

Status Copy(const std::string& from, const std::string& to, const SnapshotControl* control) {
  std::shared_ptr<File> source;
  std::shared_ptr<File> target;
  Status status = File::Open(from, File::Mode::kRead, &source);
  uint64_t size = 0;
  if (status.ok()) status = source->Size(&size);
  if (status.ok()) status = File::Open(to, File::Mode::kCreate, &target);
  if (!status.ok()) return status;
  status = ReadAll(*source, size, control, [&](uint64_t at, char* data, size_t bytes) {
    iovec part{data, bytes};
    return target->Write(at, {&part, 1});
  });
  if (!status.ok()) unlink(to.c_str());
  return status;
}

}  // namespace

Status LinkOrCopy(const std::string& from, const std::string& to, const SnapshotControl* control,
                  bool* linked) {
  *linked = link(from.c_str(), to.c_str()) == 0;
  if (*linked) return {};
  // Another file system, one that has no links, a file of somebody else's, too many links.
  const int error = errno;
  if (error == EXDEV || error == EPERM || error == EOPNOTSUPP || error == EMLINK) {
    return Copy(from, to, control);
  }
  return ErrnoStatus(error, "linking", from);
}

Status ChecksumFile(const std::string& path, uint64_t size, SnapshotControl* control,
                    uint32_t* crc) {
  std::shared_ptr<File> file;
  Status status = File::Open(path, File::Mode::kRead, &file);
  if (status.code() == Code::kNotFound) return {Code::kCorruption, path + " is missing"};
  uint64_t actual = 0;
  if (status.ok()) status = file->Size(&actual);
  if (!status.ok()) return status;
  if (actual != size) {
    return {Code::kCorruption,
            path + " has " + std::to_string(actual) + " bytes instead of " + std::to_string(size)};
  }
  *crc = 0;
  return ReadAll(*file, size, control, [&](uint64_t, char* data, size_t bytes) {
    *crc = Crc32cExtend(*crc, {data, bytes});
    if (control != nullptr) control->bytes.fetch_add(bytes, std::memory_order_relaxed);
    return Status();
  });
}

Status InParallel(size_t count, size_t threads, const std::function<Status(size_t)>& fn) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  Status first;
  const auto run = [&] {
    for (size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      Status status;
      try {
        status = fn(i);
      } catch (const std::exception& error) {
        status = {Code::kIo, error.what()};
      }
      if (status.ok()) continue;
      next.store(count);
      std::lock_guard lock(mutex);
      if (first.ok()) first = std::move(status);
    }
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < std::min(count, threads); i++) others.emplace_back(run);
  run();
  for (std::thread& thread : others) thread.join();
  return first;
}

}  // namespace thermocline
