// The two sparse indexes of a segment: from an offset, and from a time, to a position in the log.
//
// There is an entry for the first batch that begins at least 4 KiB after the last one that has an
// entry, so a lookup is a binary search and a walk over 4 KiB and a batch at most, however long the
// log is. The active segment's indexes are in memory; a sealed one's are files that are mapped:
//
//    0  u32  magic "TCIX" or "TCTX"
//    4  u32  version (1)
//    8  u64  base offset of the segment
//   16  u64  bytes of the log that it describes
//   24  u64  offset behind the segment's last record
//   32  u64  largest timestamp of the segment
//   40  u64  records in the segment
//   48  u32  number of entries
//   52  u32  CRC-32C of bytes 0 to 51 and the entries
//   56  entries: .index      u32 offset - base offset, u32 position
//                .timeindex  u64 largest timestamp before the position, u32 offset - base offset,
//                            u32 position
//
// An index can be made from its log at any time, so one that is missing, damaged or about another
// length of the log is simply made again.
//
// Thread safety: SegmentIndex is immutable and shared; IndexBuilder belongs to one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/platform/file.h"
#include "engine/status.h"
#include "engine/topic/batch_format.h"

namespace thermocline::topic {

inline constexpr uint32_t kIndexInterval = 4096;

struct OffsetEntry {
  uint32_t delta = 0;
  uint32_t position = 0;
};
struct TimeEntry {
  uint64_t max_before = 0;
  uint32_t delta = 0;
  uint32_t position = 0;
};
static_assert(sizeof(OffsetEntry) == 8 && sizeof(TimeEntry) == 16);

// What is known of a segment without reading it.
struct SegmentSummary {
  uint64_t base_offset = 0;
  uint64_t bytes = 0;
  uint64_t end_offset = 0;
  uint64_t max_timestamp = 0;
  uint64_t records = 0;
};

// Where to begin to walk: a batch that starts at `position` with `offset`.
struct IndexPoint {
  uint64_t offset = 0;
  uint64_t position = 0;
};

// Binary searches over entries; `probes` counts the entries looked at.
IndexPoint FindOffset(std::span<const OffsetEntry> entries, uint64_t base_offset, uint64_t offset,
                      uint64_t* probes);
// Where every record before has a timestamp below `timestamp`.
IndexPoint FindTime(std::span<const TimeEntry> entries, uint64_t base_offset, uint64_t timestamp,
                    uint64_t* probes);

class SegmentIndex {
 public:
  SegmentIndex(SegmentSummary summary, std::vector<OffsetEntry> offsets,
               std::vector<TimeEntry> times);

  // Maps the files beside the log. ERR_CORRUPTION or ERR_NOT_FOUND: make it again. `log_bytes`: the
  // length that the log has.
  static Status Load(const std::string& offset_path, const std::string& time_path,
                     uint64_t base_offset, uint64_t log_bytes,
                     std::shared_ptr<const SegmentIndex>* out);
  Status Save(const std::string& offset_path, const std::string& time_path) const;

  const SegmentSummary& summary() const { return summary_; }
  std::span<const OffsetEntry> offsets() const { return offsets_; }
  std::span<const TimeEntry> times() const { return times_; }

 private:
  SegmentIndex() = default;

  SegmentSummary summary_;
  std::vector<OffsetEntry> own_offsets_;
  std::vector<TimeEntry> own_times_;
  std::shared_ptr<MemoryBlock> offset_block_;
  std::shared_ptr<MemoryBlock> time_block_;
  std::span<const OffsetEntry> offsets_;
  std::span<const TimeEntry> times_;
};

class IndexBuilder {
 public:
  explicit IndexBuilder(uint64_t base_offset) {
    summary_.base_offset = base_offset;
    summary_.end_offset = base_offset;
  }

  // The batch at `position` is the segment's next.
  void Add(const BatchHeader& header, uint64_t position);

  const SegmentSummary& summary() const { return summary_; }
  const std::vector<OffsetEntry>& offsets() const { return offsets_; }
  const std::vector<TimeEntry>& times() const { return times_; }
  std::shared_ptr<const SegmentIndex> Finish() const {
    return std::make_shared<const SegmentIndex>(summary_, offsets_, times_);
  }

 private:
  SegmentSummary summary_;
  std::vector<OffsetEntry> offsets_;
  std::vector<TimeEntry> times_;
};

}  // namespace thermocline::topic
