// A file by descriptor, and ranges of it in memory.
//
// Mappings are private and writable: whoever holds one may write to it, and neither the file nor
// any other mapping sees that. The file must not be truncated while it is mapped (touching what is
// gone ends the process); deleting it is harmless.
//
// Thread safety: positioned reads and writes, Sync and Map from any thread.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/status.h"

namespace thermocline {

// The one path of a file or folder, whether it exists or not, without links, dots or a slash at its
// end. As it is given if the system cannot tell.
std::string CanonicalPath(const std::string& path);
// Whether a path is a folder or lies in it, whatever links lead there.
bool IsWithin(const std::string& path, const std::string& folder);
// What the system said, as a Status: "doing path failed: reason".
Status ErrnoStatus(int error, std::string_view doing, const std::string& path);

// Bytes that live as long as the object: mapped, or on the heap.
class MemoryBlock {
 public:
  MemoryBlock() = default;
  ~MemoryBlock();
  MemoryBlock(const MemoryBlock&) = delete;
  MemoryBlock& operator=(const MemoryBlock&) = delete;

  // Bytes on the heap, not initialised. Null if there is no memory.
  static std::shared_ptr<MemoryBlock> Allocate(size_t size);

  char* data() const { return data_; }
  size_t size() const { return size_; }
  std::string_view view() const { return {data_, size_}; }
  bool mapped() const { return mapping_ != nullptr; }

 private:
  friend class File;
  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  char* data_ = nullptr;
  size_t size_ = 0;
};

class File {
 public:
  enum class Mode { kRead, kWrite, kCreate };  // kCreate: kWrite, and the file must not exist

  // ERR_NOT_FOUND, ERR_IO, ERR_NO_SPACE, ERR_READ_ONLY.
  static Status Open(const std::string& path, Mode mode, std::shared_ptr<File>* out);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& path() const { return path_; }
  int fd() const { return fd_; }

  Status Size(uint64_t* bytes) const;
  // Exactly `size` bytes, or an error: ERR_IO also where the file ends before.
  Status Read(uint64_t position, char* out, size_t size) const;
  // All of it, or an error, and then some of it may be there. `parts` is used up.
  Status Write(uint64_t position, std::span<iovec> parts);
  Status Truncate(uint64_t size);
  // Contents, and what is needed to find them.
  Status Sync();
  // The range in memory. REQUIRES: it lies within the file. `ahead` of it are brought in at once.
  Status Map(uint64_t position, size_t size, size_t ahead, std::shared_ptr<MemoryBlock>* out) const;

 private:
  File(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  const std::string path_;
  const int fd_;
};

// Makes names that were created in, or removed from, the folder survive a loss of power.
Status SyncFolder(const std::string& path);

// Reads a small file whole. ERR_NOT_FOUND, ERR_IO.
Status ReadWholeFile(const std::string& path, std::string* out);

// Replaces a small file: at any moment, and after any crash, either the old content or the new is
// there. `durable`: synced before it returns.
Status ReplaceFile(const std::string& path, std::string_view content, bool durable);

// Sends a range of the file to a stream socket without copying it through the process. Waits while
// the socket takes no more, but never longer than `timeout_ms` without progress. *sent says how
// much went, after a failure as well. ERR_IO, ERR_ABORTED after the timeout.
Status SendFile(const File& file, uint64_t position, size_t size, int socket, int timeout_ms,
                size_t* sent);

}  // namespace thermocline
