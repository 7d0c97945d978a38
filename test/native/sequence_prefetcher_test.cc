// Predictive prefetch apart from any store: what it fetches, what it calls off, and when it rests.

#include "engine/cache/sequence_prefetcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/hash.h"
#include "gate.h"

namespace thermocline {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr size_t kTable = 1 << 20;

// A cache before a store that has every key, and what was read ahead from it.
class Prefetching {
 public:
  explicit Prefetching(bool rests = true) : rests_(rests) {}
  ~Prefetching() { gate_.Release(); }

  // As a reader does: the cache, then the store.
  void Read(const std::string& key) {
    const uint64_t hash = HashKey(key);
    bool first_use = false;
    const HotCache::Found found = cache_.Get(
        key, hash, [] { return uint64_t{0}; }, [](std::string_view, uint64_t) {}, &first_use);
    const bool miss = found == HotCache::Found::kMiss;
    if (miss || first_use) prefetcher_.Observe(key, hash);
    if (miss && fill_) cache_.Fill(key, hash, cache_.BeginFill(hash), "value", 0);
  }
  void ReadAll(const std::vector<std::string>& keys) {
    for (const std::string& key : keys) Read(key);
  }
  // Enough of something else that every window closes.
  void Elsewhere() {
    for (size_t i = 0; i <= SequencePrefetcher::kWindow; i++) {
      Read("elsewhere" + std::to_string(elsewhere_++));
    }
  }
  // What was fetched since the last call, once nothing waits any more.
  std::set<std::string> Fetched() {
    Settle();
    std::lock_guard lock(mutex_);
    return std::exchange(fetched_, {});
  }
  // Held, it holds every fetch back.
  test::Gate& gate() { return gate_; }
  void Clear() {
    cache_.BeginClear();
    cache_.EndClear();
  }
  // How long each fetch takes from now on.
  void TakeTime(std::chrono::milliseconds time) {
    std::lock_guard lock(mutex_);
    time_ = time;
  }
  void FillWhatIsRead(bool fill) { fill_ = fill; }
  SequencePrefetcher::Stats stats() const { return prefetcher_.GetStats(); }
  SequencePrefetcher& prefetcher() { return prefetcher_; }
  HotCache& cache() { return cache_; }

 private:
  void Settle() {
    while (prefetcher_.waiting() > 0) std::this_thread::yield();
  }
  bool Fetch(std::string_view key, uint64_t hash) {
    gate_.Pass();
    std::chrono::milliseconds time;
    {
      std::lock_guard lock(mutex_);
      fetched_.insert(std::string(key));
      time = time_;
    }
    std::this_thread::sleep_for(time);
    return cache_.FillAhead(key, hash, cache_.BeginFill(hash), "value", 0, false);
  }

