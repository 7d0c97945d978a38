// Checking and repairing the files of a topic, without opening it.
//
// A check reads every byte: every checksum, every offset, every record, every index. It changes
// nothing. A repair rewrites what a check complains of, into new files that then take the place of
// the old ones:
//
//   - Damaged batches go, and a gap (batch_format.h) stands for their messages, so that the offsets
//   of
//     all others stay.
//   - A damaged end of the last segment goes. Messages that were there get their offsets again from
//     what is appended next.
//   - Indexes that do not fit are deleted; the next opening makes them.
//
// A rewrite writes every segment anew in the current format, whether damaged or not, compressed as
// asked: the way from an older format to this one.
//
// Thread safety: functions without state. REQUIRES: nobody has the topic open; for a check, nobody
// has it open for writing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/status.h"
#include "engine/topic/codec.h"

namespace thermocline::topic {

struct TopicProblem {
  std::string path;
  uint64_t position = 0;  // in the file
  uint64_t offset = 0;    // that should begin there; 0 for indexes
  std::string what;
};

struct TopicReport {
  uint32_t partitions = 0;
  uint64_t segments = 0;
  uint64_t batches = 0;
  uint64_t messages = 0;
  uint64_t bytes = 0;
  uint64_t lost_messages = 0;  // in gaps that an earlier repair has left
  std::vector<TopicProblem> problems;
};

// `folder`: of the topic. ERR_NOT_FOUND, ERR_CORRUPTION (its settings), ERR_FORMAT_VERSION, ERR_IO.
Status CheckTopic(const std::string& folder, TopicReport* report);

struct TopicRepair {
  uint64_t rewritten_segments = 0;
  uint64_t lost_messages =
      0;                   // that stood where damage was; 0 for a damaged end, where nobody knows
  uint64_t cut_bytes = 0;  // of damaged ends
  uint64_t deleted_indexes = 0;
};
struct RepairOptions {
  bool rewrite = false;     // every segment, not only damaged ones
  Compression compression;  // of rewritten batches; kNone and not rewrite: as they were
};
// ERR_FORMAT_VERSION: a segment of a newer format is left alone.
Status RepairTopic(const std::string& folder, const RepairOptions& options, TopicRepair* repair);

}  // namespace thermocline::topic
