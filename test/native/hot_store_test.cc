// Creating and opening the hot store, above all in the states that a crash or a stranger left.

#include "engine/tier/hot_store.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "engine/record/coding.h"
#include "raw_store.h"
#include "support.h"

namespace thermocline {
namespace {

using test::FamiliesOf;
using test::HasCode;
using test::IsOk;
using test::RawStore;
using testing::UnorderedElementsAre;

constexpr char kCreating[] = {0};
constexpr char kReady[] = {1};

std::string Byte(const char (&byte)[1]) { return std::string(byte, 1); }

std::string Fixed32(uint32_t v) {
  std::string bytes;
  PutFixed32(&bytes, v);
  return bytes;
}

class HotStoreTest : public testing::Test {
 protected:
  HotStoreTest() {
    options_.memory = {0, kMiB, 4 * kMiB};
    options_.shards = 2;
    EXPECT_THAT(Finish(&options_), IsOk());
  }

  Status Open(HotStore* store) {
    return store->Open(directory_, options_, MakeRocksShared(options_), nullptr);
  }
  // Opens and closes.
  Status TryOpen() {
    HotStore store;
    return Open(&store);
  }
  void Create() { ASSERT_THAT(TryOpen(), IsOk()); }

  // Step 2 of creation, as for a database of three shards.
  void WriteCreatingMeta(RawStore* raw) {
    raw->PutMeta(meta_key::kFormat, Fixed32(kFormatVersion));
    raw->PutMeta(meta_key::kState, Byte(kCreating));
    raw->PutMeta(meta_key::kShards, ShardTable::Equal(3).Encode());
    raw->PutMeta(meta_key::kHotTier, EncodeTierIdentity({std::string(16, 'u'), 0}));
  }
  void ExpectReadyWithThreeShards() {
    {
      HotStore store;
      ASSERT_THAT(Open(&store), IsOk());
      EXPECT_EQ(store.shards()->table, ShardTable::Equal(3))
          << "the table decides, not the options";
      ASSERT_EQ(store.shards()->handles.size(), 3u);
      for (uint32_t i = 0; i < 3; i++) {
        EXPECT_EQ(store.shards()->handles[i]->GetName(), ShardColumnFamilyName(i, 0));
      }
      EXPECT_EQ(store.identity().uuid, std::string(16, 'u')) << "an identity is given once";
    }
    EXPECT_EQ(RawStore(directory_).Meta(meta_key::kState), Byte(kReady));
    EXPECT_THAT(TryOpen(), IsOk());
  }

