// The memory by which a test judges what a restart finds on the disk.
//
// WriteHistory submits writes to an engine, notes in which order they were accepted and what was
// promised about each, and decides whether the records found later keep those promises.
//
// Ownership: a history must live until Await has returned for all that was submitted.
// Thread safety: all methods from any thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "support.h"

namespace thermocline::test {

class WriteHistory {
 public:
  using Records = std::map<std::string, std::string>;

  struct Operation {
    OpType type = OpType::kPut;
    std::string key;
    std::string value;               // unique among all puts of a history
    std::optional<std::string> end;  // of a range delete
  };

  // `before`: what the store holds when the history begins.
  explicit WriteHistory(Records before = {}) : before_(std::move(before)) {}

  // The form in which operations cross the boundary.
  static PackedWrites Pack(const std::vector<Operation>& operations);

  // The status of being accepted; a write that was not accepted leaves no trace here. Order of
  // acceptance is the order in which concurrent calls return from the engine.
  Status Submit(Engine* engine, std::vector<Operation> operations, bool atomic,
                Durability durability);
  // Waits until every accepted write has been reported.
  void Await();

  // The first error that a write was reported with; OK if there is none.
  Status first_error() const;
  size_t accepted() const;

  // Brackets something that makes everything applied before it durable, such as a flush.
  size_t AppliedSoFar() const;
  void NoteDurable(size_t applied);

  enum class Crash { kProcess, kPower };
  enum class Verdict {
    kExact,   // `found` is what the accepted writes, in order, left up to some moment, and that
              // moment is not before any write whose promise covers such a crash
    kHoles,   // some of the later writes without a promise are missing while later ones are there,
              // but every promise is kept, batches are whole, and no key shows an older write than
              // it must
    kBroken,  // a promise is broken; *why says which
  };
  Verdict Judge(const Records& found, Crash crash, std::string* why) const;

 private:
  struct Entry {
    std::vector<Operation> operations;
    bool atomic = false;
    Durability durability = Durability::kWal;
    bool applied = false;
    bool done = false;
    Status status;
    bool durable = false;  // by NoteDurable
  };
  using Unit = std::vector<const Operation*>;  // what is atomic

  void Applied(size_t index, const Status& status);
  void Done(size_t index, const Status& status);
  std::vector<Unit> UnitsLocked(Crash crash, size_t* required) const;
  static bool IsPrefix(const Records& before, const std::vector<Unit>& units, size_t required,
                       const Records& found);
  static bool HasOnlyHoles(const Records& before, const std::vector<Unit>& units, size_t required,
                           const Records& found, std::string* why);

  const Records before_;
  std::mutex order_mutex_;  // held over submitting, so that entries_ is in the order of acceptance
  mutable std::mutex mutex_;
  std::condition_variable reported_;
  std::vector<Entry> entries_;  // GUARDED_BY(mutex_)
  size_t unreported_ = 0;       // GUARDED_BY(mutex_)
};

// Everything an engine shows.
WriteHistory::Records RecordsOf(Engine* engine);

}  // namespace thermocline::test
