#include "fault_file_system.h"

#include <rocksdb/system_clock.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "engine_fixture.h"

namespace thermocline::test {

namespace {

namespace fs = std::filesystem;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

constexpr uint64_t kPageBytes = 4096;

std::string FolderOf(const std::string& name) { return fs::path(name).parent_path().string(); }

// RocksDB's own diary, which nothing depends on.
bool IsDiary(const std::string& name) {
  return fs::path(name).filename().string().starts_with("LOG");
}

// Does not wait for a disk that will not get better by itself.
class HurriedClock : public rocksdb::SystemClockWrapper {
 public:
  HurriedClock() : SystemClockWrapper(rocksdb::SystemClock::Default()) {}
  const char* Name() const override { return "thermocline.test.HurriedClock"; }
  void SleepForMicroseconds(int micros) override {
    SystemClockWrapper::SleepForMicroseconds(std::min(micros, 100));
  }
};

class FaultEnv : public rocksdb::EnvWrapper {
 public:
  explicit FaultEnv(std::unique_ptr<rocksdb::Env> env) : EnvWrapper(std::move(env)) {
    system_clock_ = std::make_shared<HurriedClock>();
  }
  const char* Name() const override { return "thermocline.test.FaultEnv"; }
  rocksdb::Status GetFreeSpace(const std::string& path, uint64_t* bytes) override {
    return target()->GetFreeSpace(path, bytes);
  }
};

}  // namespace

class FaultFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultFile(FaultFileSystem* disk, std::string name, std::shared_ptr<FaultFileSystem::File> file,
            std::unique_ptr<rocksdb::FSWritableFile> target)
      : FSWritableFileOwnerWrapper(std::move(target)),
        disk_(disk),
        name_(std::move(name)),
        file_(std::move(file)) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  IODebugContext* debug) override {
    bool torn = false;
    const IOStatus s = disk_->Enter(FaultFileSystem::kAppend, name_, &torn);
    if (s.ok()) return Write(data, options, debug);
    if (torn) (void)Write(rocksdb::Slice(data.data(), data.size() / 2), options, debug);
    return s;
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo&, IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus PositionedAppend(const rocksdb::Slice&, uint64_t, const IOOptions&,
                            IODebugContext*) override {
    return IOStatus::NotSupported("direct I/O");
  }
  IOStatus PositionedAppend(const rocksdb::Slice&, uint64_t, const IOOptions&,
                            const rocksdb::DataVerificationInfo&, IODebugContext*) override {
    return IOStatus::NotSupported("direct I/O");
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    if (disk_->stopped()) return IOStatus::IOError("the machine has stopped");
    std::lock_guard lock(disk_->mutex_);
    file_->written = size;
    file_->synced = std::min(file_->synced, size);
    return FSWritableFileOwnerWrapper::Truncate(size, options, debug);
  }

  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    uint64_t written;
    {
      std::lock_guard lock(disk_->mutex_);
      written = file_->written;
    }
    const IOStatus s = disk_->Enter(FaultFileSystem::kSync, name_);
    std::lock_guard lock(disk_->mutex_);
    if (!s.ok()) file_->sync_failed = true;
    if (!file_->sync_failed) file_->synced = std::max(file_->synced, written);
    return s;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Sync(options, debug);
  }
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    const IOStatus s = disk_->Enter(FaultFileSystem::kClose, name_);
    const IOStatus closed = FSWritableFileOwnerWrapper::Close(options, debug);
    return s.ok() ? closed : s;
  }
  // Without this SyncWAL fails for the wrong reason, whatever the wrapper class does by default.
  bool IsSyncThreadSafe() const override { return target()->IsSyncThreadSafe(); }

 private:
  IOStatus Write(const rocksdb::Slice& data, const IOOptions& options, IODebugContext* debug) {
    const IOStatus s = FSWritableFileOwnerWrapper::Append(data, options, debug);
    if (s.ok()) {
      std::lock_guard lock(disk_->mutex_);
      file_->written += data.size();
    }
    return s;
  }

  FaultFileSystem* const disk_;
  const std::string name_;
  const std::shared_ptr<FaultFileSystem::File> file_;
};