  test::TempFolder folder_;
  const std::string directory_ = folder_ / "hot";
  EngineOptions options_;
};

TEST_F(HotStoreTest, ANewStoreHoldsItsShardsAndItsOwnRecords) {
  EXPECT_FALSE(HotStore::Exists(directory_));
  {
    HotStore store;
    ASSERT_THAT(Open(&store), IsOk());
    EXPECT_EQ(store.shards()->count(), 2);
    EXPECT_EQ(store.shards()->table, ShardTable::Equal(2));
    EXPECT_EQ(store.identity().uuid.size(), 16u);
    EXPECT_EQ(store.identity().last_step, 0u);
  }
  EXPECT_TRUE(HotStore::Exists(directory_));
  EXPECT_THAT(FamiliesOf(directory_), UnorderedElementsAre("default", "meta", "shard_0000_00000000",
                                                           "shard_0001_00000000"));
  RawStore raw(directory_);
  EXPECT_EQ(raw.Meta(meta_key::kFormat), Fixed32(1));
  EXPECT_EQ(raw.Meta(meta_key::kState), Byte(kReady));
  EXPECT_EQ(raw.Meta(meta_key::kShards), ShardTable::Equal(2).Encode());
  EXPECT_EQ(raw.Meta(meta_key::kHotTier).size(), 17u);
  EXPECT_TRUE(raw.Records("default").empty());
}

TEST_F(HotStoreTest, WithoutANumberOfShardsTheDefaultIsUsed) {
  options_.shards = 0;
  HotStore store;
  ASSERT_THAT(Open(&store), IsOk());
  EXPECT_EQ(store.shards()->count(), kDefaultShards);
}

TEST_F(HotStoreTest, ReopeningKeepsShardsIdentityAndData) {
  std::string uuid;
  {
    HotStore store;
    ASSERT_THAT(Open(&store), IsOk());
    uuid = store.identity().uuid;
    ASSERT_TRUE(store.db()->Put({}, store.shards()->handles[1], "key", "value").ok());
  }
  options_.shards = 0;
  HotStore store;
  ASSERT_THAT(Open(&store), IsOk());
  EXPECT_EQ(store.identity().uuid, uuid);
  EXPECT_EQ(store.shards()->count(), 2);
  std::string value;
  ASSERT_TRUE(store.db()->Get({}, store.shards()->handles[1], "key", &value).ok());
  EXPECT_EQ(value, "value");
}

TEST_F(HotStoreTest, TwoStoresHaveDifferentIdentities) {
  HotStore one;
  HotStore two;
  ASSERT_THAT(Open(&one), IsOk());
  ASSERT_THAT(two.Open(folder_ / "other", options_, MakeRocksShared(options_), nullptr), IsOk());
  EXPECT_NE(one.identity().uuid, two.identity().uuid);
}

TEST_F(HotStoreTest, CloseIsIdempotentAndAStoreMayBeOpenedAgain) {
  HotStore store;
  store.Close();
  ASSERT_THAT(Open(&store), IsOk());
  store.Close();
  store.Close();
  EXPECT_EQ(store.db(), nullptr);
  EXPECT_EQ(store.shards(), nullptr);
  ASSERT_THAT(Open(&store), IsOk());
  EXPECT_EQ(store.shards()->count(), 2);
}

// --- Own records ---------------------------------------------------------------------------------

TEST_F(HotStoreTest, OwnRecordsRoundTripAndSurviveReopening) {
  std::string payload;
  bool found = true;
  {
    HotStore store;
    ASSERT_THAT(Open(&store), IsOk());
    ASSERT_THAT(store.GetMeta("none", &payload, &found), IsOk());
    EXPECT_FALSE(found);
    ASSERT_THAT(store.PutMeta({{"one", "1"}, {"two", std::string("\0x", 2)}}, false), IsOk());
  }
  HotStore store;
  ASSERT_THAT(Open(&store), IsOk());
  ASSERT_THAT(store.GetMeta("one", &payload, &found), IsOk());
  EXPECT_TRUE(found);
  EXPECT_EQ(payload, "1");
  ASSERT_THAT(store.GetMeta("two", &payload, &found), IsOk());
  EXPECT_EQ(payload, std::string("\0x", 2));
}

TEST_F(HotStoreTest, WhetherThereIsALogIsFixedAtCreation) {
  options_.without_log = true;
  Create();
  {
    HotStore store;
    ASSERT_THAT(Open(&store), IsOk());
    EXPECT_FALSE(store.has_log());
  }
  options_.without_log = false;
  EXPECT_THAT(TryOpen(), HasCode(Code::kInvalidArgument));
  options_.without_log = true;
  EXPECT_THAT(TryOpen(), IsOk());

  std::filesystem::remove_all(directory_);
  options_.without_log = false;
  Create();
  HotStore store;
  ASSERT_THAT(Open(&store), IsOk());
  EXPECT_TRUE(store.has_log());
  store.Close();
  options_.without_log = true;
  EXPECT_THAT(TryOpen(), HasCode(Code::kInvalidArgument));
}

// --- A crash between the steps of creation -------------------------------------------------------

TEST_F(HotStoreTest, CreationCutBeforeTheStoreExistsStartsAgain) {
  std::filesystem::create_directories(directory_);
  test::WriteFile(directory_ + "/LOCK", "");
  test::WriteFile(directory_ + "/IDENTITY", "half of an ident");
  test::WriteFile(directory_ + "/MANIFEST-000001", "torn");
  HotStore store;
  ASSERT_THAT(Open(&store), IsOk());
  EXPECT_EQ(store.shards()->count(), 2);
}

TEST_F(HotStoreTest, CreationCutBeforeTheMetaColumnFamilyIsFinished) {
  { RawStore raw(directory_); }
  ASSERT_TRUE(HotStore::Exists(directory_));
  Create();
  EXPECT_THAT(FamiliesOf(directory_), UnorderedElementsAre("default", "meta", "shard_0000_00000000",
                                                           "shard_0001_00000000"));
  EXPECT_EQ(RawStore(directory_).Meta(meta_key::kState), Byte(kReady));
}

TEST_F(HotStoreTest, CreationCutBeforeTheFirstRecordsIsFinished) {
  { RawStore raw(directory_, {"meta"}); }
  Create();
  EXPECT_EQ(RawStore(directory_).Meta(meta_key::kState), Byte(kReady));
}

TEST_F(HotStoreTest, CreationCutBeforeTheShardsIsFinished) {
  {
    RawStore raw(directory_, {"meta"});
    WriteCreatingMeta(&raw);
  }
  ExpectReadyWithThreeShards();
}

TEST_F(HotStoreTest, CreationCutBetweenTheShardsIsFinished) {
  {
    RawStore raw(directory_, {"meta", ShardColumnFamilyName(0, 0), ShardColumnFamilyName(2, 0)});
    WriteCreatingMeta(&raw);
  }
  ExpectReadyWithThreeShards();
}

TEST_F(HotStoreTest, CreationCutBeforeItWasDeclaredReadyIsFinished) {
  {
    RawStore raw(directory_, {"meta", ShardColumnFamilyName(0, 0), ShardColumnFamilyName(1, 0),
                              ShardColumnFamilyName(2, 0)});
    WriteCreatingMeta(&raw);
  }
  ExpectReadyWithThreeShards();
}

TEST_F(HotStoreTest, ReadOnlyOpeningDoesNotFinishACreation) {
  options_.read_only = true;
  {
    { RawStore raw(directory_); }
    EXPECT_THAT(TryOpen(), HasCode(Code::kReadOnly)) << "no meta column family yet";
    { RawStore raw(directory_, {"meta"}); }
    EXPECT_THAT(TryOpen(), HasCode(Code::kReadOnly)) << "no records yet";
  }
  {
    RawStore raw(directory_);
    WriteCreatingMeta(&raw);
  }
  EXPECT_THAT(TryOpen(), HasCode(Code::kReadOnly)) << "no shards yet";
  EXPECT_THAT(FamiliesOf(directory_), UnorderedElementsAre("default", "meta"));
  options_.read_only = false;
  ExpectReadyWithThreeShards();
}

// --- Damage --------------------------------------------------------------------------------------

TEST_F(HotStoreTest, ANewerFormatIsRefusedAndLeftAlone) {
  Create();
  RawStore(directory_).PutMeta(meta_key::kFormat, Fixed32(kFormatVersion + 1));
  for (const bool read_only : {false, true, false}) {
    options_.read_only = read_only;
    const Status status = TryOpen();
    EXPECT_THAT(status, HasCode(Code::kFormatVersion));
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("format version 2"));
  }
  RawStore raw(directory_);
  EXPECT_EQ(raw.Meta(meta_key::kFormat), Fixed32(kFormatVersion + 1));
}

TEST_F(HotStoreTest, ANewerFormatOfAnUnfinishedCreationIsRefusedToo) {
  {
    RawStore raw(directory_, {"meta"});
    raw.PutMeta(meta_key::kFormat, Fixed32(kFormatVersion + 5));
  }
  EXPECT_THAT(TryOpen(), HasCode(Code::kFormatVersion)) << "before anything else is looked at";
}

TEST_F(HotStoreTest, EveryDamagedRecordIsCorruption) {
  Create();
  for (const std::string_view key : {meta_key::kFormat, meta_key::kState, meta_key::kShards,
                                     meta_key::kHotTier, meta_key::kLog}) {
    std::string good;
    {
      RawStore raw(directory_);
      good = raw.Records("meta")[std::string(key)];
      std::string bad = good;
      bad[0] = static_cast<char>(bad[0] ^ 1);
      raw.Put("meta", key, bad);
    }
    EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption)) << key;
    EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption)) << key << ", again";
    RawStore(directory_).Put("meta", key, good);
    EXPECT_THAT(TryOpen(), IsOk()) << key << " put back";
  }
}

