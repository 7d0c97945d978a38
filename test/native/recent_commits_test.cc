#include "engine/commit/recent_commits.h"

#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support.h"

namespace thermocline {
namespace {

using test::HasCode;
using test::IsOk;

ReadSet Keys(uint64_t since, std::vector<std::string> keys) {
  ReadSet reads;
  reads.start_commit_id = since;
  reads.keys = std::move(keys);
  return reads;
}
ReadSet Range(uint64_t since, std::string start, std::optional<std::string> end) {
  ReadSet reads;
  reads.start_commit_id = since;
  reads.ranges.push_back({std::move(start), end.value_or(""), end.has_value()});
  return reads;
}

TEST(RecentCommitsTest, IsActiveWhileTransactionsAreOpen) {
  RecentCommits recent(kMiB);
  EXPECT_FALSE(recent.active());
  recent.Begin(5);
  recent.Begin(5);
  recent.Begin(7);
  recent.End(5);
  recent.End(7);
  EXPECT_TRUE(recent.active());
  recent.End(99);  // not open
  EXPECT_TRUE(recent.active());
  recent.End(5);
  EXPECT_FALSE(recent.active());
}

TEST(RecentCommitsTest, AKeyWrittenAfterTheBeginningConflicts) {
  RecentCommits recent(kMiB);
  recent.Begin(10);
  recent.RecordKey("k", 11);
  recent.RecordKey("k", 13);
  EXPECT_THAT(recent.Check(Keys(10, {"k"})), HasCode(Code::kConflict));
  EXPECT_THAT(recent.Check(Keys(12, {"k"})), HasCode(Code::kConflict)) << "the last write counts";
  EXPECT_THAT(recent.Check(Keys(13, {"k"})), IsOk());
  EXPECT_THAT(recent.Check(Keys(10, {"j", "kk", ""})), IsOk());
  EXPECT_THAT(recent.Check(Keys(10, {"j", "k"})), HasCode(Code::kConflict));
  EXPECT_THAT(recent.Check(Keys(10, {})), IsOk());
}

TEST(RecentCommitsTest, RangesReadConflictWithKeysWritten) {
  RecentCommits recent(kMiB);
  recent.Begin(10);
  recent.RecordKey("m", 11);
  EXPECT_THAT(recent.Check(Range(10, "a", "z")), HasCode(Code::kConflict));
  EXPECT_THAT(recent.Check(Range(10, "m", "ma")), HasCode(Code::kConflict));
  EXPECT_THAT(recent.Check(Range(10, "", std::nullopt)), HasCode(Code::kConflict));
  EXPECT_THAT(recent.Check(Range(10, "a", "m")), IsOk()) << "the end is exclusive";
  EXPECT_THAT(recent.Check(Range(10, "ma", std::nullopt)), IsOk());
  EXPECT_THAT(recent.Check(Range(11, "a", "z")), IsOk());
}

TEST(RecentCommitsTest, RangesWrittenConflictWithKeysAndRangesRead) {
  RecentCommits recent(kMiB);
  recent.Begin(10);
  recent.RecordRange("g", "p", true, 11);
  for (const char* inside : {"g", "k", "ozz"}) {
    EXPECT_THAT(recent.Check(Keys(10, {inside})), HasCode(Code::kConflict)) << inside;
  }
  for (const char* outside : {"f", "p", "z", ""}) {
    EXPECT_THAT(recent.Check(Keys(10, {outside})), IsOk()) << outside;
  }
  EXPECT_THAT(recent.Check(Range(10, "a", "h")), HasCode(Code::kConflict));
  EXPECT_THAT(recent.Check(Range(10, "o", std::nullopt)), HasCode(Code::kConflict));
  EXPECT_THAT(recent.Check(Range(10, "a", "g")), IsOk());
  EXPECT_THAT(recent.Check(Range(10, "p", std::nullopt)), IsOk());
  recent.RecordRange("x", "", false, 12);
  EXPECT_THAT(recent.Check(Keys(10, {"zzz"})), HasCode(Code::kConflict));
  EXPECT_THAT(recent.Check(Keys(12, {"zzz"})), IsOk());
}

TEST(RecentCommitsTest, WhatNoOpenTransactionCanMeetIsForgotten) {
  RecentCommits recent(kMiB);
  recent.Begin(10);
  recent.Begin(20);
  recent.RecordKey("early", 15);
  recent.RecordKey("both", 16);
  recent.RecordKey("both", 25);
  recent.RecordKey("late", 26);
  recent.RecordRange("r", "s", true, 17);
  recent.End(10);
  EXPECT_THAT(recent.Check(Keys(20, {"both"})), HasCode(Code::kConflict));
  EXPECT_THAT(recent.Check(Keys(20, {"late"})), HasCode(Code::kConflict));
  EXPECT_THAT(recent.Check(Keys(20, {"early", "r"})), IsOk());
  recent.End(20);
  recent.Begin(30);
  EXPECT_THAT(recent.Check(Keys(0, {"both", "late"})), IsOk()) << "nothing is left of it";
  recent.End(30);
}

TEST(RecentCommitsTest, OverflowFailsTheOldestAlone) {
  RecentCommits recent(20'000);
  recent.Begin(1);
  uint64_t id = 1;
  for (int i = 0; i < 100; i++) recent.RecordKey("early" + std::to_string(i), ++id);
  const uint64_t middle = id;
  recent.Begin(middle);
  EXPECT_THAT(recent.Check(Keys(1, {"x"})), IsOk());
  for (int i = 0; i < 80; i++) recent.RecordRange("r" + std::to_string(i), "s", true, ++id);
  EXPECT_THAT(recent.Check(Keys(1, {"x"})), HasCode(Code::kConflict));
  EXPECT_THAT(recent.Check(Keys(middle, {"x"})), IsOk());
  EXPECT_THAT(recent.Check(Keys(middle, {"r79"})), HasCode(Code::kConflict));
  const uint64_t young = id;
  recent.Begin(young);
  EXPECT_THAT(recent.Check(Keys(young, {"x", "r1"})), IsOk());
  recent.RecordKey("x", ++id);
  EXPECT_THAT(recent.Check(Keys(young, {"x"})), HasCode(Code::kConflict));
}

// Whatever happens, a conflict with what was written since must be found; and while memory lasts,
// nothing else may conflict.
TEST(RecentCommitsTest, RandomHistoriesMatchAModel) {
  std::minstd_rand random(3);
  for (const size_t memory : {size_t{4'000}, size_t{1} << 30}) {
    RecentCommits recent(memory);
    struct Written {
      std::string start;
      std::string end;
      uint64_t id;
    };
    std::vector<Written> history;
    std::vector<uint64_t> open;
    uint64_t id = 0;
    int conflicts = 0;
    int passes = 0;
    const auto key = [&random] { return std::string(1, static_cast<char>('a' + random() % 20)); };
    for (int step = 0; step < 20'000; step++) {
      switch (random() % 8) {
        case 0:
          if (open.size() < 5) {
            open.push_back(id);
            recent.Begin(id);
          }
          break;
        case 1:
          if (!open.empty()) {
            const size_t n = random() % open.size();
            recent.End(open[n]);
            open.erase(open.begin() + static_cast<std::ptrdiff_t>(n));
          }
          break;
        case 2:
        case 3: {
          if (open.empty()) break;
          const uint64_t since = open[random() % open.size()];
          std::string start = key();
          std::string end = random() % 2 == 0 ? start + '\0' : key();
          if (end <= start) break;
          bool expected = false;
          for (const Written& w : history) {
            expected |= w.id > since && w.start < end && start < w.end;
          }
          const bool single = end == start + '\0';
          const Status status =
              recent.Check(single ? Keys(since, {start}) : Range(since, start, end));
          if (expected) {
            ASSERT_THAT(status, HasCode(Code::kConflict)) << step;
          } else if (memory > 100'000) {
            ASSERT_THAT(status, IsOk()) << step;
          }
          (status.ok() ? passes : conflicts)++;
          break;
        }
        case 4: {
          const std::string start = key();
          const std::string end = key();
          if (end <= start || random() % 3 != 0) break;
          history.push_back({start, end, ++id});
          if (recent.active()) recent.RecordRange(start, end, true, id);
          break;
        }
        default: {
          const std::string k = key();
          history.push_back({k, k + '\0', ++id});
          if (recent.active()) recent.RecordKey(k, id);
        }
      }
      if (open.empty()) history.clear();
    }
    EXPECT_GT(conflicts, 100);
    EXPECT_GT(passes, 100);
  }
}

TEST(RecentCommitsTest, TransactionsEndOnAnyThread) {
  RecentCommits recent(kMiB);
  std::vector<std::thread> enders;
  for (uint64_t i = 1; i <= 200; i++) recent.Begin(i);
  for (uint64_t t = 0; t < 4; t++) {
    enders.emplace_back([&, t] {
      for (uint64_t i = t + 1; i <= 200; i += 4) recent.End(i);
    });
  }
  for (uint64_t id = 201; id < 400; id++) {
    if (recent.active()) recent.RecordKey("key" + std::to_string(id % 10), id);
    (void)recent.Check(Keys(200, {"key1"}));
  }
  for (std::thread& ender : enders) ender.join();
  EXPECT_FALSE(recent.active());
}

}  // namespace
}  // namespace thermocline
