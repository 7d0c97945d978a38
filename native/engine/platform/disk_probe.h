// What a disk can do by itself, so that what a store does on it can be put into proportion.
//
// Steps: in one temporary file of the given folder, which has no name and goes with the process:
//   write  1 MiB at a time, one sync at the end            sequential bandwidth
//   sync   4 KiB appended, then fdatasync, over and over   what a log pays
//   read   4 KiB at random places by 1, 2, ... threads, each waiting for its read: that many reads
//          are always outstanding
//   read   1 MiB at a time                                 sequential bandwidth
// Everything but the syncs passes the page cache by (O_DIRECT), where the file system can.
//
// Thread safety: pure functions apart from the disk. They block; never call them on a thread that
// must not.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/status.h"

namespace thermocline {

struct DiskProbeOptions {
  std::string folder;                       // on the disk in question
  uint64_t file_bytes = uint64_t{1} << 30;  // rounded up to whole MiB; at most half of what is free
  double seconds = 1;                       // for each figure
  std::vector<int> queue_depths = {1, 4, 16, 64};
};

struct DiskProbe {
  struct RandomRead {
    int depth = 0;
    double reads_per_second = 0;
    uint64_t p50_nanos = 0;
    uint64_t p99_nanos = 0;
  };
  uint64_t file_bytes = 0;
  bool direct = true;  // false: the file system knows no O_DIRECT, so memory took part
  double fsyncs_per_second = 0;
  uint64_t fsync_p50_nanos = 0;
  uint64_t fsync_p99_nanos = 0;
  double write_bytes_per_second = 0;
  double read_bytes_per_second = 0;
  std::vector<RandomRead> random_reads;
};

// ERR_INVALID_ARGUMENT for options out of range, ERR_NO_SPACE, ERR_IO.
Status ProbeDisk(const DiskProbeOptions& options, DiskProbe* out);

// Writes the files below `folder` to the disk and drops them from the page cache, so that the next
// read of them is the disk's. Does nothing where the system has no such call. ERR_IO.
Status DropFileCache(const std::string& folder);

}  // namespace thermocline
