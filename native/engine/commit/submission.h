// What a caller hands to the committer: one crossing's worth of packed operations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/platform/block_pool.h"
#include "engine/status.h"

namespace thermocline {

// What an acknowledgement has survived.
enum class Durability : uint8_t {
  kWal = 0,    // a crash of the process: the record is in the log, in the operating system's hands
  kFsync = 1,  // a loss of power: the log has been synced
};

// What a transaction has read, to be checked when it commits: none of it may have been written
// since `start_commit_id`.
struct ReadSet {
  struct Range {
    std::string start;  // inclusive
    std::string end;    // exclusive
    bool has_end = false;
  };
  uint64_t start_commit_id = 0;
  std::vector<std::string> keys;
  std::vector<Range> ranges;
};

// Messages for one partition of a topic that are to appear if the commit does (topic/outbox.h).
struct OutgoingMessages {
  std::string topic;
  std::string topic_id;
  uint32_t partition = 0;
  uint32_t count = 0;
  uint64_t first_timestamp = 0;  // 0: the time at which they are appended
  std::string body;              // records (topic/record_format.h)
};

struct Submission {
  Block data;       // packed operations (packed_ops.h)
  size_t size = 0;  // bytes of data
  uint32_t operations = 0;
  // true: all operations are one atomic commit. false: each is a commit of its own, which may
  // share a WriteBatch with its neighbours but needs not.
  bool atomic = false;
  Durability durability = Durability::kWal;
  std::vector<OutgoingMessages> messages;  // REQUIRES: none, or atomic
  size_t message_bytes = 0;                // of their bodies
  // What it counts against the bound of bytes in flight.
  size_t weight() const { return size + message_bytes; }
  std::unique_ptr<const ReadSet> reads;  // absent: unconditional
  uint64_t submitted_nanos = 0;          // filled by Submit
  uint64_t applied_nanos = 0;            // filled on the way to the fsync stage
  uint64_t grouped_nanos = 0;            // when the committer took it up, if slow ones are traced

  // All of these run once, on engine threads; they must not block and must not throw.
  // Called when the requested durability is reached, or the submission is refused.
  std::function<void(const Status&)> done;
  // Optional: called as soon as reads see the operations, before done().
  std::function<void(const Status&)> applied;
  // A submission without operations may ask to be called on the committer's thread when everything
  // accepted before it is applied and nothing accepted after it. It gets the last commit id.
  std::function<void(uint64_t last_commit_id)> at_boundary;
  // A boundary of the engine's own, which overtakes writes that are held for want of space: it may
  // be what makes the space.
  bool overtakes = false;
};

}  // namespace thermocline
