#include "engine/clock.h"

#include <algorithm>
#include <thread>
#include <vector>

#include "engine/platform/time.h"
#include "support.h"

namespace thermocline {
namespace {

TEST(EngineClockTest, ShowsTheTime) {
  EngineClock clock;
  const uint64_t before = SystemMillis();
  const uint64_t now = clock.NowMs();
  EXPECT_GE(now, before);
  EXPECT_LE(now, SystemMillis());
  EXPECT_EQ(clock.HighWaterMs(), now);
}

TEST(EngineClockTest, NeverFallsBelowItsFloor) {
  const uint64_t floor = SystemMillis() + 1'000'000;
  EngineClock clock(floor);
  EXPECT_EQ(clock.NowMs(), floor);
  EXPECT_EQ(clock.HighWaterMs(), floor);
  clock.RaiseTo(floor - 5);
  EXPECT_EQ(clock.NowMs(), floor);
  clock.RaiseTo(floor + 5);
  EXPECT_EQ(clock.NowMs(), floor + 5);
}

TEST(EngineClockTest, NeverRunsBackwardsOnAnyThread) {
  EngineClock clock;
  std::vector<std::thread> threads;
  std::vector<uint64_t> last(4);
  for (size_t t = 0; t < last.size(); t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20000; i++) {
        const uint64_t now = clock.NowMs();
        ASSERT_GE(now, last[t]);
        last[t] = now;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(clock.HighWaterMs(), *std::max_element(last.begin(), last.end()));
}

TEST(TimeTest, NanosecondsAreMonotonic) {
  uint64_t last = NowNanos();
  for (int i = 0; i < 1000; i++) {
    const uint64_t now = NowNanos();
    ASSERT_GE(now, last);
    last = now;
  }
}

}  // namespace
}  // namespace thermocline
