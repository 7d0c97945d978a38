#include "engine/topic/check.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include "engine/platform/file.h"
#include "engine/record/crc32c.h"
#include "engine/topic/index.h"
#include "engine/topic/recovery.h"
#include "engine/topic/segment.h"
#include "engine/topic/topic.h"
#include "engine/topic/walker.h"

namespace thermocline::topic {

namespace {

namespace fs = std::filesystem;

Status LoadConfig(const std::string& folder, TopicConfig* config) {
  std::string encoded;
  Status status = ReadWholeFile(folder + "/" + std::string(kTopicFile), &encoded);
  return status.ok() ? DecodeTopicConfig(encoded, config) : status;
}

Status SegmentsOf(const std::string& folder, std::vector<uint64_t>* bases) {
  std::error_code error;
  std::set<uint64_t> found;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    uint64_t base = 0;
    if (ParseSegmentFileName(entry->path().filename().string(), kLogSuffix, &base)) {
      found.insert(base);
    }
  }
  if (error) return ErrnoStatus(error.value(), "reading the folder", folder);
  bases->assign(found.begin(), found.end());
  return {};
}

Status MapWhole(const std::string& path, std::shared_ptr<MemoryBlock>* block) {
  std::shared_ptr<File> file;
  uint64_t size = 0;
  Status status = File::Open(path, File::Mode::kRead, &file);
  if (status.ok()) status = file->Size(&size);
  if (!status.ok()) return status;
  return file->Map(0, static_cast<size_t>(size), 0, block);
}

// The next batch that is good to the last record. Tells of everything that is not.
class SoundWalk {
 public:
  SoundWalk(std::string_view bytes, uint32_t seed, uint64_t base) : walker_(bytes, seed, base) {}

  // What stands where the next batch should be.
  enum class Found { kBatch, kEnd, kTorn, kDamaged, kNewer };
  Found Next() {
    switch (walker_.Next()) {
      case BatchWalker::Step::kBatch:
        // A checksum that holds over records that do not: made so on purpose, or by a faulty
        // writer.
        return BatchIsSound(walker_.header(), walker_.body()) ? Found::kBatch : Found::kDamaged;
      case BatchWalker::Step::kEnd:
        return Found::kEnd;
      case BatchWalker::Step::kTorn:
        return Found::kTorn;
      case BatchWalker::Step::kNewer:
        return Found::kNewer;
      case BatchWalker::Step::kDamaged:
        break;
    }
    return Found::kDamaged;
  }
  bool Resync() { return walker_.Resync(); }
  size_t position() const { return walker_.position(); }
  uint64_t expected() const { return walker_.expected(); }
  const BatchHeader& header() const { return walker_.header(); }
  std::string_view body() const { return walker_.body(); }

 private:
  BatchWalker walker_;
};

class PartitionCheck {
 public:
  PartitionCheck(std::string folder, uint32_t seed, TopicReport* report)
      : folder_(std::move(folder)), seed_(seed), report_(*report) {}

  Status Run() {
    std::vector<uint64_t> bases;
    Status status = SegmentsOf(folder_, &bases);
    for (size_t i = 0; i < bases.size() && status.ok(); i++) {
      if (i > 0 && bases[i] != expected_) {
        const Segment before(folder_, bases[i - 1]);
        Complain(before.PathOf(kLogSuffix), bytes_, expected_,
                 "the next segment begins with offset " + std::to_string(bases[i]));
      }
      status = CheckSegment(bases[i], i + 1 == bases.size());
    }
    return status;
  }

 private:
  void Complain(const std::string& path, uint64_t position, uint64_t offset, std::string what) {
    report_.problems.push_back(
        {.path = path, .position = position, .offset = offset, .what = std::move(what)});
  }

