#include "engine/platform/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace thermocline {

std::string FileLock::Note() const {
  char bytes[256];
  const ssize_t size = pread(fd_, bytes, sizeof bytes, 0);
  return std::string(bytes, size > 0 ? static_cast<size_t>(size) : 0);
}

void FileLock::SetNote(const std::string& note) {
  if (ftruncate(fd_, 0) != 0) return;
  // An empty or short note is read as "unknown", which is safe.
  [[maybe_unused]] const ssize_t written = pwrite(fd_, note.data(), note.size(), 0);
  // A note that a loss of power took along would read as none.
  if (!note.empty()) (void)fsync(fd_);
}

// Not by closing alone: a process that another thread is starting has the descriptor for a moment.
void FileLock::Release() {
  if (fd_ < 0) return;
#ifdef F_OFD_SETLK
  struct flock request = {};
  request.l_type = F_UNLCK;
  request.l_whence = SEEK_SET;
  (void)fcntl(fd_, F_OFD_SETLK, &request);
#endif
  (void)flock(fd_, LOCK_UN);
  close(fd_);
  fd_ = -1;
}

Status FileLock::Acquire(const std::string& path, bool shared) {
  int flags = O_CLOEXEC | (shared ? O_RDONLY : O_RDWR | O_CREAT);
  fd_ = open(path.c_str(), flags, 0644);
  if (fd_ < 0) {
    const int error = errno;
    std::string message = "cannot open the lock file " + path + ": " + std::strerror(error);
    if (error == EROFS) return {Code::kReadOnly, message + ": open it with readOnly"};
    if (error == ENOSPC) return {Code::kNoSpace, std::move(message)};
    return {Code::kIo, std::move(message)};
  }
#ifdef F_OFD_SETLK
  struct flock request = {};
  request.l_type = static_cast<short>(shared ? F_RDLCK : F_WRLCK);
  request.l_whence = SEEK_SET;
  const int result = fcntl(fd_, F_OFD_SETLK, &request);
#else
  const int result = flock(fd_, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB);
#endif
  if (result == 0) return {};
  const int error = errno;
  close(fd_);
  fd_ = -1;
  if (error == EAGAIN || error == EACCES || error == EWOULDBLOCK) {
    return {Code::kLocked, "the database is open elsewhere (" + path +
                               " is locked): close it there first, or open it read-only in both"};
  }
  return {Code::kIo, "cannot lock " + path + ": " + std::strerror(error)};
}

Status FileLock::AcquireFolder(const std::string& path, bool shared) {
  fd_ = open(path.c_str(), O_CLOEXEC | O_RDONLY | O_DIRECTORY);
  if (fd_ < 0) {
    const int error = errno;
    return {Code::kIo, "cannot open the folder " + path + ": " + std::strerror(error)};
  }
  // Not a record lock: writers' ones need a descriptor that can write, and folders have none.
  const int result = flock(fd_, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB);
  if (result == 0 || errno != EWOULDBLOCK) return {};
  Release();
  return {Code::kLocked, "the folder " + path + " is in use by an open database"};
}

}  // namespace thermocline
