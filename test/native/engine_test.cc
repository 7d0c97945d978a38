// The engine as a whole: opening, closing, deleting, and what survives in between.

#include "engine/engine.h"

#include <rocksdb/env.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine/platform/boot_id.h"
#include "engine/record/commit_header.h"
#include "engine_fixture.h"
#include "raw_store.h"

namespace thermocline {
namespace {

namespace fs = std::filesystem;
using test::Cached;
using test::Delete;
using test::FamiliesOf;
using test::Get;
using test::HasCode;
using test::IsOk;
using test::PackedWrites;
using test::Put;
using test::RawStore;
using test::Record;
using test::Scan;
using test::SmallOptions;
using test::TakeAll;
using test::Write;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

std::string Fixed64(uint64_t v) {
  std::string bytes;
  PutFixed64(&bytes, v);
  return bytes;
}

class EngineOpenTest : public test::EngineTest {
 protected:
  Status TryOpen(const EngineOptions& options = SmallOptions(0)) {
    std::shared_ptr<Engine> engine;
    const Status status = Engine::Open(location_, options, &engine);
    EXPECT_EQ(engine != nullptr, status.ok());
    if (engine) engine->Close();
    return status;
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(location_)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }
};

// --- Where
// -----------------------------------------------------------------------------------------

TEST_F(EngineOpenTest, CreatesTheFolderWithItsParents) {
  const std::string deep = folder_ / "a/b/c";
  std::shared_ptr<Engine> engine;
  ASSERT_THAT(Engine::Open(deep, SmallOptions(), &engine), IsOk());
  EXPECT_TRUE(fs::exists(deep + "/hot/CURRENT"));
  EXPECT_TRUE(fs::exists(deep + "/LOCK"));
  EXPECT_EQ(engine->location(), deep);
}

TEST_F(EngineOpenTest, AnEmptyFolderIsUsed) {
  fs::create_directories(location_);
  EXPECT_THAT(TryOpen(), IsOk());
  EXPECT_THAT(Names(), UnorderedElementsAre("LOCK", "hot"));
}

TEST_F(EngineOpenTest, WithoutCreateIfMissingADatabaseMustExist) {
  EngineOptions options = SmallOptions();
  options.create_if_missing = false;
  EXPECT_THAT(TryOpen(options), HasCode(Code::kNotFound));
  EXPECT_FALSE(fs::exists(location_));
  fs::create_directories(location_);
  EXPECT_THAT(TryOpen(options), HasCode(Code::kNotFound));
  EXPECT_TRUE(fs::is_empty(location_)) << "nothing was left behind";
  ASSERT_THAT(TryOpen(), IsOk());
  EXPECT_THAT(TryOpen(options), IsOk());
}

TEST_F(EngineOpenTest, ErrorIfExistsRefusesADatabase) {
  EngineOptions options = SmallOptions();
  options.error_if_exists = true;
  EXPECT_THAT(TryOpen(options), IsOk());
  EXPECT_THAT(TryOpen(options), HasCode(Code::kInvalidArgument));
}

TEST_F(EngineOpenTest, ReadOnlyNeverCreates) {
  EngineOptions options = SmallOptions();
  options.read_only = true;
  EXPECT_THAT(TryOpen(options), HasCode(Code::kNotFound));
  EXPECT_FALSE(fs::exists(location_));
}

TEST_F(EngineOpenTest, AFileIsNotAFolder) {
  test::WriteFile(location_, "a file");
  EXPECT_THAT(TryOpen(), HasCode(Code::kInvalidArgument));
  EXPECT_EQ(test::ReadFile(location_), "a file");
}

TEST_F(EngineOpenTest, AFileOnTheWayIsAnIoError) {
  test::WriteFile(folder_ / "file", "");
  std::shared_ptr<Engine> engine;
  EXPECT_THAT(Engine::Open(folder_ / "file/db", SmallOptions(), &engine), HasCode(Code::kIo));
  EXPECT_EQ(engine.get(), nullptr);
}

TEST_F(EngineOpenTest, AnImpossibleNameIsAnIoError) {
  std::shared_ptr<Engine> engine;
  const std::string name(300, 'n');
  EXPECT_THAT(Engine::Open(folder_ / name, SmallOptions(), &engine), HasCode(Code::kIo));
}

TEST_F(EngineOpenTest, AFolderWithFilesOfOthersIsRefusedByName) {
  fs::create_directories(location_);
  test::WriteFile(location_ + "/letter.txt", "dear");
  const Status status = TryOpen();
  EXPECT_THAT(status, HasCode(Code::kInvalidArgument));
  EXPECT_THAT(std::string(status.message()), HasSubstr("letter.txt"));
  EXPECT_THAT(Names(), UnorderedElementsAre("letter.txt"));
}

// A folder that happens to be called "hot" and is full of photographs is not ours to fill.
TEST_F(EngineOpenTest, AForeignFolderNamedHotIsRefused) {
  fs::create_directories(hot_);
  test::WriteFile(hot_ + "/beach.jpg", "a photograph");
  EXPECT_THAT(TryOpen(), HasCode(Code::kInvalidArgument));
  EXPECT_FALSE(fs::exists(hot_ + "/CURRENT"));
  EXPECT_EQ(test::ReadFile(hot_ + "/beach.jpg"), "a photograph");
}

TEST_F(EngineOpenTest, FilesBesideADatabaseAreTheUsersOwn) {
  ASSERT_THAT(TryOpen(), IsOk());
  test::WriteFile(location_ + "/notes.txt", "mine");
  EXPECT_THAT(TryOpen(), IsOk());
}

TEST_F(EngineOpenTest, AFolderThatMayNotBeReadIsAnIoError) {
  fs::create_directories(location_);
  fs::permissions(location_, fs::perms::none);
  fs::permissions(folder_.path(), fs::perms::all);
  // The administrator may read everything, so somebody else has to try.
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(100);
    std::shared_ptr<Engine> engine;
    _exit(static_cast<int>(Engine::Open(location_, SmallOptions(), &engine).code()));
  }
  int result = 0;
  ASSERT_EQ(waitpid(child, &result, 0), child);
  fs::permissions(location_, fs::perms::owner_all);
  ASSERT_TRUE(WIFEXITED(result));
  EXPECT_EQ(static_cast<Code>(WEXITSTATUS(result)), Code::kIo);
}

// --- How
// -------------------------------------------------------------------------------------------

TEST_F(EngineOpenTest, ImpossibleOptionsAreRefusedBeforeAnythingIsTouched) {
  for (const auto& change : std::vector<std::function<void(EngineOptions&)>>{
           [](EngineOptions& o) { o.shards = 257; }, [](EngineOptions& o) { o.shards = -1; },
           [](EngineOptions& o) { o.threads.read = 1000; },
           [](EngineOptions& o) { o.memory.write_buffer = 1; }}) {
    EngineOptions options = SmallOptions();
    change(options);
    EXPECT_THAT(TryOpen(options), HasCode(Code::kInvalidArgument));
    EXPECT_FALSE(fs::exists(location_));
  }
}

TEST_F(EngineOpenTest, AnyNumberOfShardsFromOneTo256) {
  for (const int shards : {1, 3, 256}) {
    std::shared_ptr<Engine> engine;
    const std::string location = folder_ / ("shards" + std::to_string(shards));
    ASSERT_THAT(Engine::Open(location, SmallOptions(shards), &engine), IsOk());
    EXPECT_EQ(engine->Gauges().shards, shards);
    std::map<std::string, std::string> model;
    PackedWrites writes;
    for (int i = 0; i < 600; i++) {
      model["key" + std::to_string(i)] = std::to_string(i);
      writes.Put("key" + std::to_string(i), std::to_string(i));
    }
    ASSERT_THAT(Write(engine.get(), writes), IsOk());
    engine->Close();
    ASSERT_THAT(Engine::Open(location, SmallOptions(0), &engine), IsOk());
    EXPECT_EQ(engine->Gauges().shards, shards) << "the database's own number";
    EXPECT_EQ(Scan(engine.get()), (std::vector<Record>(model.begin(), model.end())));
    engine->Close();
  }
}

TEST_F(EngineOpenTest, ASecondEngineOnTheSameFolderIsLockedOut) {
  Open();
  EXPECT_THAT(TryOpen(), HasCode(Code::kLocked));
  EngineOptions reader = SmallOptions();
  reader.read_only = true;
  EXPECT_THAT(TryOpen(reader), HasCode(Code::kLocked));
  ASSERT_THAT(Put(engine(), "still", "works"), IsOk());
  Close();
  EXPECT_THAT(TryOpen(), IsOk());
}

TEST_F(EngineOpenTest, SeveralReadOnlyEnginesShareAFolderAndKeepWritersOut) {
  Open();
  ASSERT_THAT(Put(engine(), "key", "value"), IsOk());
  Close();
  EngineOptions options = SmallOptions();
  options.read_only = true;
  std::shared_ptr<Engine> one;
  std::shared_ptr<Engine> two;
  ASSERT_THAT(Engine::Open(location_, options, &one), IsOk());
  ASSERT_THAT(Engine::Open(location_, options, &two), IsOk());
  EXPECT_EQ(Get(one.get(), "key"), "value");
  EXPECT_EQ(Get(two.get(), "key"), "value");
  EXPECT_THAT(TryOpen(), HasCode(Code::kLocked));
  one->Close();
  two->Close();
  EXPECT_THAT(TryOpen(), IsOk());
}

TEST_F(EngineOpenTest, AReadOnlyEngineReadsAndRefusesEverythingElse) {
  Open();
  ASSERT_THAT(Write(engine(), PackedWrites().Put("a", "1").Put("b", "2")), IsOk());
  EngineOptions options = SmallOptions();
  options.read_only = true;
  Reopen(options);
  EXPECT_EQ(Get(engine(), "a"), "1");
  EXPECT_EQ(Scan(engine()).size(), 2u);
  EXPECT_THAT(Put(engine(), "c", "3"), HasCode(Code::kReadOnly));
  EXPECT_THAT(engine()->Flush(), HasCode(Code::kReadOnly));
  EXPECT_THAT(engine()->Compact({}), HasCode(Code::kReadOnly));
  uint64_t bytes = 0;
  EXPECT_THAT(engine()->ApproximateSize({}, &bytes), IsOk());
  EXPECT_EQ(engine()->Gauges().in_flight_bytes, 0u);
  Reopen();
  EXPECT_EQ(Get(engine(), "c"), std::nullopt);
}

TEST_F(EngineOpenTest, AReadOnlyEngineChangesNoFile) {
  Open();
  ASSERT_THAT(Put(engine(), "key", "value"), IsOk());
  Close();
  const auto state = [this] {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(location_)) {
      const std::string name = entry.path().filename().string();
      // RocksDB's own diary.
      if (entry.is_regular_file() && !name.starts_with("LOG")) {
        files[entry.path().string()] = test::ReadFile(entry.path());
      }
    }
    return files;
  };
  const auto before = state();
  EngineOptions options = SmallOptions();
  options.read_only = true;
  Open(options);
  EXPECT_EQ(Get(engine(), "key"), "value");
  Close();
  EXPECT_EQ(state(), before);
}