  const bool rests_;
  bool fill_ = false;
  int elsewhere_ = 0;
  test::Gate gate_;
  std::mutex mutex_;
  std::chrono::milliseconds time_{0};  // GUARDED_BY(mutex_)
  std::set<std::string> fetched_;      // GUARDED_BY(mutex_)
  HotCache cache_{kTable};
  SequencePrefetcher prefetcher_{
      {.cache = &cache_,
       .fetch = [this](std::string_view key, uint64_t hash) { return Fetch(key, hash); },
       .rests = rests_},
      kTable};
};

TEST(SequencePrefetcherTest, WhatFollowedTwiceIsFetchedBeforeItIsAskedFor) {
  Prefetching one;
  for (int i = 0; i < 2; i++) {
    one.ReadAll({"a", "b", "c"});
    one.Elsewhere();
  }
  EXPECT_THAT(one.Fetched(), IsEmpty());
  one.Read("a");
  EXPECT_THAT(one.Fetched(), UnorderedElementsAre("b", "c"));
  EXPECT_EQ(one.stats().tally.fetched, 2u);
  EXPECT_EQ(one.stats().tally.used, 0u);
  one.ReadAll({"b", "c", "b", "c"});
  EXPECT_EQ(one.stats().tally.used, 2u) << "each once";
  EXPECT_THAT(one.Fetched(), IsEmpty()) << "they are there";
}

TEST(SequencePrefetcherTest, WhatIsInTheCacheIsNotFetched) {
  Prefetching one;
  for (int i = 0; i < 2; i++) {
    one.ReadAll({"a", "b", "c"});
    one.Elsewhere();
  }
  one.cache().Fill("b", HashKey("b"), one.cache().BeginFill(HashKey("b")), "value", 0);
  one.Read("a");
  EXPECT_THAT(one.Fetched(), UnorderedElementsAre("c"));
}

TEST(SequencePrefetcherTest, HitsInTheCacheAreNotObserved) {
  Prefetching one;
  one.FillWhatIsRead(true);
  for (int i = 0; i < 10; i++) one.ReadAll({"a", "b", "c"});
  EXPECT_EQ(one.stats().tally.observed, 3u);
  EXPECT_THAT(one.Fetched(), IsEmpty());
}

TEST(SequencePrefetcherTest, WhatIsAskedForWhileItWaitsIsCalledOff) {
  Prefetching one;
  // More than there are threads, which all hang.
  const std::vector<std::string> keys{"a", "b", "c", "d", "e", "f", "g"};
  for (int i = 0; i < 2; i++) {
    one.ReadAll(keys);
    one.Elsewhere();
  }
  one.gate().Hold();
  one.Read("a");  // six follow, four of which are being fetched
  one.gate().AwaitVisitors(SequencePrefetcher::kThreads);
  one.ReadAll({"b", "c", "d", "e", "f", "g"});
  one.gate().Release();
  EXPECT_EQ(one.Fetched().size(), static_cast<size_t>(SequencePrefetcher::kThreads));
  EXPECT_EQ(one.stats().called_off, 2u);
}

TEST(SequencePrefetcherTest, ARecordWhoseReaderIsAsFastCountsAsLate) {
  Prefetching one;
  for (int i = 0; i < 2; i++) {
    one.ReadAll({"a", "b"});
    one.Elsewhere();
  }
  one.FillWhatIsRead(true);
  one.gate().Hold();
  one.Read("a");
  one.gate().AwaitVisitors();
  one.Read("b");
  one.gate().Release();
  EXPECT_THAT(one.Fetched(), UnorderedElementsAre("b"));
  while (one.stats().tally.late == 0) std::this_thread::yield();
  EXPECT_EQ(one.stats().tally.late, 1u);
  EXPECT_EQ(one.stats().tally.used, 0u);
}

TEST(SequencePrefetcherTest, WhatLeavesUnreadCountsAsUnused) {
  Prefetching one;
  for (int i = 0; i < 2; i++) {
    one.ReadAll({"a", "b"});
    one.Elsewhere();
  }
  one.Read("a");
  EXPECT_THAT(one.Fetched(), UnorderedElementsAre("b"));
  while (one.stats().tally.fetched == 0) std::this_thread::yield();
  one.Clear();
  EXPECT_EQ(one.stats().tally.unused, 1u);
}

TEST(SequencePrefetcherTest, ThreadsHaveStreamsOfTheirOwn) {
  Prefetching one;
  const auto walk = [&](const std::string& name) {
    for (int i = 0; i < 20; i++) {
      one.ReadAll({name + "1", name + "2", name + "3"});
      std::this_thread::yield();
    }
  };
  // Threads share a place by chance, one in 64.
  std::vector<std::thread> others;
  std::atomic<bool> walked{false};
  std::atomic<bool> done{false};
  while (!walked) {
    std::atomic<bool> tried{false};
    others.emplace_back([&, here = SequencePrefetcher::StreamOfThisThread()] {
      if (SequencePrefetcher::StreamOfThisThread() == here) {
        tried = true;
        while (!done) std::this_thread::yield();
        return;
      }
      walked = true;
      tried = true;
      walk("x");
    });
    while (!tried) std::this_thread::yield();
  }
  walk("y");
  done = true;
  for (std::thread& other : others) other.join();
  (void)one.Fetched();
  one.Clear();
  one.Read("x1");
  for (const std::string& key : one.Fetched()) EXPECT_EQ(key[0], 'x') << key;
}

TEST(SequencePrefetcherTest, RequestsThatInterleaveOnOneThreadAreToldApart) {
  Prefetching one(/*rests=*/false);
  std::mt19937 random(3);
  const std::string names = "abcdefghijklmnopqrstuvwxyz";
  // Two requests at a time, each with its own three steps.
  for (int i = 0; i < 1000; i++) {
    const std::string first(1, names[random() % names.size()]);
    const std::string second(1, names[random() % names.size()]);
    one.Clear();  // what is cached is not observed
    for (const char* step : {"1", "2", "3"}) one.ReadAll({first + step, second + step});
  }
  // What is fetched and not asked for is not tried again soon: so ask for it.
  (void)one.Fetched();
  one.Clear();
  one.Read("p2");
  (void)one.Fetched();
  one.Read("p3");
  (void)one.Fetched();
  one.Clear();
  one.Read("p1");
  const std::set<std::string> fetched = one.Fetched();
  EXPECT_TRUE(fetched.contains("p2"));
  EXPECT_TRUE(fetched.contains("p3"));
  EXPECT_LE(fetched.size(), 4u) << "of the other names hardly anything follows";
}

TEST(SequencePrefetcherTest, ABatchIsLearnedButOnlyItsLastKeyPredicts) {
  Prefetching one;
  const auto batch = [&](const std::vector<std::string>& keys) {
    bool predict = false;
    for (const std::string& key : keys) predict = one.prefetcher().Note(key, HashKey(key));
    if (predict) one.prefetcher().Predict(HashKey(keys.back()));
  };
  for (int i = 0; i < 3; i++) {
    batch({"a", "b"});
    batch({"c", "d"});
    one.Elsewhere();
  }
  (void)one.Fetched();
  one.Clear();
  batch({"a", "b"});
  EXPECT_THAT(one.Fetched(), UnorderedElementsAre("c", "d"));
}

TEST(SequencePrefetcherTest, KeysTooLongToRememberAreLeftAlone) {
  Prefetching one;
  const std::string longer(SequenceKey::kMost + 1, 'k');
  for (int i = 0; i < 3; i++) {
    one.ReadAll({"a", longer, "b"});
    one.Elsewhere();
  }
  (void)one.Fetched();
  one.Clear();
  one.Read("a");
  EXPECT_THAT(one.Fetched(), UnorderedElementsAre("b"));
}

TEST(SequencePrefetcherTest, ASlowDiskIsReadAheadInThePausesOfItsReadersAlone) {
  Prefetching one;
  one.TakeTime(std::chrono::milliseconds(2));
  const auto learn = [&](const std::string& name) {
    for (int i = 0; i < 2; i++) {
      one.ReadAll({name + "1", name + "2"});
      one.Elsewhere();
    }
  };
  learn("x");
  one.Read("x1");
  EXPECT_THAT(one.Fetched(), UnorderedElementsAre("x2")) << "how slow it is, is not known yet";
  learn("y");
  {
    const SequencePrefetcher::Reading reading(&one.prefetcher());
    one.Read("y1");
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    EXPECT_EQ(one.stats().tally.fetched, 1u);
    // Whoever was waited for is not fetched any more.
    one.Read("y2");
    EXPECT_THAT(one.Fetched(), IsEmpty());
    EXPECT_EQ(one.stats().called_off, 1u);
  }
  learn("z");
  one.Read("z1");
  EXPECT_THAT(one.Fetched(), UnorderedElementsAre("z2"));
}

TEST(SequencePrefetcherTest, StopDoesNotWaitForAPause) {
  Prefetching one;
  one.TakeTime(std::chrono::milliseconds(2));
  for (int times = 0; times < 3; times++) {
    one.ReadAll({"a", "b", "c", "d"});
    one.Elsewhere();
  }
  (void)one.Fetched();
  one.Clear();
  const SequencePrefetcher::Reading reading(&one.prefetcher());
  one.Read("a");
  one.prefetcher().Stop();
  EXPECT_GT(one.prefetcher().waiting() + one.stats().tally.fetched, 0u);
}

TEST(SequencePrefetcherTest, ItPaysWhenHalfIsUsedAndMoreIsSavedThanSpent) {
  // A disk that takes 100 microseconds.
  const PrefetchTally good{.observed = 10'000,
                           .fetched = 1000,
                           .used = 700,
                           .late = 100,
                           .unused = 200,
                           .fetch_nanos = 1000 * 100'000};
  EXPECT_TRUE(PrefetchPays(good));
  PrefetchTally wrong = good;
  wrong.used = 400;
  wrong.unused = 500;
  EXPECT_FALSE(PrefetchPays(wrong));
  PrefetchTally slow = good;
  slow.late = 600;
  EXPECT_FALSE(PrefetchPays(slow)) << "what comes late saves nothing";
  PrefetchTally memory = good;
  memory.fetch_nanos = 1000 * 4000;
  EXPECT_FALSE(PrefetchPays(memory)) << "what comes out of memory is not worth a thread's waking";
  PrefetchTally rare = good;
  rare.observed = 1'000'000;
  EXPECT_FALSE(PrefetchPays(rare)) << "observing costs more than it saves";
  EXPECT_FALSE(PrefetchPays(PrefetchTally{}));
}

TEST(SequencePrefetcherTest, OnRandomReadsItRestsAndTriesAgain) {
  Prefetching one;
  std::mt19937 random(1);
  const auto nodes = kTable / 1088 * SequenceTable::kWays;
  const uint64_t review = SequencePrefetcher::kReviewTurns * nodes;
  // Not every read is observed: what was read ahead and used is in the cache.
  const auto read_until = [&](uint64_t observed) {
    while (one.stats().tally.observed < observed) {
      one.Read("key" + std::to_string(random() % 1'000'000));
    }
  };
  read_until(review);
  EXPECT_TRUE(one.stats().resting);
  EXPECT_EQ(one.stats().times_rested, 1u);
  EXPECT_LT(one.stats().tally.fetched, 50u);
  const uint64_t fetched = one.stats().tally.fetched;
  // Nothing is fetched meanwhile, however plain the pattern.
  const uint64_t end = review + SequencePrefetcher::kRest * nodes;
  for (uint64_t i = 0; one.stats().tally.observed + 1 < end; i++) one.Read(i % 2 == 0 ? "a" : "b");
  EXPECT_TRUE(one.stats().resting);
  EXPECT_EQ(one.stats().tally.fetched, fetched);
  one.Read("a");
  EXPECT_FALSE(one.stats().resting) << "it tries again";
  read_until(end + review);
  EXPECT_EQ(one.stats().times_rested, 2u);
  read_until(end + review + SequencePrefetcher::kRest * nodes + 1);
  EXPECT_TRUE(one.stats().resting) << "twice as long as before";
}

TEST(SequencePrefetcherTest, WrongPredictionsMakeItRest) {
  Prefetching one;
  // Each pair is seen often enough to be predicted, and then never again.
  for (int i = 0; !one.stats().resting && i < 20'000; i++) {
    const std::string n = std::to_string(i);
    for (int times = 0; times < 2; times++) {
      one.ReadAll({"a" + n, "b" + n});
      one.Elsewhere();
    }
    one.Read("a" + n);
    (void)one.Fetched();
    if (i % 16 == 0) one.Clear();
  }
  EXPECT_TRUE(one.stats().resting);
  EXPECT_EQ(one.stats().tally.used, 0u);
}

TEST(SequencePrefetcherTest, WaitingKeysAreBoundedAndStopGivesThemUp) {
  Prefetching one(/*rests=*/false);
  const auto head = [](int i) { return "head" + std::to_string(i); };
  constexpr int kHeads = 100;
  for (int i = 0; i < 2 * kHeads; i++) {
    one.Read(head(i / 2));
    for (size_t n = 0; n < SequenceTable::kLinks; n++) {
      one.Read(head(i / 2) + "-" + std::to_string(n));
    }
    one.Elsewhere();
  }
  (void)one.Fetched();
  one.Clear();
  // Each has six followers, which nobody reads.
  one.gate().Hold();
  const auto read_heads = [&] {
    for (int i = 0; i < kHeads; i++) one.Read(head(i));
  };
  read_heads();
  EXPECT_GE(one.prefetcher().waiting(), SequencePrefetcher::kQueue);
  EXPECT_LE(one.prefetcher().waiting(), SequencePrefetcher::kQueue + SequencePrefetcher::kThreads);
  EXPECT_GT(one.stats().dropped, 100u);
  one.gate().Release();
  one.prefetcher().Stop();
  const uint64_t fetched = one.stats().tally.fetched;
  one.Clear();
  read_heads();
  EXPECT_EQ(one.stats().tally.fetched, fetched);
}

}  // namespace
}  // namespace thermocline
