// An engine with a warm and a cold tier, and short ways to move records between them.
#pragma once

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine_fixture.h"

namespace thermocline::test {

inline EngineOptions TieredOptions(int shards = 2, bool warm = true, bool cold = true) {
  EngineOptions options = SmallOptions(shards);
  using enum TierOptions::Presence;
  if (warm) options.tiers.at(Tier::kWarm).presence = kWanted;
  if (cold) options.tiers.at(Tier::kCold).presence = kWanted;
  // So that nothing moves but what a test moves.
  options.tiers.automatic = false;
  return options;
}

// Moves everything from one level to another, or what `pick` chooses.
inline StepResult Migrate(Engine* engine, int from, int to,
                          std::function<bool(std::string_view, const Envelope&)> pick = nullptr) {
  StepResult total;
  for (int shard = 0; shard < engine->Gauges().shards; shard++) {
    StepPlan plan{.shard = shard, .from = from, .to = to, .pick = pick};
    StepResult result;
    while (!result.done) {
      const Status status = engine->stepper()->Run(plan, &result);
      EXPECT_THAT(status, IsOk());
      if (!status.ok()) return total;
      total.records += result.records;
      total.bytes += result.bytes;
      total.markers += result.markers;
      total.dropped += result.dropped;
      total.dirty += result.dirty;
      total.freed += result.freed;
      plan.start = result.next;
    }
  }
  total.done = true;
  return total;
}

// What one level's store holds of a key: "value ...", "copy ..." for a clean copy, "marker" or
// "nothing".
inline std::string Stored(Engine* engine, int level, std::string_view key) {
  const auto view = engine->NewView();
  const Shards& shards = *view->shards();
  const size_t shard = static_cast<size_t>(shards.IndexOf(key));
  rocksdb::DB* const db =
      level == 0 ? engine->hot_db() : shards.colder[static_cast<size_t>(level) - 1].db;
  rocksdb::ColumnFamilyHandle* const family =
      level == 0 ? shards.handles[shard]
                 : shards.colder[static_cast<size_t>(level) - 1].handles[shard];
  std::string stored;
  const rocksdb::Status s =
      db->Get(rocksdb::ReadOptions(), family, {key.data(), key.size()}, &stored);
  if (s.IsNotFound()) return "nothing";
  EXPECT_TRUE(s.ok()) << s.ToString();
  Envelope envelope;
  if (!DecodeEnvelope(stored, &envelope)) return "damage";
  if (envelope.is_tombstone()) return "marker";
  return (envelope.clean_copy() ? "copy " : "value ") + std::string(envelope.payload);
}

// All levels of a key, hot first, such as "nothing | value x | nothing".
inline std::string Levels(Engine* engine, std::string_view key) {
  std::string all;
  for (int level = 0; level < engine->tiers().levels(); level++) {
    all += (level == 0 ? "" : " | ") + Stored(engine, level, key);
  }
  return all;
}

inline Status DeleteRange(Engine* engine, std::string_view start,
                          std::optional<std::string_view> end) {
  return Write(engine, PackedWrites().DeleteRange(start, end));
}

class TierTest : public EngineTest {
 protected:
  void OpenTiered(EngineOptions options = TieredOptions()) { Open(options); }
  void ReopenTiered() {
    EngineOptions options = SmallOptions(0);
    options.tiers.automatic = false;
    Reopen(options);
  }
  // Waits for what the migrator's thread must bring about.
  template <class Condition>
  bool Becomes(Condition&& condition) {
    for (int i = 0; i < 6000; i++) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
};

}  // namespace thermocline::test
