#include "engine/platform/block_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

namespace thermocline {
namespace {

TEST(BlockPoolTest, ABlockThatCameBackIsTheNextOne) {
  char* first = TakeBlock(kPooledBytes).release();
  block_pool::GiveBack(first, kPooledBytes);
  const Block again = TakeBlock(kUnpooledBytes + 1);
  EXPECT_EQ(again.get(), first);
}

TEST(BlockPoolTest, BlocksAreAsLargeAsAskedFor) {
  for (const size_t bytes : {size_t{0}, size_t{1}, kUnpooledBytes, kUnpooledBytes + 1, kPooledBytes,
                             kPooledBytes + 1, 3 * kPooledBytes}) {
    const Block block = TakeBlock(bytes);
    ASSERT_NE(block, nullptr);
    std::memset(block.get(), 0x5a, bytes);  // under AddressSanitizer this would show a short one
  }
}

TEST(BlockPoolTest, CountsWhatIsOutAndWhatIsKept) {
  std::vector<Block> all;
  for (size_t i = 0; i < kKeptBlocks + 10; i++) all.push_back(TakeBlock(kPooledBytes));
  const BlockPoolStats out = block_pool::GetStats();
  EXPECT_EQ(out.idle_bytes, 0u);
  EXPECT_GE(out.in_use_bytes, (kKeptBlocks + 10) * kPooledBytes);
  all.push_back(TakeBlock(100));
  EXPECT_EQ(block_pool::GetStats().in_use_bytes, out.in_use_bytes + 100);
  all.clear();
  const BlockPoolStats back = block_pool::GetStats();
  EXPECT_EQ(back.idle_bytes, kKeptBlocks * kPooledBytes);  // the rest went back to malloc
  EXPECT_EQ(back.in_use_bytes, out.in_use_bytes - (kKeptBlocks + 10) * kPooledBytes);
}

TEST(BlockPoolTest, ThreadsTakeAndGiveBackAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([t] {
      for (int i = 0; i < 2000; i++) {
        const Block block = TakeBlock(kPooledBytes - static_cast<size_t>(i % 100));
        std::memset(block.get(), t, 64);
        ASSERT_EQ(block[63], t);  // nobody else writes here meanwhile
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace thermocline