class FaultDirectory : public rocksdb::FSDirectory {
 public:
  FaultDirectory(FaultFileSystem* disk, std::string name,
                 std::unique_ptr<rocksdb::FSDirectory> target)
      : disk_(disk), name_(std::move(name)), target_(std::move(target)) {}

  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    const size_t changes = disk_->ChangesOf(name_);
    IOStatus s = disk_->Enter(FaultFileSystem::kSyncDirectory, name_);
    if (s.ok()) disk_->MakeDurable(name_, changes);
    return s;
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    return target_->Close(options, debug);
  }
  size_t GetUniqueId(char* id, size_t max_size) const override {
    return target_->GetUniqueId(id, max_size);
  }

 private:
  FaultFileSystem* const disk_;
  const std::string name_;
  const std::unique_ptr<rocksdb::FSDirectory> target_;
};

const char* FaultFileSystem::NameOf(Call call) {
  static constexpr const char* kNames[kCallKinds] = {
      "new file", "append", "sync", "sync directory", "rename", "close", "delete"};
  return kNames[call];
}

FaultFileSystem::FaultFileSystem(std::string aside)
    : FileSystemWrapper(rocksdb::FileSystem::Default()), aside_(std::move(aside)) {
  fs::create_directories(aside_);
  // The Env shares ownership in form alone: this object owns the Env.
  env_ = std::make_unique<FaultEnv>(rocksdb::NewCompositeEnv(
      std::shared_ptr<rocksdb::FileSystem>(this, [](rocksdb::FileSystem*) {})));
}

FaultFileSystem::~FaultFileSystem() = default;

uint64_t FaultFileSystem::count(Call call) const {
  std::lock_guard lock(mutex_);
  return counts_[call];
}

uint64_t FaultFileSystem::total() const {
  std::lock_guard lock(mutex_);
  uint64_t total = 0;
  for (const uint64_t count : counts_) total += count;
  return total;
}

void FaultFileSystem::Inject(Fault fault) {
  std::lock_guard lock(mutex_);
  fault_ = std::move(fault);
  fault_calls_ = 0;
  struck_.clear();
}

void FaultFileSystem::Heal() {
  std::lock_guard lock(mutex_);
  fault_.reset();
}

std::string FaultFileSystem::struck() const {
  std::lock_guard lock(mutex_);
  return struck_;
}

void FaultFileSystem::StopAt(uint64_t nth) {
  std::lock_guard lock(mutex_);
  calls_until_stop_ = nth;
}

void FaultFileSystem::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
}

bool FaultFileSystem::stopped() const {
  std::lock_guard lock(mutex_);
  return stopped_;
}

void FaultFileSystem::Restart() {
  std::lock_guard lock(mutex_);
  stopped_ = false;
  calls_until_stop_ = UINT64_MAX;
  fault_.reset();
  files_.clear();
  changes_.clear();
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(aside_)) fs::remove(entry.path(), ignored);
}

IOStatus FaultFileSystem::Enter(Call call, const std::string& name, bool* torn) {
  std::lock_guard lock(mutex_);
  counts_[call]++;
  if (!stopped_ && calls_until_stop_ != UINT64_MAX && --calls_until_stop_ == 0) stopped_ = true;
  if (stopped_) return IOStatus::IOError("the machine has stopped", name);
  if (!fault_) return IOStatus::OK();
  const auto& calls = fault_->calls;
  if (std::find(calls.begin(), calls.end(), call) == calls.end()) return IOStatus::OK();
  fault_calls_++;
  if (fault_calls_ < fault_->nth || (fault_calls_ > fault_->nth && !fault_->lasting)) {
    return IOStatus::OK();
  }
  if (struck_.empty()) {
    struck_ = std::string(NameOf(call)) + " " + std::to_string(fault_calls_) + ", " +
              fs::path(name).filename().string();
  }
  if (torn != nullptr) *torn = fault_->torn;
  return fault_->no_space ? IOStatus::NoSpace("injected", name)
                          : IOStatus::IOError("injected", name);
}

