#include "write_history.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "engine_fixture.h"

namespace thermocline::test {

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

PackedWrites WriteHistory::Pack(const std::vector<Operation>& operations) {
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
  return packed;
}

Status WriteHistory::Submit(Engine* engine, std::vector<Operation> operations, bool atomic,
                            Durability durability) {
  std::unique_ptr<Submission> submission = Pack(operations).ToSubmission(atomic);
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

}  // namespace thermocline::test
