// The memory of appends' bodies: what is used again, what is freed, and who may outlive whom.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "engine/topic/body_pool.h"

namespace thermocline::topic {
namespace {

constexpr size_t kBody = size_t{100} << 10;  // 128 KiB of memory
constexpr size_t kMemory = size_t{128} << 10;

TEST(TopicBodyPool, ABodyThatWasGivenBackIsUsedAgainForOneOfItsSize) {
  const auto pool = std::make_shared<BodyPool>();
  BodyPool::Body body = pool->Take(kBody);
  const char* const memory = body.get();
  EXPECT_EQ(pool->resting_bytes(), 0u);
  body.reset();
  EXPECT_EQ(pool->resting_bytes(), kMemory);
  EXPECT_NE(pool->Take(kMemory + 1).get(), memory) << "it has no room for more";
  EXPECT_NE(pool->Take(kMemory / 2).get(), memory) << "half of it would be of no use";
  const BodyPool::Body again = pool->Take(kMemory);
  EXPECT_EQ(again.get(), memory);
}

TEST(TopicBodyPool, WhatIsSmallOrVeryLargeIsNotKept) {
  const auto pool = std::make_shared<BodyPool>();
  for (const size_t size :
       {size_t{0}, size_t{1}, BodyPool::kSmallest - 1, BodyPool::kLargest + 1}) {
    BodyPool::Body body = pool->Take(size);
    if (size > 0) std::memset(body.get(), 1, size);
    body.reset();
    EXPECT_EQ(pool->resting_bytes(), 0u) << size;
  }
  pool->Take(BodyPool::kSmallest).reset();
  pool->Take(BodyPool::kLargest).reset();
  EXPECT_EQ(pool->resting_bytes(), BodyPool::kSmallest + BodyPool::kLargest);
}

TEST(TopicBodyPool, NoMoreRestsThanIsAllowed) {
  const auto pool = std::make_shared<BodyPool>();
  std::vector<BodyPool::Body> bodies;
  for (size_t bytes = 0; bytes < 2 * BodyPool::kMaxResting; bytes += kMemory) {
    bodies.push_back(pool->Take(kBody));
  }
  bodies.clear();
  EXPECT_EQ(pool->resting_bytes(), BodyPool::kMaxResting);
}

TEST(TopicBodyPool, WhatIsNotUsedBetweenTwoTidiesIsFreed) {
  const auto pool = std::make_shared<BodyPool>();
  std::vector<BodyPool::Body> bodies;
  for (int i = 0; i < 4; i++) bodies.push_back(pool->Take(kBody));
  bodies.clear();
  pool->Tidy();
  EXPECT_EQ(pool->resting_bytes(), 4 * kMemory) << "all were in use since the last time";
  // Two at once are enough.
  for (int i = 0; i < 10; i++) {
    const BodyPool::Body one = pool->Take(kBody);
    const BodyPool::Body other = pool->Take(kBody);
  }
  pool->Tidy();
  EXPECT_EQ(pool->resting_bytes(), 2 * kMemory);
  pool->Tidy();
  EXPECT_EQ(pool->resting_bytes(), 0u);
}

TEST(TopicBodyPool, ABodyOutlivesEveryOtherHolderOfItsPool) {
  auto pool = std::make_shared<BodyPool>();
  BodyPool::Body body = pool->Take(kBody);
  const std::weak_ptr<BodyPool> watched = pool;
  pool.reset();
  std::memset(body.get(), 1, kBody);
  EXPECT_FALSE(watched.expired());
  body = BodyPool::Body();  // reset() would leave the holder a share of the pool
  EXPECT_TRUE(watched.expired());
}

TEST(TopicBodyPool, NoTwoHoldersHaveTheSameMemory) {
  const auto pool = std::make_shared<BodyPool>();
  const auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::pair<BodyPool::Body, size_t>> held;
    for (int i = 0; i < 500; i++) {
      if (held.size() < 4) {
        const size_t size = 1 + random() % (size_t{64} << 10);
        held.emplace_back(pool->Take(size), size);
        std::memset(held.back().first.get(), static_cast<int>(seed), size);
      } else {
        const auto at = held.begin() + static_cast<std::ptrdiff_t>(random() % held.size());
        for (size_t k = 0; k < at->second; k += 512) {
          ASSERT_EQ(at->first[k], static_cast<char>(seed));
        }
        held.erase(at);
      }
      if (i % 100 == 0) pool->Tidy();
    }
  };
  std::vector<std::thread> threads;
  for (unsigned seed = 1; seed <= 3; seed++) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(pool->resting_bytes(), BodyPool::kMaxResting);
}

}  // namespace
}  // namespace thermocline::topic
