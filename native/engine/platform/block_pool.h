// Blocks of memory for packed writes and results, kept for reuse.
//
// They are taken by one thread and given back by another, which malloc answers with arenas that
// grow apart. Blocks above kUnpooledBytes and up to kPooledBytes are all kPooledBytes long and kept
// for the next, at most kKeptBlocks of them; smaller and larger ones come from malloc and go back
// to it.
//
// Thread safety: any thread. One pool a process: databases come and go, and share what is idle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace thermocline {

inline constexpr size_t kUnpooledBytes = 32 * 1024;
// A pack of writes is sent once it has reached 64 KiB, so it has a record more than that.
inline constexpr size_t kPooledBytes = 72 * 1024;
inline constexpr size_t kKeptBlocks = 64;

struct BlockPoolStats {
  uint64_t idle_bytes = 0;    // kept for the next
  uint64_t in_use_bytes = 0;  // given out, those too large for the pool included
};

namespace block_pool {
// At least `bytes`, not initialised; null if there is no memory.
char* TakeOrNull(size_t bytes) noexcept;
// Likewise, but throws std::bad_alloc.
char* Take(size_t bytes);
// REQUIRES: from Take with the same `bytes`.
void GiveBack(char* block, size_t bytes) noexcept;
BlockPoolStats GetStats();
}  // namespace block_pool

struct BlockDeleter {
  size_t bytes = 0;
  void operator()(char* block) const noexcept { block_pool::GiveBack(block, bytes); }
};

using Block = std::unique_ptr<char[], BlockDeleter>;

inline Block TakeBlock(size_t bytes) { return Block(block_pool::Take(bytes), BlockDeleter{bytes}); }

}  // namespace thermocline
