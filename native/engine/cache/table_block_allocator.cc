#include "engine/cache/table_block_allocator.h"

#ifdef __APPLE__
#include <malloc/malloc.h>
#else
#include <malloc.h>
#endif

#include <cstdlib>
#include <new>

namespace thermocline {

namespace {

size_t SizeOf(void* block) {
#ifdef __APPLE__
  return malloc_size(block);
#else
  return malloc_usable_size(block);
#endif
}

// Under a sanitizer every block goes back at once, so that a late use of it is seen.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kKeeps = false;
#else
constexpr bool kKeeps = true;
#endif

struct Kept {
  void* block[TableBlockAllocator::kKeptBlocks];
  size_t bytes[TableBlockAllocator::kKeptBlocks];
  size_t count = 0;

  ~Kept();

  // The last one given back that fits and wastes at most a quarter; null if there is none.
  void* Take(size_t size) {
    for (size_t i = count; i-- > 0;) {
      if (bytes[i] < size || bytes[i] - size > size / 4) continue;
      void* const found = block[i];
      count--;
      block[i] = block[count];
      bytes[i] = bytes[count];
      return found;
    }
    return nullptr;
  }
};

thread_local bool thread_ends = false;  // what ends after `kept` may still give blocks back
thread_local Kept kept;

Kept::~Kept() {
  while (count > 0) std::free(block[--count]);
  thread_ends = true;
}

}  // namespace

void* TableBlockAllocator::Allocate(size_t size) {
  if (size >= kMinBytes && size <= kMaxBytes) {
    if (void* const block = kept.Take(size)) return block;
  }
  void* const block = std::malloc(size == 0 ? 1 : size);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void TableBlockAllocator::Deallocate(void* block) {
  if (block == nullptr) return;
  const size_t bytes = SizeOf(block);
  if (!kKeeps || bytes < kMinBytes || bytes > kMaxBytes || thread_ends) return std::free(block);
  if (kept.count == kKeptBlocks) {
    // Instead of the oldest: sizes that nobody asks for must not fill the places.
    std::free(kept.block[0]);
    kept.count--;
    kept.block[0] = kept.block[kept.count];
    kept.bytes[0] = kept.bytes[kept.count];
  }
  kept.block[kept.count] = block;
  kept.bytes[kept.count] = bytes;
  kept.count++;
}

size_t TableBlockAllocator::UsableSize(void* block, size_t) const { return SizeOf(block); }

}  // namespace thermocline