  Status CheckSegment(uint64_t base, bool last) {
    const Segment segment(folder_, base);
    const std::string path = segment.PathOf(kLogSuffix);
    std::shared_ptr<MemoryBlock> block;
    Status status = MapWhole(path, &block);
    if (!status.ok()) return status;
    report_.segments++;
    report_.bytes += block->size();
    bytes_ = block->size();
    IndexBuilder index(base);
    SoundWalk walk(block->view(), seed_, base);
    for (;;) {
      const SoundWalk::Found found = walk.Next();
      if (found == SoundWalk::Found::kEnd) break;
      if (found == SoundWalk::Found::kBatch) {
        const BatchHeader& header = walk.header();
        index.Add(header, walk.position());
        report_.batches += header.gap ? 0 : 1;
        report_.messages += header.count;
        if (header.gap) report_.lost_messages += header.last_offset_delta + uint64_t{1};
        continue;
      }
      if (found == SoundWalk::Found::kNewer) {
        Complain(path, walk.position(), walk.expected(), "a batch of a newer format");
        break;
      }
      const bool torn = found == SoundWalk::Found::kTorn;
      Complain(path, walk.position(), walk.expected(),
               torn && last ? "the end is torn: opening for writing cuts it"
               : torn       ? "the segment ends within a batch"
                            : "damaged");
      if (!walk.Resync()) break;
    }
    expected_ = index.summary().end_offset;
    CheckIndex(segment, index);
    return {};
  }

  // One that is missing is made at the next opening; one that is there must say what the log says.
  void CheckIndex(const Segment& segment, const IndexBuilder& built) {
    const std::string offset_path = segment.PathOf(kIndexSuffix);
    const std::string time_path = segment.PathOf(kTimeIndexSuffix);
    std::shared_ptr<const SegmentIndex> index;
    const Status status =
        SegmentIndex::Load(offset_path, time_path, segment.base_offset(), bytes_, &index);
    if (status.code() == Code::kNotFound) return;
    const auto same = [](const auto& a, const auto& b) {
      return a.size() == b.size() &&
             std::equal(a.begin(), a.end(), b.begin(), [](auto& x, auto& y) {
               return x.delta == y.delta && x.position == y.position;
             });
    };
    if (!status.ok() || index->summary().end_offset != built.summary().end_offset ||
        index->summary().max_timestamp != built.summary().max_timestamp ||
        !same(index->offsets(), built.offsets()) || !same(index->times(), built.times())) {
      Complain(offset_path, 0, 0, "the index does not fit its log: it is made again when opened");
    }
  }

  const std::string folder_;
  const uint32_t seed_;
  TopicReport& report_;
  uint64_t expected_ = 0;
  uint64_t bytes_ = 0;
};

class PartitionRepair {
 public:
  PartitionRepair(std::string folder, uint32_t seed, const RepairOptions& options,
                  TopicRepair* repair)
      : folder_(std::move(folder)), seed_(seed), options_(options), repair_(*repair) {}

  Status Run() {
    std::vector<uint64_t> bases;
    Status status = SegmentsOf(folder_, &bases);
    for (size_t i = 0; i < bases.size() && status.ok(); i++) {
      const bool last = i + 1 == bases.size();
      status = RepairSegment(bases[i], last, last ? 0 : bases[i + 1]);
    }
    return status.ok() ? SyncFolder(folder_) : status;
  }

 private:
  static void AppendGap(uint64_t from, uint64_t to, uint32_t seed, std::string* out) {
    while (from < to) {
      const auto count = static_cast<uint32_t>(std::min<uint64_t>(to - from, UINT32_MAX));
      char header[kBatchHeaderBytes];
      EncodeHeader({.gap = true, .base_offset = from, .last_offset_delta = count - 1}, seed,
                   header);
      out->append(header, sizeof header);
      from += count;
    }
  }

  bool AppendBatch(const BatchHeader& old, std::string_view body, std::string* out) const {
    BatchHeader header = old;
    std::string raw;
    std::string stored(body);
    if (options_.rewrite && !old.gap) {
      if (old.codec == Codec::kNone) {
        raw.assign(body);
      } else {
        raw.resize(old.raw_bytes);
        if (!Decompress(old.codec, body, raw.data(), raw.size())) return false;
      }
      header.codec = options_.compression.codec;
      if (header.codec == Codec::kNone || !Compress(options_.compression, raw, &stored)) {
        header.codec = Codec::kNone;
        stored = raw;
      }
      header.body_bytes = static_cast<uint32_t>(stored.size());
      header.body_crc = Crc32c(stored);
    }
    char bytes[kBatchHeaderBytes];
    EncodeHeader(header, seed_, bytes);
    out->append(bytes, sizeof bytes).append(stored);
    return true;
  }

