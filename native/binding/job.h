// What JavaScript holds of a long task: its progress is asked of it, and it can be aborted.
//
// shardJob() makes one; shardJobProgress and shardJobAbort take it (binding/shards.h).
// Thread safety: the environment's thread; the control behind it from any.
#pragma once

#include <napi.h>

#include <memory>

#include "engine/snapshot/table_files.h"

namespace thermocline {

using Job = std::shared_ptr<SnapshotControl>;

// What a task does first: an abort that came while it waited for a thread was told to the caller.
inline Status Begin(const Job& job) {
  return job->gate.Begin() ? Status() : Status(Code::kAborted, "the operation was aborted");
}

inline Job JobOf(const Napi::Value& value) { return *value.As<Napi::External<Job>>().Data(); }

}  // namespace thermocline
