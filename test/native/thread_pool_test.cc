#include "engine/platform/thread_pool.h"

#include <pthread.h>
#ifdef __linux__
#include <sys/resource.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "support.h"

namespace thermocline {
namespace {

TEST(ThreadPoolTest, OneThreadRunsTasksInTheOrderTheyWerePosted) {
  std::vector<int> ran;
  ThreadPool pool("test", 1);
  for (int i = 0; i < 1000; i++) {
    pool.Post([&ran, i] { ran.push_back(i); });
  }
  pool.Shutdown();
  ASSERT_EQ(ran.size(), 1000u);
  for (int i = 0; i < 1000; i++) EXPECT_EQ(ran[static_cast<size_t>(i)], i);
}

TEST(ThreadPoolTest, AllThreadsWorkAtOnce) {
  constexpr int kThreads = 4;
  ThreadPool pool("test", kThreads);
  EXPECT_EQ(pool.threads(), kThreads);
  std::barrier together(kThreads);  // passes only if as many tasks run at the same time
  std::atomic<int> passed{0};
  for (int i = 0; i < 3 * kThreads; i++) {
    pool.Post([&] {
      together.arrive_and_wait();
      passed++;
    });
  }
  pool.Shutdown();
  EXPECT_EQ(passed, 3 * kThreads);
}

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Sanitizers reserve address space of their own.
[[noreturn]] void StartMoreThreadsThanThereIsRoomFor() {
  std::ifstream statm("/proc/self/statm");
  rlim_t pages = 0;
  statm >> pages;
  rlimit bound{};
  // Room for a few stacks more, and not for a thousand.
  bound.rlim_cur = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (64 << 20);
  bound.rlim_max = bound.rlim_cur;
  if (setrlimit(RLIMIT_AS, &bound) != 0) std::_Exit(2);
  try {
    ThreadPool pool("test", 1000);
  } catch (const std::system_error&) {
    std::_Exit(0);
  }
  std::_Exit(1);
}

TEST(ThreadPoolTest, ThreadsThatCannotBeHadAreAnExceptionAndNotTheEnd) {
  EXPECT_EXIT(StartMoreThreadsThanThereIsRoomFor(), testing::ExitedWithCode(0), "");
}
#endif

TEST(ThreadPoolTest, ShutdownRunsWhatIsQueued) {
  std::atomic<int> ran{0};
  ThreadPool pool("test", 2);
  std::latch release(1);
  for (int i = 0; i < 2; i++) {
    pool.Post([&] { release.wait(); });
  }
  for (int i = 0; i < 100; i++) {
    pool.Post([&] { ran++; });
  }
  EXPECT_EQ(ran, 0);
  std::thread closer([&] { pool.Shutdown(); });
  release.count_down();
  closer.join();
  EXPECT_EQ(ran, 100);
}

TEST(ThreadPoolTest, DestructionRunsWhatIsQueued) {
  std::atomic<int> ran{0};
  {
    ThreadPool pool("test", 3);
    for (int i = 0; i < 100; i++) {
      pool.Post([&] { ran++; });
    }
  }
  EXPECT_EQ(ran, 100);
}

TEST(ThreadPoolTest, ShutdownTwiceIsAllowed) {
  ThreadPool pool("test", 2);
  std::atomic<int> ran{0};
  pool.Post([&] { ran++; });
  pool.Shutdown();
  pool.Shutdown();
  EXPECT_EQ(ran, 1);
}

TEST(ThreadPoolTest, TasksMayPostTasksAndShutdownRunsThoseToo) {
  std::atomic<int> ran{0};
  ThreadPool pool("test", 2);
  std::function<void(int)> chain = [&](int left) {
    ran++;
    if (left > 0) pool.Post([&chain, left] { chain(left - 1); });
  };
  std::latch release(1);
  pool.Post([&] {
    release.wait();
    chain(99);
  });
  std::thread closer([&] { pool.Shutdown(); });
  release.count_down();
  closer.join();
  EXPECT_EQ(ran, 100);
}

TEST(ThreadPoolTest, ATaskGivesUpWhatItOwnsBeforeTheNextBegins) {
  ThreadPool pool("test", 1);
  // Its destructor posts, which would lock up if it ran under the pool's lock.
  struct Owned {
    ThreadPool* pool;
    std::atomic<bool>* gone;
    ~Owned() {
      *gone = true;
      pool->Post([] {});
    }
  };
  std::atomic<bool> gone{false};
  auto owned = std::make_shared<Owned>(&pool, &gone);
  bool was_gone = false;
  std::latch both_posted(1);
  pool.Post([&both_posted, owned] { both_posted.wait(); });
  pool.Post([&] { was_gone = gone; });
  owned.reset();
  both_posted.count_down();
  pool.Shutdown();
  EXPECT_TRUE(was_gone);
}

TEST(ThreadPoolTest, ManyThreadsMayPost) {
  constexpr int kPosters = 4;
  constexpr int kEach = 5000;
  std::atomic<int> ran{0};
  ThreadPool pool("test", 3);
  std::vector<std::thread> posters;
  for (int i = 0; i < kPosters; i++) {
    posters.emplace_back([&] {
      for (int j = 0; j < kEach; j++) pool.Post([&] { ran.fetch_add(1); });
    });
  }
  for (std::thread& poster : posters) poster.join();
  pool.Shutdown();
  EXPECT_EQ(ran, kPosters * kEach);
}

TEST(ThreadPoolTest, ThreadsCarryTheFirstFifteenCharactersOfTheName) {
  ThreadPool pool("tc-a-very-long-name", 1);
  char name[32] = {};
  pool.Post([&name] { pthread_getname_np(pthread_self(), name, sizeof name); });
  pool.Shutdown();
  EXPECT_STREQ(name, "tc-a-very-long-");
}

// Posts while the only thread is held up, so that all of it waits at once.
class HeldPool {
 public:
  explicit HeldPool(WorkMetrics* metrics = nullptr) : pool_("test", 1, {.metrics = metrics}) {
    pool_.Post([this] {
      began_.count_down();
      release_.wait();
    });
    began_.wait();
  }
  void Post(char name, Priority priority) {
    pool_.Post([this, name] { ran_ += name; }, priority);
  }
  // The tasks in the order they ran.
  std::string Finish() {
    release_.count_down();
    pool_.Shutdown();
    return ran_;
  }