TEST_F(EngineOpenTest, AForeignRocksDbIsRefusedEveryTimeAndNotTouched) {
  { RawStore(hot_).Put("default", "theirs", "value"); }
  for (int i = 0; i < 3; i++) EXPECT_THAT(TryOpen(), HasCode(Code::kInvalidArgument)) << i;
  EXPECT_THAT(FamiliesOf(hot_), UnorderedElementsAre("default"));
}

// A refused database is not ours to write to: not even the clock.
TEST_F(EngineOpenTest, AFailedOpenChangesNothing) {
  ASSERT_THAT(TryOpen(SmallOptions(2)), IsOk());
  const uint64_t later = uint64_t{4} * 1000 * 1000 * 1000 * 1000;
  const auto prepare = [&](const std::function<void(RawStore*)>& damage) {
    RawStore raw(hot_);
    raw.PutMeta(meta_key::kClock, Fixed64(later));
    damage(&raw);
  };
  const auto expect_untouched = [&](const char* what) {
    RawStore raw(hot_);
    EXPECT_EQ(raw.Meta(meta_key::kClock), Fixed64(later)) << what;
  };
  std::string format;
  PutFixed32(&format, kFormatVersion + 1);
  prepare([&](RawStore* raw) { raw->PutMeta(meta_key::kFormat, format); });
  EXPECT_THAT(TryOpen(), HasCode(Code::kFormatVersion));
  expect_untouched("newer format");
  format.clear();
  PutFixed32(&format, kFormatVersion);
  prepare([&](RawStore* raw) {
    raw->PutMeta(meta_key::kFormat, format);
    raw->Drop("shard_0001_00000000");
  });
  EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption));
  expect_untouched("missing shard");
}

