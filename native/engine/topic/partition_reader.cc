#include "engine/topic/partition_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/record/crc32c.h"
#include "engine/topic/codec.h"
#include "engine/topic/record_format.h"
#include "engine/topic/walker.h"

namespace thermocline::topic {

namespace {

// Enough for the batches that the index skips, and cheap to read in one go.
constexpr size_t kMinWindowBytes = size_t{64} << 10;

Status NoMemory() { return {Code::kIo, "there is no memory for the messages read"}; }

// Cuts the records before `offset` off the first batch.
bool Trim(uint64_t offset, const char* block, BatchView* batch) {
  RecordView record;
  const char* p = block + batch->begin;
  const char* const limit = p + batch->size;
  while (batch->base_offset < offset) {
    p = DecodeRecord(p, limit, batch->first_timestamp, &record);
    if (p == nullptr) return false;
    batch->base_offset++;
    batch->count--;
  }
  batch->begin = static_cast<size_t>(p - block);
  batch->size = static_cast<size_t>(limit - p);
  return true;
}

}  // namespace

void PartitionReader::Seek(uint64_t offset) {
  next_ = offset;
  Leave();
}

void PartitionReader::Leave() {
  extent_ = {};
  file_.reset();
}

// False: nothing can be read at this place now.
bool PartitionReader::Enter() {
  if (extent_.segment) {
    partition_->Extend(extent_.segment, &extent_);
    if (next_ < extent_.end_offset) return true;
    if (extent_.last) return false;
    Leave();
  }
  if (next_ >= partition_->end_offset() || !partition_->Locate(next_, &extent_)) {
    Leave();
    return false;
  }
  next_ = std::max(next_, extent_.segment->base_offset());
  position_ = extent_.start.position;
  expected_ = extent_.start.offset;
  return true;
}

Status PartitionReader::Read(const Limits& limits, ReadResult* out) {
  Status status;
  for (bool moved = true; moved && status.ok() && out->batches.empty();) {
    moved = false;
    if (!Enter()) {
      // What is behind the last good message must not look like "nothing yet".
      if (!limits.past_damage) status = partition_->end_damage();
      break;
    }
    if (!file_) status = extent_.segment->OpenFile(&file_);
    if (status.code() == Code::kNotFound) {
      // Deleted between the look-up and the opening.
      Leave();
      moved = true;
      status = {};
      continue;
    }
    if (!status.ok()) break;
    if (next_ >= extent_.end_offset) {
      status = PassHole(limits, out);
      moved = true;
      continue;
    }
    status = Collect(limits, out, &moved);
    if (status.code() == Code::kCorruption && limits.past_damage) {
      status = PassDamage(out);
      moved = true;
    }
  }
  out->next_offset = next_;
  out->end_offset = std::max(partition_->end_offset(), next_);
  return status;
}

// The bytes from position_ on, `wanted` of them or as many as there are.
Status PartitionReader::LoadWindow(size_t wanted, size_t ahead,
                                   std::shared_ptr<MemoryBlock>* window) {
  const size_t size = static_cast<size_t>(std::min<uint64_t>(wanted, extent_.bytes - position_));
  if (extent_.sealed) return file_->Map(position_, size, ahead, window);
  *window = MemoryBlock::Allocate(size);
  return *window ? file_->Read(position_, (*window)->data(), size) : NoMemory();
}

// Reads the batches at position_ up to the limit. Damage that is met after a good batch is left for
// the next read.
Status PartitionReader::Collect(const Limits& limits, ReadResult* out, bool* moved) {
  size_t wanted = std::max(limits.max_bytes + kIndexInterval, kMinWindowBytes);
  for (;;) {
    std::shared_ptr<MemoryBlock> window;
    Status status = LoadWindow(wanted, limits.max_bytes, &window);
    if (!status.ok()) return status;
    const std::string_view bytes = window->view();
    // There should be more: the next offset is below the segment's end.
    if (bytes.empty()) return DamageAt(file_->path(), position_, expected_);
    std::vector<Found> found;
    size_t at = 0;
    size_t needed = 0;
    uint64_t raw_bytes = 0;
    uint64_t expected = expected_;
    uint64_t skipped_position = position_;
    uint64_t skipped_expected = expected_;
    while (at < bytes.size()) {
      Found next{.header = {}, .at = at};
      if (bytes.size() - at < kBatchHeaderBytes) {
        needed = at + kBatchHeaderBytes;
        break;
      }
      const HeaderVerdict verdict =
          DecodeHeader(bytes.data() + at, partition_->seed(), &next.header);
      if (verdict == HeaderVerdict::kNewer && found.empty()) {
        return NewerFormatAt(file_->path(), position_ + at);
      }
      if (verdict != HeaderVerdict::kGood || next.header.base_offset != expected) {
        status = DamageAt(file_->path(), position_ + at, expected);
        break;
      }
      if (next.header.total_bytes() > bytes.size() - at) {
        needed = at + next.header.total_bytes();
        break;
      }
      const std::string_view body = bytes.substr(at + kBatchHeaderBytes, next.header.body_bytes);
      const bool before = next.header.next_offset() <= next_;
      if (!before) {
        if (!found.empty() && raw_bytes + next.header.raw_bytes > limits.max_bytes) break;
        if (Crc32c(body) != next.header.body_crc) {
          status = DamageAt(file_->path(), position_ + at, expected);
          break;
        }
        raw_bytes += next.header.raw_bytes;
        if (!next.header.gap) found.push_back(next);
      }
      at += next.header.total_bytes();
      expected = next.header.next_offset();
      if (before) {
        partition_->metrics()->walked_bytes.Add(next.header.total_bytes());
        skipped_position = position_ + at;
        skipped_expected = expected;
      }
    }
    if (found.empty() && !status.ok()) {
      position_ += at;
      expected_ = expected;
      return status;
    }
    if (found.empty() && needed > 0) {
      if (position_ + needed > extent_.bytes) {
        position_ += at;
        expected_ = expected;
        return DamageAt(file_->path(), position_, expected_);
      }
      // A batch that is larger than the window: again, with all of it.
      position_ = skipped_position;
      expected_ = skipped_expected;
      wanted = std::max(wanted, needed);
      continue;
    }
    if (!found.empty()) {
      size_t delivered = 0;
      status = Deliver(window, found, out, &delivered);
      if (!status.ok()) return status;
      if (delivered < found.size()) {
        // A batch whose checksum holds and whose records do not. What stands before it is good.
        at = found[delivered].at;
        expected = found[delivered].header.base_offset;
      }
      if (delivered == 0) {
        position_ += at;
        expected_ = expected;
        return DamageAt(file_->path(), position_, expected_);
      }
    }
    position_ += at;
    expected_ = expected;
    next_ = std::max(next_, expected);
    *moved = true;
    return {};
  }
}

Status PartitionReader::Deliver(const std::shared_ptr<MemoryBlock>& window,
                                const std::vector<Found>& found, ReadResult* out,
                                size_t* delivered) {
  const bool as_stored = std::all_of(found.begin(), found.end(), [](const Found& each) {
    return each.header.codec == Codec::kNone;
  });
  std::shared_ptr<MemoryBlock> block = window;
  if (!as_stored) {
    size_t total = 0;
    for (const Found& each : found) total += each.header.raw_bytes;
    block = MemoryBlock::Allocate(total);
    if (!block) return NoMemory();
  }
  uint64_t records = 0;
  uint64_t bytes = 0;
  size_t filled = 0;
  for (const Found& each : found) {
    const BatchHeader& header = each.header;
    const std::string_view body =
        window->view().substr(each.at + kBatchHeaderBytes, header.body_bytes);
    BatchView batch{.base_offset = header.base_offset,
                    .count = header.count,
                    .first_timestamp = header.first_timestamp,
                    .begin = as_stored ? each.at + kBatchHeaderBytes : filled,
                    .size = header.raw_bytes};
    bool good = true;
    if (!as_stored) {
      char* const to = block->data() + filled;
      filled += header.raw_bytes;
      if (header.codec == Codec::kNone) {
        std::memcpy(to, body.data(), body.size());
      } else {
        good = Decompress(header.codec, body, to, header.raw_bytes);
      }
    }
    BodyFacts facts;
    good = good && CheckBody(block->view().substr(batch.begin, batch.size), batch.count,
                             batch.first_timestamp, &facts);
    if (good && batch.base_offset < next_) good = Trim(next_, block->data(), &batch);
    if (!good) break;
    records += batch.count;
    bytes += batch.size;
    out->batches.push_back(batch);
    ++*delivered;
  }
  partition_->metrics()->read_records.Add(records);
  partition_->metrics()->read_bytes.Add(bytes);
  if (*delivered > 0) out->block = std::move(block);
  return {};
}

// Goes on at the next good batch of the segment, or at the next segment.
Status PartitionReader::PassDamage(ReadResult* out) {
  const uint64_t lost_position = position_;
  const uint64_t lost_from = std::max(expected_, next_);
  std::shared_ptr<MemoryBlock> rest;
  Status status = LoadWindow(SIZE_MAX, 0, &rest);
  if (!status.ok()) return status;
  BatchWalker walker(rest->view(), partition_->seed(), expected_);
  walker.Next();
  if (walker.Resync() && walker.Next() == BatchWalker::Step::kBatch) {
    position_ += walker.position();
    expected_ = walker.header().base_offset;
  } else {
    position_ = extent_.bytes;
    expected_ = extent_.last ? partition_->end_offset() : extent_.next_base;
  }
  out->lost.push_back({.segment = file_->path(),
                       .position = lost_position,
                       .from_offset = lost_from,
                       .to_offset = expected_});
  next_ = std::max(next_, expected_);
  if (position_ == extent_.bytes) Leave();
  return {};
}

// Between the end of a segment and the beginning of the next, records are missing.
Status PartitionReader::PassHole(const Limits& limits, ReadResult* out) {
  const std::string path = file_->path();
  const uint64_t position = extent_.bytes;
  const uint64_t to = extent_.next_base;
  if (to <= next_) {
    // Not a hole: the segment has just been sealed, and the next look-up finds its successor.
    Leave();
    return {};
  }
  if (!limits.past_damage) return DamageAt(path, position, next_);
  out->lost.push_back(
      {.segment = path, .position = position, .from_offset = next_, .to_offset = to});
  next_ = to;
  Leave();
  return {};
}

Status PartitionReader::SeekTime(uint64_t timestamp) {
  Leave();
  next_ = partition_->end_offset();
  Partition::Extent extent;
  if (!partition_->LocateTime(timestamp, &extent)) return {};
  extent_ = extent;
  position_ = extent.start.position;
  expected_ = extent.start.offset;
  Status status = extent_.segment->OpenFile(&file_);
  if (!status.ok()) return status;
  for (size_t wanted = kMinWindowBytes; position_ < extent_.bytes;) {
    std::shared_ptr<MemoryBlock> window;
    status = LoadWindow(wanted, 0, &window);
    if (!status.ok()) return status;
    const bool at_limit = position_ + window->size() == extent_.bytes;
    // Bodies are not verified on the way: the read that follows does that for what it hands out.
    BatchWalker walker(window->view(), partition_->seed(), expected_, /*verify_bodies=*/false);
    BatchWalker::Step step = walker.Next();
    while (step == BatchWalker::Step::kBatch &&
           (walker.header().gap || walker.header().max_timestamp < timestamp)) {
      partition_->metrics()->walked_bytes.Add(walker.header().total_bytes());
      step = walker.Next();
    }
    position_ += walker.position();
    expected_ = step == BatchWalker::Step::kBatch ? walker.header().base_offset : walker.expected();
    if (step == BatchWalker::Step::kBatch) return SeekWithinBatch(timestamp);
    if (step == BatchWalker::Step::kNewer) return NewerFormatAt(file_->path(), position_);
    if (step == BatchWalker::Step::kDamaged || (step == BatchWalker::Step::kTorn && at_limit)) {
      return DamageAt(file_->path(), position_, expected_);
    }
    // The window ends within a batch: on from there, with room for it.
    if (walker.position() == 0) wanted *= 2;
  }
  // What the summary promised is not there: behind the segment.
  Seek(extent.end_offset);
  return {};
}

// The batch at position_ has a record that is not older than `timestamp`.
Status PartitionReader::SeekWithinBatch(uint64_t timestamp) {
  next_ = expected_;
  ReadResult batch;
  bool moved = false;
  Status status = Collect({.max_bytes = 1}, &batch, &moved);
  if (!status.ok()) return status;
  const BatchView& view = batch.batches.front();
  const char* p = batch.block->data() + view.begin;
  const char* const limit = p + view.size;
  uint64_t offset = view.base_offset;
  for (RecordView record; offset < view.base_offset + view.count; offset++) {
    p = DecodeRecord(p, limit, view.first_timestamp, &record);
    if (p == nullptr || record.timestamp >= timestamp) break;
  }
  Seek(offset);
  return {};
}

Status SendBatches(const Partition& partition, uint64_t offset, size_t max_bytes, int socket,
                   int timeout_ms, size_t* sent, uint64_t* next_offset) {
  *sent = 0;
  *next_offset = offset;
  Partition::Extent extent;
  if (offset >= partition.end_offset() || !partition.Locate(offset, &extent)) return {};
  std::shared_ptr<File> file;
  Status status = extent.segment->OpenFile(&file);
  if (!status.ok()) return status;
  // Headers say where batches end; the receiver checks the bodies.
  uint64_t begin = extent.start.position;
  uint64_t end = begin;
  uint64_t expected = extent.start.offset;
  char bytes[kBatchHeaderBytes];
  while (end + kBatchHeaderBytes <= extent.bytes) {
    BatchHeader header;
    status = file->Read(end, bytes, sizeof bytes);
    if (!status.ok()) return status;
    if (DecodeHeader(bytes, partition.seed(), &header) != HeaderVerdict::kGood ||
        header.base_offset != expected || header.total_bytes() > extent.bytes - end) {
      if (end > begin) break;
      return DamageAt(file->path(), end, expected);
    }
    const bool before = header.next_offset() <= offset;
    if (!before && end > begin && end + header.total_bytes() - begin > max_bytes) break;
    end += header.total_bytes();
    expected = header.next_offset();
    if (before) begin = end;
  }
  if (end == begin) return {};
  status = SendFile(*file, begin, static_cast<size_t>(end - begin), socket, timeout_ms, sent);
  if (status.ok()) *next_offset = expected;
  return status;
}

}  // namespace thermocline::topic
