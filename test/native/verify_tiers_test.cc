// Checking what several tiers hold of the same key: damage is named, and what writes, promotions,
// migration, splits and freezing do meanwhile is none.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/backup/verify.h"
#include "engine/platform/file.h"
#include "engine/snapshot/archive.h"
#include "environment.h"
#include "raw_store.h"
#include "tier_fixture.h"

namespace thermocline::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kFamily = "shard_0000_00000000";

std::string Enveloped(uint8_t flags, std::string_view payload, uint64_t expiry_ms = 0) {
  return std::string(EncodeEnvelopeHeader(flags, expiry_ms).view()).append(payload);
}
std::string Copy(std::string_view payload, uint64_t expiry_ms = 0) {
  return Enveloped(kEnvelopeCleanCopy, payload, expiry_ms);
}
std::string Marker() { return Enveloped(kEnvelopeTombstone, ""); }

class VerifyTiersTest : public TierTest {
 protected:
  // Three records of the cold tier, of which "b" is promoted.
  void Make() {
    OpenTiered(TieredOptions(1));
    for (const char* key : {"a", "b", "c"}) ASSERT_THAT(Put(engine(), key, "value"), IsOk());
    Migrate(engine(), 0, 2);
    uint64_t copied = 0;
    ASSERT_THAT(engine()->stepper()->Promote(0, {"b"}, &copied), IsOk());
    ASSERT_EQ(copied, 1u);
    ASSERT_EQ(Levels(engine(), "b"), "copy value | nothing | value value");
  }
  void Damage(const char* tier, const char* key, const std::string& stored) {
    Close();
    RawStore(location_ + "/" + tier).Put(kFamily, key, stored);
    ReopenTiered();
  }
  VerifyReport Verify() {
    VerifyReport report;
    EXPECT_THAT(engine()->Verify(&report), IsOk());
    return report;
  }
  void ExpectProblem(const char* key, const char* tier, const char* problem) {
    const VerifyReport report = Verify();
    const std::string hex = rocksdb::Slice(key).ToString(/*hex=*/true);
    EXPECT_THAT(report.problems,
                ElementsAre(AllOf(HasSubstr(tier), HasSubstr("key " + hex), HasSubstr(problem))));
    EXPECT_EQ(report.problem_count, 1u);
  }
};

TEST_F(VerifyTiersTest, WhatIsSoundIsCountedByShardAndTier) {
  Make();
  const uint64_t soon = engine()->clock().NowMs() + 1;
  ASSERT_THAT(Put(engine(), "d", "in hot", soon), IsOk());
  ASSERT_THAT(Delete(engine(), "a"), IsOk());
  while (engine()->clock().NowMs() < soon) std::this_thread::yield();
  const VerifyReport report = Verify();
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_EQ(report.records, 6u);
  EXPECT_EQ(report.shadowed, 2u) << "a below its marker, b below its copy";
  ASSERT_EQ(report.counts.size(), 3u);
  const VerifyCount& hot = report.counts[0];
  EXPECT_EQ(hot.tier, Tier::kHot);
  EXPECT_EQ(hot.records, 3u);
  EXPECT_EQ(hot.markers, 1u);
  EXPECT_EQ(hot.clean_copies, 1u);
  EXPECT_EQ(hot.expired, 1u);
  EXPECT_EQ(hot.bytes, 3u + 5u + 6u) << "keys, and the values of b and d";
  EXPECT_EQ(report.counts[1].tier, Tier::kWarm);
  EXPECT_EQ(report.counts[1].records, 0u);
  EXPECT_EQ(report.counts[2].tier, Tier::kCold);
  EXPECT_EQ(report.counts[2].records, 3u);
  EXPECT_EQ(report.counts[2].estimated_records, 3u);
}

TEST_F(VerifyTiersTest, ACopyOfAnotherValueIsNamed) {
  Make();
  Damage("hot", "b", Copy("another"));
  ExpectProblem("b", "shard 0: ", "another value");
}

TEST_F(VerifyTiersTest, ACopyOfAnotherExpiryIsNamed) {
  Make();
  Damage("hot", "b", Copy("value", kMaxExpiryMs));
  ExpectProblem("b", "shard 0: ", "another expiry");
}

TEST_F(VerifyTiersTest, ACopyOfNothingIsNamed) {
  Make();
  Damage("hot", "x", Copy("value"));
  ExpectProblem("x", "shard 0: ", "no colder tier has");
}

TEST_F(VerifyTiersTest, ACopyOfWhatIsDeletedBelowItIsNamed) {
  Make();
  Damage("warm", "b", Marker());
  ExpectProblem("b", "shard 0: ", "deleted below it");
}

TEST_F(VerifyTiersTest, ACopyThatDiffersFromTheFirstColderRecordIsNamedWhateverTheLowestSays) {
  Make();
  Damage("warm", "b", Enveloped(0, "newer than cold's"));
  ExpectProblem("b", "shard 0: ", "another value");
}

