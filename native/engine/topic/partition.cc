#include "engine/topic/partition.h"

#include <algorithm>
#include <utility>

#include "engine/record/crc32c.h"

namespace thermocline::topic {

Partition::Partition(const OpenOptions& open, const TopicOptions& options, Dependencies deps)
    : folder_(open.folder), seed_(open.seed), read_only_(open.read_only), deps_(std::move(deps)) {
  SetOptions(options);
}

Status Partition::Open(const OpenOptions& open, const TopicOptions& options, Dependencies deps,
                       std::shared_ptr<Partition>* out) {
  RecoveredLog recovered;
  Status status = RecoverLog({.folder = open.folder,
                              .seed = open.seed,
                              .read_only = open.read_only,
                              .after_power_loss = open.after_power_loss},
                             &recovered);
  if (!status.ok()) return status;
  std::shared_ptr<Partition> partition(new Partition(open, options, std::move(deps)));
  status = partition->Start(std::move(recovered));
  if (status.ok()) *out = std::move(partition);
  return status;
}

Status Partition::Start(RecoveredLog recovered) {
  deps_.metrics->rebuilt_indexes.Add(recovered.rebuilt_indexes);
  cut_bytes_ = recovered.cut_bytes;
  end_damage_ = recovered.end_damage;
  std::lock_guard lock(mutex_);
  segments_ = std::move(recovered.segments);
  unsynced_ = std::move(recovered.unsynced);
  active_ = std::move(recovered.active);
  producers_ = std::move(recovered.producers);
  write_status_ = recovered.damage;
  uint64_t max_through = 0;
  for (const auto& segment : segments_) {
    if (const auto index = segment->index()) {
      max_through = std::max(max_through, index->summary().max_timestamp);
    }
    segment->SetMaxThrough(max_through);
  }
  if (read_only_) {
    write_status_ = {Code::kReadOnly, "the database is open read-only"};
    if (!active_) active_ = std::make_unique<IndexBuilder>(0);
  } else if (segments_.empty()) {
    Status status = OpenActive(0);
    if (!status.ok()) return status;
  } else {
    Status status =
        File::Open(segments_.back()->PathOf(kLogSuffix), File::Mode::kWrite, &active_file_);
    if (!status.ok()) return status;
    active_opened_ms_ = recovered.active_since_ms;
    folder_changed_ = true;  // an earlier life may have ended before it synced what it created
  }
  end_offset_.store(active_->summary().end_offset, std::memory_order_release);
  return {};
}

void Partition::SetOptions(const TopicOptions& options) {
  std::lock_guard lock(mutex_);
  options_ = std::make_shared<const TopicOptions>(options);
  roll_ = MakeRollPolicy(options);
}

// REQUIRES: mutex_.
Status Partition::OpenActive(uint64_t base_offset) {
  auto segment = std::make_shared<Segment>(folder_, base_offset);
  std::shared_ptr<File> file;
  Status status = File::Open(segment->PathOf(kLogSuffix), File::Mode::kCreate, &file);
  if (!status.ok()) return status;
  active_file_ = std::move(file);
  active_opened_ms_ = deps_.now_ms();
  active_ = std::make_unique<IndexBuilder>(base_offset);
  segments_.push_back(std::move(segment));
  folder_changed_ = true;
  return {};
}

void Partition::Append(std::span<BatchAppend* const> group) {
  std::shared_ptr<const TopicOptions> options;
  Status refused;
  {
    std::lock_guard lock(mutex_);
    options = options_;
    refused = write_status_;
  }
  uint64_t next_offset = end_offset();
  uint64_t pending_bytes = 0;
  std::vector<BatchAppend*> run;
  const auto flush = [&] {
    if (run.empty()) return;
    WriteRun(run);
    run.clear();
    pending_bytes = 0;
    next_offset = end_offset();
  };
  for (BatchAppend* batch : group) {
    if (refused.ok() && batch->producer_id != 0) {
      flush();  // so that the table knows of every batch before this one
      std::lock_guard lock(mutex_);
      switch (producers_.Judge(batch->producer_id, batch->sequence, &batch->base_offset)) {
        case ProducerTable::Verdict::kNew:
          break;
        case ProducerTable::Verdict::kRepeated:
          batch->repeated = true;
          deps_.metrics->repeated_batches.Add();
          continue;
        case ProducerTable::Verdict::kTooOld:
          batch->status = {Code::kConflict, "the producer's sequence number " +
                                                std::to_string(batch->sequence) +
                                                " is too old to tell whether it was written"};
          continue;
      }
    }
    batch->status = refused;
    if (!batch->status.ok()) continue;
    Prepare(batch, next_offset, options->compression);
    const size_t bytes = kBatchHeaderBytes + (batch->compressed.empty() ? batch->body.size()
                                                                        : batch->compressed.size());
    if (MustRoll({.bytes = pending_bytes,
                  .records = next_offset - end_offset(),
                  .next_bytes = bytes,
                  .next_records = batch->count})) {
      const uint64_t before = next_offset;
      flush();
      Status status = next_offset == before ? Roll() : Status();
      if (!status.ok() || next_offset != before) {
        // A write before it failed, or there is no room for a segment: nothing follows in this one.
        batch->status = status.ok() ? write_status() : status;
        if (!batch->status.ok()) continue;
        Prepare(batch, next_offset, options->compression);
      }
    }
    if (active_->summary().records == 0 && run.empty()) active_opened_ms_ = deps_.now_ms();
    run.push_back(batch);
    pending_bytes += bytes;
    next_offset += batch->count;
  }
  flush();
}

// Fills the header; compresses on the first call.
bool Partition::Prepare(BatchAppend* batch, uint64_t base_offset, const Compression& compression) {
  if (batch->first_timestamp == 0) {
    batch->first_timestamp = deps_.now_ms();
    batch->max_timestamp = batch->first_timestamp;
  }
  bool compressed = !batch->compressed.empty();
  if (!compressed && compression.codec != Codec::kNone) {
    compressed = Compress(compression, batch->body, &batch->compressed);
    if (!compressed) batch->compressed.clear();
  }
  const std::string_view stored = compressed ? std::string_view(batch->compressed) : batch->body;
  if (!compressed && !batch->body_crc) batch->body_crc = Crc32c(stored);
  batch->base_offset = base_offset;
  EncodeHeader({.codec = compressed ? compression.codec : Codec::kNone,
                .base_offset = base_offset,
                .body_bytes = static_cast<uint32_t>(stored.size()),
                .raw_bytes = static_cast<uint32_t>(batch->body.size()),
                .count = batch->count,
                .last_offset_delta = batch->count - 1,
                .first_timestamp = batch->first_timestamp,
                .max_timestamp = batch->max_timestamp,
                .producer_id = batch->producer_id,
                .sequence = batch->sequence,
                .body_crc = compressed ? Crc32c(stored) : *batch->body_crc},
               seed_, batch->header);
  return compressed;
}

void Partition::WriteRun(std::span<BatchAppend* const> run) {
  std::vector<iovec> parts;
  parts.reserve(2 * run.size());
  for (BatchAppend* batch : run) {
    const std::string_view stored =
        batch->compressed.empty() ? batch->body : std::string_view(batch->compressed);
    parts.push_back({batch->header, sizeof batch->header});
    parts.push_back({const_cast<char*>(stored.data()), stored.size()});
  }
  const uint64_t position = active_->summary().bytes;
  Status status = write_status();  // an earlier run of the group may have failed for good
  if (status.ok()) {
    deps_.metrics->group_writes.Add();
    status = active_file_->Write(position, parts);
    if (status.ok()) {
      Publish(run);
      return;
    }
    const Status undone = active_file_->Truncate(position);
    if (!undone.ok()) Fail(undone);
  }
  for (BatchAppend* batch : run) batch->status = status;
}

void Partition::Publish(std::span<BatchAppend* const> run) {
  std::vector<std::shared_ptr<Waiter>> awake;
  {
    std::lock_guard lock(mutex_);
    BatchHeader header;
    for (const BatchAppend* batch : run) {
      DecodeHeader(batch->header, seed_, &header);
      active_->Add(header, active_->summary().bytes);
      if (header.producer_id != 0) {
        producers_.Record(header.producer_id, header.sequence, header.base_offset);
      }
      deps_.metrics->appended_batches.Add();
      deps_.metrics->appended_records.Add(header.count);
      deps_.metrics->appended_bytes.Add(header.raw_bytes);
      deps_.metrics->stored_bytes.Add(header.total_bytes());
    }
    const uint64_t end = active_->summary().end_offset;
    end_offset_.store(end, std::memory_order_release);
    std::erase_if(waiting_, [&](Waiting& waiting) {
      if (waiting.offset >= end) return false;
      awake.push_back(std::move(waiting.waiter));
      return true;
    });
  }
  for (const auto& waiter : awake) waiter->Fire();
}

// `coming`: what will be in the active segment besides what was published.
bool Partition::MustRoll(const ActiveFacts& coming) const {
  std::lock_guard lock(mutex_);
  const SegmentSummary& summary = active_->summary();
  const uint64_t records = summary.records + coming.records;
  return records > 0 && roll_->ShouldRoll({.bytes = summary.bytes + coming.bytes,
                                           .records = records,
                                           .opened_ms = active_opened_ms_,
                                           .now_ms = deps_.now_ms(),
                                           .next_bytes = coming.next_bytes,
                                           .next_records = coming.next_records});
}

Status Partition::Roll() {
  std::lock_guard lock(mutex_);
  const SegmentSummary& summary = active_->summary();
  const std::shared_ptr<Segment> old = segments_.back();
  std::shared_ptr<const SegmentIndex> index = active_->Finish();
  const uint64_t max_before =
      segments_.size() > 1 ? segments_[segments_.size() - 2]->max_through() : 0;
  const uint64_t max_through = std::max(max_before, summary.max_timestamp);
  Status status = OpenActive(summary.end_offset);
  if (!status.ok()) return status;
  // Only speeds up the next opening; what is missing is found by walking the log.
  (void)ReplaceFile(segments_.back()->PathOf(kProducersSuffix), producers_.Encode(), false);
  old->SetMaxThrough(max_through);
  old->Seal(std::move(index));
  unsynced_.push_back(old);
  deps_.metrics->rolled_segments.Add();
  return {};
}

Status Partition::RollIfDue() { return write_status().ok() && MustRoll({}) ? Roll() : Status(); }

Status Partition::Sync() {
  std::vector<std::shared_ptr<Segment>> sealed;
  std::shared_ptr<Segment> active;
  bool folder_changed = false;
  {
    std::lock_guard lock(mutex_);
    if (segments_.empty() || read_only_) return {};
    sealed = unsynced_;
    active = segments_.back();
    folder_changed = std::exchange(folder_changed_, false);
  }
  const auto sync_one = [this](Segment* segment) {
    std::shared_ptr<File> file;
    Status status = segment->OpenFile(&file);
    if (!status.ok()) return status;
    deps_.metrics->syncs.Add();
    return deps_.sync ? deps_.sync(file.get()) : file->Sync();
  };
  Status status = folder_changed ? SyncFolder(folder_) : Status();
  for (const auto& segment : sealed) {
    if (status.ok()) status = sync_one(segment.get());
    // Retention may have deleted it meanwhile.
    if (status.code() == Code::kNotFound) status = {};
  }
  if (status.ok()) status = sync_one(active.get());
  if (!status.ok()) {
    Fail(status);
    return status;
  }
  for (const auto& segment : sealed) {
    // Without it the next opening walks the log.
    (void)segment->index()->Save(segment->PathOf(kIndexSuffix), segment->PathOf(kTimeIndexSuffix));
  }
  std::lock_guard lock(mutex_);
  std::erase_if(unsynced_, [&](const auto& segment) {
    return std::find(sealed.begin(), sealed.end(), segment) != sealed.end();
  });
  return {};
}

void Partition::Fail(const Status& cause) {
  std::lock_guard lock(mutex_);
  if (!write_status_.ok()) return;
  write_status_ = {Code::kReadOnly, "the partition " + folder_ + " takes no messages since " +
                                        std::string(cause.message()) +
                                        ": close and reopen the database"};
}

Status Partition::DeleteExpired(const RetentionPolicy& policy, size_t* deleted) {
  *deleted = 0;
  std::vector<std::shared_ptr<Segment>> gone;
  {
    std::lock_guard lock(mutex_);
    const size_t count = read_only_ ? 0 : policy.CountExpired(Facts(), deps_.now_ms());
    gone.assign(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(count));
    segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(count));
  }
  for (const auto& segment : gone) {
    Status status = segment->Remove();
    if (!status.ok()) return status;  // the next opening finds it again
    ++*deleted;
    deps_.metrics->deleted_segments.Add();
  }
  return {};
}

