// Migration steps meeting writes, reads and crashes at each of their points.

#include <atomic>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tier_fixture.h"

namespace thermocline {
namespace {

namespace fs = std::filesystem;
using Point = Stepper::Point;
using test::Delete;
using test::DeleteRange;
using test::Get;
using test::HasCode;
using test::IsOk;
using test::Levels;
using test::Migrate;
using test::PackedWrites;
using test::Put;
using test::Scan;
using test::SmallOptions;
using test::TieredOptions;
using test::Write;
using testing::ElementsAre;
using testing::Pair;

constexpr Point kPoints[] = {Point::kRegistered, Point::kChosen, Point::kApplied, Point::kCleared};

class MigratorRaceTest : public test::TierTest {
 protected:
  // Runs one step over the only shard, with `act` at one of its points.
  StepResult StepWith(int from, int to, Point at, std::function<void()> act) {
    engine()->stepper()->SetProbe([at, act](Point point) {
      if (point == at) act();
      return Status();
    });
    StepPlan plan{.shard = 0, .from = from, .to = to};
    StepResult result;
    EXPECT_THAT(engine()->stepper()->Run(plan, &result), IsOk());
    engine()->stepper()->SetProbe(nullptr);
    return result;
  }
  std::optional<std::string> Fresh(std::string_view key) {
    return Get(engine(), key, engine()->NewView().get());
  }
  void Fill() {
    for (const char* key : {"a", "b", "c"}) ASSERT_THAT(Put(engine(), key, "old"), IsOk());
  }
};

class MigratorRacesAt : public MigratorRaceTest, public testing::WithParamInterface<Point> {};
INSTANTIATE_TEST_SUITE_P(Points, MigratorRacesAt, testing::ValuesIn(kPoints));

TEST_P(MigratorRacesAt, ADeleteDuringADemotionStaysADelete) {
  OpenTiered(TieredOptions(1));
  Fill();
  const StepResult result =
      StepWith(0, 1, GetParam(), [&] { ASSERT_THAT(Delete(engine(), "b"), IsOk()); });
  EXPECT_EQ(result.dirty, 1u);
  EXPECT_EQ(Fresh("b"), std::nullopt);
  EXPECT_EQ(Get(engine(), "b"), std::nullopt);
  EXPECT_EQ(Levels(engine(), "b"), "marker | value old | nothing");
  EXPECT_THAT(Scan(engine()), ElementsAre(Pair("a", "old"), Pair("c", "old")));
  Migrate(engine(), 0, 1);
  Migrate(engine(), 1, 2);
  EXPECT_EQ(Levels(engine(), "b"), "nothing | nothing | nothing");
}

TEST_P(MigratorRacesAt, AnOverwriteDuringADemotionWins) {
  OpenTiered(TieredOptions(1));
  Fill();
  StepWith(0, 1, GetParam(), [&] { ASSERT_THAT(Put(engine(), "b", "new"), IsOk()); });
  EXPECT_EQ(Levels(engine(), "b"), "value new | value old | nothing");
  EXPECT_EQ(Fresh("b"), "new");
  EXPECT_EQ(Fresh("a"), "old");
}

TEST_P(MigratorRacesAt, ADeleteOfANewKeyDuringADemotionLeavesNothing) {
  OpenTiered(TieredOptions(1));
  Fill();
  StepWith(0, 1, GetParam(), [&] {
    ASSERT_THAT(Put(engine(), "new", "1"), IsOk());
    ASSERT_THAT(Delete(engine(), "new"), IsOk());
  });
  EXPECT_EQ(Fresh("new"), std::nullopt);
}

TEST_P(MigratorRacesAt, ARangeDeleteDuringADemotionReachesWhatMoved) {
  OpenTiered(TieredOptions(1));
  Fill();
  StepWith(0, 1, GetParam(), [&] {
    ASSERT_THAT(DeleteRange(engine(), "a", "c"), IsOk());
    ASSERT_THAT(Put(engine(), "b", "new"), IsOk());
  });
  EXPECT_EQ(Fresh("a"), std::nullopt);
  EXPECT_EQ(Fresh("b"), "new");
  ASSERT_THAT(engine()->stepper()->ApplyIntents(), IsOk());
  EXPECT_THAT(Scan(engine()), ElementsAre(Pair("b", "new"), Pair("c", "old")));
  Migrate(engine(), 0, 2);
  EXPECT_THAT(Scan(engine()), ElementsAre(Pair("b", "new"), Pair("c", "old")));
}

TEST_P(MigratorRacesAt, ASnapshotBetweenTheHalvesOfAStepIsOneMoment) {
  OpenTiered(TieredOptions(1));
  Fill();
  std::shared_ptr<const ReadView> view;
  StepWith(0, 2, GetParam(), [&] {
    view = engine()->NewView();
    ASSERT_THAT(Write(engine(), PackedWrites().Put("a", "new").Put("c", "new").Delete("b")),
                IsOk());
  });
  Migrate(engine(), 0, 2);
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(engine()->Compact({}), IsOk());
  for (const char* key : {"a", "b", "c"}) EXPECT_EQ(Get(engine(), key, view.get()), "old") << key;
  EXPECT_THAT(Scan(engine()), ElementsAre(Pair("a", "new"), Pair("c", "new")));
}

TEST_P(MigratorRacesAt, AnOverwriteDuringLiftingWins) {
  for (const int to : {0, 1}) {
    fs::remove_all(location_);
    OpenTiered(TieredOptions(1));
    Fill();
    Migrate(engine(), 0, 2);
    StepWith(2, to, GetParam(), [&] {
      ASSERT_THAT(Put(engine(), "a", "new"), IsOk());
      ASSERT_THAT(Delete(engine(), "b"), IsOk());
      ASSERT_THAT(Put(engine(), "fresh", "1"), IsOk());
      ASSERT_THAT(Delete(engine(), "fresh"), IsOk());
    });
    EXPECT_THAT(Scan(engine()), ElementsAre(Pair("a", "new"), Pair("c", "old"))) << to;
    Migrate(engine(), 0, 2);
    Migrate(engine(), 1, 2);
    EXPECT_THAT(Scan(engine()), ElementsAre(Pair("a", "new"), Pair("c", "old"))) << to;
    Close();
  }
}

TEST_P(MigratorRacesAt, ACrashAtAnyPointIsHarmless) {
  for (const auto& [from, to] : {std::pair(0, 1), {0, 2}, {1, 2}, {2, 0}, {2, 1}, {1, 0}}) {
    fs::remove_all(location_);
    OpenTiered(TieredOptions(1));
    Fill();
    Migrate(engine(), 0, from == 0 ? 1 : from);
    if (from == 0) {
      ASSERT_THAT(Put(engine(), "b", "new"), IsOk());
    }
    const std::string copy = folder_ / "copy";
    StepWith(from, to, GetParam(), [&] {
      // The files as they are now are what a killed process leaves.
      fs::copy(location_, copy, fs::copy_options::recursive);
    });
    Close();
    fs::remove_all(location_);
    fs::rename(copy, location_);
    ReopenTiered();
    const std::string b = from == 0 ? "new" : "old";
    const auto all = ElementsAre(Pair("a", "old"), Pair("b", b), Pair("c", "old"));
    EXPECT_THAT(Scan(engine()), all) << from << " to " << to;
    ASSERT_THAT(Delete(engine(), "a"), IsOk());
    Migrate(engine(), 0, 2);
    Migrate(engine(), 1, 2);
    EXPECT_THAT(Scan(engine()), ElementsAre(Pair("b", b), Pair("c", "old")))
        << from << " to " << to;
    Close();
  }
}

TEST_P(MigratorRacesAt, AStepThatFailsLeavesEverythingReadable) {
  OpenTiered(TieredOptions(1));
  Fill();
  engine()->stepper()->SetProbe([](Point point) {
    return point == GetParam() ? Status(Code::kNoSpace, "no room") : Status();
  });
  StepPlan plan{.shard = 0, .from = 0, .to = 1};
  StepResult result;
  EXPECT_THAT(engine()->stepper()->Run(plan, &result), HasCode(Code::kNoSpace));
  engine()->stepper()->SetProbe(nullptr);
  EXPECT_EQ(Fresh("a"), "old");
  ASSERT_THAT(Delete(engine(), "a"), IsOk());
  EXPECT_EQ(Fresh("a"), std::nullopt);
  Migrate(engine(), 0, 1);
  EXPECT_THAT(Scan(engine()), ElementsAre(Pair("b", "old"), Pair("c", "old")));
}

TEST_F(MigratorRaceTest, AWriteDuringAPromotionWins) {
  OpenTiered(TieredOptions(1));
  Fill();
  Migrate(engine(), 0, 1);
  engine()->stepper()->SetProbe([&](Point) {
    EXPECT_THAT(Put(engine(), "a", "new"), IsOk());
    EXPECT_THAT(Delete(engine(), "b"), IsOk());
    return Status();
  });
  uint64_t copied = 0;
  ASSERT_THAT(engine()->stepper()->Promote(0, {"a", "b", "c"}, &copied), IsOk());
  EXPECT_EQ(copied, 1u);
  EXPECT_EQ(Levels(engine(), "a"), "value new | value old | nothing");
  EXPECT_EQ(Levels(engine(), "b"), "marker | value old | nothing");
  EXPECT_EQ(Levels(engine(), "c"), "copy old | value old | nothing");
}

TEST_F(MigratorRaceTest, AnOverwrittenCleanCopyIsARecordAgain) {
  OpenTiered(TieredOptions(1));
  Fill();
  Migrate(engine(), 0, 1);
  uint64_t copied = 0;
  ASSERT_THAT(engine()->stepper()->Promote(0, {"a"}, &copied), IsOk());
  ASSERT_THAT(Put(engine(), "a", "old"), IsOk());
  EXPECT_EQ(Levels(engine(), "a"), "value old | value old | nothing");
  EXPECT_EQ(Migrate(engine(), 0, 1).records, 1u);
}

TEST_F(MigratorRaceTest, TooManyWritesDuringAStepKeepEverythingWhereItIs) {
  OpenTiered(TieredOptions(1));
  Fill();
  Migrate(engine(), 0, 2);
  StepWith(2, 0, Point::kRegistered, [&] {
    // More than a step remembers: 600,000 keys of a hundred bytes.
    for (int i = 0; i < 60; i++) {
      PackedWrites writes;
      for (int j = 0; j < 10'000; j++) {
        writes.Put("z" + std::string(90, 'x') + std::to_string(i * 10'000 + j), "");
      }
      ASSERT_THAT(Write(engine(), writes), IsOk());
    }
  });
  EXPECT_EQ(Levels(engine(), "a"), "nothing | nothing | value old");
  EXPECT_EQ(Fresh("a"), "old");
}

// Readers of the present, writers and views at full speed while records go round and round.
TEST_F(MigratorRaceTest, ReadersNeverMissARecordThatMoves) {
  OpenTiered(TieredOptions(2));
  constexpr int kKeys = 200;
  const auto key_of = [](int i) { return "key" + std::to_string(i); };
  for (int i = 0; i < kKeys; i++) ASSERT_THAT(Put(engine(), key_of(i), "0"), IsOk());
  std::atomic<bool> stop{false};
  std::atomic<int> versions[kKeys] = {};
  std::atomic<int> reads{0};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    std::mt19937 random(1);
    while (!stop) {
      const int i = static_cast<int>(random() % kKeys);
      const int version = versions[i].load() + 1;
      ASSERT_THAT(Put(engine(), key_of(i), std::to_string(version)), IsOk());
      versions[i].store(version);  // acknowledged
    }
  });
  for (int t = 0; t < 2; t++) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t + 2));
      while (!stop) {
        const int i = static_cast<int>(random() % kKeys);
        const int known = versions[i].load();
        std::optional<std::string> value;
        if (random() % 2 == 0) {
          value = Get(engine(), key_of(i));
        } else {
          value = test::GetMany(engine(), {key_of(i), key_of((i + 1) % kKeys)})[0];
        }
        ASSERT_TRUE(value.has_value()) << key_of(i);
        ASSERT_GE(std::stoi(*value), known) << key_of(i);
        reads++;
      }
    });
  }
  threads.emplace_back([&] {
    while (!stop) {
      std::vector<int> known(kKeys);
      for (int i = 0; i < kKeys; i++) known[static_cast<size_t>(i)] = versions[i].load();
      const auto view = engine()->NewView();
      const auto cursor = engine()->NewCursor(view, {});
      const auto records = test::TakeAll(cursor.get());
      cursor->Close();
      ASSERT_EQ(records.size(), size_t{kKeys});
      const auto again = engine()->NewCursor(view, {});
      ASSERT_EQ(test::TakeAll(again.get()), records) << "the same view shows the same";
      again->Close();
      for (const auto& [key, value] : records) {
        ASSERT_GE(std::stoi(value), known[std::stoul(key.substr(3))]) << key;
      }
    }
  });
  std::mt19937 random(9);
  for (int round = 0; round < 60; round++) {
    const int from = static_cast<int>(random() % 3);
    const int to = (from + 1 + static_cast<int>(random() % 2)) % 3;
    const unsigned residue = random() % 2;
    Migrate(engine(), from, to, [residue](std::string_view key, const Envelope&) {
      return static_cast<unsigned>(key.back()) % 2 == residue;
    });
    if (round % 5 == 0) {
      std::vector<std::string> keys;
      const auto shards = engine()->NewView()->shards();
      for (int i = 0; i < kKeys; i += 3) {
        if (shards->IndexOf(key_of(i)) == 0) keys.push_back(key_of(i));
      }
      std::sort(keys.begin(), keys.end());
      uint64_t copied = 0;
      EXPECT_THAT(engine()->stepper()->Promote(0, keys, &copied), IsOk());
    }
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(reads, 100);
  for (int i = 0; i < kKeys; i++) {
    EXPECT_EQ(Get(engine(), key_of(i), engine()->NewView().get()),
              std::to_string(versions[i].load()));
  }
}