TEST_F(HotStoreTest, EveryMissingRecordIsCorruption) {
  Create();
  for (const std::string_view key : {meta_key::kState, meta_key::kShards, meta_key::kHotTier}) {
    std::string good;
    {
      RawStore raw(directory_);
      good = raw.Records("meta")[std::string(key)];
      raw.Delete("meta", key);
    }
    EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption)) << key;
    RawStore(directory_).Put("meta", key, good);
  }
  EXPECT_THAT(TryOpen(), IsOk());
}

// Its loss must never look like a store whose creation was cut short: finishing that would write a
// new shard table, and drop shards that the new table does not name.
TEST_F(HotStoreTest, AMissingFormatRecordOfAStoreInUseIsNotANewStore) {
  Create();
  {
    HotStore store;
    ASSERT_THAT(Open(&store), IsOk());
    ASSERT_TRUE(store.db()->Put({}, store.shards()->handles[1], "key", "value").ok());
  }
  RawStore(directory_).Delete("meta", meta_key::kFormat);
  options_.shards = 1;  // a new table would name one shard and drop the other
  EXPECT_FALSE(TryOpen().ok());
  EXPECT_FALSE(TryOpen().ok());
  RawStore raw(directory_);
  EXPECT_EQ(raw.Meta(meta_key::kShards), ShardTable::Equal(2).Encode());
  EXPECT_EQ(raw.Records("shard_0001_00000000")["key"], "value");
}