// REQUIRES: mutex_.
void Partition::FillExtent(size_t i, Extent* extent) const {
  extent->segment = segments_[i];
  extent->last = i + 1 == segments_.size();
  if (extent->last) {
    extent->sealed = false;
    extent->bytes = active_->summary().bytes;
    extent->end_offset = active_->summary().end_offset;
    extent->next_base = extent->end_offset;
    return;
  }
  const SegmentSummary& summary = extent->segment->index()->summary();
  extent->sealed = true;
  extent->bytes = summary.bytes;
  extent->end_offset = summary.end_offset;
  extent->next_base = segments_[i + 1]->base_offset();
}

bool Partition::Locate(uint64_t offset, Extent* extent) const {
  std::lock_guard lock(mutex_);
  if (segments_.empty()) return false;
  const auto after = std::upper_bound(
      segments_.begin(), segments_.end(), offset,
      [](uint64_t wanted, const auto& segment) { return wanted < segment->base_offset(); });
  const auto i = static_cast<size_t>(std::max<std::ptrdiff_t>(after - segments_.begin() - 1, 0));
  FillExtent(i, extent);
  const std::shared_ptr<const SegmentIndex> index = extent->segment->index();
  uint64_t probes = 0;
  extent->start = FindOffset(extent->last ? active_->offsets() : index->offsets(),
                             extent->segment->base_offset(), offset, &probes);
  deps_.metrics->lookups.Add();
  deps_.metrics->index_probes.Add(probes);
  return true;
}

