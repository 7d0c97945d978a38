// Every call that changes the disk fails in turn while an engine works through a short script. No
// crash, no acknowledgement that a reopened database does not keep, reads go on, and writes are
// either accepted and kept or refused.
//
// THERMOCLINE_FAULT_SAMPLE: how many calls of each case fail in turn, spread evenly (default 6);
// all of them under THERMOCLINE_THOROUGH=1.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "engine_fixture.h"
#include "environment.h"
#include "fault_file_system.h"
#include "support.h"
#include "write_history.h"

namespace thermocline::test {
namespace {

using Crash = WriteHistory::Crash;
using Disk = FaultFileSystem;
using Operation = WriteHistory::Operation;
using Verdict = WriteHistory::Verdict;

class FaultyEngine {
 public:
  explicit FaultyEngine(EngineOptions options = SmallOptions(3)) : options_(options) {
    options_.env = disk.env();
  }
  ~FaultyEngine() { Close(); }

  Status Open() { return Engine::Open(folder_ / "db", options_, &engine_); }
  void Close() {
    if (engine_) engine_->Close();
    engine_.reset();
  }
  Engine* operator->() { return engine_.get(); }
  Engine* get() { return engine_.get(); }

 private:
  TempFolder folder_;

 public:
  Disk disk{folder_ / "aside"};

 private:
  EngineOptions options_;
  std::shared_ptr<Engine> engine_;
};

// Puts with values that no other has.
class Script {
 public:
  Operation Put(int key) {
    const int number = ++puts_;
    // Some reach over several of the log's blocks of 32 KiB.
    const size_t padding = number % 13 == 0 ? 70'000 : static_cast<size_t>(number % 5) * 100;
    return {.type = OpType::kPut,
            .key = "key" + std::to_string(key),
            .value = std::to_string(number) + ":" + std::string(padding, 'v'),
            .end = {}};
  }
  static Operation Delete(int key) {
    return {.type = OpType::kDelete, .key = "key" + std::to_string(key), .value = {}, .end = {}};
  }
  static Operation DeleteRange(int from, int to) {
    return {.type = OpType::kDeleteRange,
            .key = "key" + std::to_string(from),
            .value = {},
            .end = "key" + std::to_string(to)};
  }

  // Errors are kept by the history and judged at the end.
  void SomeWrites(Engine* engine, WriteHistory* history) {
    const auto submit = [&](std::vector<Operation> operations, bool atomic, Durability durability) {
      (void)history->Submit(engine, std::move(operations), atomic, durability);
    };
    submit({Put(0), Put(1), Put(2)}, /*atomic=*/false, Durability::kWal);
    submit({Put(3), Put(4), Delete(1), Put(5)}, /*atomic=*/true, Durability::kFsync);
    submit({Put(6), Put(0)}, /*atomic=*/true, Durability::kWal);
    history->Await();
    submit({Put(7), Put(8), Put(9)}, /*atomic=*/true, Durability::kWal);
    submit({DeleteRange(3, 5), Put(4)}, /*atomic=*/true, Durability::kWal);
    submit({Put(2), Delete(9)}, /*atomic=*/false, Durability::kFsync);
    history->Await();
  }

  void Run(Engine* engine, WriteHistory* history) {
    SomeWrites(engine, history);
    const auto flush = [&] {
      const size_t applied = history->AppliedSoFar();
      if (engine->Flush().ok()) history->NoteDurable(applied);
    };
    flush();
    SomeWrites(engine, history);
    flush();
    (void)engine->Compact({});
    SomeWrites(engine, history);
  }

 private:
  int puts_ = 0;
};

void ExpectKept(const WriteHistory& history, const WriteHistory::Records& found, Crash crash) {
  std::string why;
  const Verdict verdict = history.Judge(found, crash, &why);
  EXPECT_EQ(verdict, Verdict::kExact)
      << (verdict == Verdict::kHoles ? "later writes are there and earlier ones missing" : why);
}

// ------------------------------------------------------------------------------------------------

struct Case {
  const char* name;
  Disk::Fault fault;
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }
std::string NameOf(const testing::TestParamInfo<Case>& info) { return info.param.name; }

class EveryCall : public testing::TestWithParam<Case> {
 protected:
  static uint64_t CountCalls() {
    FaultyEngine engine;
    EXPECT_THAT(engine.Open(), IsOk());
    WriteHistory history;
    Script().Run(engine.get(), &history);
    EXPECT_THAT(history.first_error(), IsOk());
    engine.Close();
    uint64_t calls = 0;
    for (const Disk::Call call : GetParam().fault.calls) calls += engine.disk.count(call);
    return calls;
  }