TEST_F(HotStoreTest, WellSealedNonsenseIsCorruption) {
  Create();
  const auto expect_corruption = [this](std::string_view key, const std::string& payload) {
    std::string good;
    {
      RawStore raw(directory_);
      good = raw.Meta(key);
      raw.PutMeta(key, payload);
    }
    EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption)) << key;
    RawStore(directory_).PutMeta(key, good);
  };
  expect_corruption(meta_key::kFormat, "123");
  expect_corruption(meta_key::kState, "");
  expect_corruption(meta_key::kState, "\x02");
  expect_corruption(meta_key::kState, std::string("\1\1", 2));
  expect_corruption(meta_key::kShards, "table");
  expect_corruption(meta_key::kHotTier, "short");
  EXPECT_THAT(TryOpen(), IsOk());
}

TEST_F(HotStoreTest, AMissingShardIsCorruptionAndIsNotCreatedAnew) {
  Create();
  RawStore(directory_).Drop("shard_0001_00000000");
  for (int i = 0; i < 2; i++) {
    const Status status = TryOpen();
    EXPECT_THAT(status, HasCode(Code::kCorruption));
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("shard_0001_00000000"));
  }
  EXPECT_THAT(FamiliesOf(directory_),
              UnorderedElementsAre("default", "meta", "shard_0000_00000000"));
}

TEST_F(HotStoreTest, ShardsWithoutAMetaColumnFamilyAreCorruption) {
  Create();
  RawStore(directory_).Drop("meta");
  EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption));
  EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption));
}

TEST_F(HotStoreTest, AGenerationThatNeverTookEffectIsDropped) {
  Create();
  {
    RawStore raw(directory_, {ShardColumnFamilyName(0, 1), ShardColumnFamilyName(9, 0)});
    raw.Put(ShardColumnFamilyName(0, 1), "key", "half-copied");
    raw.Put("shard_0000_00000000", "key", "true");
  }
  options_.read_only = true;
  EXPECT_THAT(TryOpen(), IsOk());
  EXPECT_EQ(FamiliesOf(directory_).size(), 6u) << "read-only opening drops nothing";
  options_.read_only = false;
  Create();
  EXPECT_THAT(FamiliesOf(directory_), UnorderedElementsAre("default", "meta", "shard_0000_00000000",
                                                           "shard_0001_00000000"));
  EXPECT_EQ(RawStore(directory_).Records("shard_0000_00000000")["key"], "true");
}

