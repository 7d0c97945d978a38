// What the log of slow operations keeps of a write.
//
// Thread safety: pure.
#pragma once

#include <cstdint>
#include <utility>

#include "engine/commit/packed_ops.h"
#include "engine/commit/submission.h"
#include "engine/metrics/slow_log.h"

namespace thermocline {

// `waited`: nanoseconds from submission to acknowledgement.
inline SlowOperation SlowWrite(const Submission& submission, uint64_t waited, const SlowLog& log) {
  const uint64_t ended = submission.submitted_nanos + waited;
  // Only what waited for a sync was handed to that stage.
  const uint64_t applied = submission.applied_nanos != 0 ? submission.applied_nanos : ended;
  SlowOperation operation;
  operation.kind = submission.atomic ? SlowKind::kBatch : SlowKind::kWrite;
  operation.records = submission.operations;
  operation.total_nanos = waited;
  operation.queue_nanos = submission.grouped_nanos - submission.submitted_nanos;
  operation.store_nanos = applied - submission.grouped_nanos;
  operation.sync_nanos = ended - applied;
  PackedOp first;
  const char* const packed = submission.data.get();
  if (DecodeOp(packed, packed + submission.size, &first) != nullptr) {
    operation.key_prefix = log.PrefixOf(first.key);
  }
  return operation;
}

}  // namespace thermocline