IOStatus FaultFileSystem::NewWritableFile(const std::string& name,
                                          const rocksdb::FileOptions& options,
                                          std::unique_ptr<rocksdb::FSWritableFile>* file,
                                          IODebugContext* debug) {
  IOStatus s = Enter(kNewFile, name);
  if (!s.ok()) return s;
  auto tracked = std::make_shared<File>();
  {
    std::lock_guard lock(mutex_);
    Change change{.kind = Change::kCreated, .name = name, .from = {}, .aside = {}, .file = {}};
    SetAsideLocked(name, &change);
    files_[name] = tracked;
    NoteLocked(std::move(change));
  }
  std::unique_ptr<rocksdb::FSWritableFile> opened;
  s = FileSystemWrapper::NewWritableFile(name, options, &opened, debug);
  if (s.ok()) *file = std::make_unique<FaultFile>(this, name, tracked, std::move(opened));
  return s;
}

IOStatus FaultFileSystem::ReopenWritableFile(const std::string& name,
                                             const rocksdb::FileOptions& options,
                                             std::unique_ptr<rocksdb::FSWritableFile>* file,
                                             IODebugContext* debug) {
  IOStatus s = Enter(kNewFile, name);
  if (!s.ok()) return s;
  std::shared_ptr<File> tracked;
  {
    std::lock_guard lock(mutex_);
    std::error_code error;
    const uint64_t size = fs::file_size(name, error);
    std::shared_ptr<File>& known = files_[name];
    if (!known) {
      known = std::make_shared<File>();
      if (error) {
        NoteLocked({.kind = Change::kCreated, .name = name, .from = {}, .aside = {}, .file = {}});
      } else {
        *known = {.written = size, .synced = size};
      }
    }
    tracked = known;
  }
  std::unique_ptr<rocksdb::FSWritableFile> opened;
  s = FileSystemWrapper::ReopenWritableFile(name, options, &opened, debug);
  if (s.ok()) *file = std::make_unique<FaultFile>(this, name, tracked, std::move(opened));
  return s;
}

IOStatus FaultFileSystem::NewDirectory(const std::string& name, const IOOptions& options,
                                       std::unique_ptr<rocksdb::FSDirectory>* directory,
                                       IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSDirectory> opened;
  const IOStatus s = FileSystemWrapper::NewDirectory(name, options, &opened, debug);
  if (s.ok()) {
    // As FolderOf gives it: without a slash at the end.
    *directory = std::make_unique<FaultDirectory>(this, FolderOf(name + "/."), std::move(opened));
  }
  return s;
}

IOStatus FaultFileSystem::RenameFile(const std::string& from, const std::string& to,
                                     const IOOptions& options, IODebugContext* debug) {
  if (IsDiary(from)) return FileSystemWrapper::RenameFile(from, to, options, debug);
  const IOStatus entered = Enter(kRename, to);
  if (!entered.ok()) return entered;
  std::lock_guard lock(mutex_);
  Change change{.kind = Change::kRenamed, .name = to, .from = from, .aside = {}, .file = {}};
  SetAsideLocked(to, &change);
  const IOStatus s = FileSystemWrapper::RenameFile(from, to, options, debug);
  if (!s.ok()) return s;
  if (auto moved = files_.extract(from)) {
    moved.key() = to;
    files_.insert(std::move(moved));
  }
  NoteLocked(std::move(change));
  return s;
}

IOStatus FaultFileSystem::LinkFile(const std::string& from, const std::string& to,
                                   const IOOptions& options, IODebugContext* debug) {
  const IOStatus entered = Enter(kNewFile, to);
  if (!entered.ok()) return entered;
  std::lock_guard lock(mutex_);
  const IOStatus s = FileSystemWrapper::LinkFile(from, to, options, debug);
  if (!s.ok()) return s;
  if (const auto found = files_.find(from); found != files_.end()) files_[to] = found->second;
  NoteLocked({.kind = Change::kCreated, .name = to, .from = {}, .aside = {}, .file = {}});
  return s;
}

IOStatus FaultFileSystem::DeleteFile(const std::string& name, const IOOptions& options,
                                     IODebugContext* debug) {
  if (IsDiary(name)) return FileSystemWrapper::DeleteFile(name, options, debug);
  const IOStatus s = Enter(kDelete, name);
  if (!s.ok()) return s;
  std::lock_guard lock(mutex_);
  Change change{.kind = Change::kDeleted, .name = name, .from = {}, .aside = {}, .file = {}};
  SetAsideLocked(name, &change);
  if (change.aside.empty()) return IOStatus::PathNotFound("no such file", name);
  NoteLocked(std::move(change));
  return s;
}

