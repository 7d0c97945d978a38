// Opening and deleting databases: where, how, and what is refused.

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine_fixture.h"
#include "raw_store.h"

namespace thermocline::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

std::string Fixed64(uint64_t v) {
  std::string bytes;
  PutFixed64(&bytes, v);
  return bytes;
}

class EngineOpenTest : public EngineTest {
 protected:
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(location_)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }
};

// --- Where ---------------------------------------------------------------------------------------

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
  WriteFile(location_, "a file");
  EXPECT_THAT(TryOpen(), HasCode(Code::kInvalidArgument));
  EXPECT_EQ(ReadFile(location_), "a file");
}

TEST_F(EngineOpenTest, AFileOnTheWayIsAnIoError) {
  WriteFile(folder_ / "file", "");
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
  WriteFile(location_ + "/letter.txt", "dear");
  const Status status = TryOpen();
  EXPECT_THAT(status, HasCode(Code::kInvalidArgument));
  EXPECT_THAT(std::string(status.message()), HasSubstr("letter.txt"));
  EXPECT_THAT(Names(), UnorderedElementsAre("letter.txt"));
}

// A folder that happens to be called "hot" and is full of photographs is not ours to fill.
TEST_F(EngineOpenTest, AForeignFolderNamedHotIsRefused) {
  fs::create_directories(hot_);
  WriteFile(hot_ + "/beach.jpg", "a photograph");
  EXPECT_THAT(TryOpen(), HasCode(Code::kInvalidArgument));
  EXPECT_FALSE(fs::exists(hot_ + "/CURRENT"));
  EXPECT_EQ(ReadFile(hot_ + "/beach.jpg"), "a photograph");
}

TEST_F(EngineOpenTest, FilesBesideADatabaseAreTheUsersOwn) {
  ASSERT_THAT(TryOpen(), IsOk());
  WriteFile(location_ + "/notes.txt", "mine");
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

// --- How -----------------------------------------------------------------------------------------

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
        files[entry.path().string()] = ReadFile(entry.path());
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

// --- Deleting ------------------------------------------------------------------------------------

using EngineDestroyTest = EngineOpenTest;

TEST_F(EngineDestroyTest, DeletesTheDatabaseAndItsFolder) {
  ASSERT_THAT(TryOpen(), IsOk());
  EXPECT_THAT(Engine::Destroy(location_), IsOk());
  EXPECT_FALSE(fs::exists(location_));
  EXPECT_THAT(Engine::Destroy(location_), IsOk()) << "nothing there is nothing to do";
}

TEST_F(EngineDestroyTest, LeavesFilesOfTheUser) {
  ASSERT_THAT(TryOpen(), IsOk());
  WriteFile(location_ + "/notes.txt", "mine");
  EXPECT_THAT(Engine::Destroy(location_), IsOk());
  EXPECT_THAT(Names(), UnorderedElementsAre("notes.txt"));
}

TEST_F(EngineDestroyTest, RefusesWhatIsNoDatabase) {
  fs::create_directories(location_);
  WriteFile(location_ + "/notes.txt", "mine");
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
  WriteFile(hot_ + "/beach.jpg", "a photograph");
  (void)Engine::Destroy(location_);
  EXPECT_EQ(ReadFile(hot_ + "/beach.jpg"), "a photograph");
}

}  // namespace
}  // namespace thermocline::test
