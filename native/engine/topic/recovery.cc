#include "engine/topic/recovery.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "engine/platform/file.h"
#include "engine/topic/walker.h"

namespace thermocline::topic {

namespace {

namespace fs = std::filesystem;

struct Listing {
  std::set<uint64_t> logs;
  std::vector<std::string> orphans;  // of no use without their log, or left by a crash
};

Status List(const std::string& folder, Listing* listing) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) return ErrnoStatus(error.value(), "reading the folder", folder);
  uint64_t base = 0;
  for (const std::string& name : names) {
    if (ParseSegmentFileName(name, kLogSuffix, &base)) listing->logs.insert(base);
  }
  for (const std::string& name : names) {
    const bool companion = ParseSegmentFileName(name, kIndexSuffix, &base) ||
                           ParseSegmentFileName(name, kTimeIndexSuffix, &base) ||
                           ParseSegmentFileName(name, kProducersSuffix, &base);
    if ((companion && !listing->logs.contains(base)) || name.ends_with(".tmp")) {
      listing->orphans.push_back(name);
    }
  }
  return {};
}

// What a walk over one segment found.
struct Walked {
  std::unique_ptr<IndexBuilder> index;
  uint64_t file_bytes = 0;
  uint64_t first_timestamp = 0;  // of the first batch
  // Where the batches end that hang together with the segment's beginning.
  uint64_t good_bytes = 0;
  bool torn = false;             // what follows is the beginning of a batch
  bool good_after = false;       // behind the damage stand good batches
  std::optional<Status> damage;  // the first
  Status end_damage;             // that no good batch follows
};

class Recovery {
 public:
  Recovery(const RecoveryOptions& options, RecoveredLog* out) : options_(options), out_(*out) {}

  Status Run();

 private:
  Status Walk(Segment* segment, bool collect_producers, Walked* walked);
  Status TakeSealed(size_t i, bool* cut_here);
  Status TakeLast();
  Status Cut(Segment* segment, uint64_t bytes);
  Status DropAfter(size_t i);
  Status LoadProducers();

  const RecoveryOptions& options_;
  RecoveredLog& out_;
};

Status Recovery::Run() {
  Listing listing;
  Status status = List(options_.folder, &listing);
  if (!status.ok()) return status;
  if (!options_.read_only) {
    for (const std::string& name : listing.orphans) {
      unlink((options_.folder + "/" + name).c_str());
    }
  }
  for (const uint64_t base : listing.logs) {
    out_.segments.push_back(std::make_shared<Segment>(options_.folder, base));
  }
  if (out_.segments.empty()) return {};
  for (size_t i = 0; i + 1 < out_.segments.size(); i++) {
    bool cut_here = false;
    status = TakeSealed(i, &cut_here);
    if (status.ok() && cut_here) status = DropAfter(i);
    if (!status.ok()) return status;
  }
  status = LoadProducers();
  return status.ok() ? TakeLast() : status;
}

Status Recovery::Walk(Segment* segment, bool collect_producers, Walked* walked) {
  std::shared_ptr<File> file;
  std::shared_ptr<MemoryBlock> block;
  Status status = segment->OpenFile(&file);
  if (status.ok()) status = file->Size(&walked->file_bytes);
  if (status.ok()) {
    status = file->Map(0, static_cast<size_t>(walked->file_bytes), /*ahead=*/0, &block);
  }
  if (!status.ok()) return status;
  walked->index = std::make_unique<IndexBuilder>(segment->base_offset());
  BatchWalker walker(block->view(), options_.seed, segment->base_offset());
  bool hangs_together = true;
  for (;;) {
    const BatchWalker::Step step = walker.Next();
    if (step == BatchWalker::Step::kEnd) return {};
    if (step == BatchWalker::Step::kBatch) {
      const BatchHeader& header = walker.header();
      if (walker.position() == 0) walked->first_timestamp = header.first_timestamp;
      walked->index->Add(header, walker.position());
      if (collect_producers && header.producer_id != 0) {
        out_.producers.Record(header.producer_id, header.sequence, header.base_offset);
      }
      walked->end_damage = {};
      if (hangs_together) {
        walked->good_bytes = walker.position() + header.total_bytes();
      } else {
        walked->good_after = true;
      }
      continue;
    }
    const std::string path = segment->PathOf(kLogSuffix);
    walked->end_damage = step == BatchWalker::Step::kNewer
                             ? NewerFormatAt(path, walker.position())
                             : DamageAt(path, walker.position(), walker.expected());
    if (!walked->damage) {
      walked->torn = step == BatchWalker::Step::kTorn;
      walked->damage = walked->end_damage;
    }
    hangs_together = false;
    if (step == BatchWalker::Step::kNewer || !walker.Resync()) return {};
  }
}

