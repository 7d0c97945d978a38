// What is found in a partition's folder when it is opened, and what is done about it.
//
// Sealed segments with a fitting index are taken as they are; the others and the last one are
// walked batch by batch. What the walk finds is judged by pure rules:
//
//   - The last segment ends within a batch: a write that a crash cut. It is shortened to the last
//     good batch. It was never acknowledged.
//   - After a loss of power (nothing says what reached the disk) anything behind the last good
//   batch
//     of a segment that was never known to be synced is such an end too, with all segments after
//     it.
//   - Everything else that is not the next batch is damage. Readers meet it where it is; nothing is
//     deleted, and the log takes no more messages if its end cannot be told.
//
// Thread safety: a function without state.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/status.h"
#include "engine/topic/index.h"
#include "engine/topic/producer_table.h"
#include "engine/topic/segment.h"

namespace thermocline::topic {

struct RecoveryOptions {
  std::string folder;
  uint32_t seed = 0;
  bool read_only = false;
  bool after_power_loss = false;
};

struct RecoveredLog {
  // Ascending; the last one is active and has no index. Empty only if read-only.
  std::vector<std::shared_ptr<Segment>> segments;
  // Sealed, and not known to be synced.
  std::vector<std::shared_ptr<Segment>> unsynced;
  std::unique_ptr<IndexBuilder> active;
  uint64_t active_since_ms = 0;  // the first timestamp of its first batch
  ProducerTable producers;
  uint64_t cut_bytes = 0;        // of a torn end
  uint64_t rebuilt_indexes = 0;  // of sealed segments
  // Not OK: the log can be read, and takes no more messages. Names segment and position.
  Status damage;
  // Not OK: there is damage behind the last good batch, so that the log's end is not known.
  Status end_damage;
};

// ERR_IO, ERR_NO_SPACE; damage is no failure of its own.
Status RecoverLog(const RecoveryOptions& options, RecoveredLog* out);

// How every part of the topics words damage.
Status DamageAt(const std::string& path, uint64_t position, uint64_t offset);
Status NewerFormatAt(const std::string& path, uint64_t position);

}  // namespace thermocline::topic
