// What a process that is killed at any point of a freeze or a thaw finds again.

#include <unistd.h>

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "engine/snapshot/shard_restore.h"
#include "shard_fixture.h"

namespace thermocline::test {
namespace {

using Point = ShardFreezer::Point;

struct CrashCase {
  std::string name;
  std::optional<Point> freezing;
  std::optional<ShardRestorer::Point> thawing;
};

class ShardFreezeCrashTest : public ShardTest, public testing::WithParamInterface<CrashCase> {
 protected:
  // Freezes shard 0, or thaws it by a write to it, and kills the process on the way.
  static void FreezeOrThaw(Engine* engine, const std::string& in_frozen) {
    const CrashCase& c = GetParam();
    engine->freezer()->SetProbe([&](Point point) {
      if (point == c.freezing) raise(SIGKILL);
      return Status();
    });
    engine->restorer()->SetProbe([&](ShardRestorer::Point point) {
      if (point == c.thawing) raise(SIGKILL);
      return Status();
    });
    if (c.freezing) {
      SnapshotControl control;
      (void)engine->freezer()->Freeze(0, &control);
    } else {
      (void)Put(engine, in_frozen, "the write that thaws");
      // It is written before the thaw has quite ended.
      sleep(60);
    }
  }
};

TEST_P(ShardFreezeCrashTest, NothingIsLostAndNothingIsDoubled) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "TSan knows no threads in a child of a process that has had some";
#endif
  const CrashCase& c = GetParam();
  OpenTiered();
  Fill(400);
  Migrate(engine(), 0, 2, [](std::string_view key, const Envelope&) { return key.back() == '7'; });
  const std::string in_frozen = KeyIn(0);
  const std::string beside = KeyIn(1);
  if (c.thawing) {
    ASSERT_THAT(Freeze(0), IsOk());
  }
  Close();
  const int written =
      RunUntilKilled(beside, [&](Engine* engine) { FreezeOrThaw(engine, in_frozen); });
  ASSERT_FALSE(HasFailure());

  ReopenTiered();
  const bool frozen =
      c.freezing ? *c.freezing >= Point::kPersisted : *c.thawing < ShardRestorer::Point::kPersisted;
  EXPECT_EQ(InfoOf(0).frozen, frozen) << "one record decides";
  EXPECT_EQ(Archives().size(), frozen ? 1u : 0u);
  for (const char* store : {"hot", "warm", "cold"}) {
    EXPECT_EQ(ShardFamiliesOf(location_ + "/" + store).size(), 2u) << store;
  }
  ExpectSound();
  if (frozen) {
    ASSERT_THAT(Thaw(0), IsOk());
  }
  ExpectWritten(beside, written);
  if (c.thawing && !frozen) {
    // The write that has thawed it came through or not.
    const std::string value = Get(engine(), in_frozen).value_or("nothing");
    EXPECT_TRUE(value == model_[in_frozen] || value == "the write that thaws") << value;
    model_[in_frozen] = value;
  }
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
  ExpectSound();
  ASSERT_THAT(Freeze(0), IsOk()) << "what was cut short can be done again";
  ASSERT_THAT(Thaw(0), IsOk());
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
}

std::vector<CrashCase> CrashCases() {
  using Thawing = ShardRestorer::Point;
  return {{"FreezeNoting", Point::kNoting, {}},       {"FreezeArchived", Point::kArchived, {}},
          {"FreezeDescribed", Point::kDescribed, {}}, {"FreezeCreated", Point::kCreated, {}},
          {"FreezeSwitching", Point::kSwitching, {}}, {"FreezePersisted", Point::kPersisted, {}},
          {"FreezeSwitched", Point::kSwitched, {}},   {"ThawVerified", {}, Thawing::kVerified},
          {"ThawPlaced", {}, Thawing::kPlaced},       {"ThawCreated", {}, Thawing::kCreated},
          {"ThawSwitching", {}, Thawing::kSwitching}, {"ThawPersisted", {}, Thawing::kPersisted},
          {"ThawSwitched", {}, Thawing::kSwitched},   {"ThawDropped", {}, Thawing::kDropped}};
}
std::string CrashName(const testing::TestParamInfo<CrashCase>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Points, ShardFreezeCrashTest, testing::ValuesIn(CrashCases()), CrashName);

}  // namespace
}  // namespace thermocline::test
