// Which partition a message goes to.
//
// A message with a key goes where its key's slot says (slot.h, Redis Cluster's rule): the slots are
// divided into as many equal ranges as there are partitions. Messages without a key go together to
// one partition, the next one for every append.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/shard/slot.h"

namespace thermocline::topic {

inline uint32_t PartitionOfKey(std::string_view key, uint32_t partitions) {
  return static_cast<uint32_t>(uint64_t{SlotOf(key)} * partitions / kSlotCount);
}

// The messages of one append that go to one partition.
struct RoutedPart {
  uint32_t partition = 0;
  uint32_t count = 0;
  uint64_t max_timestamp = 0;
  std::string_view body;
  std::string own;  // what `body` points to, if the messages had to be sorted
};

struct Routed {
  std::vector<RoutedPart> parts;
  // Of each message; empty if all go to one.
  std::vector<uint32_t> partition_of;
};

// False: the body is not `count` well-formed records. `keyless`: where those without a key go.
// `fixed`: all go there, if it is not negative. The parts refer to `body`.
bool Route(std::string_view body, uint32_t count, uint64_t first_timestamp, uint32_t partitions,
           int64_t fixed, uint32_t keyless, Routed* out);

}  // namespace thermocline::topic
