// What a caller hands to the committer: one crossing's worth of packed operations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "engine/status.h"

namespace thermocline {

struct Submission {
  std::unique_ptr<char[]> data;  // packed operations (packed_ops.h)
  size_t size = 0;               // bytes of data
  uint32_t operations = 0;
  // true: all operations are one atomic commit. false: each is a commit of its own, which may
  // share a WriteBatch with its neighbours but needs not.
  bool atomic = false;
  uint64_t submitted_nanos = 0;  // filled by Submit
  // Called once, on the committer's thread, after the operations are in the store (or refused).
  // Must not block and must not throw.
  std::function<void(const Status&)> done;
};

}  // namespace thermocline
