// Memory for the blocks that RocksDB reads from tables.
//
// A walk takes a block of a few KiB for each that it enters and gives it back at its end. malloc
// answers that pattern badly: what comes back joins the free memory beside it, and joining much
// makes malloc tidy up its whole arena, once a block (a seventh of a walk's time was malloc). So
// each thread keeps the last few that it gave back, and takes them again.
//
// Thread safety: any thread; a block may be given back by another thread than took it.
// Ownership: owned by the block cache, and by the tables through it; what a thread keeps is freed
// when it ends.
// Invariant: a thread keeps at most kKeptBlocks blocks of at most kMaxBytes, 128 KiB in all.
#pragma once

#include <rocksdb/memory_allocator.h>

#include <cstddef>

namespace thermocline {

class TableBlockAllocator : public rocksdb::MemoryAllocator {
 public:
  static constexpr size_t kKeptBlocks = 16;
  static constexpr size_t kMinBytes = 1024;
  static constexpr size_t kMaxBytes = 8 * 1024;

  const char* Name() const override { return "ThermoclineTableBlocks"; }
  // Throws std::bad_alloc, as `new` does.
  void* Allocate(size_t size) override;
  void Deallocate(void* block) override;
  size_t UsableSize(void* block, size_t size) const override;
};

}  // namespace thermocline
