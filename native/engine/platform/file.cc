#include "engine/platform/file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/sendfile.h>
#endif

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

namespace thermocline {

namespace {

namespace fs = std::filesystem;

constexpr mode_t kFileMode = 0644;

uint64_t PageBytes() {
  static const auto bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

int SyncDescriptor(int fd) {
#ifdef __linux__
  return fdatasync(fd);
#else
  return fcntl(fd, F_FULLFSYNC) == 0 ? 0 : fsync(fd);
#endif
}

}  // namespace

std::string CanonicalPath(const std::string& path) {
  std::error_code error;
  fs::path canonical = fs::weakly_canonical(fs::absolute(path, error), error);
  // "data/" keeps its slash as long as it does not exist.
  if (!error && !canonical.has_filename()) canonical = canonical.parent_path();
  return error ? path : canonical.string();
}

bool IsWithin(const std::string& path, const std::string& folder) {
  const fs::path inner = CanonicalPath(path);
  const fs::path outer = CanonicalPath(folder);
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

Status ErrnoStatus(int error, std::string_view doing, const std::string& path) {
  const Code code = error == ENOSPC || error == EDQUOT ? Code::kNoSpace
                    : error == EROFS                   ? Code::kReadOnly
                    : error == ENOENT                  ? Code::kNotFound
                                                       : Code::kIo;
  return {code, std::string(doing) + " " + path + " failed: " + std::strerror(error)};
}

MemoryBlock::~MemoryBlock() {
  if (mapping_ != nullptr) {
    munmap(mapping_, mapping_bytes_);
  } else {
    std::free(data_);
  }
}

std::shared_ptr<MemoryBlock> MemoryBlock::Allocate(size_t size) {
  auto block = std::make_shared<MemoryBlock>();
  block->data_ = static_cast<char*>(std::malloc(std::max<size_t>(size, 1)));
  if (block->data_ == nullptr) return nullptr;
  block->size_ = size;
  return block;
}

Status File::Open(const std::string& path, Mode mode, std::shared_ptr<File>* out) {
  int flags = O_CLOEXEC | (mode == Mode::kRead ? O_RDONLY : O_RDWR);
  if (mode == Mode::kCreate) flags |= O_CREAT | O_EXCL;
  const int fd = open(path.c_str(), flags, kFileMode);
  if (fd < 0) return ErrnoStatus(errno, "opening", path);
  out->reset(new File(path, fd));
  return {};
}

File::~File() { close(fd_); }

Status File::Size(uint64_t* bytes) const {
  struct stat facts;
  if (fstat(fd_, &facts) != 0) return ErrnoStatus(errno, "looking at", path_);
  *bytes = static_cast<uint64_t>(facts.st_size);
  return {};
}

Status File::Read(uint64_t position, char* out, size_t size) const {
  while (size > 0) {
    const ssize_t got = pread(fd_, out, size, static_cast<off_t>(position));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "reading", path_);
    if (got == 0) return {Code::kIo, "reading " + path_ + " failed: the file ends too early"};
    out += got;
    position += static_cast<uint64_t>(got);
    size -= static_cast<size_t>(got);
  }
  return {};
}

Status File::Write(uint64_t position, std::span<iovec> parts) {
  while (!parts.empty()) {
    const size_t count = std::min<size_t>(parts.size(), IOV_MAX);
    ssize_t wrote =
        pwritev(fd_, parts.data(), static_cast<int>(count), static_cast<off_t>(position));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return ErrnoStatus(errno, "writing to", path_);
    position += static_cast<uint64_t>(wrote);
    while (!parts.empty() && static_cast<size_t>(wrote) >= parts.front().iov_len) {
      wrote -= static_cast<ssize_t>(parts.front().iov_len);
      parts = parts.subspan(1);
    }
    if (wrote > 0) {
      parts.front().iov_base = static_cast<char*>(parts.front().iov_base) + wrote;
      parts.front().iov_len -= static_cast<size_t>(wrote);
    }
  }
  return {};
}

Status File::Truncate(uint64_t size) {
  if (ftruncate(fd_, static_cast<off_t>(size)) == 0) return {};
  return ErrnoStatus(errno, "shortening", path_);
}

Status File::Sync() {
  if (SyncDescriptor(fd_) == 0) return {};
  return ErrnoStatus(errno, "syncing", path_);
}

Status File::Map(uint64_t position, size_t size, size_t ahead,
                 std::shared_ptr<MemoryBlock>* out) const {
  auto block = std::make_shared<MemoryBlock>();
  if (size > 0) {
    const uint64_t start = position / PageBytes() * PageBytes();
    const size_t skipped = static_cast<size_t>(position - start);
    int flags = MAP_PRIVATE;
#ifdef MAP_NORESERVE
    flags |= MAP_NORESERVE;  // hardly ever written to
#endif
    void* const mapping = mmap(nullptr, size + skipped, PROT_READ | PROT_WRITE, flags, fd_,
                               static_cast<off_t>(start));
    if (mapping == MAP_FAILED) return ErrnoStatus(errno, "mapping", path_);
    block->mapping_ = mapping;
    block->mapping_bytes_ = size + skipped;
    block->data_ = static_cast<char*>(mapping) + skipped;
    block->size_ = size;
#ifdef MADV_POPULATE_READ
    // Only advice: an older kernel brings the pages in one by one.
    if (ahead > 0) (void)madvise(mapping, std::min(size, ahead) + skipped, MADV_POPULATE_READ);
#else
    (void)ahead;
#endif
  }
  *out = std::move(block);
  return {};
}

Status SyncFolder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "opening", path);
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  return result == 0 ? Status() : ErrnoStatus(error, "syncing", path);
}

