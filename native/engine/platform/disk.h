// Which disk a folder is on.
//
// Thread safety: a pure read of the system.
#pragma once

#include <sys/stat.h>

#include <string>

namespace thermocline {

// True if both are on one file system, or if that cannot be seen.
inline bool SameFileSystem(const std::string& a, const std::string& b) {
  struct stat first;
  struct stat second;
  if (stat(a.c_str(), &first) != 0 || stat(b.c_str(), &second) != 0) return true;
  return first.st_dev == second.st_dev;
}

}  // namespace thermocline