 private:
  std::latch began_{1};
  std::latch release_{1};
  std::string ran_;
  ThreadPool pool_;
};

void LetAHeadStartPass() {
  std::this_thread::sleep_for(std::chrono::nanoseconds(ThreadPool::kHeadStartNanos));
}

TEST(ThreadPoolTest, AmongTasksThatWaitTheUrgentOnesRunFirst) {
  HeldPool pool;
  pool.Post('l', Priority::kLow);
  pool.Post('n', Priority::kNormal);
  pool.Post('h', Priority::kHigh);
  pool.Post('m', Priority::kLow);
  pool.Post('o', Priority::kNormal);
  EXPECT_EQ(pool.Finish(), "hnolm");
}

TEST(ThreadPoolTest, ATaskThatHasWaitedForItsHeadStartIsNotOvertakenAnyMore) {
  HeldPool pool;
  pool.Post('l', Priority::kLow);
  pool.Post('n', Priority::kNormal);
  LetAHeadStartPass();
  pool.Post('h', Priority::kHigh);    // n has waited long enough for this one, l has not
  pool.Post('m', Priority::kNormal);  // and l for this one
  EXPECT_EQ(pool.Finish(), "nhlm");
}

TEST(ThreadPoolTest, CountsWhatWaitsRunsAndHasRun) {
  const auto metrics = std::make_unique<WorkMetrics>();
  HeldPool pool(metrics.get());
  for (int i = 0; i < 3; i++) pool.Post('n', Priority::kNormal);
  WorkSnapshot now = metrics->Snapshot();
  EXPECT_EQ(now.threads, 1u);
  EXPECT_EQ(now.queued, 3u);
  EXPECT_EQ(now.running, 1u);
  EXPECT_EQ(now.tasks, 0u);
  EXPECT_EQ(now.wait_nanos.count, 1u);
  LetAHeadStartPass();
  pool.Finish();
  now = metrics->Snapshot();
  EXPECT_EQ(now.queued, 0u);
  EXPECT_EQ(now.running, 0u);
  EXPECT_EQ(now.tasks, 4u);
  EXPECT_EQ(now.wait_nanos.count, 4u);
  EXPECT_EQ(now.run_nanos.count, 4u);
  EXPECT_GE(now.run_nanos.max_nanos, ThreadPool::kHeadStartNanos);   // the one that held it up
  EXPECT_GE(now.wait_nanos.max_nanos, ThreadPool::kHeadStartNanos);  // those it held up
}

#ifdef __linux__
TEST(ThreadPoolTest, ThreadsOfALowerPoolAreNicerThanTheirMaker) {
  const int own = getpriority(PRIO_PROCESS, 0);
  int theirs = 0;
  {
    ThreadPool pool("test", 1, {.nice = 5});
    pool.Post([&] { theirs = getpriority(PRIO_PROCESS, 0); });
  }
  EXPECT_EQ(theirs, std::min(own + 5, 19));
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), own);
}
#endif

TEST(ThreadPoolDeathTest, AnExceptionFromATaskEndsTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        ThreadPool pool("test", 1);
        pool.Post([] { throw std::runtime_error("lost"); });
        pool.Shutdown();
      },
      "");
}

}  // namespace
}  // namespace thermocline
