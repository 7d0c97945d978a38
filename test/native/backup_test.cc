// What the API's suite cannot bring about: a database with tiers that a backup would leave out.
#include "engine/backup/backup.h"

#include <filesystem>

#include "engine_fixture.h"
#include "raw_store.h"

namespace thermocline {
namespace {

using test::HasCode;
using test::IsOk;
using test::Put;

class BackupTest : public test::EngineTest {};

TEST_F(BackupTest, HalfOfATieredDatabaseIsNoBackup) {
  Open();
  ASSERT_THAT(Put(engine(), "key", "value"), IsOk());
  Backup backup;
  ASSERT_THAT(engine()->CreateBackup(folder_ / "sound", 0, &backup), IsOk());
  EXPECT_EQ(backup.id, 1u);
  HotStore store;
  Close();
  test::RawStore(hot_).PutMeta("tier/warm", "some record");
  EngineOptions options = test::SmallOptions(0);
  ASSERT_THAT(store.Open(hot_, options, MakeRocksShared(options), nullptr), IsOk());
  EXPECT_THAT(CreateBackup(&store, folder_ / "half", 0, &backup), HasCode(Code::kInvalidArgument));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "half"));
}

TEST_F(BackupTest, SoIsADatabaseWithoutItsTopics) {
  Open();
  std::filesystem::create_directories(location_ + "/topics/orders");
  Backup backup;
  EXPECT_THAT(engine()->CreateBackup(folder_ / "half", 0, &backup),
              HasCode(Code::kInvalidArgument));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "half"));
}

}  // namespace
}  // namespace thermocline
