// One segment of a partition's log: a file named by the offset of its first record, and its index.
//
// A segment is active (the last one, which grows) or sealed (it never changes again). Only sealed
// segments are mapped: the file of an active one may be shortened, after a failed write or when a
// torn end is cut.
//
// Thread safety: all methods from any thread.
// Ownership: shared by the partition and by whoever reads; a deleted segment stays readable for
// those who hold its file.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "engine/platform/file.h"
#include "engine/status.h"
#include "engine/topic/index.h"

namespace thermocline::topic {

inline constexpr std::string_view kLogSuffix = ".log";
inline constexpr std::string_view kIndexSuffix = ".index";
inline constexpr std::string_view kTimeIndexSuffix = ".timeindex";
inline constexpr std::string_view kProducersSuffix = ".producers";

// "00000000000000001234" + suffix.
std::string SegmentFileName(uint64_t base_offset, std::string_view suffix);
// The base offset of a name with this suffix; false if it is none.
bool ParseSegmentFileName(std::string_view name, std::string_view suffix, uint64_t* base_offset);

class Segment {
 public:
  Segment(std::string folder, uint64_t base_offset)
      : folder_(std::move(folder)), base_offset_(base_offset) {}

  uint64_t base_offset() const { return base_offset_; }
  std::string PathOf(std::string_view suffix) const;

  // The file for reading, opened once for all who hold it at the same time.
  Status OpenFile(std::shared_ptr<File>* out);

  // Null while the segment is active.
  std::shared_ptr<const SegmentIndex> index() const;
  void Seal(std::shared_ptr<const SegmentIndex> index);

  // The largest timestamp in this segment and all before it. REQUIRES: sealed.
  uint64_t max_through() const;
  void SetMaxThrough(uint64_t timestamp);

  // Deletes the files. Whoever holds the log's goes on reading it.
  Status Remove();

 private:
  const std::string folder_;
  const uint64_t base_offset_;

  mutable std::mutex mutex_;
  std::weak_ptr<File> file_;                   // GUARDED_BY(mutex_)
  std::shared_ptr<const SegmentIndex> index_;  // GUARDED_BY(mutex_)
  uint64_t max_through_ = 0;                   // GUARDED_BY(mutex_)
};

}  // namespace thermocline::topic