// Range deletes and re-creation while the ranges move.
TEST_F(MigratorRaceTest, RangeDeletesMeetMovingRecords) {
  OpenTiered(TieredOptions(2));
  std::atomic<bool> stop{false};
  std::thread mover([&] {
    std::mt19937 random(3);
    while (!stop) {
      const int from = static_cast<int>(random() % 3);
      Migrate(engine(), from, (from + 1 + static_cast<int>(random() % 2)) % 3);
    }
  });
  for (int round = 0; round < 100; round++) {
    PackedWrites writes;
    for (int i = 0; i < 20; i++) writes.Put("key" + std::to_string(i), std::to_string(round));
    ASSERT_THAT(Write(engine(), writes), IsOk());
    EXPECT_EQ(Scan(engine()).size(), 20u) << round;
    ASSERT_THAT(DeleteRange(engine(), "key", "kez"), IsOk());
    for (int i = 0; i < 20; i++) {
      ASSERT_EQ(Get(engine(), "key" + std::to_string(i)), std::nullopt) << round;
    }
    EXPECT_THAT(Scan(engine()), testing::IsEmpty()) << round;
    ASSERT_THAT(Put(engine(), "key7", "kept"), IsOk());
    EXPECT_THAT(Scan(engine()), ElementsAre(Pair("key7", "kept"))) << round;
  }
  stop = true;
  mover.join();
}

}  // namespace
}  // namespace thermocline
