// Opening, refusing, removing and destroying tiers.

#include "engine/tier/tier_store.h"

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "raw_store.h"
#include "tier_fixture.h"

namespace thermocline {
namespace {

namespace fs = std::filesystem;
using enum TierOptions::Presence;
using test::Get;
using test::HasCode;
using test::IsOk;
using test::Levels;
using test::Migrate;
using test::Put;
using test::SmallOptions;
using test::TieredOptions;
using testing::HasSubstr;

class TierStoreTest : public test::TierTest {
 protected:
  Status TryOpen(const EngineOptions& options) {
    std::shared_ptr<Engine> engine;
    return Engine::Open(location_, options, &engine);
  }
  // A database with "a" in its cold tier, closed.
  void MakeClosed() {
    OpenTiered();
    ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
    Migrate(engine(), 0, 2);
    Close();
  }
  const std::string cold_ = location_ + "/cold";
  const std::string warm_ = location_ + "/warm";
};

TEST_F(TierStoreTest, WithoutTiersNothingIsThere) {
  Open();
  EXPECT_TRUE(engine()->tiers().empty());
  EXPECT_EQ(engine()->stepper(), nullptr);
  EXPECT_FALSE(fs::exists(cold_));
  EXPECT_FALSE(fs::exists(warm_));
}

TEST_F(TierStoreTest, TiersAreOpenedAsRecordedWithoutBeingNamed) {
  MakeClosed();
  Open(SmallOptions(0));
  EXPECT_EQ(engine()->tiers().levels(), 3);
  EXPECT_EQ(Get(engine(), "a"), "1");
}

TEST_F(TierStoreTest, AnySubsetWithHotWorks) {
  for (const auto& [warm, cold] : {std::pair(true, false), std::pair(false, true)}) {
    fs::remove_all(location_);
    OpenTiered(TieredOptions(2, warm, cold));
    EXPECT_EQ(engine()->tiers().levels(), 2);
    EXPECT_EQ(engine()->tiers().TierOf(1), warm ? Tier::kWarm : Tier::kCold);
    ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
    Migrate(engine(), 0, 1);
    EXPECT_EQ(Levels(engine(), "a"), "nothing | value 1");
    ASSERT_THAT(test::Delete(engine(), "a"), IsOk());
    Migrate(engine(), 0, 1);
    EXPECT_EQ(Levels(engine(), "a"), "nothing | nothing");
    Close();
  }
}

TEST_F(TierStoreTest, ATierMayLieElsewhere) {
  const std::string elsewhere = folder_ / "disk/cold";
  EngineOptions options = TieredOptions();
  options.tiers.at(Tier::kCold).path = elsewhere;
  OpenTiered(options);
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  Migrate(engine(), 0, 2);
  Close();
  EXPECT_TRUE(fs::exists(elsewhere + "/CURRENT"));
  Open(SmallOptions(0));
  EXPECT_EQ(Get(engine(), "a"), "1");
  Close();
  // Moved, and named where it lies now.
  const std::string moved = folder_ / "other";
  fs::rename(elsewhere, moved);
  EXPECT_THAT(TryOpen(SmallOptions(0)), HasCode(Code::kNotFound));
  options = SmallOptions(0);
  options.tiers.at(Tier::kCold).presence = kWanted;
  options.tiers.at(Tier::kCold).path = moved;
  Open(options);
  EXPECT_EQ(Get(engine(), "a"), "1");
  Close();
  Open(SmallOptions(0));
  EXPECT_EQ(engine()->tiers().store(2).directory(), moved) << "the new place is recorded";
}

TEST_F(TierStoreTest, TheFolderMayMoveAsAWhole) {
  MakeClosed();
  const std::string moved = folder_ / "moved";
  fs::rename(location_, moved);
  std::shared_ptr<Engine> engine;
  ASSERT_THAT(Engine::Open(moved, SmallOptions(0), &engine), IsOk());
  EXPECT_EQ(Get(engine.get(), "a"), "1");
  engine->Close();
}

TEST_F(TierStoreTest, AMissingTierIsRefusedAndNotCreated) {
  MakeClosed();
  fs::rename(cold_, folder_ / "aside");
  for (const EngineOptions& options : {SmallOptions(0), TieredOptions(0)}) {
    const Status status = TryOpen(options);
    EXPECT_THAT(status, HasCode(Code::kNotFound));
    EXPECT_THAT(std::string(status.message()), HasSubstr("mounted"));
  }
  fs::create_directory(cold_);  // an empty mount point
  EXPECT_THAT(TryOpen(TieredOptions(0)), HasCode(Code::kNotFound));
  EXPECT_TRUE(fs::is_empty(cold_));
  fs::remove(cold_);
  fs::rename(folder_ / "aside", cold_);
  Open(SmallOptions(0));
  EXPECT_EQ(Get(engine(), "a"), "1");
}

TEST_F(TierStoreTest, ATierOfAnotherDatabaseIsRefused) {
  MakeClosed();
  std::shared_ptr<Engine> other;
  ASSERT_THAT(Engine::Open(folder_ / "other", TieredOptions(), &other), IsOk());
  other->Close();
  fs::rename(cold_, folder_ / "aside");
  fs::rename(folder_ / "other/cold", cold_);
  EXPECT_THAT(TryOpen(SmallOptions(0)), HasCode(Code::kInvalidArgument));
}

TEST_F(TierStoreTest, AnOlderCopyOfATierIsRefused) {
  MakeClosed();
  fs::copy(cold_, folder_ / "copy", fs::copy_options::recursive);
  Open(SmallOptions(0));
  ASSERT_THAT(Put(engine(), "a", "2"), IsOk());
  Migrate(engine(), 0, 2);
  Close();
  fs::remove_all(cold_);
  fs::rename(folder_ / "copy", cold_);
  const Status status = TryOpen(SmallOptions(0));
  EXPECT_THAT(status, HasCode(Code::kCorruption));
  EXPECT_THAT(std::string(status.message()), HasSubstr("older copy"));
}

TEST_F(TierStoreTest, AnOlderCopyOfTheHotTierIsRefused) {
  MakeClosed();
  fs::copy(hot_, folder_ / "copy", fs::copy_options::recursive);
  Open(SmallOptions(0));
  for (int i = 0; i < 3; i++) {
    ASSERT_THAT(Put(engine(), "a", std::to_string(i)), IsOk());
    Migrate(engine(), 0, 2);
  }
  Close();
  fs::remove_all(hot_);
  fs::rename(folder_ / "copy", hot_);
  const Status status = TryOpen(SmallOptions(0));
  EXPECT_THAT(status, HasCode(Code::kCorruption));
  EXPECT_THAT(std::string(status.message()), HasSubstr("hot tier is an older copy"));
}

TEST_F(TierStoreTest, ANewTierNeedsAFolderOfItsOwn) {
  fs::create_directories(folder_ / "busy");
  test::WriteFile(folder_ / "busy/notes.txt", "mine");
  EngineOptions options = TieredOptions();
  options.tiers.at(Tier::kCold).path = folder_ / "busy";
  EXPECT_THAT(TryOpen(options), HasCode(Code::kInvalidArgument));
  EXPECT_EQ(test::ReadFile(folder_ / "busy/notes.txt"), "mine");
}

TEST_F(TierStoreTest, NoTierSharesItsFolderHoweverItIsSpelt) {
  fs::create_directory(folder_ / "disk");
  fs::create_directory_symlink(folder_ / "disk", folder_ / "link");
  const std::pair<std::string, std::string> shared[] = {
      {folder_ / "disk", folder_ / "disk"},
      {folder_ / "disk", (folder_ / "disk") + "/"},
      {folder_ / "disk", folder_ / "link"},
      {folder_ / "disk", folder_ / "link/x"},
      {folder_ / "link/x", folder_ / "disk"},
      {"../new", "../new/"},
      {"hot/archive", "cold"},
      {"hot", "cold"},
      {"warm", "archive"},
      {"topics/x", "cold"},
      {"warm", "."},
      {"..", "cold"},
  };
  for (const auto& [warm, cold] : shared) {
    SCOPED_TRACE(warm + " and " + cold);
    EngineOptions options = TieredOptions();
    options.tiers.at(Tier::kWarm).path = warm;
    options.tiers.at(Tier::kCold).path = cold;
    const Status status = TryOpen(options);
    EXPECT_THAT(status, HasCode(Code::kInvalidArgument));
    EXPECT_THAT(std::string(status.message()), HasSubstr("folder of its own"));
    EXPECT_TRUE(fs::is_empty(folder_ / "disk"));
    EXPECT_FALSE(fs::exists(warm_));
  }
  OpenTiered();
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  Migrate(engine(), 0, 2);
  EXPECT_EQ(Get(engine(), "a"), "1");
}

TEST_F(TierStoreTest, ANewTierNeverTakesUpTheFolderOfTheOther) {
  OpenTiered(TieredOptions(2, /*warm=*/false));
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  Close();
  // Cold has never held anything.
  EngineOptions options = TieredOptions(0);
  options.tiers.at(Tier::kWarm).path = cold_;
  for (const auto& [presence, path] :
       {std::pair(kRemoved, std::string()), std::pair(kWanted, std::string(folder_ / "new"))}) {
    options.tiers.at(Tier::kCold).presence = presence;
    options.tiers.at(Tier::kCold).path = path;
    const Status status = TryOpen(options);
    EXPECT_THAT(status, HasCode(Code::kInvalidArgument));
    EXPECT_THAT(std::string(status.message()), HasSubstr("holds the cold tier"));
  }
  Open(SmallOptions(0));
  EXPECT_EQ(engine()->tiers().levels(), 2);
  EXPECT_EQ(Get(engine(), "a"), "1");
  Close();
  // One after the other.
  options = SmallOptions(0);
  options.tiers.at(Tier::kCold).presence = kRemoved;
  Open(options);
  Close();
  options = TieredOptions(0, /*warm=*/true, /*cold=*/false);
  options.tiers.at(Tier::kWarm).path = cold_;
  Open(options);
  Migrate(engine(), 0, 1);
  EXPECT_EQ(Get(engine(), "a"), "1");
  Close();
  // The other way round in one: warm is emptied and removed before cold is made.
  Open(SmallOptions(0));
  Migrate(engine(), 1, 0);
  Close();
  options = TieredOptions(0);
  options.tiers.at(Tier::kWarm).presence = kRemoved;
  options.tiers.at(Tier::kCold).path = cold_;
  Open(options);
  Migrate(engine(), 0, 1);
  EXPECT_EQ(Get(engine(), "a"), "1");
}

TEST_F(TierStoreTest, DestroyingACopyLeavesAnOpenTierAlone) {
  MakeClosed();
  // A copy of the database that finds the original's tier by its path.
  const std::string copy = folder_ / "copy";
  EngineOptions options = SmallOptions(0);
  options.tiers.at(Tier::kCold).presence = kWanted;
  options.tiers.at(Tier::kCold).path = cold_;
  Open(options);
  Close();
  fs::create_directory(copy);
  fs::copy(location_ + "/hot", copy + "/hot", fs::copy_options::recursive);
  fs::copy(location_ + "/LOCK", copy + "/LOCK");
  Open(SmallOptions(0));
  EXPECT_THAT(Engine::Destroy(copy), HasCode(Code::kLocked));
  EXPECT_EQ(Get(engine(), "a"), "1");
  ASSERT_THAT(Put(engine(), "b", "1"), IsOk());
  Migrate(engine(), 0, 2);
  EXPECT_EQ(Get(engine(), "b"), "1");
}

TEST_F(TierStoreTest, TwoDatabasesThatChooseOneNewFolderAtOnceNeverBothGetIt) {
  fs::create_directory_symlink(folder_ / "disk", folder_ / "link");
  for (int round = 0; round < 20; round++) {
    SCOPED_TRACE(round);
    fs::remove_all(folder_ / "disk");
    fs::create_directory(folder_ / "disk");
    std::array<std::shared_ptr<Engine>, 2> engines;
    std::array<Status, 2> statuses;
    const auto location = [&](size_t i) {
      return folder_ / ("db" + std::to_string(i) + "-" + std::to_string(round));
    };
    const auto open = [&](size_t i) {
      EngineOptions options = TieredOptions(2, /*warm=*/false);
      options.tiers.at(Tier::kCold).path = folder_ / (i == 0 ? "disk" : "link");
      statuses[i] = Engine::Open(location(i), options, &engines[i]);
    };
    std::thread other(open, 1);
    open(0);
    other.join();
    ASSERT_NE(statuses[0].ok(), statuses[1].ok());
    const size_t winner = statuses[0].ok() ? 0 : 1;
    // In use, or already the other's.
    const Status& refused = statuses[1 - winner];
    EXPECT_TRUE(refused.code() == Code::kLocked || refused.code() == Code::kInvalidArgument)
        << refused.message();
    ASSERT_THAT(Put(engines[winner].get(), "a", "1"), IsOk());
    Migrate(engines[winner].get(), 0, 1);
    engines[winner]->Close();
    ASSERT_THAT(Engine::Open(location(winner), SmallOptions(0), &engines[winner]), IsOk());
    EXPECT_EQ(Get(engines[winner].get(), "a"), "1");
  }
}

TEST_F(TierStoreTest, AnOpenTiersFolderIsLockedAgainstOtherDatabases) {
  OpenTiered();
  EngineOptions options = TieredOptions(2, /*warm=*/false);
  options.tiers.at(Tier::kCold).path = cold_;
  std::shared_ptr<Engine> other;
  EXPECT_THAT(Engine::Open(folder_ / "other", options, &other), HasCode(Code::kLocked));
  Close();
  EXPECT_THAT(Engine::Open(folder_ / "other", options, &other), HasCode(Code::kInvalidArgument));
  // Readers share it.
  EngineOptions reading = SmallOptions(0);
  reading.read_only = true;
  std::shared_ptr<Engine> second;
  ASSERT_THAT(Engine::Open(location_, reading, &other), IsOk());
  ASSERT_THAT(Engine::Open(location_, reading, &second), IsOk());
}

TEST_F(TierStoreTest, ATierIsAddedToADatabaseThatExists) {
  Open();
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  Reopen(TieredOptions(0));
  EXPECT_EQ(Get(engine(), "a"), "1");
  Migrate(engine(), 0, 2);
  EXPECT_EQ(Levels(engine(), "a"), "nothing | nothing | value 1");
}

TEST_F(TierStoreTest, ATierIsRemovedOnceItIsEmpty) {
  MakeClosed();
  EngineOptions without = SmallOptions(0);
  without.tiers.at(Tier::kCold).presence = kRemoved;
  const Status status = TryOpen(without);
  EXPECT_THAT(status, HasCode(Code::kInvalidArgument));
  EXPECT_THAT(std::string(status.message()), HasSubstr("migrate({ from: 'cold', to: 'hot' })"));
  Open(SmallOptions(0));
  Migrate(engine(), 2, 0);
  Close();
  Open(without);
  EXPECT_EQ(engine()->tiers().levels(), 2);
  EXPECT_EQ(Get(engine(), "a"), "1");
  EXPECT_FALSE(fs::exists(cold_));
  ReopenTiered();
  EXPECT_EQ(engine()->tiers().levels(), 2) << "and stays away";
}

TEST_F(TierStoreTest, ARemovedTierLeavesNoRangeDeleteBehind) {
  OpenTiered(TieredOptions(2, false, true));
  ASSERT_THAT(test::DeleteRange(engine(), "a", std::nullopt), IsOk());
  EngineOptions without = SmallOptions(0);
  without.tiers.at(Tier::kCold).presence = kRemoved;
  Reopen(without);
  ASSERT_THAT(Put(engine(), "b", "1"), IsOk());
  Reopen(TieredOptions(0));
  EXPECT_FALSE(engine()->tiers().intents().any());
  Migrate(engine(), 0, 2);
  EXPECT_EQ(Get(engine(), "b", engine()->NewView().get()), "1");
}

TEST_F(TierStoreTest, ReadOnlySeesAllTiersAndMakesNone) {
  MakeClosed();
  EngineOptions options = SmallOptions(0);
  options.read_only = true;
  Open(options);
  EXPECT_EQ(Get(engine(), "a"), "1");
  EXPECT_THAT(test::Scan(engine()), testing::ElementsAre(testing::Pair("a", "1")));
  EXPECT_EQ(engine()->stepper(), nullptr);
  Close();
  std::shared_ptr<Engine> single;
  ASSERT_THAT(Engine::Open(folder_ / "single", SmallOptions(), &single), IsOk());
  single->Close();
  options.tiers.at(Tier::kCold).presence = kWanted;
  EXPECT_THAT(Engine::Open(folder_ / "single", options, &single), HasCode(Code::kReadOnly));
}

TEST_F(TierStoreTest, DestroyTakesTheTiersAlong) {
  EngineOptions options = TieredOptions();
  options.tiers.at(Tier::kCold).path = folder_ / "elsewhere";
  OpenTiered(options);
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  Migrate(engine(), 0, 2);
  Close();
  ASSERT_THAT(Engine::Destroy(location_), IsOk());
  EXPECT_FALSE(fs::exists(location_));
  EXPECT_FALSE(fs::exists(folder_ / "elsewhere"));
}

TEST_F(TierStoreTest, AStoreWithoutAnIdentityIsTakenUpIfItHoldsNothing) {
  {
    test::RawStore begun(folder_ / "begun");
    test::RawStore busy(folder_ / "busy");
    busy.Put(rocksdb::kDefaultColumnFamilyName, "a", "somebody's");
  }
  EngineOptions options = TieredOptions(2, false, true);
  options.tiers.at(Tier::kCold).path = folder_ / "busy";
  EXPECT_THAT(TryOpen(options), HasCode(Code::kInvalidArgument));
  options.tiers.at(Tier::kCold).path = folder_ / "begun";
  OpenTiered(options);
  ASSERT_THAT(Put(engine(), "a", "1"), IsOk());
  Migrate(engine(), 0, 1);
  EXPECT_EQ(Levels(engine(), "a"), "nothing | value 1");
}

TEST_F(TierStoreTest, ACreationCutShortIsTakenUpAgain) {
  OpenTiered(TieredOptions(2, false, true));
  Close();
  // As if hot had never heard of the tier: its store is there, its record is not.
  Open(SmallOptions(0));
  Close();
  {
    EngineOptions options = SmallOptions(0);
    HotStore hot;
    const RocksShared shared = MakeRocksShared(options);
    ASSERT_THAT(hot.Open(hot_, options, shared, nullptr), IsOk());
    ASSERT_THAT(hot.DeleteMeta({meta_key::kColdTier}, true), IsOk());
  }
  Open(TieredOptions(0, false, true));
  EXPECT_EQ(engine()->tiers().levels(), 2);
}

}  // namespace
}  // namespace thermocline