  // `next_base`: of the segment behind; not for the last.
  Status RepairSegment(uint64_t base, bool last, uint64_t next_base) {
    const Segment segment(folder_, base);
    const std::string path = segment.PathOf(kLogSuffix);
    std::shared_ptr<MemoryBlock> block;
    Status status = MapWhole(path, &block);
    if (!status.ok()) return status;
    std::string fresh;
    bool damaged = false;
    uint64_t lost = 0;
    uint64_t cut = 0;
    SoundWalk walk(block->view(), seed_, base);
    uint64_t written_to = base;
    const auto fill_to = [&](uint64_t offset) {
      lost += offset - written_to;
      AppendGap(written_to, offset, seed_, &fresh);
      written_to = offset;
    };
    for (bool more = true; more;) {
      switch (walk.Next()) {
        case SoundWalk::Found::kEnd:
          more = false;
          break;
        case SoundWalk::Found::kBatch:
          if (walk.header().base_offset > written_to) fill_to(walk.header().base_offset);
          if (AppendBatch(walk.header(), walk.body(), &fresh)) written_to = walk.expected();
          break;
        case SoundWalk::Found::kNewer:
          return NewerFormatAt(path, walk.position());
        case SoundWalk::Found::kTorn:
        case SoundWalk::Found::kDamaged: {
          damaged = true;
          const size_t at = walk.position();
          if (!walk.Resync()) {
            if (last) cut = block->size() - at;
            more = false;
          }
          break;
        }
      }
    }
    if (!last && written_to < next_base) {
      damaged = true;
      fill_to(next_base);
    }
    if (!damaged && !options_.rewrite) return DropBadIndex(segment, block->size());
    repair_.rewritten_segments++;
    repair_.lost_messages += lost;
    repair_.cut_bytes += cut;
    // Sealed segments may be mapped by who holds messages of them: never shortened, always
    // replaced.
    status = ReplaceFile(path, fresh, /*durable=*/true);
    if (!status.ok()) return status;
    // The index describes the old file, even where the new one has the same length.
    return DropBadIndex(segment, UINT64_MAX);
  }

  Status DropBadIndex(const Segment& segment, uint64_t log_bytes) {
    const std::string offset_path = segment.PathOf(kIndexSuffix);
    const std::string time_path = segment.PathOf(kTimeIndexSuffix);
    std::shared_ptr<const SegmentIndex> index;
    const Status status =
        SegmentIndex::Load(offset_path, time_path, segment.base_offset(), log_bytes, &index);
    if (status.ok() || status.code() == Code::kNotFound) return {};
    if (status.code() != Code::kCorruption) return status;
    repair_.deleted_indexes++;
    unlink(offset_path.c_str());
    unlink(time_path.c_str());
    return {};
  }

  const std::string folder_;
  const uint32_t seed_;
  const RepairOptions& options_;
  TopicRepair& repair_;
};

}  // namespace

Status CheckTopic(const std::string& folder, TopicReport* report) {
  TopicConfig config;
  Status status = LoadConfig(folder, &config);
  for (uint32_t i = 0; i < config.options.partitions && status.ok(); i++) {
    report->partitions++;
    status = PartitionCheck(folder + "/" + std::to_string(i), SeedOf(config.id, i), report).Run();
  }
  return status;
}

Status RepairTopic(const std::string& folder, const RepairOptions& options, TopicRepair* repair) {
  TopicConfig config;
  Status status = LoadConfig(folder, &config);
  for (uint32_t i = 0; i < config.options.partitions && status.ok(); i++) {
    status =
        PartitionRepair(folder + "/" + std::to_string(i), SeedOf(config.id, i), options, repair)
            .Run();
  }
  return status;
}

}  // namespace thermocline::topic
