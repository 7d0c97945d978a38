// Random operations against a map while another thread splits and merges shards.
// THERMOCLINE_SEQUENCES sets how many operations there are, in hundreds.

#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "environment.h"
#include "shard_fixture.h"

namespace thermocline::test {
namespace {

class ReshardModelTest : public ShardTest, public testing::WithParamInterface<int> {};

TEST_P(ReshardModelTest, EveryReadIsThatOfAMapWhileShardsAreSplitAndMerged) {
  const bool tiered = GetParam() == 2;
  EngineOptions options = tiered ? TieredOptions(2) : SmallOptions(2);
  options.without_log = GetParam() == 1;
  Open(options);
  engine()->resharder()->SetChunkBytes(4000);
  std::atomic<bool> stop{false};
  std::atomic<int> moves{0};
  std::thread mover([&] {
    std::mt19937_64 random(7);
    while (!stop.load()) {
      const auto shards = ShardsNow();
      ReshardRequest request;
      request.split = shards.size() == 1 || (shards.size() < 8 && random() % 2 == 0);
      request.id = shards[random() % shards.size()].id;
      request.other = shards[random() % shards.size()].id;
      if (random() % 2 == 0) request.at = static_cast<uint16_t>(random() % kSlotCount);
      ReshardControl control;
      if (random() % 4 == 0) control.Abort();
      std::vector<uint32_t> ids;
      const Status status = engine()->resharder()->Run(request, &control, &ids);
      EXPECT_TRUE(status.ok() || status.code() == Code::kInvalidArgument ||
                  status.code() == Code::kAborted)
          << std::string(status.message());
      if (status.ok()) moves++;
      if (tiered && random() % 3 == 0) {
        StepPlan plan{.shard = static_cast<int>(random() % 8),
                      .from = static_cast<int>(random() % 3)};
        plan.to = (plan.from + 1 + static_cast<int>(random() % 2)) % 3;
        StepResult result;
        EXPECT_THAT(engine()->stepper()->Run(plan, &result), IsOk());
      }
    }
  });
  std::mt19937_64 random(static_cast<uint64_t>(GetParam()) + 1);
  const int operations = 100 * EnvironmentNumber("THERMOCLINE_SEQUENCES", 30);
  std::vector<std::pair<std::shared_ptr<const ReadView>, Model>> views;
  const auto any_key = [&] {
    const uint64_t n = random() % 300;
    return (n < 30 ? "{tag}" : "k") + std::to_string(n);
  };
  for (int i = 0; i < operations && !HasFailure(); i++) {
    const uint64_t kind = random() % 100;
    if (kind < 55) {
      PackedWrites writes;
      const uint64_t count = random() % 3 == 0 ? 1 + random() % 20 : 1;
      for (uint64_t n = 0; n < count; n++) {
        const std::string key = any_key();
        if (random() % 3 > 0) {
          model_[key] = "v" + std::to_string(i) + std::string(random() % 50, 'x');
          writes.Put(key, model_[key]);
        } else {
          model_.erase(key);
          writes.Delete(key);
        }
      }
      ASSERT_THAT(Write(engine(), writes, random() % 2 == 0), IsOk());
    } else if (kind < 58) {
      const std::string start = any_key();
      const std::string end = any_key();
      const bool open = random() % 4 == 0;
      ASSERT_THAT(
          DeleteRange(engine(), start, open ? std::nullopt : std::optional<std::string_view>(end)),
          IsOk());
      if (open || start < end) {
        model_.erase(model_.lower_bound(start), open ? model_.end() : model_.lower_bound(end));
      }
    } else if (kind < 80) {
      const std::string key = any_key();
      const auto found = Get(engine(), key);
      const auto entry = model_.find(key);
      ASSERT_EQ(found.has_value(), entry != model_.end()) << key;
      if (found) {
        ASSERT_EQ(*found, entry->second);
      }
    } else if (kind < 90) {
      std::vector<std::string> keys;
      for (int n = 0; n < 40; n++) keys.push_back(any_key());
      const auto values = GetMany(engine(), keys);
      for (size_t n = 0; n < keys.size(); n++) {
        const auto entry = model_.find(keys[n]);
        ASSERT_EQ(values[n].has_value(), entry != model_.end()) << keys[n];
        if (values[n]) {
          ASSERT_EQ(*values[n], entry->second);
        }
      }
    } else if (kind < 94) {
      if (views.size() == 4) {
        views.front().first->Release();
        views.erase(views.begin());
      }
      views.emplace_back(engine()->NewView(), model_);
    } else if (kind < 97 && !views.empty()) {
      const auto& [view, model] = views[random() % views.size()];
      const auto cursor = engine()->NewCursor(view, {});
      ASSERT_EQ(TakeAll(cursor.get()), RecordsOf(model));
      cursor->Close();
    } else if (kind < 99) {
      ASSERT_EQ(Scan(engine()), RecordsOf(model_));
    } else {
      ASSERT_THAT(engine()->Flush(), IsOk());
      if (random() % 4 == 0) {
        ASSERT_THAT(engine()->Compact({}), IsOk());
      }
    }
  }
  stop.store(true);
  mover.join();
  EXPECT_GT(moves.load(), 3);
  for (const auto& [view, model] : views) view->Release();
  views.clear();
  ExpectModel();
  EngineOptions again = SmallOptions(0);
  again.without_log = options.without_log;
  again.tiers.automatic = false;
  Reopen(again);
  ExpectModel();
  EXPECT_EQ(ShardFamiliesOf(hot_), NamedFamilies());
}

std::string ModelName(const testing::TestParamInfo<int>& info) {
  static const char* const kNames[] = {"Hot", "WithoutALog", "Tiered"};
  return kNames[info.param];
}
INSTANTIATE_TEST_SUITE_P(Stores, ReshardModelTest, testing::Values(0, 1, 2), ModelName);

}  // namespace
}  // namespace thermocline::test