  static void FailOne(uint64_t nth) {
    FaultyEngine engine;
    Disk::Fault fault = GetParam().fault;
    fault.nth = nth;
    engine.disk.Inject(fault);
    WriteHistory history;
    Script script;
    const Status opened = engine.Open();
    if (opened.ok()) {
      script.Run(engine.get(), &history);
      CheckOpenEngine(engine.get(), fault, &history, &script, &engine.disk);
    }
    SCOPED_TRACE(engine.disk.struck());
    // Three ways to end: closed, killed, and out of power.
    Crash crash = Crash::kProcess;
    if (nth % 3 == 0) {
      engine.Close();
      engine.disk.Stop();
    } else {
      engine.disk.Stop();
      engine.Close();
      if (nth % 3 == 1) {
        engine.disk.LosePower(Disk::Loss::kEverything, nth);
        crash = Crash::kPower;
      }
    }
    engine.disk.Restart();
    const Status reopened = engine.Open();
    ASSERT_THAT(reopened, IsOk()) << "ended by " << nth % 3;
    ExpectKept(history, RecordsOf(engine.get()), crash);
    EXPECT_THAT(Put(engine.get(), "new", "write"), IsOk());
  }

  // What must hold while the engine that met the fault is still open.
  static void CheckOpenEngine(Engine* engine, const Disk::Fault& fault, WriteHistory* history,
                              Script* script, Disk* disk) {
    SCOPED_TRACE(disk->struck());
    ExpectKept(*history, RecordsOf(engine), Crash::kProcess);
    const Status failed = history->first_error();
    if (!failed.ok()) {
      const Status refused = Put(engine, "probe", "refused");
      EXPECT_THAT(refused, HasCode(Code::kReadOnly)) << "after " << failed.message();
    }
    if (!fault.no_space || !fault.lasting) return;
    disk->Heal();
    const Status resumed = engine->Resume();
    // A failed sync has lost something, whatever the reason.
    const bool fatal = failed.message().find("syncing the log") != std::string_view::npos;
    if (fatal) {
      EXPECT_THAT(resumed, HasCode(Code::kReadOnly));
      return;
    }
    EXPECT_THAT(resumed, IsOk());
    if (!resumed.ok()) return;
    const size_t before = history->accepted();
    script->SomeWrites(engine, history);
    EXPECT_EQ(history->accepted(), before + 6);
    EXPECT_EQ(history->first_error().message(), failed.message()) << "a write failed after Resume";
    EXPECT_THAT(engine->Flush(), IsOk());
    EXPECT_THAT(engine->Compact({}), IsOk());
  }
};

TEST_P(EveryCall, MayFailWithoutALossOfWhatWasAcknowledged) {
  const uint64_t calls = CountCalls();
  ASSERT_GT(calls, 0u);
  const uint64_t sample =
      Thorough() ? calls : static_cast<uint64_t>(EnvironmentNumber("THERMOCLINE_FAULT_SAMPLE", 6));
  const uint64_t runs = std::min(calls, sample);
  for (uint64_t i = 0; i < runs; i++) {
    const uint64_t nth = 1 + (runs == 1 ? 0 : i * (calls - 1) / (runs - 1));
    SCOPED_TRACE("call " + std::to_string(nth) + " of " + std::to_string(calls));
    FailOne(nth);
    if (HasFatalFailure()) return;
  }
  RecordProperty("calls", static_cast<int>(calls));
  RecordProperty("runs", static_cast<int>(runs));
}

INSTANTIATE_TEST_SUITE_P(
    OfAKind, EveryCall,
    testing::Values(Case{"NewFileOnce", {.calls = {Disk::kNewFile}}},
                    Case{"NewFileFromThenOn", {.calls = {Disk::kNewFile}, .lasting = true}},
                    Case{"AppendOnce", {.calls = {Disk::kAppend}}},
                    Case{"AppendFromThenOn", {.calls = {Disk::kAppend}, .lasting = true}},
                    Case{"AppendOnceTorn", {.calls = {Disk::kAppend}, .torn = true}},
                    Case{"SyncOnce", {.calls = {Disk::kSync}}},
                    Case{"SyncFromThenOn", {.calls = {Disk::kSync}, .lasting = true}},
                    Case{"SyncOnceFull", {.calls = {Disk::kSync}, .no_space = true}},
                    Case{"SyncDirectoryOnce", {.calls = {Disk::kSyncDirectory}}},
                    Case{"SyncDirectoryFromThenOn",
                         {.calls = {Disk::kSyncDirectory}, .lasting = true}},
                    Case{"RenameOnce", {.calls = {Disk::kRename}}},
                    Case{"RenameFromThenOn", {.calls = {Disk::kRename}, .lasting = true}},
                    Case{"CloseOnce", {.calls = {Disk::kClose}}},
                    Case{"CloseFromThenOn", {.calls = {Disk::kClose}, .lasting = true}},
                    Case{"DeleteOnce", {.calls = {Disk::kDelete}}},
                    Case{"DeleteFromThenOn", {.calls = {Disk::kDelete}, .lasting = true}}),
    NameOf);

// A full disk refuses new bytes and new files alike, until there is room again.
INSTANTIATE_TEST_SUITE_P(
    OfAFullDisk, EveryCall,
    testing::Values(
        Case{"Once", {.calls = {Disk::kAppend, Disk::kNewFile}, .no_space = true}},
        Case{"UntilRoomIsMade",
             {.calls = {Disk::kAppend, Disk::kNewFile}, .no_space = true, .lasting = true}},
        Case{"UntilRoomIsMadeTorn",
             {.calls = {Disk::kAppend, Disk::kNewFile},
              .no_space = true,
              .lasting = true,
              .torn = true}}),
    NameOf);

// ------------------------------------------------------------------------------------------------

class FaultInjectionTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_THAT(engine_.Open(), IsOk()); }

