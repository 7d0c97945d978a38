#include "engine/snapshot/manifest.h"

#include <algorithm>
#include <set>
#include <utility>

#include "engine/platform/file.h"
#include "engine/record/coding.h"
#include "engine/record/crc32c.h"
#include "engine/shard/slot.h"

namespace thermocline {

namespace {

constexpr std::string_view kMagic = "thermocline shards\n";
constexpr uint32_t kVersion = 1;
constexpr size_t kChecksumBytes = 4;
// Nothing real comes near; what claims more is refused before memory is taken for it.
constexpr uint64_t kMaxManifestBytes = uint64_t{1} << 30;

void PutString(std::string* out, std::string_view text) {
  PutVarint32(out, static_cast<uint32_t>(text.size()));
  out->append(text);
}

// Reads fields one after the other; once one is missing, all later ones are.
class Reader {
 public:
  Reader(const char* p, const char* limit) : p_(p), limit_(limit) {}

  bool ok() const { return p_ != nullptr; }
  bool at_end() const { return p_ == limit_; }
  uint32_t Varint() {
    uint32_t value = 0;
    if (p_ != nullptr) p_ = GetVarint32(p_, limit_, &value);
    return value;
  }
  uint64_t Varint64() {
    uint64_t value = 0;
    if (p_ != nullptr) p_ = GetVarint64(p_, limit_, &value);
    return value;
  }
  uint32_t Fixed32() {
    uint32_t value = 0;
    if (p_ != nullptr) p_ = GetFixed32(p_, limit_, &value);
    return value;
  }
  uint64_t Fixed64() {
    uint64_t value = 0;
    if (p_ != nullptr) p_ = GetFixed64(p_, limit_, &value);
    return value;
  }
  uint8_t Byte() {
    if (p_ == nullptr || p_ == limit_) return Fail();
    return static_cast<uint8_t>(*p_++);
  }
  std::string String() {
    const uint32_t size = Varint();
    if (p_ == nullptr || size > static_cast<size_t>(limit_ - p_)) return (void)Fail(), "";
    return {std::exchange(p_, p_ + size), size};
  }
  // Of things that take a byte at least.
  uint32_t Count() {
    const uint32_t count = Varint();
    if (p_ != nullptr && count > static_cast<size_t>(limit_ - p_)) return Fail();
    return count;
  }

 private:
  uint8_t Fail() {
    p_ = nullptr;
    return 0;
  }

