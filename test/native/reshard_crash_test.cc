// What a process that is killed at any point of a split or merge finds again.
// THERMOCLINE_CRASH_ROUNDS sets how often each point is tried.

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "environment.h"
#include "shard_fixture.h"

namespace thermocline::test {
namespace {

using Point = Resharder::Point;

struct CrashCase {
  Point point;
  bool split;
  bool tiered;
};

class ReshardCrashTest : public ShardTest, public testing::WithParamInterface<CrashCase> {
 protected:
  static constexpr int kKeys = 200;
  static constexpr int kThreads = 2;
  // What each key was acknowledged with last, shared with the child.
  struct Acknowledged {
    std::atomic<uint32_t> round[kThreads][kKeys];
  };

  static std::string KeyOf(int thread, int i) {
    return "t" + std::to_string(thread) + "-" + std::to_string(i);
  }

  // Never returns.
  [[noreturn]] void RunChild(Acknowledged* acknowledged, uint32_t first_round) {
    const CrashCase& c = GetParam();
    EngineOptions options = SmallOptions(0);
    options.tiers.automatic = false;
    std::shared_ptr<Engine> engine;
    if (!Engine::Open(location_, options, &engine).ok()) _exit(1);
    std::vector<std::thread> writers;
    std::atomic<int> ready{0};  // writers that have written each of their keys
    for (int t = 0; t < kThreads; t++) {
      writers.emplace_back([&, t] {
        for (uint32_t round = first_round;; round++) {
          for (int i = 0; i < kKeys; i++) {
            // Every fifth round deletes.
            const std::string key = KeyOf(t, i);
            const Status status = round % 5 == 4 ? Delete(engine.get(), key)
                                                 : Put(engine.get(), key, std::to_string(round));
            if (!status.ok()) _exit(2);
            acknowledged->round[t][i].store(round);
          }
          if (round == first_round) ready++;
        }
      });
    }
    while (ready.load() < kThreads) std::this_thread::yield();
    // The hot tier alone has enough for three of these, also while the writers delete all they
    // wrote.
    engine->resharder()->SetChunkBytes(500);
    int chunks = 0;
    engine->resharder()->SetProbe([&](Point point) {
      if (point == c.point && (point != Point::kChunk || ++chunks == 3)) raise(SIGKILL);
      return Status();
    });
    ReshardControl control;
    std::vector<uint32_t> ids;
    const Status status = engine->resharder()->Run(
        {.split = c.split, .id = 0, .other = 1, .at = std::nullopt}, &control, &ids);
    // Seen only if it was not killed where it should have been.
    std::fprintf(stderr, "%d chunks: %s\n", chunks, std::string(status.message()).c_str());
    _exit(3);
  }

