// Moving records between tiers: where they lie afterwards, and that nobody sees the difference.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/platform/time.h"
#include "tier_fixture.h"

namespace thermocline {
namespace {

using test::Delete;
using test::DeleteRange;
using test::Get;
using test::GetMany;
using test::HasCode;
using test::IsOk;
using test::Levels;
using test::Migrate;
using test::PackedWrites;
using test::Put;
using test::Record;
using test::Scan;
using test::TieredOptions;
using test::Write;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

class TierMovesTest : public test::TierTest {
 protected:
  std::optional<std::string> Fresh(std::string_view key) {
    return Get(engine(), key, engine()->NewView().get());
  }
};

TEST_F(TierMovesTest, ARecordSinksAndIsFoundAllTheWay) {
  OpenTiered();
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  EXPECT_EQ(Levels(engine(), "a"), "value 1 | nothing | nothing");
  StepResult moved = Migrate(engine(), 0, 1);
  EXPECT_EQ(moved.records, 1u);
  EXPECT_EQ(moved.bytes, 2u);
  EXPECT_EQ(Levels(engine(), "a"), "nothing | value 1 | nothing");
  EXPECT_EQ(Fresh("a"), "1");
  EXPECT_EQ(Migrate(engine(), 1, 2).records, 1u);
  EXPECT_EQ(Levels(engine(), "a"), "nothing | nothing | value 1");
  EXPECT_EQ(Fresh("a"), "1");
  EXPECT_EQ(Get(engine(), "a"), "1");
  EXPECT_THAT(GetMany(engine(), {"a", "b"}), ElementsAre("1", std::nullopt));
  EXPECT_THAT(Scan(engine()), ElementsAre(Pair("a", "1")));
}

TEST_F(TierMovesTest, ARecordPassesTheTierBetween) {
  OpenTiered();
  ASSERT_THAT(Put(engine(), "a", "old"), IsOk());
  Migrate(engine(), 0, 1);
  ASSERT_THAT(Put(engine(), "a", "new"), IsOk());
  EXPECT_EQ(Levels(engine(), "a"), "value new | value old | nothing");
  Migrate(engine(), 0, 2);
  EXPECT_EQ(Levels(engine(), "a"), "nothing | nothing | value new");
  EXPECT_EQ(Fresh("a"), "new");
}

TEST_F(TierMovesTest, TheHotterRecordShadowsTheColderOneUntilItReplacesIt) {
  OpenTiered();
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  Migrate(engine(), 0, 2);
  ASSERT_THAT(Put(engine(), "a", "2"), IsOk());
  Migrate(engine(), 0, 1);
  EXPECT_EQ(Levels(engine(), "a"), "nothing | value 2 | value 1");
  EXPECT_EQ(Fresh("a"), "2");
  EXPECT_THAT(Scan(engine()), ElementsAre(Pair("a", "2")));
  Migrate(engine(), 1, 2);
  EXPECT_EQ(Levels(engine(), "a"), "nothing | nothing | value 2");
}

TEST_F(TierMovesTest, ADeleteIsAMarkerOnlyWhereSomethingLiesBelow) {
  OpenTiered();
  ASSERT_THAT(Put(engine(), "below", "1"), IsOk());
  Migrate(engine(), 0, 2);
  ASSERT_THAT(Put(engine(), "here", "1"), IsOk());
  ASSERT_THAT(Delete(engine(), "below"), IsOk());
  ASSERT_THAT(Delete(engine(), "here"), IsOk());
  EXPECT_EQ(Levels(engine(), "below"), "marker | nothing | value 1");
  EXPECT_EQ(Levels(engine(), "here"), "nothing | nothing | nothing");
  EXPECT_EQ(Get(engine(), "below"), std::nullopt);
  EXPECT_EQ(Fresh("below"), std::nullopt);
  EXPECT_THAT(GetMany(engine(), {"below", "here"}), ElementsAre(std::nullopt, std::nullopt));
  EXPECT_THAT(Scan(engine()), IsEmpty());
}

TEST_F(TierMovesTest, AMarkerSinksLikeARecordAndEndsInTheLowestTier) {
  OpenTiered();
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  Migrate(engine(), 0, 2);
  ASSERT_THAT(Delete(engine(), "a"), IsOk());
  EXPECT_EQ(Migrate(engine(), 0, 1).markers, 1u);
  EXPECT_EQ(Levels(engine(), "a"), "nothing | marker | value 1");
  EXPECT_EQ(Fresh("a"), std::nullopt);
  EXPECT_EQ(Migrate(engine(), 1, 2).markers, 1u);
  EXPECT_EQ(Levels(engine(), "a"), "nothing | nothing | nothing");
  EXPECT_EQ(Fresh("a"), std::nullopt);
}

TEST_F(TierMovesTest, MarkersSinkEvenIfNoRecordIsChosen) {
  OpenTiered();
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  ASSERT_THAT(Put(engine(), "b", "1"), IsOk());
  Migrate(engine(), 0, 1);
  ASSERT_THAT(Put(engine(), "b", "2"), IsOk());
  ASSERT_THAT(Delete(engine(), "a"), IsOk());
  const StepResult moved =
      Migrate(engine(), 0, 1, [](std::string_view, const Envelope&) { return false; });
  EXPECT_EQ(moved.records, 0u);
  EXPECT_EQ(moved.markers, 1u);
  EXPECT_EQ(Levels(engine(), "a"), "nothing | marker | nothing");
  EXPECT_EQ(Levels(engine(), "b"), "value 2 | value 1 | nothing");
}

TEST_F(TierMovesTest, AnExpiredRecordCoversWhatLiesBelow) {
  OpenTiered();
  ASSERT_THAT(Put(engine(), "a", "old"), IsOk());
  Migrate(engine(), 0, 2);
  ASSERT_THAT(Put(engine(), "a", "brief", /*expiry_ms=*/1), IsOk());
  EXPECT_EQ(Get(engine(), "a"), std::nullopt);
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(engine()->Compact({}), IsOk());
  EXPECT_EQ(Levels(engine(), "a"), "marker | nothing | value old") << "not dropped";
  EXPECT_EQ(Fresh("a"), std::nullopt);
  Migrate(engine(), 0, 1);
  Migrate(engine(), 1, 2);
  EXPECT_EQ(Levels(engine(), "a"), "nothing | nothing | nothing");
}

TEST_F(TierMovesTest, AnExpiredRecordSinksAsAMarker) {
  OpenTiered();
  ASSERT_THAT(Put(engine(), "a", "old"), IsOk());
  Migrate(engine(), 0, 2);
  ASSERT_THAT(Put(engine(), "a", "brief", /*expiry_ms=*/1), IsOk());
  EXPECT_EQ(Migrate(engine(), 0, 1).markers, 1u);
  EXPECT_EQ(Levels(engine(), "a"), "nothing | marker | value old");
  EXPECT_EQ(Fresh("a"), std::nullopt);
}

TEST_F(TierMovesTest, AnExpiryIsKeptThroughTheTiers) {
  OpenTiered();
  const uint64_t later = SystemMillis() + 3'600'000;
  ASSERT_THAT(Put(engine(), "a", "1", later), IsOk());
  Migrate(engine(), 0, 2);
  EXPECT_EQ(Fresh("a"), "1");
  uint64_t copied = 0;
  const int shard = engine()->NewView()->shards()->IndexOf("a");
  ASSERT_THAT(engine()->stepper()->Promote(shard, {"a"}, &copied), IsOk());
  EXPECT_EQ(copied, 1u);
  rocksdb::PinnableSlice stored;
  const auto view = engine()->NewView();
  ASSERT_TRUE(engine()
                  ->hot_db()
                  ->Get({}, view->shards()->handles[static_cast<size_t>(shard)], "a", &stored)
                  .ok());
  Envelope envelope;
  ASSERT_TRUE(DecodeEnvelope({stored.data(), stored.size()}, &envelope));
  EXPECT_EQ(envelope.expiry_ms, later);
}

TEST_F(TierMovesTest, APromotedRecordIsACleanCopyThatSinksByVanishing) {
  OpenTiered();
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  Migrate(engine(), 0, 2);
  const int shard = engine()->NewView()->shards()->IndexOf("a");
  uint64_t copied = 0;
  ASSERT_THAT(engine()->stepper()->Promote(shard, {"a", "absent"}, &copied), IsOk());
  EXPECT_EQ(copied, 1u);
  EXPECT_EQ(Levels(engine(), "a"), "copy 1 | nothing | value 1");
  EXPECT_EQ(Fresh("a"), "1");
  EXPECT_THAT(Scan(engine()), ElementsAre(Pair("a", "1")));
  const StepResult moved = Migrate(engine(), 0, 1);
  EXPECT_EQ(moved.dropped, 1u);
  EXPECT_EQ(moved.records, 0u);
  EXPECT_EQ(moved.freed, 2u) << "the copy leaves the hot tier all the same";
  EXPECT_EQ(Levels(engine(), "a"), "nothing | nothing | value 1");
  EXPECT_EQ(Fresh("a"), "1");
}

TEST_F(TierMovesTest, PromotionLeavesWhatHotHoldsAlone) {
  OpenTiered();
  for (const char* key : {"put", "deleted", "gone"}) ASSERT_THAT(Put(engine(), key, "1"), IsOk());
  Migrate(engine(), 0, 1);
  ASSERT_THAT(Put(engine(), "put", "2"), IsOk());
  ASSERT_THAT(Delete(engine(), "deleted"), IsOk());
  ASSERT_THAT(DeleteRange(engine(), "gone", std::nullopt), IsOk());
  for (const char* key : {"put", "deleted", "gone"}) {
    uint64_t copied = 0;
    const int shard = engine()->NewView()->shards()->IndexOf(key);
    ASSERT_THAT(engine()->stepper()->Promote(shard, {key}, &copied), IsOk());
    EXPECT_EQ(copied, 0u) << key;
  }
  EXPECT_EQ(Fresh("put"), std::nullopt) << "the range began at 'gone'";
  EXPECT_EQ(Fresh("deleted"), std::nullopt);
  EXPECT_EQ(Fresh("gone"), std::nullopt);
}

TEST_F(TierMovesTest, LiftingEmptiesTheTier) {
  OpenTiered();
  for (const char* key : {"a", "b", "c", "d"}) ASSERT_THAT(Put(engine(), key, "1"), IsOk());
  Migrate(engine(), 0, 2);
  ASSERT_THAT(Put(engine(), "b", "2"), IsOk());
  ASSERT_THAT(Delete(engine(), "c"), IsOk());
  uint64_t copied = 0;
  const int shard = engine()->NewView()->shards()->IndexOf("d");
  ASSERT_THAT(engine()->stepper()->Promote(shard, {"d"}, &copied), IsOk());
  EXPECT_EQ(Migrate(engine(), 2, 0).records, 2u);
  EXPECT_EQ(Levels(engine(), "a"), "value 1 | nothing | nothing");
  EXPECT_EQ(Levels(engine(), "b"), "value 2 | nothing | nothing");
  EXPECT_EQ(Levels(engine(), "c"), "marker | nothing | nothing");
  EXPECT_EQ(Levels(engine(), "d"), "value 1 | nothing | nothing") << "no longer a copy";
  EXPECT_TRUE(engine()->tiers().store(2).IsEmpty());
  EXPECT_THAT(Scan(engine()), ElementsAre(Pair("a", "1"), Pair("b", "2"), Pair("d", "1")));
}

TEST_F(TierMovesTest, LiftingToTheTierBetweenKeepsCleanCopiesRight) {
  OpenTiered();
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  Migrate(engine(), 0, 2);
  uint64_t copied = 0;
  const int shard = engine()->NewView()->shards()->IndexOf("a");
  ASSERT_THAT(engine()->stepper()->Promote(shard, {"a"}, &copied), IsOk());
  Migrate(engine(), 2, 1);
  EXPECT_EQ(Levels(engine(), "a"), "copy 1 | value 1 | nothing");
  Migrate(engine(), 0, 1);
  EXPECT_EQ(Levels(engine(), "a"), "nothing | value 1 | nothing");
}

TEST_F(TierMovesTest, LiftingNeverBringsUpWhatIsShadowed) {
  OpenTiered();
  ASSERT_THAT(Put(engine(), "a", "oldest"), IsOk());
  Migrate(engine(), 0, 2);
  ASSERT_THAT(Put(engine(), "a", "old"), IsOk());
  Migrate(engine(), 0, 1);
  Migrate(engine(), 2, 0);
  EXPECT_EQ(Levels(engine(), "a"), "nothing | value old | nothing");
  EXPECT_EQ(Fresh("a"), "old");
}

TEST_F(TierMovesTest, ARangeDeleteReachesTheColderTiers) {
  OpenTiered();
  for (const char* key : {"a", "b", "c", "d"}) ASSERT_THAT(Put(engine(), key, "1"), IsOk());
  Migrate(engine(), 0, 1);
  Migrate(engine(), 1, 2, [](std::string_view key, const Envelope&) { return key < "c"; });
  const auto before = engine()->NewView();
  ASSERT_THAT(DeleteRange(engine(), "b", "d"), IsOk());
  EXPECT_TRUE(engine()->tiers().intents().any());
  EXPECT_EQ(Get(engine(), "b"), std::nullopt);
  EXPECT_THAT(GetMany(engine(), {"a", "b", "c", "d"}),
              ElementsAre("1", std::nullopt, std::nullopt, "1"));
  EXPECT_THAT(Scan(engine()), ElementsAre(Pair("a", "1"), Pair("d", "1")));
  const auto between = engine()->NewView();
  ASSERT_THAT(engine()->stepper()->ApplyIntents(), IsOk());
  EXPECT_FALSE(engine()->tiers().intents().any());
  EXPECT_EQ(Levels(engine(), "b"), "nothing | nothing | nothing");
  EXPECT_EQ(Levels(engine(), "c"), "nothing | nothing | nothing");
  EXPECT_THAT(Scan(engine()), ElementsAre(Pair("a", "1"), Pair("d", "1")));
  EXPECT_EQ(Get(engine(), "b", between.get()), std::nullopt);
  EXPECT_EQ(Get(engine(), "b", before.get()), "1");
  EXPECT_EQ(Get(engine(), "c", before.get()), "1");
}

TEST_F(TierMovesTest, ARangeDeleteIsRememberedUntilItIsCarriedOut) {
  OpenTiered();
  for (const char* key : {"a", "b", "c"}) ASSERT_THAT(Put(engine(), key, "1"), IsOk());
  Migrate(engine(), 0, 2);
  ASSERT_THAT(DeleteRange(engine(), "b", std::nullopt), IsOk());
  ASSERT_THAT(Put(engine(), "c", "2"), IsOk());
  ReopenTiered();
  EXPECT_THAT(Scan(engine()), ElementsAre(Pair("a", "1"), Pair("c", "2")));
  EXPECT_EQ(Get(engine(), "b"), std::nullopt);
  Migrate(engine(), 0, 2);
  EXPECT_FALSE(engine()->tiers().intents().any()) << "a step carries them out first";
  EXPECT_EQ(Levels(engine(), "c"), "nothing | nothing | value 2");
  ReopenTiered();
  EXPECT_FALSE(engine()->tiers().intents().any());
  EXPECT_THAT(Scan(engine()), ElementsAre(Pair("a", "1"), Pair("c", "2")));
}

TEST_F(TierMovesTest, AViewKeepsItsMomentWhateverMoves) {
  OpenTiered();
  for (const char* key : {"a", "b", "c"}) ASSERT_THAT(Put(engine(), key, "1"), IsOk());
  const auto all_hot = engine()->NewView();
  Migrate(engine(), 0, 1, [](std::string_view key, const Envelope&) { return key != "a"; });
  const auto some_warm = engine()->NewView();
  ASSERT_THAT(Put(engine(), "b", "2"), IsOk());
  ASSERT_THAT(Delete(engine(), "c"), IsOk());
  const auto changed = engine()->NewView();
  Migrate(engine(), 0, 2);
  Migrate(engine(), 1, 2);
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(engine()->Compact({}), IsOk());
  for (const auto& view : {all_hot, some_warm}) {
    for (const char* key : {"a", "b", "c"}) EXPECT_EQ(Get(engine(), key, view.get()), "1") << key;
  }
  EXPECT_EQ(Get(engine(), "a", changed.get()), "1");
  EXPECT_EQ(Get(engine(), "b", changed.get()), "2");
  EXPECT_EQ(Get(engine(), "c", changed.get()), std::nullopt);
  EXPECT_THAT(Scan(engine()), ElementsAre(Pair("a", "1"), Pair("b", "2")));
}

TEST_F(TierMovesTest, LargeStepsAreIngestedAsCompressedTables) {
  OpenTiered(TieredOptions(1));
  std::map<std::string, std::string> records;
  PackedWrites writes;
  for (int i = 0; i < 20'000; i++) {
    const std::string key = "key" + std::to_string(100'000 + i);
    records[key] = "a value that repeats itself, as most text does: " + std::to_string(i);
    writes.Put(key, records[key]);
  }
  ASSERT_THAT(Write(engine(), writes), IsOk());
  EXPECT_EQ(Migrate(engine(), 0, 2).records, records.size());
  const TierStore& cold = engine()->tiers().store(2);
  EXPECT_GT(cold.ingested_bytes(), 0u);
  size_t payload = 0;
  for (const auto& [key, value] : records) payload += key.size() + value.size();
  EXPECT_LT(cold.ingested_bytes() * 3, payload) << "zstd with a dictionary";
  EXPECT_THAT(Scan(engine()), testing::ElementsAreArray(records.begin(), records.end()));
  ReopenTiered();
  EXPECT_THAT(Scan(engine()), testing::ElementsAreArray(records.begin(), records.end()));
  EXPECT_EQ(Migrate(engine(), 2, 0).records, records.size());
  EXPECT_THAT(Scan(engine()), testing::ElementsAreArray(records.begin(), records.end()));
}

TEST_F(TierMovesTest, StepsAreBoundedAndGoOnWhereTheyStopped) {
  OpenTiered(TieredOptions(1));
  for (int i = 0; i < 10; i++) {
    ASSERT_THAT(Put(engine(), "k" + std::to_string(i), std::string(100, 'x')), IsOk());
  }
  StepPlan plan{.shard = 0, .from = 0, .to = 1, .max_bytes = 300};
  StepResult result;
  ASSERT_THAT(engine()->stepper()->Run(plan, &result), IsOk());
  EXPECT_EQ(result.records, 3u);
  EXPECT_FALSE(result.done);
  EXPECT_EQ(result.next, "k3");
  plan.start = result.next;
  plan.max_bytes = 1 << 20;
  plan.max_scanned = 4;
  ASSERT_THAT(engine()->stepper()->Run(plan, &result), IsOk());
  EXPECT_EQ(result.records, 4u);
  EXPECT_EQ(result.next, "k7");
  plan.start = result.next;
  ASSERT_THAT(engine()->stepper()->Run(plan, &result), IsOk());
  EXPECT_EQ(result.records, 3u);
  EXPECT_TRUE(result.done);
}

TEST_F(TierMovesTest, GivenKeysAloneMove) {
  OpenTiered(TieredOptions(1));
  for (const char* key : {"a", "b", "c"}) ASSERT_THAT(Put(engine(), key, "1"), IsOk());
  const std::vector<std::string> keys = {"a", "absent", "c"};
  StepPlan plan{.shard = 0, .from = 0, .to = 1, .keys = &keys};
  StepResult result;
  ASSERT_THAT(engine()->stepper()->Run(plan, &result), IsOk());
  EXPECT_EQ(result.records, 2u);
  EXPECT_TRUE(result.done);
  EXPECT_EQ(Levels(engine(), "a"), "nothing | value 1 | nothing");
  EXPECT_EQ(Levels(engine(), "b"), "value 1 | nothing | nothing");
  EXPECT_EQ(Levels(engine(), "c"), "nothing | value 1 | nothing");
}

TEST_F(TierMovesTest, WithoutALogStepsKeepTheirOrderByFlushing) {
  EngineOptions options = TieredOptions();
  options.without_log = true;
  OpenTiered(options);
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  ASSERT_THAT(Put(engine(), "b", "1"), IsOk());
  Migrate(engine(), 0, 2);
  ASSERT_THAT(DeleteRange(engine(), "b", std::nullopt), IsOk());
  Migrate(engine(), 0, 2);
  ReopenTiered();
  EXPECT_THAT(Scan(engine()), ElementsAre(Pair("a", "1")));
}

}  // namespace
}  // namespace thermocline
