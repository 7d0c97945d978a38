// The few calls by which the programs of this folder use the engine, each as the binding makes it.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/commit/packed_ops.h"
#include "engine/engine.h"
#include "engine/hash.h"
#include "engine/record/coding.h"
#include "workload.h"

namespace thermocline::bench {

// Ends the program with a message unless all is well.
inline void Check(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "engine: %s\n", std::string(status.message()).c_str());
  std::exit(1);
}

inline Block Copy(std::string_view bytes) {
  Block block = TakeBlock(bytes.size());
  std::copy(bytes.begin(), bytes.end(), block.get());
  return block;
}

// Writes records [from, to) as one crossing, atomic or each a commit of its own, and waits until
// they are acknowledged.
inline void Write(Engine* engine, const Workload& work, size_t from, size_t to, bool atomic) {
  std::string packed;
  for (size_t i = from; i < to; i++) {
    packed.push_back(static_cast<char>(OpType::kPut));
    PutVarint32(&packed, static_cast<uint32_t>(work.Key(i).size()));
    packed.append(work.Key(i));
    PutVarint32(&packed, static_cast<uint32_t>(work.Value(i).size()));
    packed.append(work.Value(i));
  }
  auto submission = std::make_unique<Submission>();
  submission->data = Copy(packed);
  submission->size = packed.size();
  submission->operations = static_cast<uint32_t>(to - from);
  submission->atomic = atomic;
  auto done = std::make_shared<std::promise<Status>>();
  submission->done = [done](const Status& status) { done->set_value(status); };
  std::future<Status> result = done->get_future();
  Check(engine->Submit(std::move(submission)));
  Check(result.get());
}

// Returns the size of the value, or `absent`. On the calling thread, as getSync.
inline size_t Lookup(Engine* engine, std::string_view key, size_t absent) {
  const uint64_t hash = HashKey(key);
  size_t size = absent;
  const auto see = [&](std::string_view value) { size = value.size(); };
  if (engine->reader().GetCached(key, hash, see) != PointReader::Cached::kMiss) return size;
  bool found = false;
  Check(engine->reader().Get(key, hash, nullptr, &found, see));
  return size;
}

// Returns how many of the keys exist. On the read pool's threads, as getMany.
inline size_t LookupMany(Engine* engine, const std::vector<std::string_view>& keys) {
  std::string packed;
  for (const std::string_view key : keys) {
    PutVarint32(&packed, static_cast<uint32_t>(key.size()));
    packed.append(key);
  }
  auto batch = std::make_shared<ReadBatch>();
  batch->packed = Copy(packed);
  batch->packed_size = packed.size();
  batch->count = static_cast<uint32_t>(keys.size());
  auto done = std::make_shared<std::promise<void>>();
  batch->done = [done] { done->set_value(); };
  if (!engine->reader().Start(batch)) done->get_future().wait();
  Check(batch->status);
  size_t found = 0;
  for (const ResultRef& result : batch->results) found += result.length != ResultRef::kAbsent;
  return found;
}

}  // namespace thermocline::bench
