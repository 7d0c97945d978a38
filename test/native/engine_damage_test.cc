// Logs that are torn or damaged, and files that are missing: what is told, and what is still there.

#include <rocksdb/env.h>

#include <filesystem>
#include <set>
#include <string>

#include "engine/platform/boot_id.h"
#include "engine_fixture.h"
#include "raw_store.h"

namespace thermocline::test {
namespace {

namespace fs = std::filesystem;

class WalTest : public EngineTest {
 protected:
  // The one log that is not empty.
  std::string Wal() const {
    std::string wal;
    for (const auto& entry : fs::directory_iterator(hot_)) {
      if (entry.path().extension() == ".log" && entry.file_size() > 0) {
        EXPECT_EQ(wal, "") << "two logs";
        wal = entry.path().string();
      }
    }
    return wal;
  }
  void WriteTen() {
    Open();
    for (int i = 0; i < 10; i++) {
      ASSERT_THAT(Put(engine(), "key" + std::to_string(i), std::string(100, 'v')), IsOk());
    }
    Close();
  }
};

TEST_F(WalTest, ATornTailLosesOnlyWhatWasTorn) {
  WriteTen();
  const std::string wal = Wal();
  const std::string content = ReadFile(wal);
  // Closing wrote one record more, the clock's; the cut goes through the last put or behind it.
  WriteFile(wal, content.substr(0, content.size() - 120));
  Open(SmallOptions(0));
  const size_t left = Scan(engine()).size();
  EXPECT_GE(left, 8u);
  EXPECT_LE(left, 10u);
  for (size_t i = 0; i < left; i++) EXPECT_TRUE(Get(engine(), "key" + std::to_string(i))) << i;
}

// Changes a bit of a record in the middle, behind which others were acknowledged.
class DamagedWalTest : public WalTest {
 protected:
  void WriteTenAndDamageTheFourth() {
    WriteTen();
    const std::string wal = Wal();
    std::string content = ReadFile(wal);
    const size_t middle = content.find("key3");
    ASSERT_NE(middle, std::string::npos);
    content[middle] = static_cast<char>(content[middle] ^ 0x20);
    WriteFile(wal, content);
  }
  std::string Note() const { return ReadFile(location_ + "/LOCK"); }
  void SetNote(const std::string& note) { WriteFile(location_ + "/LOCK", note); }
};

TEST_F(DamagedWalTest, IsCorruptionAndStaysSo) {
  WriteTenAndDamageTheFourth();
  EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption));
  EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption)) << "what follows the damage was acknowledged";
}

TEST_F(DamagedWalTest, IsCorruptionAfterACrashOfTheProcess) {
  WriteTenAndDamageTheFourth();
  SetNote(BootId());
  EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption)) << "a dead process damages no log";
  EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption));
}

TEST_F(DamagedWalTest, EndsTheLogAfterALossOfPower) {
  WriteTenAndDamageTheFourth();
  SetNote("another boot");
  Open(SmallOptions(0));
  EXPECT_EQ(Scan(engine()).size(), 3u) << "what lies before the damage";
  ASSERT_THAT(Put(engine(), "new", "value"), IsOk());
  Reopen();
  EXPECT_EQ(Scan(engine()).size(), 4u);
}

// Recovery may fail, or be killed, and then it must not be forgotten that it was about a loss of
// power.
TEST_F(DamagedWalTest, EndsTheLogAtTheSecondTryToo) {
  WriteTenAndDamageTheFourth();
  SetNote("another boot");
  rocksdb::FileLock* held = nullptr;
  ASSERT_TRUE(rocksdb::Env::Default()->LockFile(hot_ + "/LOCK", &held).ok());
  EXPECT_FALSE(TryOpen().ok());
  ASSERT_TRUE(rocksdb::Env::Default()->UnlockFile(held).ok());
  EXPECT_THAT(TryOpen(), IsOk());
}

// RocksDB's reader waits for ever there, or takes the log for empty (cmake/rocksdb/patches.cmake).
TEST_F(WalTest, ARecordThatSaysItsLogWasRecycledIsCorruption) {
  WriteTen();
  const std::string wal = Wal();
  const std::string whole = ReadFile(wal);
  const std::set<size_t> types = LogTypeBytes(whole);
  ASSERT_GE(types.size(), 10u);
  for (const size_t at : types) {
    for (const char type : {5, 6, 7, 8, 11}) {
      std::string damaged = whole;
      damaged[at] = type;
      WriteFile(wal, damaged);
      EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption)) << "byte " << at << " is " << int{type};
    }
  }
  WriteFile(wal, whole);
  Open(SmallOptions(0));
  EXPECT_EQ(Scan(engine()).size(), 10u);
}

TEST_F(DamagedWalTest, TheNoteSaysWhetherItWasClosed) {
  Open();
  EXPECT_EQ(Note(), BootId());
  Close();
  EXPECT_EQ(Note(), "");
}

using MissingFileTest = EngineTest;

TEST_F(MissingFileTest, AMissingTableIsAnErrorAndNotAnEmptyDatabase) {
  Open();
  ASSERT_THAT(Put(engine(), "key", "value"), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  Close();
  int removed = 0;
  for (const auto& entry : fs::directory_iterator(hot_)) {
    if (entry.path().extension() == ".sst") {
      fs::remove(entry.path());
      removed++;
    }
  }
  ASSERT_GT(removed, 0);
  const Status status = TryOpen();
  EXPECT_THAT(status.code(), testing::AnyOf(Code::kCorruption, Code::kIo)) << status.message();
}

TEST_F(MissingFileTest, AMissingManifestIsAnError) {
  ASSERT_THAT(TryOpen(), IsOk());
  for (const auto& entry : fs::directory_iterator(hot_)) {
    if (entry.path().filename().string().starts_with("MANIFEST")) fs::remove(entry.path());
  }
  EXPECT_FALSE(TryOpen().ok());
}

}  // namespace
}  // namespace thermocline::test