TEST_F(EngineOpenTest, ADamagedClockIsCorruptionAndStaysSo) {
  ASSERT_THAT(TryOpen(), IsOk());
  RawStore(hot_).Put("meta", meta_key::kClock, "not sealed at all");
  EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption));
  EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption)) << "a second try must not paper over it";
}

TEST_F(EngineOpenTest, AClockOfAnotherSizeIsCorruption) {
  ASSERT_THAT(TryOpen(), IsOk());
  RawStore(hot_).PutMeta(meta_key::kClock, "1234");
  EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption));
}

// --- What survives -----------------------------------------------------------------------------

class EngineDataTest : public EngineOpenTest {};

TEST_F(EngineDataTest, RandomCommitsMatchASortedMapOverReopeningsAndFlushes) {
  Open();
  std::minstd_rand random(41);
  std::map<std::string, std::string> model;
  const auto key = [&random] { return std::to_string(random() % 500); };
  for (int round = 0; round < 120; round++) {
    PackedWrites writes;
    for (auto n = random() % 30; n > 0; n--) {
      const std::string k = key();
      const auto dice = random() % 40;
      if (dice == 0) {
        const std::string end = key();
        writes.DeleteRange(k, end);
        if (k < end) model.erase(model.lower_bound(k), model.lower_bound(end));
      } else if (dice == 1) {
        writes.DeleteRange("9" + k, std::nullopt);
        model.erase(model.lower_bound("9" + k), model.end());
      } else if (dice < 12) {
        writes.Delete(k);
        model.erase(k);
      } else {
        const std::string value(random() % 2000, static_cast<char>('a' + round % 26));
        writes.Put(k, value);
        model[k] = value;
      }
    }
    ASSERT_THAT(Write(engine(), writes, random() % 2 == 0), IsOk());
    for (int i = 0; i < 10; i++) {
      const std::string k = key();
      const auto found = model.find(k);
      ASSERT_EQ(Get(engine(), k),
                found == model.end() ? std::nullopt : std::optional(found->second));
    }
    if (round % 15 == 7) {
      ASSERT_THAT(engine()->Flush(), IsOk());
    }
    if (round % 40 == 20) Reopen();
    if (round % 40 == 35) {
      ASSERT_THAT(engine()->Compact({}), IsOk());
    }
    if (round % 10 == 0) {
      ASSERT_EQ(Scan(engine()), (std::vector<Record>(model.begin(), model.end()))) << round;
    }
  }
  Reopen();
  EXPECT_EQ(Scan(engine()), (std::vector<Record>(model.begin(), model.end())));
}

