#include "engine/topic/index.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "engine/record/coding.h"
#include "engine/record/crc32c.h"

namespace thermocline::topic {

namespace {

// Entries are mapped as they are.
static_assert(std::endian::native == std::endian::little);

constexpr uint32_t kOffsetMagic = 0x58494354;  // "TCIX"
constexpr uint32_t kTimeMagic = 0x58544354;    // "TCTX"
constexpr uint32_t kIndexVersion = 1;
constexpr size_t kIndexHeaderBytes = 56;
constexpr size_t kCrcAt = 52;

template <class Entry, class Before>
IndexPoint Find(std::span<const Entry> entries, uint64_t base_offset, uint64_t* probes,
                Before&& before) {
  size_t low = 0;
  size_t high = entries.size();
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    ++*probes;
    if (before(entries[middle])) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0) return {base_offset, 0};
  return {base_offset + entries[low - 1].delta, entries[low - 1].position};
}

template <class Entry>
std::string Encode(uint32_t magic, const SegmentSummary& summary, std::span<const Entry> entries) {
  std::string bytes;
  bytes.reserve(kIndexHeaderBytes + entries.size_bytes());
  PutFixed32(&bytes, magic);
  PutFixed32(&bytes, kIndexVersion);
  PutFixed64(&bytes, summary.base_offset);
  PutFixed64(&bytes, summary.bytes);
  PutFixed64(&bytes, summary.end_offset);
  PutFixed64(&bytes, summary.max_timestamp);
  PutFixed64(&bytes, summary.records);
  PutFixed32(&bytes, static_cast<uint32_t>(entries.size()));
  const std::string_view content(reinterpret_cast<const char*>(entries.data()),
                                 entries.size_bytes());
  PutFixed32(&bytes, Crc32cExtend(Crc32c(bytes), content));
  return bytes.append(content);
}

template <class Entry>
Status LoadOne(const std::string& path, uint32_t magic, uint64_t base_offset, uint64_t log_bytes,
               SegmentSummary* summary, std::shared_ptr<MemoryBlock>* block,
               std::span<const Entry>* entries) {
  const Status damaged(Code::kCorruption, "the index " + path + " does not fit its log");
  std::shared_ptr<File> file;
  uint64_t size = 0;
  Status status = File::Open(path, File::Mode::kRead, &file);
  if (status.ok()) status = file->Size(&size);
  if (!status.ok()) return status;
  if (size < kIndexHeaderBytes) return damaged;
  status = file->Map(0, static_cast<size_t>(size), 0, block);
  if (!status.ok()) return status;
  const char* const p = (*block)->data();
  const std::string_view content = (*block)->view().substr(kIndexHeaderBytes);
  if (DecodeFixed32(p) != magic || DecodeFixed32(p + 4) != kIndexVersion ||
      DecodeFixed32(p + kCrcAt) != Crc32cExtend(Crc32c({p, kCrcAt}), content) ||
      uint64_t{DecodeFixed32(p + 48)} * sizeof(Entry) != content.size()) {
    return damaged;
  }
  summary->base_offset = DecodeFixed64(p + 8);
  summary->bytes = DecodeFixed64(p + 16);
  summary->end_offset = DecodeFixed64(p + 24);
  summary->max_timestamp = DecodeFixed64(p + 32);
  summary->records = DecodeFixed64(p + 40);
  if (summary->base_offset != base_offset || summary->bytes != log_bytes) return damaged;
  *entries = {reinterpret_cast<const Entry*>(content.data()), content.size() / sizeof(Entry)};
  return {};
}

}  // namespace

IndexPoint FindOffset(std::span<const OffsetEntry> entries, uint64_t base_offset, uint64_t offset,
                      uint64_t* probes) {
  return Find(entries, base_offset, probes,
              [&](const OffsetEntry& entry) { return base_offset + entry.delta <= offset; });
}

IndexPoint FindTime(std::span<const TimeEntry> entries, uint64_t base_offset, uint64_t timestamp,
                    uint64_t* probes) {
  return Find(entries, base_offset, probes,
              [&](const TimeEntry& entry) { return entry.max_before < timestamp; });
}

SegmentIndex::SegmentIndex(SegmentSummary summary, std::vector<OffsetEntry> offsets,
                           std::vector<TimeEntry> times)
    : summary_(summary),
      own_offsets_(std::move(offsets)),
      own_times_(std::move(times)),
      offsets_(own_offsets_),
      times_(own_times_) {}

Status SegmentIndex::Load(const std::string& offset_path, const std::string& time_path,
                          uint64_t base_offset, uint64_t log_bytes,
                          std::shared_ptr<const SegmentIndex>* out) {
  std::shared_ptr<SegmentIndex> index(new SegmentIndex());
  Status status = LoadOne(offset_path, kOffsetMagic, base_offset, log_bytes, &index->summary_,
                          &index->offset_block_, &index->offsets_);
  if (status.ok()) {
    status = LoadOne(time_path, kTimeMagic, base_offset, log_bytes, &index->summary_,
                     &index->time_block_, &index->times_);
  }
  if (status.ok()) *out = std::move(index);
  return status;
}

Status SegmentIndex::Save(const std::string& offset_path, const std::string& time_path) const {
  Status status = ReplaceFile(offset_path, Encode(kOffsetMagic, summary_, offsets_), false);
  if (!status.ok()) return status;
  return ReplaceFile(time_path, Encode(kTimeMagic, summary_, times_), false);
}

void IndexBuilder::Add(const BatchHeader& header, uint64_t position) {
  const auto delta = static_cast<uint32_t>(header.base_offset - summary_.base_offset);
  const auto at = static_cast<uint32_t>(position);
  if (offsets_.empty() || position >= uint64_t{offsets_.back().position} + kIndexInterval) {
    offsets_.push_back({delta, at});
    times_.push_back({summary_.max_timestamp, delta, at});
  }
  summary_.max_timestamp = std::max(summary_.max_timestamp, header.max_timestamp);
  summary_.end_offset = header.next_offset();
  summary_.bytes = position + header.total_bytes();
  summary_.records += header.count;
}

}  // namespace thermocline::topic