IOStatus FaultFileSystem::GetFreeSpace(const std::string& path, const IOOptions& options,
                                       uint64_t* bytes, IODebugContext* debug) {
  {
    std::lock_guard lock(mutex_);
    if (fault_ && fault_->no_space && fault_->lasting && fault_calls_ >= fault_->nth) {
      *bytes = 0;
      return IOStatus::OK();
    }
  }
  return FileSystemWrapper::GetFreeSpace(path, options, bytes, debug);
}

// Takes the name from the file that has it, which stays on the disk until that is durable.
void FaultFileSystem::SetAsideLocked(const std::string& name, Change* change) {
  std::error_code error;
  const std::string aside = aside_ + "/" + std::to_string(next_aside_);
  fs::rename(name, aside, error);
  if (error) return;
  next_aside_++;
  change->aside = aside;
  if (auto file = files_.extract(name)) change->file = std::move(file.mapped());
}

void FaultFileSystem::NoteLocked(Change change) {
  changes_[FolderOf(change.name)].push_back(std::move(change));
}

size_t FaultFileSystem::ChangesOf(const std::string& folder) {
  std::lock_guard lock(mutex_);
  const auto found = changes_.find(folder);
  return found == changes_.end() ? 0 : found->second.size();
}

// REQUIRES: `changes` was true when the sync began. Two syncs at once: the first to end takes the
// changes out, and the second then finds fewer.
void FaultFileSystem::MakeDurable(const std::string& folder, size_t changes) {
  std::lock_guard lock(mutex_);
  const auto found = changes_.find(folder);
  if (found == changes_.end()) return;
  auto& all = found->second;
  const auto end = all.begin() + static_cast<ptrdiff_t>(std::min(changes, all.size()));
  std::error_code ignored;
  for (auto change = all.begin(); change != end; ++change) {
    if (!change->aside.empty()) fs::remove(change->aside, ignored);
  }
  all.erase(all.begin(), end);
}

void FaultFileSystem::UndoLocked(const Change& change) {
  std::error_code ignored;
  if (change.kind == Change::kRenamed) {
    fs::rename(change.name, change.from, ignored);
    if (auto moved = files_.extract(change.name)) {
      moved.key() = change.from;
      files_.insert(std::move(moved));
    }
  } else if (change.kind == Change::kCreated) {
    fs::remove(change.name, ignored);
    files_.erase(change.name);
  }
  if (change.aside.empty()) return;
  fs::rename(change.aside, change.name, ignored);
  if (change.file) files_[change.name] = change.file;
}

void FaultFileSystem::LosePower(Loss loss, uint64_t seed) {
  std::lock_guard lock(mutex_);
  std::mt19937_64 random(seed);
  for (auto& [folder, changes] : changes_) {
    const size_t kept = loss == Loss::kEverything ? 0 : random() % (changes.size() + 1);
    while (changes.size() > kept) {
      UndoLocked(changes.back());
      changes.pop_back();
    }
  }
  for (const auto& [name, file] : files_) CutLocked(name, *file, loss, &random);
}

void FaultFileSystem::CutLocked(const std::string& name, const File& file, Loss loss,
                                std::mt19937_64* random) {
  std::error_code error;
  const uint64_t size = fs::file_size(name, error);
  if (error || size <= file.synced) return;
  if (loss == Loss::kEverything) {
    fs::resize_file(name, file.synced, error);
  } else if (loss == Loss::kSome) {
    fs::resize_file(name, file.synced + (*random)() % (size - file.synced + 1), error);
  } else {
    std::fstream bytes(name, std::ios::in | std::ios::out | std::ios::binary);
    const std::string zeros(kPageBytes, '\0');
    uint64_t next;
    for (uint64_t at = file.synced; at < size; at = next) {
      next = std::min(size, (at / kPageBytes + 1) * kPageBytes);
      if ((*random)() % 2 == 0) continue;
      bytes.seekp(static_cast<std::streamoff>(at));
      bytes.write(zeros.data(), static_cast<std::streamsize>(next - at));
    }
  }
}

// ------------------------------------------------------------------------------------------------

