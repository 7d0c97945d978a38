// An Env whose reads and writes fail once the caller has had enough.
//
// RocksDB's backup engine can be told to stop copying, but not to stop verifying or restoring. All
// of these read and write files piece by piece, so the files end them.
//
// Thread safety: as of Env. Files may be deleted and renamed all the same, so that whoever is
// stopped can clean up.
#pragma once

#include <rocksdb/env.h>

#include <functional>
#include <memory>

namespace thermocline {

// Asks `stopped` before whatever is done to a file. Null: null.
std::unique_ptr<rocksdb::Env> NewStoppableEnv(std::function<bool()> stopped);

}  // namespace thermocline