Status Recovery::TakeSealed(size_t i, bool* cut_here) {
  Segment* const segment = out_.segments[i].get();
  std::shared_ptr<File> file;
  uint64_t bytes = 0;
  Status status = segment->OpenFile(&file);
  if (status.ok()) status = file->Size(&bytes);
  if (!status.ok()) return status;
  std::shared_ptr<const SegmentIndex> index;
  status = SegmentIndex::Load(segment->PathOf(kIndexSuffix), segment->PathOf(kTimeIndexSuffix),
                              segment->base_offset(), bytes, &index);
  if (!status.ok()) {
    Walked walked;
    status = Walk(segment, /*collect_producers=*/false, &walked);
    if (!status.ok()) return status;
    // Indexes are written once their segment is synced: without one, it may not have been.
    const bool lost_its_end = walked.damage && !walked.good_after && options_.after_power_loss &&
                              walked.damage->code() == Code::kCorruption;
    if (lost_its_end && !options_.read_only) {
      *cut_here = true;
      return {};
    }
    index = walked.index->Finish();
    out_.rebuilt_indexes++;
    if (!walked.damage) out_.unsynced.push_back(out_.segments[i]);
  }
  segment->Seal(std::move(index));
  return {};
}

Status Recovery::DropAfter(size_t i) {
  while (out_.segments.size() > i + 1) {
    Status status = out_.segments.back()->Remove();
    if (!status.ok()) return status;
    out_.segments.pop_back();
  }
  return {};
}

Status Recovery::Cut(Segment* segment, uint64_t bytes) {
  std::shared_ptr<File> file;
  Status status = File::Open(segment->PathOf(kLogSuffix), File::Mode::kWrite, &file);
  return status.ok() ? file->Truncate(bytes) : status;
}

Status Recovery::TakeLast() {
  Segment* const segment = out_.segments.back().get();
  Walked walked;
  Status status = Walk(segment, /*collect_producers=*/true, &walked);
  if (!status.ok()) return status;
  out_.active = std::move(walked.index);
  out_.active_since_ms = walked.first_timestamp;
  if (!walked.damage) return {};
  const bool end_was_cut =
      !walked.good_after &&
      (walked.torn || (options_.after_power_loss && walked.damage->code() == Code::kCorruption));
  if (!end_was_cut) {
    out_.damage = *walked.damage;
    out_.end_damage = walked.end_damage;
    return {};
  }
  out_.cut_bytes = walked.file_bytes - walked.good_bytes;
  return options_.read_only ? Status() : Cut(segment, walked.good_bytes);
}

// The table as it was when the last segment began; its own batches are added while it is walked.
Status Recovery::LoadProducers() {
  const size_t last = out_.segments.size() - 1;
  std::string encoded;
  Status status = ReadWholeFile(out_.segments[last]->PathOf(kProducersSuffix), &encoded);
  if (status.ok() && out_.producers.Decode(encoded)) return {};
  for (size_t i = 0; i < last; i++) {
    Walked walked;
    status = Walk(out_.segments[i].get(), /*collect_producers=*/true, &walked);
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace

Status RecoverLog(const RecoveryOptions& options, RecoveredLog* out) {
  return Recovery(options, out).Run();
}

Status DamageAt(const std::string& path, uint64_t position, uint64_t offset) {
  return {Code::kCorruption, "the segment " + path + " is damaged at byte " +
                                 std::to_string(position) + ", where offset " +
                                 std::to_string(offset) + " should begin"};
}

Status NewerFormatAt(const std::string& path, uint64_t position) {
  return {Code::kFormatVersion, "the segment " + path + " has a batch of a newer format at byte " +
                                    std::to_string(position) + ": update thermocline"};
}

}  // namespace thermocline::topic
