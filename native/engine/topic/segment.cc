#include "engine/topic/segment.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <utility>

namespace thermocline::topic {

namespace {

constexpr size_t kNameDigits = 20;

}  // namespace

std::string SegmentFileName(uint64_t base_offset, std::string_view suffix) {
  std::string digits = std::to_string(base_offset);
  digits.insert(0, kNameDigits - digits.size(), '0');
  return digits.append(suffix);
}

bool ParseSegmentFileName(std::string_view name, std::string_view suffix, uint64_t* base_offset) {
  if (name.size() != kNameDigits + suffix.size() || !name.ends_with(suffix)) return false;
  const char* const end = name.data() + kNameDigits;
  const auto [stop, error] = std::from_chars(name.data(), end, *base_offset);
  return error == std::errc() && stop == end;
}

std::string Segment::PathOf(std::string_view suffix) const {
  return folder_ + "/" + SegmentFileName(base_offset_, suffix);
}

Status Segment::OpenFile(std::shared_ptr<File>* out) {
  std::lock_guard lock(mutex_);
  *out = file_.lock();
  if (*out) return {};
  Status status = File::Open(PathOf(kLogSuffix), File::Mode::kRead, out);
  if (status.ok()) file_ = *out;
  return status;
}

std::shared_ptr<const SegmentIndex> Segment::index() const {
  std::lock_guard lock(mutex_);
  return index_;
}

void Segment::Seal(std::shared_ptr<const SegmentIndex> index) {
  std::lock_guard lock(mutex_);
  index_ = std::move(index);
}

uint64_t Segment::max_through() const {
  std::lock_guard lock(mutex_);
  return max_through_;
}

void Segment::SetMaxThrough(uint64_t timestamp) {
  std::lock_guard lock(mutex_);
  max_through_ = timestamp;
}

Status Segment::Remove() {
  // The log last: what is left without it is known to be of no use.
  for (const std::string_view suffix :
       {kIndexSuffix, kTimeIndexSuffix, kProducersSuffix, kLogSuffix}) {
    const std::string path = PathOf(suffix);
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "deleting", path);
  }
  return {};
}

}  // namespace thermocline::topic