TEST_F(EngineDataTest, AcknowledgedWritesSurviveAKilledProcess) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    std::shared_ptr<Engine> engine;
    if (!Engine::Open(location_, SmallOptions(), &engine).ok()) _exit(1);
    for (uint32_t i = 0;; i++) {
      // Two records of different shards, which must survive together.
      const PackedWrites writes = PackedWrites()
                                      .Put("a" + std::to_string(i), "value")
                                      .Put("z" + std::to_string(i), "value");
      if (!Write(engine.get(), writes).ok()) _exit(1);
      if (write(ends[1], &i, sizeof i) != sizeof i) _exit(1);
    }
  }
  close(ends[1]);
  uint32_t acknowledged = 0;
  while (acknowledged < 500) {
    ASSERT_EQ(read(ends[0], &acknowledged, sizeof acknowledged),
              static_cast<ssize_t>(sizeof acknowledged));
  }
  kill(child, SIGKILL);
  while (read(ends[0], &acknowledged, sizeof acknowledged) > 0) continue;
  close(ends[0]);
  waitpid(child, nullptr, 0);
  Open(SmallOptions(0));
  uint32_t present = 0;
  while (Get(engine(), "a" + std::to_string(present))) {
    ASSERT_EQ(Get(engine(), "z" + std::to_string(present)), "value") << "half of a commit";
    present++;
  }
  EXPECT_GT(present, acknowledged);
  EXPECT_EQ(Scan(engine()).size(), 2 * present);
}

class WalTest : public EngineDataTest {
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
  const std::string content = test::ReadFile(wal);
  // Closing wrote one record more, the clock's; the cut goes through the last put or behind it.
  test::WriteFile(wal, content.substr(0, content.size() - 120));
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
    std::string content = test::ReadFile(wal);
    const size_t middle = content.find("key3");
    ASSERT_NE(middle, std::string::npos);
    content[middle] = static_cast<char>(content[middle] ^ 0x20);
    test::WriteFile(wal, content);
  }
  std::string Note() const { return test::ReadFile(location_ + "/LOCK"); }
  void SetNote(const std::string& note) { test::WriteFile(location_ + "/LOCK", note); }
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
  const std::string whole = test::ReadFile(wal);
  const std::set<size_t> types = test::LogTypeBytes(whole);
  ASSERT_GE(types.size(), 10u);
  for (const size_t at : types) {
    for (const char type : {5, 6, 7, 8, 11}) {
      std::string damaged = whole;
      damaged[at] = type;
      test::WriteFile(wal, damaged);
      EXPECT_THAT(TryOpen(), HasCode(Code::kCorruption)) << "byte " << at << " is " << int{type};
    }
  }
  test::WriteFile(wal, whole);
  Open(SmallOptions(0));
  EXPECT_EQ(Scan(engine()).size(), 10u);
}

TEST_F(DamagedWalTest, TheNoteSaysWhetherItWasClosed) {
  Open();
  EXPECT_EQ(Note(), BootId());
  Close();
  EXPECT_EQ(Note(), "");
}

