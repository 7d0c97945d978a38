// An advisory lock on a file that also excludes other copies of this code in the same process.
//
// Purpose: one writer, or several readers, per database. RocksDB's own lock is a POSIX record lock
// plus a table private to each copy of RocksDB: neither stops a second copy of the addon in the
// same process. Open-file-description locks belong to the descriptor, so they do.
// Thread safety: none needed; owned by one Engine. The lock goes when the object is destroyed, or
// with the process however it dies.
#pragma once

#include <string>

#include "engine/status.h"

namespace thermocline {

class FileLock {
 public:
  FileLock() = default;
  ~FileLock() { Release(); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // Creates the file if it is missing (unless `shared`, which only needs to read it).
  // Returns ERR_LOCKED if someone else holds it, without waiting.
  Status Acquire(const std::string& path, bool shared);
  // The same of a folder, which must exist, whatever the path that leads to it. Does nothing on
  // file systems that cannot lock a folder.
  Status AcquireFolder(const std::string& path, bool shared);
  void Release();

  // A note of up to 256 bytes in the file, for whoever locks it next. SetNote REQUIRES an exclusive
  // lock; a note that cannot be written is not worth failing for.
  std::string Note() const;
  void SetNote(const std::string& note);

 private:
  int fd_ = -1;
};

}  // namespace thermocline