void Partition::Extend(const std::shared_ptr<Segment>& segment, Extent* extent) const {
  std::lock_guard lock(mutex_);
  const auto at = std::lower_bound(
      segments_.begin(), segments_.end(), segment->base_offset(),
      [](const auto& a, uint64_t base_offset) { return a->base_offset() < base_offset; });
  if (at != segments_.end() && *at == segment) {
    FillExtent(static_cast<size_t>(at - segments_.begin()), extent);
    return;
  }
  // Deleted: only sealed segments are.
  const SegmentSummary& summary = segment->index()->summary();
  extent->segment = segment;
  extent->sealed = true;
  extent->last = false;
  extent->bytes = summary.bytes;
  extent->end_offset = summary.end_offset;
  extent->next_base = summary.end_offset;
}

bool Partition::LocateTime(uint64_t timestamp, Extent* extent) const {
  std::lock_guard lock(mutex_);
  if (segments_.empty()) return false;
  const auto sealed_end = segments_.end() - 1;
  const auto at = std::partition_point(segments_.begin(), sealed_end, [&](const auto& segment) {
    return segment->max_through() < timestamp;
  });
  if (at == sealed_end && active_->summary().max_timestamp < timestamp) return false;
  FillExtent(static_cast<size_t>(at - segments_.begin()), extent);
  const std::shared_ptr<const SegmentIndex> index = extent->segment->index();
  uint64_t probes = 0;
  extent->start = FindTime(extent->last ? active_->times() : index->times(),
                           extent->segment->base_offset(), timestamp, &probes);
  deps_.metrics->lookups.Add();
  deps_.metrics->index_probes.Add(probes);
  return true;
}