  Status Write(Operation operation, Durability durability) {
    auto done = std::make_shared<std::promise<Status>>();
    PackedWrites writes;
    writes.Put(operation.key, operation.value);
    std::unique_ptr<Submission> submission = writes.ToSubmission(/*atomic=*/false);
    submission->durability = durability;
    submission->done = [done](const Status& status) { done->set_value(status); };
    std::future<Status> result = done->get_future();
    Status status = engine_->Submit(std::move(submission));
    return status.ok() ? Await(std::move(result)) : status;
  }
  Status Write(const std::string& key, Durability durability = Durability::kWal) {
    return Write({.type = OpType::kPut, .key = key, .value = "of " + key, .end = {}}, durability);
  }
  void FillDisk(bool torn = false) {
    engine_.disk.Inject({.calls = {Disk::kAppend, Disk::kNewFile},
                         .no_space = true,
                         .lasting = true,
                         .torn = torn});
  }
  // Ends as a killed process does and opens again.
  void KillAndReopen() {
    engine_.disk.Stop();
    engine_.Close();
    engine_.disk.Restart();
    ASSERT_THAT(engine_.Open(), IsOk());
  }
  std::vector<std::string> Keys() {
    std::vector<std::string> keys;
    for (const auto& [key, value] : RecordsOf(engine_.get())) keys.push_back(key);
    return keys;
  }

  FaultyEngine engine_;
};

TEST_F(FaultInjectionTest, AfterAFailedSyncNothingIsAcceptedUntilTheDatabaseIsReopened) {
  ASSERT_THAT(Write("a", Durability::kFsync), IsOk());
  engine_.disk.Inject({.calls = {Disk::kSync}});
  const Status failed = Write("b", Durability::kFsync);
  EXPECT_THAT(failed, HasCode(Code::kIo));
  EXPECT_THAT(std::string(failed.message()), testing::HasSubstr("syncing the log"));
  for (const Durability durability : {Durability::kFsync, Durability::kWal}) {
    EXPECT_THAT(Write("c", durability), HasCode(Code::kReadOnly));
  }
  const Status resumed = engine_->Resume();
  EXPECT_THAT(resumed, HasCode(Code::kReadOnly));
  EXPECT_THAT(std::string(resumed.message()), testing::HasSubstr("close and reopen"));
  EXPECT_EQ(Get(engine_.get(), "a"), "of a") << "reads go on";
  // A rejected fsync write may still appear.
  KillAndReopen();
  EXPECT_THAT(Keys(), testing::ElementsAre("a", "b"));
  EXPECT_THAT(Write("c", Durability::kFsync), IsOk());
}

TEST_F(FaultInjectionTest, WhatWasRecoveredAfterAFailedSyncSurvivesALossOfPower) {
  engine_.disk.Inject({.calls = {Disk::kSync}});
  ASSERT_THAT(Write("a"), IsOk());
  EXPECT_THAT(Write("b", Durability::kFsync), HasCode(Code::kIo));
  // Reopened by the same machine: the pages were read from its memory. They must be written anew.
  engine_.Close();
  ASSERT_THAT(engine_.Open(), IsOk());
  ASSERT_THAT(Write("c", Durability::kFsync), IsOk());
  engine_.disk.Stop();
  engine_.Close();
  engine_.disk.LosePower(Disk::Loss::kEverything, 1);
  engine_.disk.Restart();
  ASSERT_THAT(engine_.Open(), IsOk());
  EXPECT_THAT(Keys(), testing::ElementsAre("a", "b", "c"));
}

