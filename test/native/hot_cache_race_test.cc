// The hot cache's promise under threads (I9): Get returns nothing older than a write acknowledged
// before it began, nor older than what the same thread has read.
//
// One committer writes ever higher versions to a fake store; readers read through the cache, fill
// it, and pause at every point where the protocol could be caught half way.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/cache/hot_cache.h"
#include "engine/hash.h"

namespace thermocline {
namespace {

using Found = HotCache::Found;

constexpr int kKeys = 24;

// Versions of a key are even when they are the last one of their group, which alone may be seen;
// among those, every fifth is a delete.
bool IsFinal(uint64_t version) { return version % 2 == 0; }
bool IsDelete(uint64_t version) { return version % 10 == 0; }
uint64_t NextDelete(uint64_t version) { return (version + 9) / 10 * 10; }

class Race {
 public:
  Race(size_t capacity, bool with_clears, bool ahead = false)
      : cache_(capacity), with_clears_(with_clears), ahead_(ahead) {
    for (int i = 0; i < kKeys; ++i) {
      keys_[i] = "key" + std::to_string(i);
      // Three counters for all keys, so that groups share them.
      hashes_[i] = (HashKey(keys_[i]) & ~(uint64_t{0xffff} << 32)) | (uint64_t{i % 3u} << 32);
    }
  }

  void Run(int readers, std::chrono::milliseconds duration) {
    std::vector<std::thread> threads;
    for (int i = 0; i < readers; ++i) {
      threads.emplace_back([this, i] { Read(static_cast<uint32_t>(i) + 100); });
    }
    const auto start = std::chrono::steady_clock::now();
    // The test would prove little if hardly anything raced. On a busy machine that takes longer.
    const auto raced_enough = [this] {
      const auto stats = cache_.GetStats();
      return stats.hits > 1000 && stats.negative_hits > 100 && stats.fills > 100 && refused_ > 50;
    };
    const auto limit = start + std::chrono::seconds(30);
    for (auto now = start; now < start + duration || (now < limit && !raced_enough());
         now = std::chrono::steady_clock::now()) {
      CommitOneGroup();
    }
    stop_ = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(raced_enough());
  }

 private:
  using Random = std::minstd_rand;

  static void Pause(Random& random) {
    const auto dice = random() % 64;
    if (dice == 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 50));
    } else if (dice < 12) {
      std::this_thread::yield();
    } else {
      for (auto n = random() % 64; n > 0; --n) std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  }

  static std::string ValueOf(uint64_t version) {
    // Lengths vary, so that publishing both overwrites and replaces.
    std::string value(8 + version % 4 * 16, 'v');
    std::memcpy(value.data(), &version, sizeof version);
    return value;
  }

  void CommitOneGroup() {
    struct Operation {
      int key;
      uint64_t version;
    };
    Random& random = committer_random_;
    std::vector<Operation> group;
    const bool clear = with_clears_ && random() % 4 == 0;
    for (auto n = 1 + random() % 6; n > 0; --n) {
      const int key = static_cast<int>(random() % kKeys);
      if (random() % 3 == 0) group.push_back({key, 0});  // overwritten within the group
      group.push_back({key, 0});
    }
    std::array<uint64_t, kKeys> next = written_;
    for (auto op = group.begin(); op != group.end(); ++op) {
      const bool last =
          std::none_of(op + 1, group.end(), [op](const Operation& o) { return o.key == op->key; });
      uint64_t version = next[op->key] + 1;
      if (IsFinal(version) != last) ++version;
      op->version = next[op->key] = version;
    }

    if (clear) {  // in place of the keys: the epoch alone must protect them
      cache_.BeginClear();
    } else {
      for (const Operation& op : group) {
        cache_.BeginWrite(keys_[op.key], hashes_[op.key]);
        Pause(random);
      }
    }
    if (random() % 16 == 0) {  // the store refuses the group
      cache_.AbandonWrite();
      if (clear) cache_.EndClear();
      return;
    }
    // `issued_` bounds from above what may be seen, so it rises before the store.
    for (int i = 0; i < kKeys; ++i) issued_[i].store(next[i], std::memory_order_release);
    for (int i = 0; i < kKeys; ++i) store_[i].store(next[i], std::memory_order_release);
    Pause(random);
    // Entries that are not published leave, so that keys keep coming back by fills.
    if (cache_.HasPending() && random() % 4 != 0) {
      for (auto op = group.rbegin(); op != group.rend(); ++op) {
        if (IsDelete(op->version)) {
          cache_.PublishAbsent(keys_[op->key], hashes_[op->key]);
        } else {
          cache_.Publish(keys_[op->key], hashes_[op->key], ValueOf(op->version), 0);
        }
        Pause(random);
      }
    }
    cache_.EndWrite();
    if (clear) cache_.EndClear();
    for (int i = 0; i < kKeys; ++i) acknowledged_[i].store(next[i], std::memory_order_release);
    written_ = next;
    for (auto n = random() % 4; n > 0; --n) Pause(random);
  }

