#include "engine/registry.h"

#include <exception>

#include "engine/platform/file.h"

namespace thermocline {

namespace {

// A location must not stay marked as busy, whatever happens while it is opened or closed.
template <class Fn>
Status Guarded(Fn&& fn) {
  try {
    return fn();
  } catch (const std::exception& error) {
    return {Code::kIo, std::string("opening or closing the database failed: ") + error.what()};
  }
}

}  // namespace

Registry& Registry::Get() {
  static Registry* const registry = new Registry();
  return *registry;
}

Registry::Entry& Registry::Occupy(std::unique_lock<std::mutex>& lock, const std::string& path) {
  Entry* entry = &entries_[path];
  while (entry->busy) {
    changed_.wait(lock);
    entry = &entries_[path];  // may have been erased while we waited
  }
  entry->busy = true;
  return *entry;
}

void Registry::Vacate(const std::string& path) {
  const auto entry = entries_.find(path);
  entry->second.busy = false;
  if (entry->second.holders == 0) entries_.erase(entry);
  changed_.notify_all();
}

Status Registry::Acquire(const std::string& location, const EngineOptions& options,
                         std::shared_ptr<Engine>* out) {
  const std::string path = CanonicalPath(location);
  std::unique_lock lock(mutex_);
  Entry& entry = Occupy(lock, path);
  Status status;
  if (entry.engine == nullptr) {
    lock.unlock();  // entries_ is a map: `entry` stays where it is while it is busy
    std::shared_ptr<Engine> engine;
    status = Guarded([&] { return Engine::Open(path, options, &engine); });
    if (status.ok()) trimmer_.Begin();
    lock.lock();
    entry.engine = std::move(engine);
  } else if (options.error_if_exists) {
    status = {Code::kInvalidArgument, "a database exists at " + path + " and errorIfExists is set"};
  } else if (entry.engine->options().read_only && !options.read_only) {
    status = {Code::kLocked,
              "the database is open read-only in this program: close it there first"};
  }
  if (status.ok() && options.log_given &&
      entry.engine->options().without_log != options.without_log) {
    status = LogMismatch(entry.engine->options().without_log);
  }
  const auto feed = options.changes.state;
  if (status.ok() && feed != ChangesOptions::State::kAsBefore &&
      feed != entry.engine->options().changes.state) {
    status = {Code::kInvalidArgument,
              "the database is open in this program with the option changes set otherwise"};
  }
  if (status.ok()) {
    entry.holders++;
    *out = entry.engine;
  }
  Vacate(path);
  return status;
}

void Registry::Release(const std::shared_ptr<Engine>& engine, Status* closed) {
  const std::string path = engine->location();
  std::unique_lock lock(mutex_);
  Entry& entry = Occupy(lock, path);
  if (--entry.holders == 0) {
    lock.unlock();
    (void)Guarded([&] {
      engine->Close();
      return Status();
    });
    trimmer_.End();
    if (closed != nullptr) *closed = engine->close_status();
    lock.lock();
    entry.engine.reset();
  }
  Vacate(path);
}

Status Registry::Destroy(const std::string& location) {
  const std::string path = CanonicalPath(location);
  std::unique_lock lock(mutex_);
  Entry& entry = Occupy(lock, path);
  Status status;
  if (entry.engine != nullptr) {
    status = {Code::kLocked, "the database is open in this program: close it first"};
  } else {
    lock.unlock();
    status = Guarded([&] { return Engine::Destroy(path); });
    lock.lock();
  }
  Vacate(path);
  return status;
}

}  // namespace thermocline
