#include "engine/backup/verify_records.h"

#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>

#include "engine/record/envelope.h"

namespace thermocline {

namespace {

constexpr uint64_t kAskEvery = 4096;  // records

std::string_view View(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

class FamilyStream final : public RecordStream {
 public:
  explicit FamilyStream(std::unique_ptr<rocksdb::Iterator> iterator)
      : iterator_(std::move(iterator)) {
    iterator_->SeekToFirst();
  }
  bool Valid() const override { return iterator_->Valid(); }
  void Next() override { iterator_->Next(); }
  std::string_view key() const override { return View(iterator_->key()); }
  std::string_view value() const override { return View(iterator_->value()); }
  Status status() const override { return Status::From(iterator_->status(), "reading"); }

 private:
  const std::unique_ptr<rocksdb::Iterator> iterator_;
};

class TableStream final : public RecordStream {
 public:
  explicit TableStream(std::vector<std::string> paths) : paths_(std::move(paths)) { Settle(); }
  bool Valid() const override { return iterator_ != nullptr && iterator_->Valid(); }
  void Next() override {
    iterator_->Next();
    Settle();
  }
  std::string_view key() const override { return View(iterator_->key()); }
  std::string_view value() const override { return View(iterator_->value()); }
  Status status() const override { return status_; }

 private:
  // Goes on to the next table at the end of one.
  void Settle() {
    while (status_.ok() && !Valid()) {
      if (iterator_ != nullptr) status_ = Status::From(iterator_->status(), "reading");
      if (!status_.ok() || next_ == paths_.size()) return;
      iterator_.reset();  // before the reader it reads from
      reader_ = std::make_unique<rocksdb::SstFileReader>(rocksdb::Options());
      const std::string& path = paths_[next_++];
      status_ = Status::From(reader_->Open(path), "opening " + path);
      if (!status_.ok()) return;
      rocksdb::ReadOptions options;
      options.fill_cache = false;
      iterator_.reset(reader_->NewIterator(options));
      iterator_->SeekToFirst();
    }
  }

  const std::vector<std::string> paths_;
  size_t next_ = 0;
  std::unique_ptr<rocksdb::SstFileReader> reader_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
  Status status_;
};

std::string Name(const VerifyCount& count) {
  std::string name = "shard " + std::to_string(count.shard);
  if (count.frozen) name += " in the archive";
  if (count.tier != Tier::kHot) name += " in the " + std::string(TierName(count.tier)) + " tier";
  return name + ": ";
}

std::string Printable(std::string_view key) {
  return "key " + rocksdb::Slice(key.data(), key.size()).ToString(/*hex=*/true).substr(0, 64) +
         " (hexadecimal)";
}

// What one tier has of the key that is looked at.
struct Held {
  const RecordLevel* level = nullptr;
  Envelope envelope;
  bool readable = false;
};

// What of a record by itself is wrong; null if nothing is.
const char* RecordProblem(const Held& held) {
  if (!held.readable) return " has a damaged envelope";
  const Envelope& envelope = held.envelope;
  if (envelope.is_tombstone()) {
    if (envelope.clean_copy() || envelope.expiry_ms != 0 || !envelope.payload.empty()) {
      return " is deleted by a marker that has contents";
    }
    if (held.level->count->tier == Tier::kCold) {
      return " is deleted by a marker in the lowest tier, which has none";
    }
  }
  if (envelope.clean_copy() && held.level->count->tier != Tier::kHot) {
    return " is called a copy of a colder record, as only the hot tier has";
  }
  return nullptr;
}

// Whether the hottest record, a clean copy, disagrees with the one that it was made from; null if
// not. `colder` are the others, hotter first.
const char* CopyProblem(const Held& copy, const Held* colder, size_t count, bool covered) {
  if (count == 0 || covered) return " is a copy of a record that no colder tier has";
  // Its envelope was reported.
  if (!colder->readable) return nullptr;
  if (colder->envelope.is_tombstone()) return " is a copy of a record that is deleted below it";
  if (colder->envelope.payload != copy.envelope.payload) {
    return " is a copy of a colder record that has another value";
  }
  if (colder->envelope.expiry_ms != copy.envelope.expiry_ms) {
    return " is a copy of a colder record that has another expiry";
  }
  return nullptr;
}

void Count(const Held& held, std::string_view key, uint64_t now_ms) {
  VerifyCount* const count = held.level->count;
  count->records++;
  count->bytes += key.size();
  if (!held.readable) return;
  count->bytes += held.envelope.payload.size();
  if (held.envelope.is_tombstone()) count->markers++;
  if (IsExpired(held.envelope, now_ms)) count->expired++;
  if (held.envelope.clean_copy()) count->clean_copies++;
}

// `complete`: no tier's records ended early, so what is not here is nowhere.
void VerifyKey(std::string_view key, const std::vector<Held>& all, bool complete,
               const RecordChecks& checks, VerifyReport* report) {
  const bool owned = checks.owns(key);
  for (const Held& held : all) {
    Count(held, key, checks.now_ms);
    const std::string name = Name(*held.level->count);
    if (const char* problem = RecordProblem(held)) {
      ReportProblem(report, name + Printable(key) + problem);
    }
    if (!owned) ReportProblem(report, name + Printable(key) + " belongs to another shard");
  }
  report->records += all.size();
  report->shadowed += all.size() - 1;
  const Held& first = all.front();
  if (!complete || !first.readable || !first.envelope.clean_copy() ||
      first.envelope.is_tombstone() || first.level->count->tier != Tier::kHot ||
      IsExpired(first.envelope, checks.now_ms)) {
    return;
  }
  if (const char* problem =
          CopyProblem(first, all.data() + 1, all.size() - 1, checks.covered(key))) {
    ReportProblem(report, Name(*first.level->count) + Printable(key) + problem);
  }
}

}  // namespace

std::unique_ptr<RecordStream> StreamFamily(std::unique_ptr<rocksdb::Iterator> iterator) {
  return std::make_unique<FamilyStream>(std::move(iterator));
}

std::unique_ptr<RecordStream> StreamTables(std::vector<std::string> paths) {
  return std::make_unique<TableStream>(std::move(paths));
}

Status VerifyRecords(std::vector<RecordLevel> levels, const RecordChecks& checks,
                     VerifyReport* report) {
  std::vector<Held> all;
  uint64_t bytes = 0;
  bool complete = true;
  for (uint64_t keys = 1;; keys++) {
    const RecordStream* first = nullptr;
    for (const RecordLevel& level : levels) {
      const RecordStream& stream = *level.stream;
      if (!stream.Valid()) {
        complete = complete && stream.status().ok();
      } else if (first == nullptr || stream.key() < first->key()) {
        first = &stream;
      }
    }
    if (first == nullptr) break;
    const std::string key(first->key());
    all.clear();
    for (const RecordLevel& level : levels) {
      if (!level.stream->Valid() || level.stream->key() != key) continue;
      Held& held = all.emplace_back();
      held.level = &level;
      held.readable = DecodeEnvelope(level.stream->value(), &held.envelope);
      bytes += key.size() + level.stream->value().size();
    }
    VerifyKey(key, all, complete, checks, report);
    for (const Held& held : all) held.level->stream->Next();
    if (keys % kAskEvery != 0) continue;
    Status status = checks.go_on(std::exchange(bytes, 0));
    if (!status.ok()) return status;
  }
  for (const RecordLevel& level : levels) {
    const Status status = level.stream->status();
    if (!status.ok()) ReportProblem(report, Name(*level.count) + std::string(status.message()));
  }
  return checks.go_on(bytes);
}

}  // namespace thermocline