  void Read(uint32_t seed) {
    Random random(seed);
    std::array<uint64_t, kKeys> seen{};
    const auto now = [] { return uint64_t{0}; };
    while (!stop_.load(std::memory_order_relaxed)) {
      const int i = static_cast<int>(random() % kKeys);
      const uint64_t floor = std::max(seen[i], acknowledged_[i].load(std::memory_order_acquire));
      uint64_t version = 0;
      bool torn = false;
      const Found found =
          cache_.Get(keys_[i], hashes_[i], now, [&](std::string_view value, uint64_t) {
            std::memcpy(&version, value.data(), sizeof version);
            torn = value != ValueOf(version);
          });
      ASSERT_FALSE(torn);
      if (found == Found::kValue) {
        ASSERT_TRUE(IsFinal(version)) << "a value overwritten within its own group was served";
        ASSERT_FALSE(IsDelete(version));
        ASSERT_GE(version, floor);
        seen[i] = version;
        Pause(random);
        continue;
      }
      if (found == Found::kAbsent) {
        // Says no version, but it must be one of those that may be seen now.
        seen[i] = NextDelete(floor);
        ASSERT_LE(seen[i], issued_[i].load(std::memory_order_acquire));
        continue;
      }
      const auto ticket = cache_.BeginFill(hashes_[i]);
      Pause(random);
      version = store_[i].load(std::memory_order_acquire);
      ASSERT_GE(version, floor);
      seen[i] = version;
      Pause(random);
      if (ahead_ && random() % 2 == 0) {  // what this reader knows, it has from the store
        cache_.FillAhead(keys_[i], hashes_[i], ticket, ValueOf(version), 0, IsDelete(version));
        continue;
      }
      const bool filled = IsDelete(version)
                              ? cache_.FillAbsent(keys_[i], hashes_[i], ticket)
                              : cache_.Fill(keys_[i], hashes_[i], ticket, ValueOf(version), 0);
      if (!filled && ticket.can_fill()) refused_.fetch_add(1, std::memory_order_relaxed);
    }
  }

  HotCache cache_;
  const bool with_clears_;
  const bool ahead_;
  std::array<std::string, kKeys> keys_;
  std::array<uint64_t, kKeys> hashes_;
  std::array<std::atomic<uint64_t>, kKeys> store_{};
  std::array<std::atomic<uint64_t>, kKeys> issued_{};
  std::array<std::atomic<uint64_t>, kKeys> acknowledged_{};
  std::atomic<uint64_t> refused_{0};  // fills that a write overtook
  std::atomic<bool> stop_{false};

  // The committer's.
  Random committer_random_{1};
  std::array<uint64_t, kKeys> written_{};
};

TEST(HotCacheRaceTest, NoReadIsOlderThanAnAcknowledgedWrite) {
  Race(1 << 20, false).Run(4, std::chrono::milliseconds(800));
}

TEST(HotCacheRaceTest, NoReadIsOlderThanAnAcknowledgedWriteWithClearsBetween) {
  Race(1 << 20, true).Run(4, std::chrono::milliseconds(800));
}

TEST(HotCacheRaceTest, NoReadIsOlderThanAnAcknowledgedWriteWhereRecordsAreReadAhead) {
  Race(1 << 20, true, /*ahead=*/true).Run(4, std::chrono::milliseconds(800));
}

TEST(HotCacheRaceTest, NoReadIsOlderThanAnAcknowledgedWriteWhileEvicting) {
  Race(2000, false).Run(4, std::chrono::milliseconds(800));  // room for about half the keys
}

}  // namespace
}  // namespace thermocline