TEST_F(VerifyTiersTest, ACopyInAColderTierIsNamed) {
  Make();
  Damage("warm", "c", Copy("value"));
  ExpectProblem("c", "shard 0 in the warm tier: ", "only the hot tier has");
}

TEST_F(VerifyTiersTest, AMarkerInTheColdTierIsNamed) {
  Make();
  Damage("cold", "y", Marker());
  ExpectProblem("y", "shard 0 in the cold tier: ", "marker in the lowest tier");
}

TEST_F(VerifyTiersTest, AMarkerWithContentsIsNamed) {
  Make();
  Damage("hot", "a", Enveloped(kEnvelopeTombstone, "contents"));
  ExpectProblem("a", "shard 0: ", "has contents");
}

TEST_F(VerifyTiersTest, WhatShadowsRightlyIsNoProblem) {
  Make();
  // An expired copy whose source is gone, another record above an older one, and a crash's leftover
  // in two tiers.
  Damage("hot", "gone", Copy("value", 1));
  Damage("hot", "c", Enveloped(0, "newer"));
  Damage("warm", "a", Enveloped(0, "value"));
  Damage("warm", "m", Marker());
  const VerifyReport report = Verify();
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_EQ(report.shadowed, 3u);
}

TEST_F(VerifyTiersTest, ACopyOfWhatAPendingRangeDeleteTakesIsNamed) {
  Make();
  ASSERT_THAT(DeleteRange(engine(), "a", "c"), IsOk());
  ASSERT_TRUE(engine()->tiers().intents().any());
  EXPECT_THAT(Verify().problems, IsEmpty());
  Damage("hot", "b", Copy("value"));
  ASSERT_TRUE(engine()->tiers().intents().any());
  ExpectProblem("b", "shard 0: ", "no colder tier has");
}

TEST_F(VerifyTiersTest, AnArchiveIsReadLikeTheTiersItCameFrom) {
  Make();
  SnapshotControl control;
  ASSERT_THAT(engine()->freezer()->Freeze(0, &control), IsOk());
  VerifyReport report = Verify();
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_EQ(report.records, 4u);
  EXPECT_EQ(report.shadowed, 1u);
  ASSERT_FALSE(report.counts.empty());
  EXPECT_TRUE(report.counts[0].frozen);
  EXPECT_EQ(report.counts[0].records, 1u);
  EXPECT_EQ(report.counts[0].estimated_records, 4u) << "of all its tiers";

  const ShardInfo info = engine()->NewView()->shards()->table.shards()[0];
  const std::string folder = ArchiveOf(location_ + "/archive", info);
  SnapshotManifest manifest;
  ASSERT_THAT(ReadManifest(folder, &manifest), IsOk());
  manifest.shards[0].keys++;
  ASSERT_THAT(ReplaceFile(folder + "/" + kManifestName, EncodeManifest(manifest), false), IsOk());
  report = Verify();
  EXPECT_THAT(report.problems, ElementsAre(AllOf(HasSubstr("archive of shard 0"),
                                                 HasSubstr("4 records"), HasSubstr("says 5"))));
}

TEST_F(VerifyTiersTest, ACheckCanBeAbortedAndTellsHowFarItIs) {
  Make();
  ASSERT_THAT(engine()->Flush(), IsOk());
  SnapshotControl control;
  VerifyReport report;
  ASSERT_THAT(engine()->Verify(&report, &control), IsOk());
  EXPECT_GT(control.total_bytes.load(), 0u);
  EXPECT_EQ(control.bytes.load(), control.total_bytes.load());
  control.aborted = true;
  EXPECT_THAT(engine()->Verify(&report, &control), HasCode(Code::kAborted));
}

TEST(VerifyCounts, AFamilyHasWhatItsTablesSay) {
  // Unknown figures say nothing.
  EXPECT_EQ(CountProblem({.known = false, .entries = 1}, 7), "");
  // One table of one version each is exact.
  EXPECT_EQ(CountProblem({.known = true, .entries = 7}, 7), "");
  EXPECT_THAT(CountProblem({.known = true, .entries = 7}, 6), HasSubstr("hold 7 records, and 6"));
  EXPECT_THAT(CountProblem({.known = true, .entries = 7}, 8), HasSubstr("hold 7 records, and 8"));
  // Deletions, and tables that overlap, leave only an upper bound.
  EXPECT_EQ(CountProblem({.known = true, .entries = 9, .deletions = 2}, 5), "");
  EXPECT_THAT(CountProblem({.known = true, .entries = 9, .deletions = 2}, 8),
              HasSubstr("at most 7"));
  EXPECT_EQ(CountProblem({.known = true, .entries = 9, .unique_keys = false}, 3), "");
  EXPECT_THAT(CountProblem({.known = true, .entries = 9, .unique_keys = false}, 10),
              HasSubstr("at most 9"));
}

