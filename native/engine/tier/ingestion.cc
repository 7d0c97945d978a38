#include "engine/tier/ingestion.h"

#include <rocksdb/file_system.h>
#include <rocksdb/listener.h>

#include <string>
#include <utility>
#include <vector>

namespace thermocline {

namespace {

// The deletions that this thread's ingestion asks for; null: it ingests nothing.
thread_local std::vector<std::string>* put_off = nullptr;

struct PuttingOff {
  explicit PuttingOff(std::vector<std::string>* deletions) { put_off = deletions; }
  ~PuttingOff() { put_off = nullptr; }
};

class IngestionFileSystem : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "thermocline.IngestionFileSystem"; }

  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    if (put_off == nullptr) return FileSystemWrapper::DeleteFile(name, options, debug);
    put_off->push_back(name);
    return rocksdb::IOStatus::OK();
  }
};

// Listens to nothing: options hold an Env by a plain pointer, and listeners by shared ones.
class EnvOwner : public rocksdb::EventListener {
 public:
  explicit EnvOwner(std::unique_ptr<rocksdb::Env> env) : env_(std::move(env)) {}
  rocksdb::Env* env() const { return env_.get(); }

 private:
  const std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace

std::unique_ptr<rocksdb::Env> NewIngestionEnv(rocksdb::Env* base) {
  return rocksdb::NewCompositeEnv(std::make_shared<IngestionFileSystem>(base->GetFileSystem()));
}

void UseIngestionEnv(rocksdb::DBOptions* options) {
  auto owner = std::make_shared<EnvOwner>(NewIngestionEnv(options->env));
  options->env = owner->env();
  options->listeners.push_back(std::move(owner));
}

rocksdb::Status IngestTable(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family,
                            const std::string& path, rocksdb::IngestExternalFileOptions options) {
  options.move_files = true;
  std::vector<std::string> deletions;
  rocksdb::Status s;
  {
    const PuttingOff until_the_end(&deletions);
    s = db->IngestExternalFile(family, {path}, options);
  }
  for (const std::string& name : deletions) {
    if (s.ok() || name == path) db->GetEnv()->DeleteFile(name).PermitUncheckedError();
  }
  return s;
}

}  // namespace thermocline
