#include "engine/platform/heap_trimmer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace thermocline {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kMilli = 1'000'000;

// Samples a second apart: `busy` in thousandths of one processor.
class World {
 public:
  TrimSample At(uint64_t resident_mib) const { return {now_, processor_, resident_mib * kMiB}; }
  TrimSample After(uint64_t millis, uint64_t busy, uint64_t resident_mib) {
    now_ += millis * kMilli;
    processor_ += millis * kMilli * busy / 1000;
    return At(resident_mib);
  }

 private:
  uint64_t now_ = 1000 * kMilli;
  uint64_t processor_ = 70 * kMilli;
};

TEST(TrimPolicyTest, TrimsOnceMemoryHasGrownAndTheProcessRests) {
  World world;
  TrimPolicy policy(world.At(100));
  EXPECT_EQ(policy.PauseNanos(), TrimPolicy::kWatchNanos);
  EXPECT_FALSE(policy.Look(world.After(1000, 900, 132)));  // it works
  EXPECT_EQ(policy.PauseNanos(), TrimPolicy::kArmedNanos);
  EXPECT_FALSE(policy.Look(world.After(100, 100, 132)));  // a tenth of a processor is work, too
  EXPECT_TRUE(policy.Look(world.After(100, 99, 132)));
}

TEST(TrimPolicyTest, LittleGrowthIsNoReason) {
  World world;
  TrimPolicy policy(world.At(100));
  EXPECT_FALSE(policy.Look(world.After(1000, 0, 131)));
  EXPECT_EQ(policy.PauseNanos(), TrimPolicy::kWatchNanos);
}

TEST(TrimPolicyTest, WhatATrimCouldNotGiveBackIsNotTriedAgain) {
  World world;
  TrimPolicy policy(world.At(100));
  ASSERT_TRUE(policy.Look(world.After(1000, 0, 200)));
  policy.Trimmed(world.After(5, 1000, 190));
  for (int i = 0; i < 100; i++) EXPECT_FALSE(policy.Look(world.After(1000, 0, 221)));
  EXPECT_TRUE(policy.Look(world.After(1000, 0, 222)));
}

TEST(TrimPolicyTest, GrowthCountsFromTheLeast) {
  World world;
  TrimPolicy policy(world.At(200));
  EXPECT_FALSE(policy.Look(world.After(1000, 0, 100)));  // the hot cache was cleared, say
  EXPECT_TRUE(policy.Look(world.After(1000, 0, 132)));
}

TEST(TrimPolicyTest, TrimsAreASecondApart) {
  World world;
  TrimPolicy policy(world.At(100));
  ASSERT_TRUE(policy.Look(world.After(1000, 0, 200)));
  policy.Trimmed(world.After(5, 1000, 100));
  int early = 0;
  for (int i = 0; i < 9; i++) early += policy.Look(world.After(100, 0, 200)) ? 1 : 0;
  EXPECT_EQ(early, 0);
  EXPECT_TRUE(policy.Look(world.After(100, 0, 200)));
}

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Frees `freed` of blocks that stay below malloc's own limit for giving memory back, with one that
// is kept between any two, and returns those.
std::vector<void*> Scatter(size_t freed) {
  constexpr size_t kBlock = 32 * 1024;
  std::vector<void*> kept;
  std::vector<void*> gone;
  for (size_t i = 0; i < freed / kBlock; i++) {
    gone.push_back(std::malloc(kBlock));
    std::memset(gone.back(), 1, kBlock);
    kept.push_back(std::malloc(2048));
  }
  for (void* block : gone) std::free(block);
  return kept;
}

TEST(HeapTrimmerTest, GivesScatteredMemoryBackWhileTheProcessRests) {
  HeapTrimmer trimmer;
  trimmer.Begin();
  std::vector<void*> kept;
  // Again and again, for the thread may have begun to look only after some of the growth.
  for (int round = 0; round < 10 && trimmer.trims() == 0; round++) {
    for (void* block : Scatter(64 * kMiB)) kept.push_back(block);
    for (int wait = 0; wait < 150 && trimmer.trims() == 0; wait++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  EXPECT_GT(trimmer.trims(), 0u);
  for (void* block : kept) std::free(block);
  trimmer.End();
}
#endif

TEST(HeapTrimmerTest, BeginsAndEndsFromManyThreads) {
  HeapTrimmer trimmer;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&trimmer] {
      for (int i = 0; i < 200; i++) {
        trimmer.Begin();
        trimmer.End();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  trimmer.Begin();
  trimmer.Begin();
  trimmer.End();
  trimmer.End();
  EXPECT_EQ(trimmer.trims(), 0u);
}

}  // namespace
}  // namespace thermocline
