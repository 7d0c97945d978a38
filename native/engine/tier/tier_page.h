// A page of what readers see of one tier: the records of one shard that lie there and that nothing
// hotter hides. For programs that choose what to migrate.
//
// Thread safety: a pure read of a view.
#pragma once

#include <rocksdb/db.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/read/read_view.h"
#include "engine/status.h"

namespace thermocline {

struct TierPage {
  std::vector<std::pair<std::string, std::string>> records;  // key and value, ascending
  std::string next;                                          // where the next page begins
  bool done = false;                                         // this was the last one
};

// `level`: 0 hot. From `start` on, at most `max_records` and, but for the last one, `max_bytes`.
Status ReadTierPage(rocksdb::DB* hot, const ReadView& view, int level, int shard,
                    const std::string& start, size_t max_records, size_t max_bytes, TierPage* page);

}  // namespace thermocline
