// RocksDB's core needs one thing from its transactions: this class. The original file also defines
// the checker that transactions use, and through it would bring all of them in.

#include "db/snapshot_checker.h"

#include "port/lang.h"

namespace ROCKSDB_NAMESPACE {

DisableGCSnapshotChecker* DisableGCSnapshotChecker::Instance() {
  STATIC_AVOID_DESTRUCTION(DisableGCSnapshotChecker, instance);
  return &instance;
}

}  // namespace ROCKSDB_NAMESPACE
