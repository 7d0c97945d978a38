// Disks that fail, fill up or lose power while records move between the tiers. What was promised is
// kept: the records are those of the accepted writes, in order, up to some moment that is not
// before any promise; and a colder disk that fails is no matter of the program's writes.
//
// THERMOCLINE_FAULT_SAMPLE: how many calls of each kind fail in turn (default 2; all under
// THERMOCLINE_THOROUGH=1). THERMOCLINE_POWER_ROUNDS: how many times the power is cut in each test
// (default 4; 300 under THERMOCLINE_THOROUGH=1). THERMOCLINE_POWER_SEED: the first round's seed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "environment.h"
#include "fault_file_system.h"
#include "tier_fixture.h"
#include "write_history.h"

namespace thermocline::test {
namespace {

using Crash = WriteHistory::Crash;
using Disk = FaultFileSystem;
using Operation = WriteHistory::Operation;
using Records = WriteHistory::Records;
using Verdict = WriteHistory::Verdict;

constexpr int kKeys = 24;

std::string KeyOf(uint32_t i) { return "key" + std::to_string(100 + i % kKeys); }

// Writes and steps of a fixed order that is random all the same: each value is unique.
class Play {
 public:
  Play(Engine* engine, WriteHistory* history, uint32_t seed, bool with_log = true)
      : engine_(engine), history_(history), seed_(seed), with_log_(with_log), random_(seed) {}

  void Write() {
    std::vector<Operation> operations;
    for (auto n = 1 + random_() % 5; n > 0; --n) operations.push_back(RandomWrite());
    const bool fsync = with_log_ && random_() % 5 == 0;
    (void)history_->Submit(engine_, std::move(operations), random_() % 2 == 0,
                           fsync ? Durability::kFsync : Durability::kWal);
  }
  // One step of one shard, between any two tiers. Errors show in what is found later.
  void Step() {
    const int from = static_cast<int>(random_() % 3);
    StepPlan plan{.shard = static_cast<int>(random_() % 2),
                  .from = from,
                  .to = (from + 1 + static_cast<int>(random_() % 2)) % 3};
    const uint32_t mark = random_() % 4;
    if (mark > 0) {
      plan.pick = [mark](std::string_view key, const Envelope&) {
        return static_cast<uint8_t>(key.back()) % 4 != mark;
      };
    }
    StepResult result;
    (void)engine_->stepper()->Run(plan, &result);
  }
  void Promote() {
    const std::string key = KeyOf(random_());
    const auto view = engine_->NewView();
    uint64_t copied = 0;
    (void)engine_->stepper()->Promote(view->shards()->IndexOf(key), {key}, &copied);
  }
  void Flush() {
    const size_t applied = history_->AppliedSoFar();
    if (engine_->Flush().ok()) history_->NoteDurable(applied);
  }
  void Turn() {
    switch (random_() % 8) {
      case 0:
      case 1:
      case 2:
        return Step();
      case 3:
        return Promote();
      case 4:
        return random_() % 4 == 0 ? Flush() : Step();
      default:
        Write();
        if (random_() % 2 == 0) history_->Await();
    }
  }

 private:
  Operation RandomWrite() {
    Operation operation{.type = OpType::kPut, .key = KeyOf(random_()), .value = {}, .end = {}};
    switch (random_() % 12) {
      case 0:
        operation.type = OpType::kDeleteRange;
        operation.end = KeyOf(random_());
        break;
      case 1:
      case 2:
        operation.type = OpType::kDelete;
        break;
      default: {
        // Some are so large that a step of them is a table and not a batch.
        const size_t size = random_() % 10 == 0 ? 200'000 : random_() % 600;
        operation.value = std::to_string(seed_) + "." + std::to_string(++values_) + ":" +
                          std::string(size, static_cast<char>('a' + random_() % 26));
      }
    }
    return operation;
  }

  Engine* const engine_;
  WriteHistory* const history_;
  const uint32_t seed_;
  const bool with_log_;
  std::mt19937 random_;
  int values_ = 0;
};

void ExpectKept(const WriteHistory& history, const Records& found, Crash crash) {
  std::string why;
  const Verdict verdict = history.Judge(found, crash, &why);
  EXPECT_EQ(verdict, Verdict::kExact)
      << (verdict == Verdict::kHoles ? "later writes are there and earlier ones missing" : why);
}

// All tiers on one disk that fails; or the colder ones alone.
enum class Where { kEverywhere, kCold };

class Stage {
 public:
  explicit Stage(Where where) {
    options_ = TieredOptions(2);
    if (where == Where::kEverywhere) options_.env = disk.env();
    for (const Tier tier : {Tier::kWarm, Tier::kCold}) options_.tiers.at(tier).env = disk.env();
  }
  ~Stage() { Close(); }
  Status Open() { return Engine::Open(folder_ / "db", options_, &engine_); }
  void Close() {
    if (engine_) engine_->Close();
    engine_.reset();
  }
  Engine* get() { return engine_.get(); }