TEST_F(FaultInjectionTest, AFullDiskIsResumedOnceThereIsRoom) {
  ASSERT_THAT(Write("a"), IsOk());
  FillDisk();
  EXPECT_THAT(Write("b"), HasCode(Code::kNoSpace));
  const Status refused = Write("c");
  EXPECT_THAT(refused, HasCode(Code::kReadOnly));
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("resume()"));
  EXPECT_FALSE(engine_->Resume().ok()) << "there is no room yet";
  EXPECT_THAT(Write("c"), HasCode(Code::kReadOnly));
  EXPECT_EQ(Get(engine_.get(), "a"), "of a");
  engine_.disk.Heal();
  ASSERT_THAT(engine_->Resume(), IsOk());
  EXPECT_THAT(Write("d"), IsOk());
  EXPECT_THAT(Write("e", Durability::kFsync), IsOk());
  KillAndReopen();
  EXPECT_THAT(Keys(), testing::ElementsAre("a", "d", "e"));
}

TEST_F(FaultInjectionTest, AFullDiskThatTearsARecordIsResumed) {
  // Nothing in the memtables: the torn record is all that the log would be switched for.
  ASSERT_THAT(engine_->Flush(), IsOk());
  FillDisk(/*torn=*/true);
  EXPECT_THAT(Write("a"), HasCode(Code::kNoSpace));
  engine_.disk.Heal();
  ASSERT_THAT(engine_->Resume(), IsOk());
  EXPECT_THAT(Write("b"), IsOk());
  EXPECT_THAT(Write("c", Durability::kFsync), IsOk());
  KillAndReopen();
  EXPECT_THAT(Keys(), testing::ElementsAre("b", "c"));
}

// Resuming writes the rest of the torn record behind its first half, in a log that is no longer
// needed once everything is flushed.
TEST_F(FaultInjectionTest, KillingItWhileItResumesLosesNothing) {
  for (uint64_t calls = 1;; calls++) {
    SCOPED_TRACE("stopped at call " + std::to_string(calls) + " of resuming");
    FaultyEngine engine;
    ASSERT_THAT(engine.Open(), IsOk());
    WriteHistory history;
    Script script;
    script.SomeWrites(engine.get(), &history);
    engine.disk.Inject(
        {.calls = {Disk::kAppend}, .nth = 2, .no_space = true, .lasting = true, .torn = true});
    script.SomeWrites(engine.get(), &history);
    ASSERT_FALSE(history.first_error().ok());
    engine.disk.Heal();
    engine.disk.StopAt(calls);
    const bool resumed = engine->Resume().ok() && !engine.disk.stopped();
    engine.disk.Stop();
    engine.Close();
    engine.disk.Restart();
    ASSERT_THAT(engine.Open(), IsOk());
    ExpectKept(history, RecordsOf(engine.get()), Crash::kProcess);
    if (resumed) break;
  }
}

TEST_F(FaultInjectionTest, AFlushThatFailsOnAFullDiskIsResumed) {
  ASSERT_THAT(Write("a"), IsOk());
  FillDisk();
  EXPECT_THAT(engine_->Flush(), HasCode(Code::kNoSpace));
  engine_.disk.Heal();
  // Before any write has met the error.
  ASSERT_THAT(engine_->Resume(), IsOk());
  EXPECT_THAT(Write("b"), IsOk());
  EXPECT_THAT(engine_->Flush(), IsOk());
  KillAndReopen();
  EXPECT_THAT(Keys(), testing::ElementsAre("a", "b"));
}

TEST_F(FaultInjectionTest, AFlushThatHasNoRoomForItsTableIsResumed) {
  ASSERT_THAT(Write("a"), IsOk());
  // The new log still fits, the table does not.
  engine_.disk.Inject(
      {.calls = {Disk::kAppend, Disk::kNewFile}, .nth = 3, .no_space = true, .lasting = true});
  EXPECT_THAT(engine_->Flush(), HasCode(Code::kNoSpace));
  engine_.disk.Heal();
  ASSERT_THAT(engine_->Resume(), IsOk());
  EXPECT_THAT(Write("b"), IsOk());
  EXPECT_THAT(engine_->Flush(), IsOk());
  KillAndReopen();
  EXPECT_THAT(Keys(), testing::ElementsAre("a", "b"));
}

TEST_F(FaultInjectionTest, EveryAcceptedWriteOfAFailedGroupIsReported) {
  engine_.disk.Inject({.calls = {Disk::kAppend}, .nth = 2, .lasting = true});
  WriteHistory history;
  Script script;
  int accepted = 0;
  for (int i = 0; i < 200; i++) {
    const Durability durability = i % 2 == 0 ? Durability::kWal : Durability::kFsync;
    accepted += history.Submit(engine_.get(), {script.Put(i % 10)}, i % 3 == 0, durability).ok();
  }
  history.Await();
  EXPECT_GT(accepted, 0);
  EXPECT_EQ(engine_->Gauges().in_flight_bytes, 0u);
}

}  // namespace
}  // namespace thermocline::test