  void ExpectAcknowledged(const Acknowledged& acknowledged) {
    for (int t = 0; t < kThreads; t++) {
      for (int i = 0; i < kKeys; i++) {
        const uint32_t round = acknowledged.round[t][i].load();
        const auto value = Get(engine(), KeyOf(t, i));
        // The write after the last acknowledged one may be there or not.
        const auto is = [&](uint32_t r) {
          return r % 5 == 4 ? !value : value == std::to_string(r);
        };
        EXPECT_TRUE(is(round) || is(round + 1))
            << KeyOf(t, i) << " has " << value.value_or("nothing") << " instead of " << round;
      }
    }
  }
};

TEST_P(ReshardCrashTest, NothingAcknowledgedIsLostAndNothingIsDoubled) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "TSan knows no threads in a child of a process that has had some";
#endif
  const CrashCase& c = GetParam();
  void* const shared = mmap(nullptr, sizeof(Acknowledged), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto* const acknowledged = new (shared) Acknowledged();
  Open(c.tiered ? TieredOptions(2) : SmallOptions(2));
  Fill(800, "fixed");
  if (c.tiered) {
    Migrate(engine(), 0, 2,
            [](std::string_view key, const Envelope&) { return key.back() % 3 == 0; });
    Migrate(engine(), 0, 1,
            [](std::string_view key, const Envelope&) { return key.back() % 3 == 1; });
  }
  EngineOptions again = SmallOptions(0);
  again.tiers.automatic = false;
  const int rounds = EnvironmentNumber("THERMOCLINE_CRASH_ROUNDS", 1);
  uint32_t first_round = 1;
  for (int n = 0; n < rounds && !HasFailure(); n++) {
    const size_t before = ShardsNow().size();
    Close();
    const pid_t child = fork();
    if (child == 0) RunChild(acknowledged, first_round);
    int result = 0;
    ASSERT_EQ(waitpid(child, &result, 0), child);
    ASSERT_TRUE(WIFSIGNALED(result)) << "ended by itself with " << WEXITSTATUS(result);
    EXPECT_EQ(WTERMSIG(result), SIGKILL);
    Open(again);
    // One record decides.
    const bool switched =
        c.point == Point::kPersisted || c.point == Point::kSwitched || c.point == Point::kDropped;
    EXPECT_EQ(ShardsNow().size(), switched ? (c.split ? before + 1 : before - 1) : before);
    EXPECT_EQ(ShardFamiliesOf(hot_), NamedFamilies());
    if (c.tiered) {
      EXPECT_EQ(ShardFamiliesOf(location_ + "/cold"), NamedFamilies());
    }
    ExpectAcknowledged(*acknowledged);
    std::set<std::string> seen;
    for (const Record& record : Scan(engine())) {
      EXPECT_TRUE(seen.insert(record.first).second) << record.first << " is there twice";
    }
    for (const auto& [key, value] : model_) ASSERT_EQ(Get(engine(), key), value);
    ExpectSound();
    // What was cut short can be done again.
    if (!switched) {
      EXPECT_THAT(c.split ? Split(0) : Merge(0, 1), IsOk());
    }
    ExpectAcknowledged(*acknowledged);
    EXPECT_THAT(c.split ? Merge(0, static_cast<uint32_t>(ShardsNow().back().id)) : Split(0, 8192),
                IsOk());
    ExpectAcknowledged(*acknowledged);
    ExpectSound();
    for (const auto& row : acknowledged->round) {
      for (const auto& round : row) first_round = std::max(first_round, round.load() + 2);
    }
    // So that every key has a round of its own again.
    for (int t = 0; t < kThreads; t++) {
      for (int i = 0; i < kKeys; i++) {
        const uint32_t round = first_round;
        ASSERT_THAT(round % 5 == 4 ? Delete(engine(), KeyOf(t, i))
                                   : Put(engine(), KeyOf(t, i), std::to_string(round)),
                    IsOk());
        acknowledged->round[t][i].store(round);
      }
    }
    first_round++;
    if (!c.split) break;  // the new shard has another id now
  }
  munmap(shared, sizeof(Acknowledged));
}

std::string CrashName(const testing::TestParamInfo<CrashCase>& info) {
  static const char* const kPoints[] = {"Planned",   "Created",   "Noting",   "Chunk",  "Copied",
                                        "Switching", "Persisted", "Switched", "Dropped"};
  return std::string(info.param.split ? "Split" : "Merge") +
         (info.param.tiered ? "Tiered" : "Hot") + kPoints[static_cast<int>(info.param.point)];
}

std::vector<CrashCase> CrashCases() {
  std::vector<CrashCase> cases;
  for (int point = 0; point <= static_cast<int>(Point::kDropped); point++) {
    for (const bool split : {true, false}) {
      for (const bool tiered : {true, false}) {
        cases.push_back({static_cast<Point>(point), split, tiered});
      }
    }
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Points, ReshardCrashTest, testing::ValuesIn(CrashCases()), CrashName);

}  // namespace
}  // namespace thermocline::test