 private:
  TempFolder folder_;

 public:
  Disk disk{folder_ / "aside"};

 private:
  EngineOptions options_;
  std::shared_ptr<Engine> engine_;
};

struct Case {
  const char* name;
  Where where;
  Disk::Fault fault;
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

constexpr int kTurns = 60;

class TierFaults : public testing::TestWithParam<Case> {
 protected:
  static uint64_t Calls(const Disk& disk) {
    uint64_t calls = 0;
    for (const Disk::Call call : GetParam().fault.calls) calls += disk.count(call);
    return calls;
  }
  // What a run without faults makes, after opening.
  static uint64_t CountCalls(uint32_t seed) {
    Stage stage(GetParam().where);
    EXPECT_THAT(stage.Open(), IsOk());
    const uint64_t opening = Calls(stage.disk);
    WriteHistory history;
    Play play(stage.get(), &history, seed);
    for (int i = 0; i < kTurns; i++) play.Turn();
    history.Await();
    EXPECT_THAT(history.first_error(), IsOk());
    ExpectKept(history, RecordsOf(stage.get()), Crash::kProcess);
    return Calls(stage.disk) - opening;
  }

  static void FailOne(uint32_t seed, uint64_t nth) {
    Stage stage(GetParam().where);
    ASSERT_THAT(stage.Open(), IsOk());
    Disk::Fault fault = GetParam().fault;
    fault.nth = nth;
    stage.disk.Inject(fault);
    WriteHistory history;
    Play play(stage.get(), &history, seed);
    for (int i = 0; i < kTurns; i++) play.Turn();
    history.Await();
    SCOPED_TRACE(stage.disk.struck());
    if (GetParam().where == Where::kCold) {
      EXPECT_THAT(history.first_error(), IsOk()) << "a colder disk is no matter of writes";
    }
    ExpectKept(history, RecordsOf(stage.get()), Crash::kProcess);
    Crash crash = Crash::kProcess;
    if (nth % 3 == 0) {
      stage.Close();
      stage.disk.Stop();
    } else {
      stage.disk.Stop();
      stage.Close();
      if (nth % 3 == 1 && GetParam().where == Where::kEverywhere) {
        stage.disk.LosePower(Disk::Loss::kEverything, nth);
        crash = Crash::kPower;
      }
    }
    stage.disk.Restart();
    ASSERT_THAT(stage.Open(), IsOk()) << "ended by " << nth % 3;
    const Records found = RecordsOf(stage.get());
    ExpectKept(history, found, crash);
    // Everything moves again.
    for (const auto& [from, to] : {std::pair(0, 1), {1, 2}, {2, 0}}) {
      EXPECT_TRUE(Migrate(stage.get(), from, to).done);
    }
    EXPECT_EQ(RecordsOf(stage.get()), found);
    EXPECT_THAT(Put(stage.get(), "new", "write"), IsOk());
  }
};

TEST_P(TierFaults, KeepEveryPromiseWhicheverCallFails) {
  const uint32_t seed = static_cast<uint32_t>(EnvironmentNumber("THERMOCLINE_POWER_SEED", 1));
  const uint64_t calls = CountCalls(seed);
  if (calls == 0) GTEST_SKIP() << "with this seed nothing is done that makes such a call";
  const uint64_t sample =
      Thorough() ? calls : static_cast<uint64_t>(EnvironmentNumber("THERMOCLINE_FAULT_SAMPLE", 2));
  const uint64_t runs = std::min(calls, sample);
  for (uint64_t i = 0; i < runs; i++) {
    const uint64_t nth = 1 + (runs == 1 ? 0 : i * (calls - 1) / (runs - 1));
    SCOPED_TRACE("call " + std::to_string(nth) + " of " + std::to_string(calls));
    FailOne(seed, nth);
    if (HasFailure()) return;
  }
  RecordProperty("calls", static_cast<int>(calls));
  RecordProperty("runs", static_cast<int>(runs));
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  const auto add = [&](const char* everywhere, const char* cold, const Disk::Fault& fault) {
    cases.push_back({everywhere, Where::kEverywhere, fault});
    cases.push_back({cold, Where::kCold, fault});
  };
  add("NewFile", "ColdNewFile", {.calls = {Disk::kNewFile}});
  add("Append", "ColdAppend", {.calls = {Disk::kAppend}});
  add("AppendTorn", "ColdAppendTorn", {.calls = {Disk::kAppend}, .torn = true});
  add("AppendFromThenOn", "ColdAppendFromThenOn", {.calls = {Disk::kAppend}, .lasting = true});
  add("Sync", "ColdSync", {.calls = {Disk::kSync}});
  add("SyncFromThenOn", "ColdSyncFromThenOn", {.calls = {Disk::kSync}, .lasting = true});
  add("SyncDirectory", "ColdSyncDirectory", {.calls = {Disk::kSyncDirectory}});
  add("Delete", "ColdDelete", {.calls = {Disk::kDelete}});
  add("Full", "ColdFull",
      {.calls = {Disk::kAppend, Disk::kNewFile}, .no_space = true, .lasting = true});
  add("FullTorn", "ColdFullTorn",
      {.calls = {Disk::kAppend, Disk::kNewFile}, .no_space = true, .lasting = true, .torn = true});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(OfAKind, TierFaults, testing::ValuesIn(Cases()),
                         [](const auto& info) { return std::string(info.param.name); });

// ------------------------------------------------------------------------------------------------

class TierPowerLossTest : public testing::Test {
 protected:
  static int Rounds() {
    return EnvironmentNumber("THERMOCLINE_POWER_ROUNDS", Thorough() ? 300 : 4);
  }

  void CutPowerAgainAndAgain(Disk::Loss loss, bool with_log) {
    const auto first = static_cast<uint32_t>(EnvironmentNumber("THERMOCLINE_POWER_SEED", 1));
    int lives = 0;
    for (int i = 0; i < Rounds(); i++) {
      if (lives-- == 0) {
        BeginDatabase(with_log);
        lives = 3;
      }
      const uint32_t seed = first + static_cast<uint32_t>(i);
      SCOPED_TRACE("round " + std::to_string(i) + ", seed " + std::to_string(seed));
      Round(loss, with_log, seed);
      if (HasFailure()) return;
    }
    RecordProperty("rounds", Rounds());
    RecordProperty("rounds_with_holes", holes_);
    RecordProperty("cut_while_opening", cut_while_opening_);
  }

  void BeginDatabase(bool with_log) {
    engine_.reset();
    disk_ = nullptr;
    folder_ = std::make_unique<TempFolder>();
    disk_ = std::make_unique<Disk>(*folder_ / "aside");
    options_ = TieredOptions(2);
    options_.env = disk_->env();
    options_.without_log = !with_log;
    before_.clear();
  }

  void Round(Disk::Loss loss, bool with_log, uint32_t seed) {
    std::mt19937 random(seed);
    // Opening makes about 200 calls the first time, a whole round some hundreds.
    disk_->StopAt(1 + random() % (random() % 6 == 0 ? 200 : 700));
    WriteHistory history(before_);
    const Status opened = Engine::Open(*folder_ / "db", options_, &engine_);
    if (opened.ok()) {
      // Writers and steps at once.
      std::thread writer([&] {
        Play play(engine_.get(), &history, seed * 2, with_log);
        for (int i = 0; i < 80 && !disk_->stopped(); i++) play.Write();
      });
      Play play(engine_.get(), &history, seed * 2 + 1, with_log);
      for (int i = 0; i < 80 && !disk_->stopped(); i++) play.Turn();
      writer.join();
      if (random() % 2 == 0) disk_->Stop();
      history.Await();
      engine_->Close();
      engine_.reset();
    } else {
      ASSERT_TRUE(disk_->stopped()) << opened.message();
      cut_while_opening_++;
    }
    disk_->Stop();
    disk_->LosePower(loss, seed);
    disk_->Restart();
    const std::string lock = *folder_ / "db/LOCK";
    if (!ReadFile(lock).empty()) WriteFile(lock, "another boot");

    ASSERT_THAT(Engine::Open(*folder_ / "db", options_, &engine_), IsOk());
    const Records found = RecordsOf(engine_.get());
    std::string why;
    const Verdict verdict = history.Judge(found, Crash::kPower, &why);
    EXPECT_NE(verdict, Verdict::kBroken) << why;
    if (loss == Disk::Loss::kEverything || !with_log) {
      EXPECT_EQ(verdict, Verdict::kExact) << "later writes are there and earlier ones missing";
    }
    holes_ += verdict == Verdict::kHoles;
    EXPECT_TRUE(Migrate(engine_.get(), 0, 2).done);
    EXPECT_EQ(RecordsOf(engine_.get()), found);
    engine_->Close();
    engine_.reset();
    before_ = found;
  }

  std::unique_ptr<TempFolder> folder_;
  std::unique_ptr<Disk> disk_;
  EngineOptions options_;
  std::shared_ptr<Engine> engine_;
  Records before_;
  int holes_ = 0;
  int cut_while_opening_ = 0;
};

TEST_F(TierPowerLossTest, NothingUnsyncedSurvives) {
  CutPowerAgainAndAgain(Disk::Loss::kEverything, /*with_log=*/true);
}

TEST_F(TierPowerLossTest, PartsOfWhatIsUnsyncedSurvive) {
  CutPowerAgainAndAgain(Disk::Loss::kSome, /*with_log=*/true);
}

TEST_F(TierPowerLossTest, PagesOfWhatIsUnsyncedSurviveInAnyOrder) {
  CutPowerAgainAndAgain(Disk::Loss::kPages, /*with_log=*/true);
}

TEST_F(TierPowerLossTest, WithoutALogWhatWasFlushedSurvives) {
  CutPowerAgainAndAgain(Disk::Loss::kSome, /*with_log=*/false);
}

}  // namespace
}  // namespace thermocline::test
