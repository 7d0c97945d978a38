#include "engine/platform/block_pool.h"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <new>

namespace thermocline::block_pool {

namespace {

struct Pool {
  std::mutex mutex;
  char* idle[kKeptBlocks];  // GUARDED_BY(mutex)
  size_t idle_count = 0;    // GUARDED_BY(mutex)
  std::atomic<uint64_t> in_use_bytes{0};
};

// Never destroyed: blocks may come back while the process ends.
Pool& TheOne() {
  static Pool* const pool = new Pool;
  return *pool;
}

bool IsPooled(size_t bytes) { return bytes > kUnpooledBytes && bytes <= kPooledBytes; }

}  // namespace

char* TakeOrNull(size_t bytes) noexcept {
  Pool& pool = TheOne();
  const bool pooled = IsPooled(bytes);
  if (pooled) bytes = kPooledBytes;
  char* block = nullptr;
  if (pooled) {
    std::lock_guard lock(pool.mutex);
    if (pool.idle_count > 0) block = pool.idle[--pool.idle_count];
  }
  if (block == nullptr) block = static_cast<char*>(std::malloc(bytes == 0 ? 1 : bytes));
  if (block == nullptr) return nullptr;
  pool.in_use_bytes.fetch_add(bytes, std::memory_order_relaxed);
  return block;
}

char* Take(size_t bytes) {
  char* const block = TakeOrNull(bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void GiveBack(char* block, size_t bytes) noexcept {
  if (block == nullptr) return;
  Pool& pool = TheOne();
  const bool pooled = IsPooled(bytes);
  if (pooled) bytes = kPooledBytes;
  pool.in_use_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  if (pooled) {
    std::lock_guard lock(pool.mutex);
    if (pool.idle_count < kKeptBlocks) {
      pool.idle[pool.idle_count++] = block;
      return;
    }
  }
  std::free(block);
}

BlockPoolStats GetStats() {
  Pool& pool = TheOne();
  std::lock_guard lock(pool.mutex);
  return {.idle_bytes = pool.idle_count * kPooledBytes,
          .in_use_bytes = pool.in_use_bytes.load(std::memory_order_relaxed)};
}

}  // namespace thermocline::block_pool
