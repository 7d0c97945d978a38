// Snapshots of shards and their restoring: what a process that is killed at each step finds again.

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/snapshot/shard_restore.h"
#include "engine/snapshot/shard_snapshot.h"
#include "tier_fixture.h"

namespace thermocline::test {
namespace {

namespace fs = std::filesystem;
using Taking = ShardSnapshotter::Point;
using Restoring = ShardRestorer::Point;
using Model = std::map<std::string, std::string>;

struct CrashCase {
  std::string name;
  std::optional<Taking> taking;
  std::optional<Restoring> restoring;
};

class ShardCrashTest : public TierTest, public testing::WithParamInterface<CrashCase> {
 protected:
  static constexpr int kRecords = 400;

  static std::string KeyOf(int i) { return "key" + std::to_string(1000 + i); }
  void Fill(const std::string& value) {
    PackedWrites writes;
    for (int i = 0; i < kRecords; i++) {
      model_[KeyOf(i)] = value + std::to_string(i);
      writes.Put(KeyOf(i), model_[KeyOf(i)]);
    }
    ASSERT_THAT(Write(engine(), writes), IsOk());
  }
  static bool InFirst(const ShardTable& table, const std::string& key) {
    return table.IndexOfKey(key) == 0;
  }
  // Records of shard 0 as in `first`, the others as in `others`.
  std::vector<Record> Mixed(const Model& first, const Model& others) {
    const ShardTable table = engine()->NewView()->shards()->table;
    Model all;
    for (const auto& record : first) {
      if (InFirst(table, record.first)) all.insert(record);
    }
    for (const auto& record : others) {
      if (!InFirst(table, record.first)) all.insert(record);
    }
    return {all.begin(), all.end()};
  }
  Status Take(Engine* engine) {
    SnapshotControl control;
    SnapshotReport report;
    return engine->snapshotter()->Take({0}, dir_, &control, &report);
  }
  Status Restore(Engine* engine) {
    SnapshotControl control;
    SnapshotManifest manifest;
    std::vector<uint32_t> ids;
    return engine->restorer()->Restore(dir_, std::nullopt, &control, &ids, &manifest);
  }
  void ExpectSound() {
    VerifyReport report;
    ASSERT_THAT(engine()->Verify(&report), IsOk());
    EXPECT_EQ(report.problem_count, 0u) << (report.problems.empty() ? "" : report.problems[0]);
  }

  // A process that takes a snapshot of shard 0 or restores it, and is killed on the way, while
  // another thread writes to the other shard.
  [[noreturn]] void RunChild(const std::string& beside, std::atomic<int>* written) {
    EngineOptions options = SmallOptions(0);
    options.tiers.automatic = false;
    std::shared_ptr<Engine> engine;
    if (!Engine::Open(location_, options, &engine).ok()) _exit(1);
    std::thread([&] {
      for (int i = 1;; i++) {
        if (!Put(engine.get(), beside, std::to_string(i)).ok()) _exit(2);
        written->store(i);
      }
    }).detach();
    while (written->load() == 0) std::this_thread::yield();
    const CrashCase& c = GetParam();
    engine->snapshotter()->SetProbe([&](Taking point) {
      if (point == c.taking) raise(SIGKILL);
      return Status();
    });
    engine->restorer()->SetProbe([&](Restoring point) {
      if (point == c.restoring) raise(SIGKILL);
      return Status();
    });
    (void)(c.taking ? Take(engine.get()) : Restore(engine.get()));
    _exit(3);
  }

  const std::string dir_ = folder_ / "snapshot";
  Model model_;
};

TEST_P(ShardCrashTest, TheShardIsOfOneMomentAndTheOtherLosesNothing) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "TSan knows no threads in a child of a process that has had some";
#endif
  const CrashCase& c = GetParam();
  void* const shared = mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto* const written = new (shared) std::atomic<int>(0);
  OpenTiered();
  Fill("old");
  Migrate(engine(), 0, 2, [](std::string_view key, const Envelope&) { return key.back() == '7'; });
  const Model old = model_;
  if (c.restoring) {
    ASSERT_THAT(Take(engine()), IsOk());
    Fill("new");
    Migrate(engine(), 0, 1,
            [](std::string_view key, const Envelope&) { return key.back() == '5'; });
  }
  const ShardTable table = engine()->NewView()->shards()->table;
  std::string beside;
  for (int i = 0; beside.empty(); i++) {
    if (!InFirst(table, KeyOf(i))) beside = KeyOf(i);
  }
  Close();
  const pid_t child = fork();
  if (child == 0) RunChild(beside, written);
  int result = 0;
  ASSERT_EQ(waitpid(child, &result, 0), child);
  ASSERT_TRUE(WIFSIGNALED(result)) << "ended by itself with " << WEXITSTATUS(result);
  ASSERT_EQ(WTERMSIG(result), SIGKILL);

  ReopenTiered();
  ExpectSound();
  const std::string last = Get(engine(), beside).value_or("nothing");
  EXPECT_TRUE(last == std::to_string(written->load()) ||
              last == std::to_string(written->load() + 1))
      << last << " instead of " << written->load();
  model_[beside] = last;
  const bool restored = c.restoring && *c.restoring >= Restoring::kPersisted;
  EXPECT_EQ(Scan(engine()), Mixed(restored ? old : model_, model_)) << "one record decides";
  for (const char* store : {"hot", "warm", "cold"}) {
    std::vector<std::string> names;
    ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, location_ + "/" + store, &names).ok());
    int families = 0;
    for (const std::string& name : names) families += name.starts_with("shard_") ? 1 : 0;
    EXPECT_EQ(families, 2) << store << ": what was filled aside, or replaced, is dropped";
  }
  const bool named = c.restoring || *c.taking == Taking::kNamed;
  EXPECT_EQ(fs::exists(dir_), named) << "it appears whole or not at all";
  // What was cut short can be done again, whatever is left of it.
  if (!named) {
    ASSERT_THAT(Take(engine()), IsOk());
  }
  EXPECT_FALSE(fs::exists(dir_ + ".partial"));
  Fill("newest");
  ASSERT_THAT(Restore(engine()), IsOk());
  EXPECT_EQ(Scan(engine()), Mixed(old, model_));
  ExpectSound();
  ReopenTiered();
  EXPECT_EQ(Scan(engine()), Mixed(old, model_));
  munmap(shared, sizeof(std::atomic<int>));
}

std::vector<CrashCase> CrashCases() {
  return {{"TakeSwitched", Taking::kSwitched, {}},
          {"TakeFlushed", Taking::kFlushed, {}},
          {"TakeLinked", Taking::kLinked, {}},
          {"TakeChecked", Taking::kChecked, {}},
          {"TakeDescribed", Taking::kDescribed, {}},
          {"TakeNamed", Taking::kNamed, {}},
          {"RestoreVerified", {}, Restoring::kVerified},
          {"RestorePlaced", {}, Restoring::kPlaced},
          {"RestoreCreated", {}, Restoring::kCreated},
          {"RestoreSwitching", {}, Restoring::kSwitching},
          {"RestorePersisted", {}, Restoring::kPersisted},
          {"RestoreSwitched", {}, Restoring::kSwitched},
          {"RestoreDropped", {}, Restoring::kDropped}};
}
std::string CrashName(const testing::TestParamInfo<CrashCase>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Points, ShardCrashTest, testing::ValuesIn(CrashCases()), CrashName);

}  // namespace
}  // namespace thermocline::test
