// The two that engine_bench compares: the engine without Node, and RocksDB itself with the options
// of the engine's hot store. What the engine adds (envelope, commit headers, grouping, metrics) is
// between them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../workload.h"

namespace thermocline::bench {

class Subject {
 public:
  virtual ~Subject() = default;

  // Writes records [from, to) as one atomic batch, or as commits of their own that are all under
  // way at once, and waits until they are acknowledged.
  virtual void WriteBatch(const Workload& work, size_t from, size_t to) = 0;
  virtual void WriteEach(const Workload& work, size_t from, size_t to) = 0;
  // Returns the size of the value, or kAbsent.
  static constexpr size_t kAbsent = ~size_t{0};
  virtual size_t Get(std::string_view key) = 0;
  // Returns how many keys were found. From one thread at a time.
  virtual size_t MultiGet(const std::vector<std::string_view>& keys) = 0;
  // Returns bytes of keys and values of all records, in the order each does it in.
  virtual size_t Scan(size_t* records) = 0;
  // Everything into tables, and no background work left.
  virtual void Settle() = 0;
};

struct SubjectOptions {
  std::string dir;
  size_t hot_cache = 0;  // bytes; the engine's alone
};

// Both end the program with a message if they cannot.
std::unique_ptr<Subject> OpenEngine(const SubjectOptions& options);
std::unique_ptr<Subject> OpenPlain(const SubjectOptions& options);

}  // namespace thermocline::bench
