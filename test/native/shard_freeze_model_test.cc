// Random operations against a map while another thread freezes and thaws shards.
// THERMOCLINE_SEQUENCES sets how many operations there are, in hundreds.

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "environment.h"
#include "shard_fixture.h"

namespace thermocline::test {
namespace {

namespace fs = std::filesystem;

class ShardFreezeModelTest : public ShardTest, public testing::WithParamInterface<int> {};

TEST_P(ShardFreezeModelTest, EveryOperationAgreesWithAMapWhileShardsAreFrozenAndThawed) {
  EngineOptions options = GetParam() == 2 ? TieredOptions(3) : SmallOptions(3);
  options.without_log = GetParam() == 1;
  options.log_given = options.without_log;
  options.freeze.thaw_on_access = true;
  Open(options);
  std::mt19937_64 random(static_cast<uint64_t>(GetParam()) + 11);
  std::atomic<bool> stop{false};
  int frozen = 0;
  // Its freezes mostly end with ERR_CONFLICT, as others write.
  std::thread mover([&] {
    std::mt19937_64 moves(7);
    while (!stop.load()) {
      const uint32_t id = static_cast<uint32_t>(moves() % 3);
      const Status status = moves() % 2 == 0 ? Thaw(id) : Freeze(id);
      EXPECT_TRUE(status.ok() || status.code() == Code::kConflict || status.code() == Code::kLocked)
          << status.message();
      std::this_thread::sleep_for(std::chrono::milliseconds(moves() % 8));
    }
  });
  const int operations = 100 * EnvironmentNumber("THERMOCLINE_SEQUENCES", 4);
  const auto key = [&] { return "key" + std::to_string(random() % 300); };
  for (int i = 0; i < operations && !HasFatalFailure(); i++) {
    const uint64_t kind = random() % 100;
    if (kind < 40) {
      const std::string k = key();
      model_[k] = std::to_string(i);
      EXPECT_THAT(Put(engine(), k, model_[k]), IsOk());
    } else if (kind < 50) {
      const std::string k = key();
      model_.erase(k);
      EXPECT_THAT(Delete(engine(), k), IsOk());
    } else if (kind < 60) {
      // Without waiting in between.
      std::vector<std::future<Status>> results;
      for (int n = 0; n < 5; n++) {
        PackedWrites writes;
        for (int m = 0; m < 3; m++) {
          const std::string k = key();
          model_[k] = std::to_string(i) + "." + std::to_string(n) + "." + std::to_string(m);
          writes.Put(k, model_[k]);
        }
        results.push_back(Submit(writes));
      }
      for (auto& result : results) EXPECT_THAT(Await(std::move(result)), IsOk());
    } else if (kind < 64) {
      const std::string from = key();
      const std::string to = from + "5";
      model_.erase(model_.lower_bound(from), model_.lower_bound(to));
      EXPECT_THAT(DeleteRange(engine(), from, to), IsOk());
    } else if (kind < 90) {
      const std::vector<std::string> keys = {key(), key(), key()};
      const auto values = GetMany(engine(), keys);
      for (size_t n = 0; n < keys.size(); n++) {
        const auto expected = model_.find(keys[n]);
        if (expected == model_.end()) {
          EXPECT_FALSE(values[n]) << keys[n];
        } else {
          EXPECT_EQ(values[n], expected->second) << keys[n];
        }
      }
    } else if (kind < 93) {
      Status status;
      do {
        status = Freeze(static_cast<uint32_t>(random() % 3));
      } while (status.code() == Code::kLocked);  // the other thread is at it
      EXPECT_THAT(status, IsOk());
      frozen++;
    } else if (kind < 95 && GetParam() == 2) {
      StepPlan plan{.shard = static_cast<int>(random() % 3), .from = 0, .to = 2, .pick = nullptr};
      StepResult result;
      EXPECT_THAT(engine()->stepper()->Run(plan, &result), IsOk());
    } else {
      const auto cursor = engine()->NewCursor(engine()->NewView(), {});
      Status status;
      const std::vector<Record> all = TakeAll(cursor.get(), &status);
      cursor->Close();
      if (status.ok()) {
        EXPECT_EQ(all, RecordsOf(model_));
      } else {
        EXPECT_EQ(status.code(), Code::kFrozen) << status.message();
      }
    }
  }
  stop.store(true);
  mover.join();
  EXPECT_GT(frozen, 3);
  ExpectSound();
  EngineOptions again = SmallOptions(0);
  again.tiers.automatic = false;
  again.without_log = options.without_log;
  Reopen(again);
  for (uint32_t id = 0; id < 3; id++) ASSERT_THAT(Thaw(id), IsOk());
  EXPECT_EQ(Scan(engine()), RecordsOf(model_));
  ExpectSound();
  EXPECT_FALSE(fs::exists(archives_));
}

std::string ModelName(const testing::TestParamInfo<int>& info) {
  static const char* const kNames[] = {"Hot", "WithoutALog", "Tiered"};
  return kNames[info.param];
}
INSTANTIATE_TEST_SUITE_P(Stores, ShardFreezeModelTest, testing::Values(0, 1, 2), ModelName);

}  // namespace
}  // namespace thermocline::test