uint64_t Partition::start_offset() const {
  std::lock_guard lock(mutex_);
  return segments_.empty() ? 0 : segments_.front()->base_offset();
}

uint64_t Partition::bytes() const {
  uint64_t total = 0;
  for (const SegmentFacts& segment : Segments()) total += segment.bytes;
  return total;
}

std::vector<SegmentFacts> Partition::Segments() const {
  std::lock_guard lock(mutex_);
  return Facts();
}

// REQUIRES: mutex_.
std::vector<SegmentFacts> Partition::Facts() const {
  std::vector<SegmentFacts> facts;
  for (size_t i = 0; i < segments_.size(); i++) {
    const std::shared_ptr<const SegmentIndex> index = segments_[i]->index();
    const SegmentSummary& summary =
        i + 1 == segments_.size() ? active_->summary() : index->summary();
    facts.push_back({.base_offset = segments_[i]->base_offset(),
                     .end_offset = summary.end_offset,
                     .bytes = summary.bytes,
                     .max_timestamp = summary.max_timestamp});
  }
  return facts;
}

bool Partition::LastSequence(uint64_t producer, uint64_t* sequence) const {
  std::lock_guard lock(mutex_);
  return producers_.Last(producer, sequence);
}

void Partition::WaitFor(uint64_t offset, std::shared_ptr<Waiter> waiter) {
  {
    std::lock_guard lock(mutex_);
    // Those whom another partition has woken.
    std::erase_if(waiting_, [](const Waiting& waiting) { return waiting.waiter->fired(); });
    if (!retired_ && active_->summary().end_offset <= offset) {
      waiting_.push_back({offset, std::move(waiter)});
      return;
    }
  }
  waiter->Fire();
}

void Partition::Retire(const Status& why) {
  std::vector<Waiting> awake;
  {
    std::lock_guard lock(mutex_);
    retired_ = true;
    write_status_ = why;
    awake.swap(waiting_);
  }
  for (const Waiting& waiting : awake) waiting.waiter->Fire();
}

Status Partition::retired() const {
  std::lock_guard lock(mutex_);
  return retired_ ? write_status_ : Status();
}

bool Partition::HasUnsynced() const {
  std::lock_guard lock(mutex_);
  return !unsynced_.empty() && write_status_.ok();
}

Status Partition::write_status() const {
  std::lock_guard lock(mutex_);
  return write_status_;
}

}  // namespace thermocline::topic