Status WriteHistory::Submit(Engine* engine, std::vector<Operation> operations, bool atomic,
                            Durability durability) {
  PackedWrites packed;
  for (const Operation& operation : operations) {
    switch (operation.type) {
      case OpType::kPut:
        packed.Put(operation.key, operation.value);
        break;
      case OpType::kDelete:
        packed.Delete(operation.key);
        break;
      case OpType::kDeleteRange:
        packed.DeleteRange(operation.key, operation.end);
        break;
    }
  }
  std::unique_ptr<Submission> submission = packed.ToSubmission(atomic);
  submission->durability = durability;

  std::lock_guard order(order_mutex_);
  size_t index;
  {
    std::lock_guard lock(mutex_);
    index = entries_.size();
    entries_.push_back({.operations = std::move(operations),
                        .atomic = atomic,
                        .durability = durability,
                        .status = {}});
    unreported_++;
  }
  submission->applied = [this, index](const Status& status) { Applied(index, status); };
  submission->done = [this, index](const Status& status) { Done(index, status); };
  Status accepted = engine->Submit(std::move(submission));
  if (!accepted.ok()) {
    std::lock_guard lock(mutex_);
    entries_.pop_back();
    if (--unreported_ == 0) reported_.notify_all();
  }
  return accepted;
}

void WriteHistory::Applied(size_t index, const Status& status) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[index];
  EXPECT_FALSE(entry.done) << "applied() after done()";
  if (!status.ok()) return;
  EXPECT_FALSE(entry.applied) << "applied() twice";
  entry.applied = true;
}

void WriteHistory::Done(size_t index, const Status& status) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[index];
  EXPECT_FALSE(entry.done) << "done() twice";
  EXPECT_TRUE(entry.applied || !status.ok()) << "done() without applied()";
  entry.done = true;
  entry.status = status;
  if (--unreported_ == 0) reported_.notify_all();
}

void WriteHistory::Await() {
  std::unique_lock lock(mutex_);
  if (!reported_.wait_for(lock, std::chrono::minutes(2), [this] { return unreported_ == 0; })) {
    std::fprintf(stderr, "%zu writes were accepted and never reported.\n", unreported_);
    std::abort();
  }
}

Status WriteHistory::first_error() const {
  std::lock_guard lock(mutex_);
  for (const Entry& entry : entries_) {
    if (entry.done && !entry.status.ok()) return entry.status;
  }
  return {};
}

size_t WriteHistory::accepted() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

size_t WriteHistory::AppliedSoFar() const {
  std::lock_guard lock(mutex_);
  size_t applied = 0;
  for (size_t i = 0; i < entries_.size(); i++) {
    if (entries_[i].applied) applied = i + 1;
  }
  return applied;
}

void WriteHistory::NoteDurable(size_t applied) {
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < applied; i++) entries_[i].durable = true;
}

// What may have reached the store, in order. A write that failed before others were applied left
// nothing there: its group was refused as a whole. One that failed, or was not reported, after the
// last that was applied may be in the log.
std::vector<WriteHistory::Unit> WriteHistory::UnitsLocked(Crash crash, size_t* required) const {
  size_t last_applied = 0;
  for (size_t i = 0; i < entries_.size(); i++) {
    if (entries_[i].applied) last_applied = i;
  }
  std::vector<Unit> units;
  *required = 0;
  for (size_t i = 0; i < entries_.size(); i++) {
    const Entry& entry = entries_[i];
    if (!entry.applied && i < last_applied) continue;
    if (entry.atomic) units.emplace_back();
    for (const Operation& operation : entry.operations) {
      if (!entry.atomic) units.emplace_back();
      units.back().push_back(&operation);
    }
    const bool acknowledged = entry.done && entry.status.ok();
    const bool promised =
        crash == Crash::kProcess
            ? entry.applied
            : entry.applied &&
                  (entry.durable || (acknowledged && entry.durability == Durability::kFsync));
    if (promised) *required = units.size();
  }
  return units;
}

