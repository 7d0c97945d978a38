#include "fault_file_system.h"

#include <rocksdb/system_clock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "fault_file.h"

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

}  // namespace thermocline::test
