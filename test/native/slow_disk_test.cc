// The simulated disk: how long transfers take, and that only its folder is slow.

#include "engine/platform/slow_disk.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "engine/platform/time.h"
#include "engine_fixture.h"
#include "support.h"

namespace thermocline {
namespace {

constexpr uint64_t kMilli = 1'000'000;

TEST(SlowDiskTest, ATransferTakesItsLatencyAndItsBytes) {
  SlowDisk disk({.latency_nanos = 5 * kMilli, .bytes_per_second = 1'000'000, .one_arm = true});
  EXPECT_EQ(disk.Schedule(0, 1000, true), 6 * kMilli);
  EXPECT_EQ(disk.Schedule(100 * kMilli, 1000, false), 101 * kMilli) << "no seek";
  EXPECT_EQ(disk.seeks(), 1u);
  EXPECT_EQ(disk.bytes(), 2000u);
}

TEST(SlowDiskTest, OneArmDoesOneTransferAfterTheOther) {
  SlowDisk disk({.latency_nanos = 8 * kMilli, .bytes_per_second = 1'000'000'000, .one_arm = true});
  EXPECT_EQ(disk.Schedule(0, 0, true), 8 * kMilli);
  EXPECT_EQ(disk.Schedule(0, 0, true), 16 * kMilli);
}

TEST(SlowDiskTest, WithoutAnArmLatenciesRunSideBySideAndBandwidthIsShared) {
  SlowDisk disk({.latency_nanos = 8 * kMilli, .bytes_per_second = 1'000'000, .one_arm = false});
  EXPECT_EQ(disk.Schedule(0, 1000, true), 9 * kMilli);
  EXPECT_EQ(disk.Schedule(0, 1000, true), 10 * kMilli);
  EXPECT_EQ(disk.Schedule(0, 1000, false), 3 * kMilli);
}

TEST(SlowDiskTest, NobodyIsBackBeforeTheDeviceIsDone) {
  SlowDisk disk({.latency_nanos = 3 * kMilli, .bytes_per_second = 1'000'000'000, .one_arm = true});
  const uint64_t began = NowNanos();
  for (int i = 0; i < 4; i++) disk.Transfer(0, true);
  EXPECT_GE(NowNanos() - began, 12 * kMilli);
}

TEST(SlowDiskTest, ReadsThatGoOnWhereTheLastOneEndedDoNotSeek) {
  test::TempFolder folder;
  const std::string name = folder / "file";
  test::WriteFile(name, std::string(10'000, 'x'));
  const auto disk = std::make_shared<SlowDisk>(DiskSpeed{0, 1'000'000'000, true});
  const auto env = NewSlowEnv(rocksdb::Env::Default(), disk, folder / "");
  std::unique_ptr<rocksdb::RandomAccessFile> file;
  ASSERT_TRUE(env->NewRandomAccessFile(name, &file, rocksdb::EnvOptions()).ok());
  char scratch[1000];
  rocksdb::Slice result;
  for (uint64_t at : {0, 1000, 2000}) {
    ASSERT_TRUE(file->Read(at, sizeof scratch, &result, scratch).ok());
    EXPECT_EQ(result, std::string(1000, 'x'));
  }
  EXPECT_EQ(disk->seeks(), 1u);
  ASSERT_TRUE(file->Read(5000, sizeof scratch, &result, scratch).ok());
  EXPECT_EQ(disk->seeks(), 2u);
  EXPECT_EQ(disk->bytes(), 4000u);
}

TEST(SlowDiskTest, FilesElsewhereAreAsFastAsTheyAre) {
  test::TempFolder folder;
  test::WriteFile(folder / "file", "x");
  const auto disk = std::make_shared<SlowDisk>(kHardDisk);
  const auto env = NewSlowEnv(rocksdb::Env::Default(), disk, folder / "slow");
  std::unique_ptr<rocksdb::RandomAccessFile> file;
  ASSERT_TRUE(env->NewRandomAccessFile(folder / "file", &file, rocksdb::EnvOptions()).ok());
  char scratch[1];
  rocksdb::Slice result;
  ASSERT_TRUE(file->Read(0, 1, &result, scratch).ok());
  EXPECT_EQ(disk->seeks() + disk->bytes(), 0u);
}

}  // namespace
}  // namespace thermocline