TEST_F(HotStoreTest, TheTableNamesTheGeneration) {
  Create();
  {
    ShardTable table;
    ASSERT_THAT(ShardTable::Create({{0, 0, {{0, 8191}}}, {1, 7, {{8192, 16383}}}}, &table), IsOk());
    RawStore raw(directory_, {ShardColumnFamilyName(1, 7)});
    raw.Put(ShardColumnFamilyName(1, 7), "key", "new");
    raw.PutMeta(meta_key::kShards, table.Encode());
  }
  HotStore store;
  ASSERT_THAT(Open(&store), IsOk());
  EXPECT_EQ(store.shards()->handles[1]->GetName(), "shard_0001_00000007");
  store.Close();
  EXPECT_THAT(FamiliesOf(directory_), UnorderedElementsAre("default", "meta", "shard_0000_00000000",
                                                           "shard_0001_00000007"));
}

// --- Strangers -----------------------------------------------------------------------------------

TEST_F(HotStoreTest, AForeignColumnFamilyIsRefusedByName) {
  { RawStore raw(directory_, {"accounts"}); }
  for (int i = 0; i < 2; i++) {
    const Status status = TryOpen();
    EXPECT_THAT(status, HasCode(Code::kInvalidArgument));
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("'accounts'"));
  }
  EXPECT_THAT(FamiliesOf(directory_), UnorderedElementsAre("default", "accounts"));
}

TEST_F(HotStoreTest, AForeignDatabaseIsRefusedEveryTimeAndNotTouched) {
  RawStore(directory_).Put("default", "theirs", "value");
  for (int i = 0; i < 3; i++) EXPECT_THAT(TryOpen(), HasCode(Code::kInvalidArgument)) << i;
  EXPECT_THAT(FamiliesOf(directory_), UnorderedElementsAre("default"));
  EXPECT_EQ(RawStore(directory_).Records("default")["theirs"], "value");
}

TEST_F(HotStoreTest, AForeignDatabaseWithAMetaColumnFamilyOfItsOwnIsRefused) {
  {
    RawStore raw(directory_, {"meta"});
    raw.Put("meta", "version", "3");
    raw.Put("default", "theirs", "value");
  }
  for (int i = 0; i < 2; i++) EXPECT_THAT(TryOpen(), HasCode(Code::kInvalidArgument)) << i;
  RawStore raw(directory_);
  EXPECT_EQ(raw.Records("meta").size(), 1u);
  EXPECT_EQ(raw.Records("meta")["version"], "3");
}

TEST_F(HotStoreTest, AForeignDatabaseIsRefusedReadOnlyToo) {
  RawStore(directory_).Put("default", "theirs", "value");
  options_.read_only = true;
  EXPECT_THAT(TryOpen(), HasCode(Code::kInvalidArgument));
}

TEST_F(HotStoreTest, AFolderThatIsNoDatabaseIsNotOpened) {
  std::filesystem::create_directories(directory_);
  test::WriteFile(directory_ + "/CURRENT", "not a manifest's name");
  EXPECT_FALSE(TryOpen().ok());
  EXPECT_EQ(test::ReadFile(directory_ + "/CURRENT"), "not a manifest's name");
}

TEST_F(HotStoreTest, ReadOnlyOpeningSeesTheLogAndWritesNothing) {
  {
    HotStore store;
    ASSERT_THAT(Open(&store), IsOk());
    ASSERT_TRUE(store.db()->Put({}, store.shards()->handles[0], "key", "value").ok());
  }
  options_.read_only = true;
  HotStore store;
  ASSERT_THAT(Open(&store), IsOk());
  std::string value;
  ASSERT_TRUE(store.db()->Get({}, store.shards()->handles[0], "key", &value).ok());
  EXPECT_EQ(value, "value");
  EXPECT_FALSE(store.db()->Put({}, store.shards()->handles[0], "key", "other").ok());
}

}  // namespace
}  // namespace thermocline