// Checks follow one another while everything that moves records goes on.
TEST_F(VerifyTiersTest, WhatGoesOnMeanwhileIsNoProblem) {
  OpenTiered(TieredOptions(2));
  PackedWrites writes;
  for (int i = 0; i < 300; i++) writes.Put("key" + std::to_string(i), "value");
  ASSERT_THAT(Write(engine(), writes), IsOk());
  Migrate(engine(), 0, 2);
  const auto promote = [&](uint64_t shard_of, uint64_t begin, uint64_t end) {
    const auto shards = engine()->NewView()->shards();
    const int shard = static_cast<int>(shard_of % static_cast<uint64_t>(shards->count()));
    std::vector<std::string> keys;
    for (uint64_t i = begin; i < end; i++) {
      std::string one = "key" + std::to_string(i % 300);
      if (shards->IndexOf(one) == shard) keys.push_back(std::move(one));
    }
    std::sort(keys.begin(), keys.end());
    uint64_t copied = 0;
    EXPECT_THAT(engine()->stepper()->Promote(shard, keys, &copied), IsOk());
  };
  promote(0, 0, 200);
  promote(1, 0, 200);
  const int checks = EnvironmentNumber("THERMOCLINE_VERIFY_CHECKS", 40);
  const int seed = EnvironmentNumber("THERMOCLINE_SEED", 1);
  std::atomic<bool> done{false};
  const auto repeat = [&](uint64_t salt, auto act) {
    return std::thread([&, salt, act] {
      std::mt19937_64 random(static_cast<uint64_t>(seed) * 16 + salt);
      while (!done) act(random);
    });
  };
  const auto key = [](std::mt19937_64& random) { return "key" + std::to_string(random() % 300); };
  std::vector<std::thread> threads;
  threads.push_back(repeat(1, [&](std::mt19937_64& random) {
    const uint64_t kind = random() % 40;
    if (kind < 28) {
      const uint64_t now = engine()->clock().NowMs();
      const uint64_t expiry = random() % 3 == 0 ? now + random() % 40 : 0;
      EXPECT_THAT(Put(engine(), key(random), std::to_string(random()), expiry), IsOk());
    } else if (kind < 39) {
      EXPECT_THAT(Delete(engine(), key(random)), IsOk());
    } else {
      const std::string from = key(random);
      EXPECT_THAT(test::DeleteRange(engine(), from, from + "5"), IsOk());
    }
  }));
  threads.push_back(repeat(2, [&](std::mt19937_64& random) {
    StepPlan plan{.shard = static_cast<int>(random() % 2)};
    plan.from = static_cast<int>(random() % 3);
    plan.to = (plan.from + 1 + static_cast<int>(random() % 2)) % 3;
    plan.start = key(random);
    plan.max_scanned = 1 + random() % 80;
    const uint64_t some = random() % 3;
    plan.pick = [some](std::string_view k, const Envelope&) { return k.size() % 3 != some; };
    StepResult result;
    EXPECT_THAT(engine()->stepper()->Run(plan, &result), IsOk());
    std::this_thread::sleep_for(std::chrono::microseconds(500));  // others want the lock too
  }));
  threads.push_back(repeat(3, [&](std::mt19937_64& random) {
    const uint64_t begin = random() % 300;
    promote(random(), begin, begin + 100);
  }));
  threads.push_back(repeat(4, [&](std::mt19937_64& random) {
    // What the shards are in between does not matter: some of these are refused.
    const uint64_t kind = random() % 4;
    const auto id = static_cast<uint32_t>(random() % 2);
    SnapshotControl control;
    ReshardControl move;
    std::vector<uint32_t> ids;
    if (kind == 0) {
      (void)engine()->freezer()->Freeze(id, &control);
    } else if (kind == 1) {
      const std::vector<ShardInfo> all = engine()->NewView()->shards()->table.shards();
      ReshardRequest request{.split = all.size() < 4, .id = all[0].id, .at = {}};
      if (!request.split) request.other = all[1 + random() % (all.size() - 1)].id;
      (void)engine()->resharder()->Run(request, &move, &ids);
    } else if (kind == 2) {
      EXPECT_THAT(engine()->Flush(), IsOk());
    } else {
      EXPECT_THAT(engine()->Compact({}), IsOk());
    }
  }));
  uint64_t copies = 0;
  for (int i = 0; i < checks && !HasFailure(); i++) {
    const VerifyReport report = Verify();
    EXPECT_THAT(report.problems, IsEmpty()) << "check " << i << ", seed " << seed;
    for (const VerifyCount& count : report.counts) copies += count.clean_copies;
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(copies, 0u) << "the checks have met promoted records";
  EXPECT_THAT(Verify().problems, IsEmpty());
}

}  // namespace
}  // namespace thermocline::test
