// A disk that fails on demand.
//
// FaultFileSystem stands between RocksDB and the operating system. It counts the calls that change
// the disk, lets chosen ones fail, and can stop the machine: from then on nothing reaches the disk
// any more. Power that is lost takes with it what was not synced:
//   - bytes appended to a file after its last Sync,
//   - files created, renamed or deleted after the last Fsync of their folder.
// What a failed Sync did not write is lost for good: a later Sync of the file that succeeds says
// nothing about it, as on Linux (fsyncgate, 2018). A killed process loses nothing of all this; what
// it appended is in the operating system's hands.
//
// Sync does not reach the real disk: what survives is decided here. RocksDB's pauses after a failed
// flush or compaction (a second each) are cut short.
// Ownership: the engine under test and its Env must be gone before the FaultFileSystem.
// Thread safety: all methods from any thread, except where REQUIRES says otherwise.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace thermocline::test {

class FaultFileSystem : public rocksdb::FileSystemWrapper {
 public:
  enum Call : uint8_t {
    kNewFile,
    kAppend,
    kSync,
    kSyncDirectory,
    kRename,
    kClose,
    kDelete,
    kCallKinds,
  };
  static const char* NameOf(Call call);

  struct Fault {
    std::vector<Call> calls;  // which kinds it hits
    uint64_t nth = 1;         // the first call of these kinds to fail, counted from Inject on
    bool no_space = false;    // NoSpace instead of IOError
    bool lasting = false;     // every later call of these kinds fails too, until Heal
    bool torn = false;        // half of the bytes of a failing append are written
  };

  // What a loss of power leaves of what was not synced.
  enum class Loss {
    kEverything,  // nothing
    kSome,        // of every file's bytes and every folder's changes a random first part
    kPages,       // any of the 4 KiB pages; those lost read as zeros, up to the file's full length
  };

  // `aside`: a folder on the same disk where deleted and replaced files are kept until their
  // deletion is durable.
  explicit FaultFileSystem(std::string aside);
  ~FaultFileSystem() override;
  const char* Name() const override { return "thermocline.test.FaultFileSystem"; }

  // For EngineOptions::env.
  rocksdb::Env* env() { return env_.get(); }

  uint64_t count(Call call) const;
  uint64_t total() const;  // calls of all kinds

  void Inject(Fault fault);
  void Heal();
  // The first call that an injected fault hit, such as "append 17, 000012.log"; empty: none yet.
  std::string struck() const;

  // The machine stops at the n-th call from now, counting all kinds; 1 is the next.
  void StopAt(uint64_t nth);
  void Stop();
  bool stopped() const;
  // REQUIRES: stopped(), and everything that used the files is closed.
  void LosePower(Loss loss, uint64_t seed);
  // The machine runs again. What is on the disk now counts as durable.
  // REQUIRES: as LosePower.
  void Restart();

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  // Counts as a new file. Both names are the same bytes.
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  // None while a lasting fault says so: RocksDB asks before it tries to go on.
  rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options,
                                 uint64_t* bytes, rocksdb::IODebugContext* debug) override;

 private:
  friend class FaultFile;
  friend class FaultDirectory;

  struct File {
    uint64_t written = 0;
    uint64_t synced = 0;
    bool sync_failed = false;  // what is not synced never will be
  };
  // One change of a folder that its next Fsync makes durable, with what undoing it takes.
  struct Change {
    enum Kind : uint8_t { kCreated, kRenamed, kDeleted } kind;
    std::string name;            // that appeared or vanished
    std::string from;            // kRenamed
    std::string aside;           // where the file that had the name lies; empty: there was none
    std::shared_ptr<File> file;  // of that one
  };

  // Counts the call; not OK if it shall fail. *torn: half of it shall still happen.
  rocksdb::IOStatus Enter(Call call, const std::string& name, bool* torn = nullptr);
  void SetAsideLocked(const std::string& name, Change* change);
  void NoteLocked(Change change);
  void UndoLocked(const Change& change);
  void CutLocked(const std::string& name, const File& file, Loss loss, std::mt19937_64* random);
  size_t ChangesOf(const std::string& folder);
  void MakeDurable(const std::string& folder, size_t changes);

  const std::string aside_;
  std::unique_ptr<rocksdb::Env> env_;

  mutable std::mutex mutex_;
  std::array<uint64_t, kCallKinds> counts_{};  // GUARDED_BY(mutex_)
  std::optional<Fault> fault_;                 // GUARDED_BY(mutex_)
  uint64_t fault_calls_ = 0;                   // GUARDED_BY(mutex_): of its kinds, since Inject
  std::string struck_;                         // GUARDED_BY(mutex_)
  uint64_t calls_until_stop_ = UINT64_MAX;     // GUARDED_BY(mutex_)
  bool stopped_ = false;                       // GUARDED_BY(mutex_)
  uint64_t next_aside_ = 0;                    // GUARDED_BY(mutex_)
  std::map<std::string, std::shared_ptr<File>> files_;  // GUARDED_BY(mutex_): by name
  std::map<std::string, std::vector<Change>> changes_;  // GUARDED_BY(mutex_): by folder
};

}  // namespace thermocline::test