TEST_F(EngineDataTest, AMissingTableIsAnErrorAndNotAnEmptyDatabase) {
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

TEST_F(EngineDataTest, AMissingManifestIsAnError) {
  ASSERT_THAT(TryOpen(), IsOk());
  for (const auto& entry : fs::directory_iterator(hot_)) {
    if (entry.path().filename().string().starts_with("MANIFEST")) fs::remove(entry.path());
  }
  EXPECT_FALSE(TryOpen().ok());
}

// --- The clock
// -------------------------------------------------------------------------------------

TEST_F(EngineDataTest, TheClockNeverRunsBackwardsOverReopenings) {
  Open();
  const uint64_t later = engine()->clock().NowMs() + 3'600'000;
  engine()->clock().RaiseTo(later);
  ASSERT_THAT(Put(engine(), "expires", "value", later), IsOk());
  EXPECT_EQ(Get(engine(), "expires"), std::nullopt);
  for (int i = 0; i < 2; i++) {
    Reopen();
    EXPECT_GE(engine()->clock().NowMs(), later) << i;
    EXPECT_EQ(Get(engine(), "expires"), std::nullopt) << "what has expired stays expired";
  }
  EngineOptions reader = SmallOptions();
  reader.read_only = true;
  Reopen(reader);
  EXPECT_GE(engine()->clock().NowMs(), later);
}

TEST_F(EngineDataTest, AnUnusedClockKeepsItsMark) {
  ASSERT_THAT(TryOpen(), IsOk());
  const uint64_t later = uint64_t{4} * 1000 * 1000 * 1000 * 1000;
  RawStore(hot_).PutMeta(meta_key::kClock, Fixed64(later));
  ASSERT_THAT(TryOpen(), IsOk());
  EXPECT_EQ(RawStore(hot_).Meta(meta_key::kClock), Fixed64(later));
}

// --- Commit ids
// ------------------------------------------------------------------------------------

// The ids of user commits in the log, in order.
class IdCollector : public rocksdb::WriteBatch::Handler {
 public:
  std::vector<uint64_t> ids;
  rocksdb::Status PutCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(uint32_t, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteRangeCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }
  void LogData(const rocksdb::Slice& blob) override {
    CommitHeader header;
    ASSERT_TRUE(DecodeCommitHeader({blob.data(), blob.size()}, &header));
    if (header.origin == CommitOrigin::kUser) ids.push_back(header.first_commit_id);
  }
};

// An id names one commit for ever, whatever those commits did: the change feed resumes by it.
TEST_F(EngineDataTest, CommitIdsRiseOverReopenings) {
  uint64_t highest = 0;
  for (int round = 0; round < 4; round++) {
    Open(SmallOptions(round == 0 ? 4 : 0));
    for (int i = 0; i < 10; i++) {
      // Nothing or little of these reaches the store.
      ASSERT_THAT(Write(engine(), PackedWrites().DeleteRange("z", std::nullopt)), IsOk());
      ASSERT_THAT(Write(engine(), PackedWrites().DeleteRange("b", "a")), IsOk());
      PackedWrites same;
      for (int n = 0; n < 10; n++) same.Put("same key", std::to_string(n));
      ASSERT_THAT(Write(engine(), same, /*atomic=*/false), IsOk());
    }
    ASSERT_THAT(Put(engine(), "key", std::to_string(round)), IsOk());
    Close();
    RawStore raw(hot_);
    std::unique_ptr<rocksdb::TransactionLogIterator> log;
    ASSERT_TRUE(raw.db()->GetUpdatesSince(0, &log).ok());
    IdCollector collector;
    for (; log->Valid(); log->Next()) {
      ASSERT_TRUE(log->GetBatch().writeBatchPtr->Iterate(&collector).ok());
    }
    ASSERT_FALSE(collector.ids.empty());
    EXPECT_GT(collector.ids.front(), highest) << "round " << round;
    highest = collector.ids.back();
    EXPECT_TRUE(std::is_sorted(collector.ids.begin(), collector.ids.end()));
  }
}

// --- Maintenance
// -----------------------------------------------------------------------------------

TEST_F(EngineDataTest, FlushEmptiesTheLogIntoTables) {
  Open();
  ASSERT_THAT(Put(engine(), "key", std::string(10000, 'v')), IsOk());
  EXPECT_EQ(engine()->Gauges().sst_bytes, 0u);
  ASSERT_THAT(engine()->Flush(), IsOk());
  EXPECT_GT(engine()->Gauges().sst_bytes, 0u);
  EXPECT_GE(engine()->Snapshot().flush_nanos.count, 1u);
  EXPECT_EQ(Get(engine(), "key"), std::string(10000, 'v'));
}

TEST_F(EngineDataTest, CompactingGivesBackWhatWasDeleted) {
  Open();
  std::minstd_rand random(1);
  PackedWrites writes;
  for (int i = 0; i < 2000; i++) {
    std::string value(500, '\0');
    for (char& c : value) c = static_cast<char>(random());
    writes.Put("key" + std::to_string(i), value);
  }
  ASSERT_THAT(Write(engine(), writes), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  const uint64_t before = engine()->Gauges().sst_bytes;
  ASSERT_GT(before, 500'000u);
  ASSERT_THAT(Write(engine(), PackedWrites().DeleteRange("key", "key9")), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  KeyRange range;
  range.has_start = range.has_end = true;
  range.start = "key";
  range.end = "kez";
  ASSERT_THAT(engine()->Compact(range), IsOk());
  EXPECT_LT(engine()->Gauges().sst_bytes, before / 2);
  EXPECT_EQ(Scan(engine()).size(), 111u) << "key9, key90 to key99, key900 to key999";
}

TEST_F(EngineDataTest, SizesFollowTheRange) {
  Open();
  uint64_t nothing = 1;
  ASSERT_THAT(engine()->ApproximateSize({}, &nothing), IsOk());
  EXPECT_EQ(nothing, 0u);
  PackedWrites writes;
  for (int i = 0; i < 4000; i++) {
    writes.Put((i % 2 == 0 ? "a" : "b") + std::to_string(100000 + i), std::string(500, 'v'));
  }
  ASSERT_THAT(Write(engine(), writes), IsOk());
  const auto size = [this](KeyRange range) {
    uint64_t bytes = 0;
    EXPECT_THAT(engine()->ApproximateSize(range, &bytes), IsOk());
    return bytes;
  };
  for (const bool in_tables : {false, true}) {
    const uint64_t all = size({});
    const uint64_t first = size({false, true, "", "b"});
    const uint64_t second = size({true, false, "b", ""});
    EXPECT_GT(all, 100'000u);
    // Of a memtable RocksDB estimates it from the heights of its skip list's nodes, which are drawn
    // by lot: more or less anything may come out, seldom far from the truth.
    EXPECT_GT(first, in_tables ? all / 5 : 0);
    EXPECT_GT(second, in_tables ? all / 5 : 0);
    if (in_tables) {
      EXPECT_LT(first, all * 4 / 5);
    }
    EXPECT_EQ(size({true, true, "x", "y"}), 0u);
    EXPECT_EQ(size({true, true, "b", "a"}), 0u) << "an inverted range holds nothing";
    ASSERT_THAT(engine()->Flush(), IsOk());
  }
}

TEST_F(EngineDataTest, GaugesAndCountersShowWhatHappened) {
  Open();
  ASSERT_THAT(Write(engine(), PackedWrites().Put("a", "1").Put("b", "2")), IsOk());
  ASSERT_THAT(Put(engine(), "c", "3"), IsOk());
  Get(engine(), "a");
  Get(engine(), "a");
  Get(engine(), "none");
  Get(engine(), "none");
  const EngineGauges gauges = engine()->Gauges();
  EXPECT_EQ(gauges.shards, 4);
  EXPECT_EQ(gauges.in_flight_bytes, 0u);
  EXPECT_EQ(gauges.queue_age_nanos, 0u);
  EXPECT_GT(gauges.target_group_bytes, 0u);
  EXPECT_EQ(gauges.hot_cache_entries, 2u);
  EXPECT_GT(gauges.hot_cache_bytes, 0u);
  EXPECT_EQ(gauges.hot_cache_capacity_bytes, kMiB);
  EXPECT_EQ(gauges.block_cache_capacity_bytes, 4 * kMiB);
  EXPECT_GT(gauges.memtable_bytes, 0u);
  EXPECT_EQ(gauges.estimated_keys, 3u);
  EXPECT_EQ(gauges.running_flushes, 0u);
  const MetricsSnapshot snapshot = engine()->Snapshot();
  EXPECT_EQ(snapshot.hot_cache_hits, 1u);
  EXPECT_EQ(snapshot.hot_cache_negative_hits, 1u);
  EXPECT_EQ(snapshot.hot_cache_misses, 2u);
  EXPECT_EQ(snapshot.commits, 2u);
  EXPECT_EQ(snapshot.groups, 2u);
  EXPECT_EQ(snapshot.group_operations, 3u);
}

// --- Expiry and compaction
// -------------------------------------------------------------------------

TEST_F(EngineDataTest, CompactionGivesBackWhatHasExpired) {
  Open();
  const uint64_t soon = engine()->clock().NowMs() + 1'000'000;
  PackedWrites writes;
  for (int i = 0; i < 500; i++) {
    const std::string key = std::to_string(i);
    // Over an older version that does not expire, which must not come back.
    writes.Put(key, "older").DeleteRange("x", "x").Put(key, std::string(500, 'v'), soon);
  }
  writes.Put("stays", "v", soon + 1).Put("forever", "v");
  ASSERT_THAT(Write(engine(), writes), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(engine()->Compact({}), IsOk());
  ASSERT_EQ(Scan(engine()).size(), 502u) << "nothing has expired yet";
  ASSERT_EQ(engine()->Gauges().estimated_keys, 502u);

  const auto view = engine()->NewView();
  engine()->clock().RaiseTo(soon);
  EXPECT_EQ(Scan(engine()).size(), 2u);
  ASSERT_THAT(engine()->Compact({}), IsOk());
  EXPECT_EQ(Get(engine(), "7", view.get()), std::string(500, 'v'))
      << "an open view still shows it, so compaction keeps it";
  EXPECT_EQ(engine()->Gauges().estimated_keys, 502u);
  view->Release();

  // RocksDB does not rewrite what is at the bottom already without a reason; an overlap is one.
  for (int i = 0; i < 500; i += 7) {
    ASSERT_THAT(Put(engine(), std::to_string(i), "again", soon), IsOk());
  }
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(engine()->Compact({}), IsOk());
  EXPECT_EQ(Scan(engine()), (std::vector<Record>{{"forever", "v"}, {"stays", "v"}}));
  EXPECT_LT(engine()->Gauges().estimated_keys, 502u);
  for (int i = 0; i < 500; i++) EXPECT_EQ(Get(engine(), std::to_string(i)), std::nullopt);
}

// --- Without a log
// ---------------------------------------------------------------------------------

TEST_F(EngineDataTest, WithoutALogWhatWasFlushedOrClosedIsThere) {
  EngineOptions options = SmallOptions();
  options.without_log = true;
  Open(options);
  ASSERT_THAT(Write(engine(), PackedWrites().Put("a", "1").Put("b", "1")), IsOk());
  ASSERT_THAT(engine()->Flush(), IsOk());
  ASSERT_THAT(Put(engine(), "c", "1"), IsOk());
  Reopen(options);
  EXPECT_EQ(Scan(engine()), (std::vector<Record>{{"a", "1"}, {"b", "1"}, {"c", "1"}}));
  auto submission = PackedWrites().Put("k", "v").ToSubmission(false);
  submission->durability = Durability::kFsync;
  EXPECT_THAT(engine()->Submit(std::move(submission)), HasCode(Code::kInvalidArgument));
  ASSERT_THAT(Put(engine(), "d", "value of a record"), IsOk());
  for (const auto& entry : fs::directory_iterator(hot_)) {
    if (entry.path().extension() == ".log") {
      EXPECT_EQ(test::ReadFile(entry.path()).find("value of a record"), std::string::npos);
    }
  }
  Reopen();
  EXPECT_TRUE(engine()->options().without_log) << "opened as it was created";
  EXPECT_EQ(Scan(engine()).size(), 4u);
  engine()->Close();
  EXPECT_THAT(engine()->close_status(), IsOk());
  EngineOptions with_log = SmallOptions();
  with_log.log_given = true;
  EXPECT_THAT(TryOpen(with_log), HasCode(Code::kInvalidArgument)) << "fixed for good";
  options.log_given = true;
  EXPECT_THAT(TryOpen(options), IsOk());
}

// --- Durability and transactions
// -------------------------------------------------------------------

TEST_F(EngineDataTest, AnFsyncWriteIsSyncedAndCounted) {
  Open();
  auto done = std::make_shared<std::promise<Status>>();
  auto submission = PackedWrites().Put("key", "value").ToSubmission(false);
  submission->durability = Durability::kFsync;
  submission->done = [done](const Status& status) { done->set_value(status); };
  ASSERT_THAT(engine()->Submit(std::move(submission)), IsOk());
  EXPECT_THAT(test::Await(done->get_future()), IsOk());
  EXPECT_EQ(engine()->Snapshot().fsyncs, 1u);
  EXPECT_EQ(engine()->Snapshot().fsync_nanos.count, 1u);
  EXPECT_EQ(Get(engine(), "key"), "value");
}

TEST_F(EngineDataTest, ATransactionSeesExactlyWhatItsIdSays) {
  Open();
  ASSERT_THAT(Put(engine(), "key", "1"), IsOk());
  std::promise<std::shared_ptr<Transaction>> opened;
  ASSERT_THAT(engine()->BeginTransaction(
                  [&](std::shared_ptr<Transaction> t) { opened.set_value(std::move(t)); }),
              IsOk());
  auto transaction = test::Await(opened.get_future());
  ASSERT_THAT(Put(engine(), "key", "2"), IsOk());
  EXPECT_EQ(Get(engine(), "key", transaction->view().get()), "1");
  const auto commit = [&](std::string key) {
    auto done = std::make_shared<std::promise<Status>>();
    auto submission = PackedWrites().Put("mine", "v").ToSubmission(true);
    auto reads = std::make_unique<ReadSet>();
    reads->start_commit_id = transaction->start_commit_id();
    reads->keys.push_back(std::move(key));
    submission->reads = std::move(reads);
    submission->done = [done](const Status& status) { done->set_value(status); };
    EXPECT_THAT(engine()->Submit(std::move(submission)), IsOk());
    return test::Await(done->get_future());
  };
  EXPECT_THAT(commit("key"), HasCode(Code::kConflict));
  EXPECT_EQ(Get(engine(), "mine"), std::nullopt);
  EXPECT_THAT(commit("other"), IsOk());
  EXPECT_EQ(Get(engine(), "mine"), "v");
  transaction->End();
  transaction->End();
  transaction.reset();
  EXPECT_THAT(engine()->Resume(), IsOk()) << "nothing to resume from";
}

TEST_F(EngineDataTest, AReadOnlyEngineHasNoTransactionsAndNothingToResume) {
  Open();
  EngineOptions options = SmallOptions();
  options.read_only = true;
  Reopen(options);
  EXPECT_THAT(engine()->BeginTransaction([](auto) { ADD_FAILURE(); }), HasCode(Code::kReadOnly));
  EXPECT_THAT(engine()->Resume(), HasCode(Code::kReadOnly));
}

// --- Closing
// ---------------------------------------------------------------------------------------

TEST_F(EngineDataTest, CloseAppliesWhatWasAccepted) {
  Open();
  std::atomic<int> acknowledged{0};
  for (int i = 0; i < 500; i++) {
    auto submission = PackedWrites().Put("key" + std::to_string(i), "v").ToSubmission(false);
    submission->done = [&acknowledged](const Status& status) {
      if (status.ok()) acknowledged++;
    };
    ASSERT_THAT(engine()->Submit(std::move(submission)), IsOk());
  }
  engine()->Close();
  EXPECT_EQ(acknowledged, 500);
  EXPECT_THAT(Put(engine(), "late", "v"), HasCode(Code::kClosed));
  engine()->Close();
  Reopen();
  EXPECT_EQ(Scan(engine()).size(), 500u);
}

TEST_F(EngineDataTest, AClosedEngineHoldsNoLockWhileItsShellLives) {
  Open();
  engine()->Close();
  std::shared_ptr<Engine> other;
  EXPECT_THAT(Engine::Open(location_, SmallOptions(), &other), IsOk());
}

TEST_F(EngineDataTest, DestructionCloses) {
  Open();
  ASSERT_THAT(Put(engine(), "key", "value"), IsOk());
  engine_.reset();
  Open();
  EXPECT_EQ(Get(engine(), "key"), "value");
}

// --- Deleting
// --------------------------------------------------------------------------------------

using EngineDestroyTest = EngineOpenTest;

TEST_F(EngineDestroyTest, DeletesTheDatabaseAndItsFolder) {
  ASSERT_THAT(TryOpen(), IsOk());
  EXPECT_THAT(Engine::Destroy(location_), IsOk());
  EXPECT_FALSE(fs::exists(location_));
  EXPECT_THAT(Engine::Destroy(location_), IsOk()) << "nothing there is nothing to do";
}

TEST_F(EngineDestroyTest, LeavesFilesOfTheUser) {
  ASSERT_THAT(TryOpen(), IsOk());
  test::WriteFile(location_ + "/notes.txt", "mine");
  EXPECT_THAT(Engine::Destroy(location_), IsOk());
  EXPECT_THAT(Names(), UnorderedElementsAre("notes.txt"));
}

TEST_F(EngineDestroyTest, RefusesWhatIsNoDatabase) {
  fs::create_directories(location_);
  test::WriteFile(location_ + "/notes.txt", "mine");
  EXPECT_THAT(Engine::Destroy(location_), HasCode(Code::kInvalidArgument));
  EXPECT_THAT(Engine::Destroy(location_ + "/notes.txt"), HasCode(Code::kInvalidArgument));
  EXPECT_THAT(Names(), UnorderedElementsAre("notes.txt"));
}

TEST_F(EngineDestroyTest, DeletesADatabaseOfManyFiles) {
  Open();
  for (int i = 0; i < 5; i++) {
    ASSERT_THAT(Put(engine(), std::to_string(i), "value"), IsOk());
    ASSERT_THAT(engine()->Flush(), IsOk());
  }
  Close();
  EXPECT_THAT(Engine::Destroy(location_), IsOk());
  EXPECT_FALSE(fs::exists(location_));
}

TEST_F(EngineDestroyTest, DeletesWhatACutCreationLeft) {
  { RawStore raw(hot_); }
  EXPECT_THAT(Engine::Destroy(location_), IsOk());
  EXPECT_FALSE(fs::exists(hot_));
  { RawStore raw(hot_, {"meta"}); }
  EXPECT_THAT(Engine::Destroy(location_), IsOk());
  EXPECT_FALSE(fs::exists(hot_));
}

TEST_F(EngineDestroyTest, AFolderThatCannotBeSeenIsAnErrorAndNotAbsence) {
  EXPECT_THAT(Engine::Destroy(folder_ / std::string(300, 'n')), HasCode(Code::kIo));
}

TEST_F(EngineDestroyTest, RefusesADatabaseInUse) {
  Open();
  ASSERT_THAT(Put(engine(), "key", "value"), IsOk());
  EXPECT_THAT(Engine::Destroy(location_), HasCode(Code::kLocked));
  EXPECT_EQ(Get(engine(), "key"), "value");
  Close();
  EXPECT_THAT(Engine::Destroy(location_), IsOk());
}

// Somebody else's RocksDB may well live in a folder called "hot".
TEST_F(EngineDestroyTest, NeverDeletesADatabaseOfSomebodyElse) {
  { RawStore(hot_).Put("default", "theirs", "value"); }
  EXPECT_THAT(Engine::Destroy(location_), HasCode(Code::kInvalidArgument));
  ASSERT_TRUE(fs::exists(hot_ + "/CURRENT"));
  { RawStore(hot_, {"meta"}).Put("meta", "version", "3"); }
  EXPECT_THAT(Engine::Destroy(location_), HasCode(Code::kInvalidArgument));
  { RawStore raw(hot_, {"accounts"}); }
  EXPECT_THAT(Engine::Destroy(location_), HasCode(Code::kInvalidArgument));
  ASSERT_TRUE(fs::exists(hot_ + "/CURRENT"));
  EXPECT_EQ(RawStore(hot_).Records("default")["theirs"], "value");
}

TEST_F(EngineDestroyTest, NeverDeletesFilesOfSomebodyElseAmongOurs) {
  ASSERT_THAT(TryOpen(), IsOk());
  test::WriteFile(hot_ + "/beach.jpg", "a photograph");
  (void)Engine::Destroy(location_);
  EXPECT_EQ(test::ReadFile(hot_ + "/beach.jpg"), "a photograph");
}

}  // namespace
}  // namespace thermocline
