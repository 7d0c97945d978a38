// The open databases of this process.
//
// Purpose: the same location opened twice, from worker threads too, shares one engine. Keyed by
// canonical path. Opening, sharing and closing one location are serialised; different locations do
// not wait for each other.
// Thread safety: all methods from any thread; they block (disk, recovery), so never call them on a
// JavaScript thread except while its environment is being torn down.
// Ownership: the one global of the engine; never destroyed, since threads of other environments may
// outlive static destruction.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/engine.h"
#include "engine/options.h"
#include "engine/platform/heap_trimmer.h"
#include "engine/status.h"

namespace thermocline {

class Registry {
 public:
  static Registry& Get();

  // Shares the engine at `location`, or opens it. ERR_LOCKED if it is open read-only in this
  // process and is now wanted for writing.
  Status Acquire(const std::string& location, const EngineOptions& options,
                 std::shared_ptr<Engine>* out);
  // The counterpart of Acquire; the last holder's call closes the engine. *closed gets its
  // close_status(), if asked for.
  void Release(const std::shared_ptr<Engine>& engine, Status* closed = nullptr);
  // Deletes a database that is not open in this process.
  Status Destroy(const std::string& location);

  // Runs Acquire, Release and Destroy on behalf of JavaScript threads.
  ThreadPool& pool() { return pool_; }

 private:
  Registry() : pool_("tc-open", 4) {}

  struct Entry {
    std::shared_ptr<Engine> engine;
    int holders = 0;
    bool busy = false;  // being opened or closed
  };
  // Waits until nobody opens or closes the path, then marks it as busy.
  Entry& Occupy(std::unique_lock<std::mutex>& lock, const std::string& path);
  void Vacate(const std::string& path);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Entry> entries_;  // GUARDED_BY(mutex_), by canonical path

  HeapTrimmer trimmer_;
  ThreadPool pool_;
};

}  // namespace thermocline
