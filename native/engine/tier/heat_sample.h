// Looks at some records of a family to see how hot they are.
//
// Thread safety: any thread; the caller holds what the handles belong to.
#pragma once

#include <rocksdb/db.h>

#include <string>
#include <vector>

#include "engine/cache/heat_sketch.h"
#include "engine/tier/policy.h"

namespace thermocline {

// Adds so many records from `start` on, or less if they are large. Returns the key after the last
// one; empty: there is none.
std::string AddHeatOf(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family,
                      const std::string& start, int records, const HeatSketch& heat,
                      HeatSample* sample);

// Keys from all over a family that cost nothing to find: the empty one, and where tables begin.
std::vector<std::string> StartsOfTables(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family);

}  // namespace thermocline
