// What topics count, for all topics of a database together.
//
// Thread safety: any thread may add and read at any time.
#pragma once

#include "engine/metrics/counter.h"

namespace thermocline::topic {

struct TopicMetrics {
  Counter appended_batches;
  Counter appended_records;
  Counter appended_bytes;  // of bodies, before compression
  Counter stored_bytes;    // of headers and bodies as written
  Counter repeated_batches;
  Counter group_writes;  // system calls that wrote batches
  Counter syncs;
  Counter read_records;
  Counter read_bytes;  // of bodies, before compression
  Counter rolled_segments;
  Counter deleted_segments;
  // What lookups cost: entries of an index that were compared, bytes of log that were walked.
  Counter lookups;
  Counter index_probes;
  Counter walked_bytes;
  Counter rebuilt_indexes;
};

}  // namespace thermocline::topic