  const char* p_;
  const char* const limit_;
};

bool IsFileName(std::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
  return plain && name.size() > 4 && name.size() < 200 && name.ends_with(".sst") && name[0] != '.';
}

void EncodeShard(const SnapshotShard& shard, std::string* out) {
  PutVarint32(out, shard.info.id);
  PutVarint32(out, shard.info.generation);
  PutVarint32(out, static_cast<uint32_t>(shard.info.slots.size()));
  for (const SlotRange& range : shard.info.slots) {
    PutFixed16(out, range.first);
    PutFixed16(out, range.last);
  }
  PutVarint64(out, shard.keys);
  PutVarint32(out, static_cast<uint32_t>(shard.tiers.size()));
  for (const SnapshotTier& tier : shard.tiers) {
    out->push_back(static_cast<char>(tier.tier));
    PutVarint32(out, static_cast<uint32_t>(tier.files.size()));
    for (const SnapshotFile& file : tier.files) {
      PutString(out, file.name);
      PutVarint64(out, file.size);
      PutFixed32(out, file.crc);
      PutVarint32(out, file.level);
      PutVarint64(out, file.smallest_sequence);
      PutVarint64(out, file.largest_sequence);
      PutVarint64(out, file.epoch);
      PutString(out, file.smallest);
      PutString(out, file.largest);
    }
  }
}

Status Damaged(std::string_view what) {
  return {Code::kCorruption, "the snapshot's manifest is damaged: " + std::string(what)};
}

Status DecodeShard(Reader* reader, std::set<std::string>* names, std::vector<bool>* owned,
                   SnapshotShard* shard) {
  shard->info.id = reader->Varint();
  shard->info.generation = reader->Varint();
  shard->info.slots.resize(reader->Count());
  for (SlotRange& range : shard->info.slots) {
    const uint32_t both = reader->Fixed32();
    range = {static_cast<uint16_t>(both & 0xffff), static_cast<uint16_t>(both >> 16)};
    if (!reader->ok() || range.last < range.first || range.last >= kSlotCount) {
      return Damaged("slots that cannot be");
    }
    for (int slot = range.first; slot <= range.last; slot++) {
      if ((*owned)[static_cast<size_t>(slot)]) return Damaged("a slot has two owners");
      (*owned)[static_cast<size_t>(slot)] = true;
    }
  }
  shard->keys = reader->Varint64();
  shard->tiers.resize(reader->Count());
  int before = -1;
  for (SnapshotTier& tier : shard->tiers) {
    const uint8_t number = reader->Byte();
    if (!reader->ok() || number >= kTierCount || number <= before) {
      return Damaged("a tier that is not known");
    }
    before = number;
    tier.tier = static_cast<Tier>(number);
    tier.files.resize(reader->Count());
    for (SnapshotFile& file : tier.files) {
      file.name = reader->String();
      file.size = reader->Varint64();
      file.crc = reader->Fixed32();
      file.level = reader->Varint();
      file.smallest_sequence = reader->Varint64();
      file.largest_sequence = reader->Varint64();
      file.epoch = reader->Varint64();
      file.smallest = reader->String();
      file.largest = reader->String();
      if (!reader->ok()) return Damaged("it ends early");
      if (!IsFileName(file.name) || !names->insert(file.name).second) {
        return Damaged("a file name that cannot be");
      }
    }
  }
  if (!reader->ok()) return Damaged("it ends early");
  if (shard->info.slots.empty() || shard->tiers.empty() || shard->tiers[0].tier != Tier::kHot) {
    return Damaged("a shard without slots or without its hot tier");
  }
  return {};
}

}  // namespace

uint64_t SnapshotManifest::bytes() const {
  uint64_t bytes = 0;
  for (const SnapshotShard& shard : shards) {
    for (const SnapshotTier& tier : shard.tiers) {
      for (const SnapshotFile& file : tier.files) bytes += file.size;
    }
  }
  return bytes;
}

uint64_t SnapshotManifest::files() const {
  uint64_t files = 0;
  for (const SnapshotShard& shard : shards) {
    for (const SnapshotTier& tier : shard.tiers) files += tier.files.size();
  }
  return files;
}

std::string EncodeManifest(const SnapshotManifest& manifest) {
  std::string out(kMagic);
  PutFixed32(&out, kVersion);
  PutFixed64(&out, manifest.created_ms);
  PutFixed64(&out, manifest.clock_ms);
  PutString(&out, manifest.source);
  PutVarint32(&out, static_cast<uint32_t>(manifest.intents.size()));
  for (const RangeIntentRecord& intent : manifest.intents) {
    PutString(&out, EncodeRangeIntent(intent));
  }
  PutVarint32(&out, static_cast<uint32_t>(manifest.shards.size()));
  for (const SnapshotShard& shard : manifest.shards) EncodeShard(shard, &out);
  PutFixed32(&out, Crc32c(out));
  return out;
}

Status DecodeManifest(std::string_view encoded, SnapshotManifest* manifest) {
  if (!encoded.starts_with(kMagic)) {
    return {Code::kInvalidArgument, "the manifest is not one of a Thermocline shard snapshot"};
  }
  if (encoded.size() < kMagic.size() + 4 + kChecksumBytes) return Damaged("it ends early");
  const std::string_view body = encoded.substr(0, encoded.size() - kChecksumBytes);
  if (Crc32c(body) != DecodeFixed32(body.data() + body.size())) {
    return Damaged("its checksum does not match");
  }
  Reader reader(body.data() + kMagic.size(), body.data() + body.size());
  const uint32_t version = reader.Fixed32();
  if (version > kVersion) {
    return {Code::kFormatVersion, "the snapshot has format version " + std::to_string(version) +
                                      ", this version of thermocline reads up to " +
                                      std::to_string(kVersion) + ": update thermocline"};
  }
  *manifest = {};
  manifest->created_ms = reader.Fixed64();
  manifest->clock_ms = reader.Fixed64();
  manifest->source = reader.String();
  manifest->intents.resize(reader.Count());
  for (RangeIntentRecord& intent : manifest->intents) {
    const std::string record = reader.String();
    if (!reader.ok() || !DecodeRangeIntent(record, &intent).ok()) {
      return Damaged("a range that cannot be");
    }
  }
  manifest->shards.resize(reader.Count());
  std::set<std::string> names;
  std::vector<bool> owned(kSlotCount);
  for (SnapshotShard& shard : manifest->shards) {
    Status status = DecodeShard(&reader, &names, &owned, &shard);
    if (!status.ok()) return status;
  }
  if (!reader.ok() || !reader.at_end()) return Damaged("its length is wrong");
  return manifest->shards.empty() ? Damaged("it names no shard") : Status();
}

Status ReadManifest(const std::string& dir, SnapshotManifest* manifest) {
  const std::string path = dir + "/" + kManifestName;
  std::shared_ptr<File> file;
  Status status = File::Open(path, File::Mode::kRead, &file);
  uint64_t size = 0;
  if (status.ok()) status = file->Size(&size);
  if (status.code() == Code::kNotFound) {
    return {Code::kNotFound, "there is no shard snapshot in " + dir +
                                 ": its manifest is missing, so it was never complete"};
  }
  if (!status.ok()) return status;
  if (size > kMaxManifestBytes) {
    return {Code::kInvalidArgument, "the manifest in " + dir + " is not one of a shard snapshot"};
  }
  std::string encoded;
  status = ReadWholeFile(path, &encoded);
  if (status.ok()) status = DecodeManifest(encoded, manifest);
  if (status.ok()) return status;
  return {status.code(), std::string(status.message()) + " (" + path + ")"};
}

}  // namespace thermocline
