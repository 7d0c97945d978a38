// Power is cut at random moments of random workloads: writers with and without fsync, flushes and
// compactions beside them, openings and closings. What was not synced is lost, in several ways.
// The database must open again, and show
//   - everything acknowledged at `fsync`, and everything that was there when a flush() began that
//     succeeded,
//   - every batch whole or not at all,
//   - of every key no older write than it must.
// What is left is the past up to some moment, except that a log whose end is lost may be followed
// by one of which more survived: then writes without a promise may be missing while later ones are
// there. Rounds that end like that are counted.
//
// THERMOCLINE_POWER_ROUNDS: how many times the power is cut in each test (default 20; 300 under
// THERMOCLINE_THOROUGH=1). THERMOCLINE_POWER_SEED: the first round's seed (default 1).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
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
using Records = WriteHistory::Records;
using Verdict = WriteHistory::Verdict;

int Rounds() { return EnvironmentNumber("THERMOCLINE_POWER_ROUNDS", Thorough() ? 300 : 20); }
uint32_t FirstSeed() {
  return static_cast<uint32_t>(EnvironmentNumber("THERMOCLINE_POWER_SEED", 1));
}

class Workload {
 public:
  Workload(Engine* engine, WriteHistory* history, bool with_log, uint32_t seed)
      : engine_(engine), history_(history), with_log_(with_log), seed_(seed) {}

  // Runs until everything is done or nothing is accepted any more.
  void Run() {
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < 3; i++) threads.emplace_back([this, i] { Work(seed_ * 10 + i); });
    for (std::thread& thread : threads) thread.join();
    history_->Await();
  }

 private:
  void Work(uint32_t seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 60; i++) {
      std::vector<Operation> operations;
      for (auto n = 1 + random() % 5; n > 0; --n) operations.push_back(RandomWrite(random));
      const bool fsync = with_log_ && random() % 6 == 0;
      const Status status = history_->Submit(engine_, std::move(operations), random() % 2 == 0,
                                             fsync ? Durability::kFsync : Durability::kWal);
      if (!status.ok()) return;
      if (random() % 3 == 0) history_->Await();
      if (random() % 48 == 0) Flush();
      if (random() % 128 == 0) (void)engine_->Compact({});
    }
  }
  void Flush() {
    const size_t applied = history_->AppliedSoFar();
    if (engine_->Flush().ok()) history_->NoteDurable(applied);
  }

  Operation RandomWrite(std::mt19937& random) {
    Operation operation{.type = OpType::kPut, .key = RandomKey(random), .value = {}, .end = {}};
    switch (random() % 12) {
      case 0:
        operation.type = OpType::kDeleteRange;
        operation.end = RandomKey(random);
        break;
      case 1:
      case 2:
        operation.type = OpType::kDelete;
        break;
      default: {
        // Some reach over several blocks of the log (32 KiB), many over a page.
        const size_t size = random() % 24 == 0 ? random() % 80'000 : random() % 600;
        operation.value = std::to_string(seed_) + "." + std::to_string(++values_) + ":" +
                          std::string(size, static_cast<char>('a' + random() % 26));
      }
    }
    return operation;
  }
  static std::string RandomKey(std::mt19937& random) {
    return std::string("key") + static_cast<char>('a' + random() % 20);
  }

  Engine* const engine_;
  WriteHistory* const history_;
  const bool with_log_;
  const uint32_t seed_;
  std::atomic<int> values_{0};
};

class PowerLossTest : public testing::Test {
 protected:
  // Cuts the power `Rounds()` times, on databases that live through several cuts each.
  void CutPowerAgainAndAgain(Disk::Loss loss, bool with_log) {
    int lives = 0;
    for (int i = 0; i < Rounds(); i++) {
      if (lives-- == 0) {
        BeginDatabase(with_log);
        lives = static_cast<int>(random_() % 6);
      }
      const uint32_t seed = FirstSeed() + static_cast<uint32_t>(i);
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
    options_ = SmallOptions(3);
    options_.env = disk_->env();
    options_.without_log = !with_log;
    before_.clear();
  }

  void Round(Disk::Loss loss, bool with_log, uint32_t seed) {
    random_.seed(seed);
    // Opening makes about 70 calls, a whole round 200 to 300.
    disk_->StopAt(1 + random_() % (random_() % 8 == 0 ? 60 : 240));
    WriteHistory history(before_);
    const Status opened = Engine::Open(*folder_ / "db", options_, &engine_);
    if (opened.ok()) {
      Workload(engine_.get(), &history, with_log, seed).Run();
      if (random_() % 2 == 0) disk_->Stop();
      engine_->Close();
      engine_.reset();
    } else {
      ASSERT_TRUE(disk_->stopped()) << opened.message();
      cut_while_opening_++;
    }
    disk_->Stop();
    disk_->LosePower(loss, seed);
    disk_->Restart();
    PretendToHaveBooted();

    ASSERT_THAT(Engine::Open(*folder_ / "db", options_, &engine_), IsOk());
    Records found = RecordsOf(engine_.get());
    std::string why;
    const Verdict verdict = history.Judge(found, Crash::kPower, &why);
    EXPECT_NE(verdict, Verdict::kBroken) << why;
    if (loss == Disk::Loss::kEverything || !with_log) {
      EXPECT_EQ(verdict, Verdict::kExact) << "later writes are there and earlier ones missing";
    }
    holes_ += verdict == Verdict::kHoles;
    EXPECT_THAT(Put(engine_.get(), "keyz", "written after round " + std::to_string(seed)), IsOk());
    found["keyz"] = "written after round " + std::to_string(seed);
    engine_->Close();
    engine_.reset();
    before_ = std::move(found);
  }

  // The engine notes in its lock file during which boot it was opened.
  void PretendToHaveBooted() {
    const std::string lock = *folder_ / "db/LOCK";
    if (!ReadFile(lock).empty()) WriteFile(lock, "another boot");
  }

  std::unique_ptr<TempFolder> folder_;
  std::unique_ptr<Disk> disk_;
  EngineOptions options_;
  std::shared_ptr<Engine> engine_;
  Records before_;
  std::mt19937 random_;
  int holes_ = 0;
  int cut_while_opening_ = 0;
};

TEST_F(PowerLossTest, NothingUnsyncedSurvives) {
  CutPowerAgainAndAgain(Disk::Loss::kEverything, /*with_log=*/true);
}

TEST_F(PowerLossTest, PartsOfWhatIsUnsyncedSurvive) {
  CutPowerAgainAndAgain(Disk::Loss::kSome, /*with_log=*/true);
}

TEST_F(PowerLossTest, PagesOfWhatIsUnsyncedSurviveInAnyOrder) {
  CutPowerAgainAndAgain(Disk::Loss::kPages, /*with_log=*/true);
}

TEST_F(PowerLossTest, WithoutALogWhatWasFlushedSurvivesAndNothingUnsynced) {
  CutPowerAgainAndAgain(Disk::Loss::kEverything, /*with_log=*/false);
}

TEST_F(PowerLossTest, WithoutALogWhatWasFlushedSurvivesAndPartsOfTheRest) {
  CutPowerAgainAndAgain(Disk::Loss::kSome, /*with_log=*/false);
}

}  // namespace
}  // namespace thermocline::test
