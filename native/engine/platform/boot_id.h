// Which boot of the operating system this is.
//
// Purpose: to tell a crash of the process, after which every written byte is still there, from a
// loss of power, after which what was not synced may be torn or zeroed.
// Thread safety: a pure read of the system.
#pragma once

#include <fstream>
#include <string>

namespace thermocline {

// The same text until the next boot; empty where the system does not say.
inline std::string BootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace thermocline