namespace {

using Records = WriteHistory::Records;

void Apply(const WriteHistory::Operation& operation, Records* records) {
  switch (operation.type) {
    case OpType::kPut:
      (*records)[operation.key] = operation.value;
      break;
    case OpType::kDelete:
      records->erase(operation.key);
      break;
    case OpType::kDeleteRange:
      if (operation.end && *operation.end <= operation.key) break;
      records->erase(records->lower_bound(operation.key),
                     operation.end ? records->lower_bound(*operation.end) : records->end());
      break;
  }
}

bool Touches(const WriteHistory::Operation& operation, const std::string& key) {
  if (operation.type != OpType::kDeleteRange) return operation.key == key;
  return key >= operation.key && (!operation.end || key < *operation.end);
}

std::string Show(const std::string* value) {
  return value == nullptr ? "nothing" : "'" + value->substr(0, 24) + "'";
}

const std::string* Find(const Records& records, const std::string& key) {
  const auto found = records.find(key);
  return found == records.end() ? nullptr : &found->second;
}

}  // namespace

bool WriteHistory::IsPrefix(const Records& before, const std::vector<Unit>& units, size_t required,
                            const Records& found) {
  Records state = before;
  for (size_t i = 0; i <= units.size(); i++) {
    if (i >= required && state == found) return true;
    if (i == units.size()) break;
    for (const Operation* operation : units[i]) Apply(*operation, &state);
  }
  return false;
}

bool WriteHistory::HasOnlyHoles(const Records& before, const std::vector<Unit>& units,
                                size_t required, const Records& found, std::string* why) {
  std::set<std::string> keys;
  for (const Unit& unit : units) {
    for (const Operation* operation : unit) keys.insert(operation->key);
  }
  for (const auto& [key, value] : before) keys.insert(key);
  for (const auto& [key, value] : found) keys.insert(key);

  // What each key may show: what it must at least, or any later write of it.
  Records least = before;
  for (size_t i = 0; i < required; i++) {
    for (const Operation* operation : units[i]) Apply(*operation, &least);
  }
  std::map<std::string, size_t> shown;  // the unit whose put a key shows, plus one
  for (const std::string& key : keys) {
    const std::string* const value = Find(found, key);
    const std::string* const floor = Find(least, key);
    bool allowed =
        (value == nullptr) == (floor == nullptr) && (value == nullptr || *value == *floor);
    for (size_t i = 0; i < units.size(); i++) {
      for (const Operation* operation : units[i]) {
        if (!Touches(*operation, key)) continue;
        const bool puts = operation->type == OpType::kPut;
        const bool same = value == nullptr ? !puts : puts && operation->value == *value;
        if (same && puts) shown[key] = i + 1;
        if (same && i >= required) allowed = true;
      }
    }
    if (!allowed) {
      *why =
          "the key '" + key + "' shows " + Show(value) + " and must show at least " + Show(floor);
      return false;
    }
  }
  // A batch of which one put shows must show, or be overwritten, in all its keys.
  for (const auto& [key, unit] : shown) {
    for (const Operation* operation : units[unit - 1]) {
      if (operation->type != OpType::kPut) continue;
      const std::string* const value = Find(found, operation->key);
      if (value != nullptr && shown[operation->key] >= unit) continue;
      bool deleted_later = false;
      for (size_t i = unit - 1; i < units.size() && value == nullptr; i++) {
        for (const Operation* later : units[i]) {
          deleted_later |= later->type != OpType::kPut && Touches(*later, operation->key);
        }
      }
      if (deleted_later) continue;
      *why = "the batch of '" + key + "' is torn: '" + operation->key + "' shows " + Show(value);
      return false;
    }
  }
  return true;
}

WriteHistory::Verdict WriteHistory::Judge(const Records& found, Crash crash,
                                          std::string* why) const {
  std::lock_guard lock(mutex_);
  size_t required = 0;
  const std::vector<Unit> units = UnitsLocked(crash, &required);
  if (IsPrefix(before_, units, required, found)) return Verdict::kExact;
  if (HasOnlyHoles(before_, units, required, found, why)) return Verdict::kHoles;
  return Verdict::kBroken;
}

WriteHistory::Records RecordsOf(Engine* engine) {
  Records records;
  for (Record& record : Scan(engine)) records.insert(std::move(record));
  return records;
}

int EnvironmentNumber(const char* name, int otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

bool Thorough() { return EnvironmentNumber("THERMOCLINE_THOROUGH", 0) == 1; }

}  // namespace thermocline::test