Status ReadWholeFile(const std::string& path, std::string* out) {
  std::shared_ptr<File> file;
  uint64_t size = 0;
  Status status = File::Open(path, File::Mode::kRead, &file);
  if (status.ok()) status = file->Size(&size);
  if (!status.ok()) return status;
  out->resize(static_cast<size_t>(size));
  return file->Read(0, out->data(), out->size());
}

Status ReplaceFile(const std::string& path, std::string_view content, bool durable) {
  const std::string aside = path + ".tmp";
  unlink(aside.c_str());
  Status status;
  {
    std::shared_ptr<File> file;
    status = File::Open(aside, File::Mode::kCreate, &file);
    if (!status.ok()) return status;
    iovec part = {const_cast<char*>(content.data()), content.size()};
    if (!content.empty()) status = file->Write(0, {&part, 1});
    if (status.ok() && durable) status = file->Sync();
  }
  if (status.ok() && rename(aside.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus(errno, "renaming", aside);
  }
  if (!status.ok()) {
    unlink(aside.c_str());
    return status;
  }
  if (!durable) return {};
  const size_t slash = path.rfind('/');
  return SyncFolder(slash == std::string::npos ? "." : path.substr(0, slash));
}

Status SendFile(const File& file, uint64_t position, size_t size, int socket, int timeout_ms,
                size_t* sent) {
  *sent = 0;
  while (*sent < size) {
#ifdef __linux__
    auto from = static_cast<off_t>(position + *sent);
    const ssize_t went = sendfile(socket, file.fd(), &from, size - *sent);
#else
    char buffer[64 * 1024];
    const size_t piece = std::min(sizeof buffer, size - *sent);
    Status status = file.Read(position + *sent, buffer, piece);
    if (!status.ok()) return status;
    const ssize_t went = write(socket, buffer, piece);
#endif
    if (went > 0) {
      *sent += static_cast<size_t>(went);
      continue;
    }
    if (went == 0) return {Code::kIo, "sending " + file.path() + " failed: it ends too early"};
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return ErrnoStatus(errno, "sending", file.path());
    pollfd wait = {socket, POLLOUT, 0};
    const int ready = poll(&wait, 1, timeout_ms);
    if (ready < 0 && errno != EINTR) return ErrnoStatus(errno, "waiting to send", file.path());
    if (ready == 0) {
      return {Code::kAborted, "sending " + file.path() + " failed: the other side takes nothing"};
    }
  }
  return {};
}

}  // namespace thermocline
