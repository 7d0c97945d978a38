#include "engine/cache/table_block_allocator.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace thermocline {
namespace {

TEST(TableBlockAllocatorTest, BlocksAreAsLargeAsAskedFor) {
  TableBlockAllocator allocator;
  std::minstd_rand random(1);
  for (int i = 0; i < 20'000; i++) {
    const size_t size = random() % 12'000;
    void* const block = allocator.Allocate(size);
    ASSERT_NE(block, nullptr);
    ASSERT_GE(allocator.UsableSize(block, size), size);
    std::memset(block, 0x5a, size);  // under AddressSanitizer this would show a short one
    allocator.Deallocate(block);
  }
  allocator.Deallocate(nullptr);
}

TEST(TableBlockAllocatorTest, NoTwoHoldTheSameBlock) {
  TableBlockAllocator allocator;
  std::minstd_rand random(7);
  std::vector<std::pair<char*, char>> held;
  std::vector<size_t> sizes;
  for (int i = 0; i < 20'000; i++) {
    if (held.size() < 100 && random() % 2 == 0) {
      const size_t size = 1 + random() % 9000;
      char* const block = static_cast<char*>(allocator.Allocate(size));
      const char mark = static_cast<char>(random());
      std::memset(block, mark, size);
      held.emplace_back(block, mark);
      sizes.push_back(size);
    } else if (!held.empty()) {
      const size_t which = random() % held.size();
      const auto [block, mark] = held[which];
      for (size_t at = 0; at < sizes[which]; at++) ASSERT_EQ(block[at], mark);
      allocator.Deallocate(block);
      held[which] = held.back();
      held.pop_back();
      sizes[which] = sizes.back();
      sizes.pop_back();
    }
  }
  for (const auto& [block, mark] : held) allocator.Deallocate(block);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(TableBlockAllocatorTest, WhatAThreadGaveBackIsItsNextBlock) {
  TableBlockAllocator allocator;
  void* const first = allocator.Allocate(4200);
  allocator.Deallocate(first);
  void* const again = allocator.Allocate(4100);
  EXPECT_EQ(again, first);
  allocator.Deallocate(again);
}

TEST(TableBlockAllocatorTest, AMuchSmallerBlockDoesNotGetALargeOne) {
  TableBlockAllocator allocator;
  void* const large = allocator.Allocate(8000);
  allocator.Deallocate(large);
  void* const small = allocator.Allocate(2000);
  EXPECT_LT(allocator.UsableSize(small, 2000), 2600u);
  allocator.Deallocate(small);
}
#endif

TEST(TableBlockAllocatorTest, BlocksMayComeBackOnAnotherThread) {
  TableBlockAllocator allocator;
  std::vector<void*> blocks;
  std::thread taker([&] {
    for (int i = 0; i < 100; i++) blocks.push_back(allocator.Allocate(4000));
  });
  taker.join();
  EXPECT_EQ(std::set<void*>(blocks.begin(), blocks.end()).size(), 100u);
  std::thread giver([&] {
    for (void* block : blocks) allocator.Deallocate(block);
  });
  giver.join();
}

}  // namespace
}  // namespace thermocline
