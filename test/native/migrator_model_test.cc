// The database against a sorted map, while records move between its tiers in every way.
//
// A sequence is a run of random operations: puts, deletes, expiries, range deletes, batches,
// transactions, snapshots, scans and point reads, with steps in both directions, promotions, sweeps
// by age and temperature, tidying up, steps that end half-way, splits and merges, flushes,
// compactions and reopenings in between. Every read is compared with the map; a snapshot with the
// map of its moment. THERMOCLINE_SEQUENCES sets how many, THERMOCLINE_SEED where the random numbers
// begin.

#include <array>
#include <future>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/hash.h"
#include "engine/tier/sweeper.h"
#include "environment.h"
#include "tier_fixture.h"

namespace thermocline {
namespace {

using test::Await;
using test::Get;
using test::GetMany;
using test::IsOk;
using test::PackedWrites;
using test::Record;
using test::SmallOptions;
using test::TakeAll;
using test::TieredOptions;
using test::Write;

struct ModelValue {
  std::string value;
  uint64_t expiry_ms = 0;
};
using Model = std::map<std::string, ModelValue>;

std::vector<Record> Alive(const Model& model, uint64_t clock_ms) {
  std::vector<Record> records;
  for (const auto& [key, entry] : model) {
    if (entry.expiry_ms == 0 || entry.expiry_ms > clock_ms) records.emplace_back(key, entry.value);
  }
  return records;
}

class MigratorModelTest : public test::TierTest {
 protected:
  using Random = std::mt19937_64;
  uint64_t Below(uint64_t n) { return random_() % n; }
  bool Chance(uint64_t one_in) { return Below(one_in) == 0; }

  std::string AnyKey() {
    // Few keys, so that operations meet; some share a hash tag, thus a shard.
    const uint64_t n = Below(40);
    return (n < 10 ? "{tag}" : "k") + std::to_string(n);
  }
  std::string NewValue() {
    std::string value = "v" + std::to_string(++values_);
    // Now and then large enough for a step to build a table.
    if (Chance(30)) value.append(40'000, static_cast<char>('a' + Below(26)));
    return value;
  }
  uint64_t AnyExpiry() {
    switch (Below(8)) {
      case 0:
        return 1;  // expired at once
      case 1:
        return engine()->clock().NowMs() + 1 + Below(20);
      case 2:
        return engine()->clock().NowMs() + 3'600'000;
      default:
        return 0;
    }
  }

  void AddWrite(PackedWrites* writes, Model* model, bool ranges) {
    const std::string key = AnyKey();
    const uint64_t kind = Below(ranges ? 12 : 10);
    if (kind < 6) {
      const ModelValue entry{NewValue(), AnyExpiry()};
      writes->Put(key, entry.value, entry.expiry_ms);
      (*model)[key] = entry;
      touched_.emplace_back(key, key + '\0');
    } else if (kind < 10) {
      writes->Delete(key);
      model->erase(key);
      touched_.emplace_back(key, key + '\0');
    } else {
      std::string end = AnyKey();
      const bool open = Chance(4);
      writes->DeleteRange(key, open ? std::nullopt : std::optional<std::string_view>(end));
      if (!open && end <= key) return;
      touched_.emplace_back(key, open ? "\xff" : end);
      model->erase(model->lower_bound(key), open ? model->end() : model->lower_bound(end));
    }
  }

  void WriteSome() {
    PackedWrites writes;
    const uint64_t count = Chance(3) ? 1 + Below(12) : 1;
    for (uint64_t i = 0; i < count; i++) AddWrite(&writes, &model_, /*ranges=*/true);
    ASSERT_THAT(Write(engine(), writes, /*atomic=*/Chance(2)), IsOk());
  }

  // A transaction that reads a few keys, meets a write or not, and commits.
  void Transact() {
    auto begun = std::make_shared<std::promise<std::shared_ptr<Transaction>>>();
    ASSERT_THAT(engine()->BeginTransaction([begun](std::shared_ptr<Transaction> transaction) {
      begun->set_value(std::move(transaction));
    }),
                IsOk());
    const std::shared_ptr<Transaction> transaction = Await(begun->get_future());
    auto reads = std::make_unique<ReadSet>();
    reads->start_commit_id = transaction->start_commit_id();
    const Model moment = model_;
    const uint64_t clock = transaction->view()->clock_ms();
    touched_.clear();
    if (Chance(2)) Migrate();
    if (Chance(4)) Reshard(/*may_reopen=*/false);
    for (int i = 0; i < 3; i++) {
      const std::string key = AnyKey();
      ExpectSame(key, Get(engine(), key, transaction->view().get()), moment, clock);
      reads->keys.push_back(key);
    }
    if (Chance(3)) {
      const std::string key = Chance(2) ? reads->keys[0] : AnyKey();
      const ModelValue entry{NewValue(), 0};
      ASSERT_THAT(Write(engine(), PackedWrites().Put(key, entry.value)), IsOk());
      model_[key] = entry;
      touched_.emplace_back(key, key + '\0');
    }
    if (Chance(2)) Migrate();
    const bool conflict =
        std::any_of(reads->keys.begin(), reads->keys.end(), [this](const std::string& key) {
          return std::any_of(touched_.begin(), touched_.end(), [&](const auto& range) {
            return key >= range.first && key < range.second;
          });
        });
    PackedWrites writes;
    Model after = model_;
    for (int i = 0; i < 3; i++) AddWrite(&writes, &after, /*ranges=*/false);
    std::unique_ptr<Submission> submission = writes.ToSubmission(/*atomic=*/true);
    submission->reads = std::move(reads);
    auto done = std::make_shared<std::promise<Status>>();
    submission->done = [done](const Status& status) { done->set_value(status); };
    ASSERT_THAT(engine()->Submit(std::move(submission)), IsOk());
    const Status status = Await(done->get_future());
    EXPECT_EQ(status.code(), conflict ? Code::kConflict : Code::kOk);
    if (status.ok()) model_ = std::move(after);
  }

  void Migrate() {
    const int levels = engine()->tiers().levels();
    StepPlan plan;
    plan.shard = static_cast<int>(Below(4));  // there may be fewer
    plan.from = static_cast<int>(Below(static_cast<uint64_t>(levels)));
    plan.to = (plan.from + 1 + static_cast<int>(Below(static_cast<uint64_t>(levels) - 1))) % levels;
    if (Chance(2)) plan.start = AnyKey();
    plan.max_bytes = Chance(2) ? 8 * kMiB : 1 + Below(200);
    plan.max_scanned = 1 + Below(50);
    if (Chance(2)) {
      const uint64_t residue = Below(3);
      plan.pick = [residue](std::string_view key, const Envelope&) {
        return key.back() % 3 == static_cast<char>(residue);
      };
    }
    // A step may end half-way, as it does when a disk fails.
    if (Chance(5)) {
      const auto at = static_cast<Stepper::Point>(Below(4));
      engine()->stepper()->SetProbe([at](Stepper::Point point) {
        return point == at ? Status(Code::kAborted, "told to stop") : Status();
      });
    }
    // Writes come in between the halves of a step.
    if (Chance(3)) {
      const auto at = static_cast<Stepper::Point>(Below(4));
      engine()->stepper()->SetProbe([this, at](Stepper::Point point) {
        if (point == at) WriteSome();
        if (point == at && Chance(2)) TakeView();
        return Status();
      });
    }
    StepResult result;
    const Status status = engine()->stepper()->Run(plan, &result);
    EXPECT_TRUE(status.ok() || status.code() == Code::kAborted) << std::string(status.message());
    engine()->stepper()->SetProbe(nullptr);
  }

  // A split or a merge, with whatever may come in between; some end half-way.
  void Reshard(bool may_reopen) {
    const std::vector<ShardInfo> shards = engine()->NewView()->shards()->table.shards();
    ReshardRequest request;
    request.id = shards[Below(shards.size())].id;
    request.split = shards.size() < 2 || (shards.size() < 6 && Chance(2));
    request.other = shards[Below(shards.size())].id;
    if (Chance(2)) request.at = static_cast<uint16_t>(Below(kSlotCount));
    Resharder* const resharder = engine()->resharder();
    resharder->SetChunkBytes(Chance(2) ? 16 * kMiB : 1 + Below(300));
    const auto end = static_cast<Resharder::Point>(Below(Chance(2) ? 6 : 100));
    bool unknown =
        false;  // which table is in force: the engine takes no writes until it is reopened
    resharder->SetProbe([this, end, may_reopen, &unknown](Resharder::Point point) {
      using enum Resharder::Point;
      if (point == end && (may_reopen || point != kPersisted)) {
        unknown = point == kPersisted;
        return Status(Code::kIo, "told to stop");
      }
      if (point == kSwitching || point == kPersisted) return Status();  // at a boundary
      while (!Chance(3) && !HasFailure()) {
        const uint64_t kind = Below(8);
        if (kind < 4) WriteSome();
        if (kind == 4) Migrate();
        if (kind == 5) ReadPresent();
        if (kind == 6) TakeView();
        if (kind == 7) Promote();
      }
      return Status();
    });
    ReshardControl control;
    std::vector<uint32_t> ids;
    const Status status = resharder->Run(request, &control, &ids);
    // Shards that are no neighbours, a slot that the shard does not own, or told to stop.
    EXPECT_TRUE(status.ok() || status.code() == Code::kInvalidArgument ||
                status.code() == Code::kIo)
        << std::string(status.message());
    resharder->SetProbe(nullptr);
    if (unknown) {
      views_.clear();
      ReopenTiered();
    }
  }

  void ExpectSound() {
    VerifyReport report;
    ASSERT_THAT(engine()->Verify(&report), IsOk());
    EXPECT_EQ(report.problem_count, 0u) << (report.problems.empty() ? "" : report.problems[0]);
  }

  void Promote() {
    std::vector<std::string> keys;
    const auto shards = engine()->NewView()->shards();
    const int shard = static_cast<int>(Below(static_cast<uint64_t>(shards->count())));
    for (int i = 0; i < 8; i++) {
      const std::string key = AnyKey();
      if (shards->IndexOf(key) == shard) keys.push_back(key);
    }
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    if (Chance(2)) {
      engine()->stepper()->SetProbe([this](Stepper::Point) {
        WriteSome();
        return Status();
      });
    }
    uint64_t copied = 0;
    EXPECT_THAT(engine()->stepper()->Promote(shard, keys, &copied), IsOk());
    engine()->stepper()->SetProbe(nullptr);
  }

  // What sinks by age, by shards' temperature and in tidying up, with writes in between.
  void Sweep() {
    const int levels = engine()->tiers().levels();
    RecencySketch recency(1000, engine()->clock().NowMs(), 64);
    std::array<Temperature, 8> temperatures;
    for (Temperature& each : temperatures) each = static_cast<Temperature>(Below(4));
    MoveLedger ledger;
    const uint64_t shards_due = Chance(2) ? 0 : ~uint64_t{0} >> 1;
    Sweeper sweeper({
        .stepper = engine()->stepper(),
        .tiers = &engine()->tiers(),
        .heat = engine()->heat(),
        .shards = engine()->shards(),
        .hot = engine()->hot_db(),
        .clock = &engine()->clock(),
        .ledger = &ledger,
        .recency = std::vector<RecencySketch*>(static_cast<size_t>(levels - 1), &recency),
        .temperature =
            [&](const Shards&, int shard) {
              return temperatures[static_cast<size_t>(shard) % temperatures.size()];
            },
        .shards_grace_ms = shards_due,
        .tidy_least = 1,
        .takes_more = [](int) { return true; },
        .flush_hot = [this] { return engine()->Flush(); },
    });
    for (int second = 0; second < 3; second++) {
      engine()->clock().RaiseTo(engine()->clock().NowMs() + 1000);
      sweeper.AdvanceTime();
      for (int i = 0; i < 5; i++) recency.Touch(HashKey(AnyKey()));
    }
    // So that tables are gone through.
    if (Chance(2)) engine()->clock().RaiseTo(engine()->clock().NowMs() + 60'000);
    if (Chance(2)) {
      ASSERT_THAT(engine()->Flush(), IsOk());
    }
    sweeper.Look();
    while (sweeper.HasWork() && !HasFailure()) {
      EXPECT_THAT(sweeper.Step().status, IsOk());
      if (Chance(3)) WriteSome();
      if (Chance(9)) TakeView();
      if (Chance(20)) Reshard(/*may_reopen=*/false);
      if (Chance(9)) Promote();
    }
  }

  void TakeView() {
    if (views_.size() == 4) views_.erase(views_.begin());
    views_.emplace_back(engine()->NewView(), model_);
  }

  void ExpectSame(const std::string& key, const std::optional<std::string>& found,
                  const Model& model, uint64_t clock) {
    const auto entry = model.find(key);
    const bool alive =
        entry != model.end() && (entry->second.expiry_ms == 0 || entry->second.expiry_ms > clock);
    EXPECT_EQ(found.has_value(), alive) << key;
    if (alive && found) {
      EXPECT_TRUE(*found == entry->second.value) << key;
    }
  }

  void ExpectView(const std::shared_ptr<const ReadView>& view, const Model& model) {
    const std::vector<Record> alive = Alive(model, view->clock_ms());
    CursorOptions options;
    options.reverse = Chance(2);
    const auto cursor = engine()->NewCursor(view, options);
    std::vector<Record> found = TakeAll(cursor.get());
    cursor->Close();
    if (options.reverse) std::reverse(found.begin(), found.end());
    ASSERT_TRUE(found == alive) << found.size() << " records instead of " << alive.size();
    std::vector<std::string> keys;
    for (int i = 0; i < 10; i++) keys.push_back(AnyKey());
    const auto values = GetMany(engine(), keys, view);
    for (size_t i = 0; i < keys.size(); i++) {
      ExpectSame(keys[i], values[i], model, view->clock_ms());
    }
  }

  void ReadPresent() {
    std::vector<std::string> keys;
    for (int i = 0; i < 6; i++) keys.push_back(AnyKey());
    const uint64_t before = engine()->clock().NowMs();
    std::vector<std::optional<std::string>> values;
    if (Chance(2)) {
      values = GetMany(engine(), keys);
    } else {
      for (const std::string& key : keys) values.push_back(Get(engine(), key));
    }
    const uint64_t after = engine()->clock().NowMs();
    for (size_t i = 0; i < keys.size(); i++) {
      const auto entry = model_.find(keys[i]);
      // What expired meanwhile may be read either way.
      if (entry != model_.end() && entry->second.expiry_ms > before &&
          entry->second.expiry_ms <= after) {
        continue;
      }
      ExpectSame(keys[i], values[i], model_, after);
    }
  }

  void Step() {
    const uint64_t kind = Below(100);
    if (kind < 40) {
      WriteSome();
    } else if (kind < 45) {
      Reshard(/*may_reopen=*/true);
    } else if (kind < 64) {
      Migrate();
    } else if (kind < 65) {
      Sweep();
    } else if (kind < 72) {
      Promote();
    } else if (kind < 80) {
      ReadPresent();
    } else if (kind < 86) {
      TakeView();
    } else if (kind < 91) {
      if (!views_.empty()) {
        const auto& [view, model] = views_[Below(views_.size())];
        ExpectView(view, model);
      }
    } else if (kind < 95) {
      Transact();
    } else if (kind < 97) {
      ASSERT_THAT(engine()->stepper()->ApplyIntents(), IsOk());
    } else if (kind < 99) {
      ASSERT_THAT(engine()->Flush(), IsOk());
      if (Chance(3)) {
        ASSERT_THAT(engine()->Compact({}), IsOk());
      }
    } else {
      views_.clear();
      ReopenTiered();
    }
  }

  void RunSequence(int steps) {
    for (int i = 0; i < steps && !HasFailure(); i++) Step();
    for (const auto& [view, model] : views_) {
      if (!HasFailure()) ExpectView(view, model);
    }
    if (!HasFailure()) ExpectView(engine()->NewView(), model_);
    if (!HasFailure()) ExpectSound();
  }

  Random random_;
  Model model_;
  uint64_t values_ = 0;
  std::vector<std::pair<std::string, std::string>> touched_;  // ranges written of late
  std::vector<std::pair<std::shared_ptr<const ReadView>, Model>> views_;
};

TEST_F(MigratorModelTest, EveryReadIsThatOfAMap) {
  const int sequences = test::EnvironmentNumber("THERMOCLINE_SEQUENCES", 150);
  const int seed = test::EnvironmentNumber("THERMOCLINE_SEED", 1);
  for (int i = 0; i < sequences && !HasFailure(); i++) {
    SCOPED_TRACE("sequence " + std::to_string(i) + ", seed " + std::to_string(seed + i));
    random_.seed(static_cast<uint64_t>(seed + i));
    // A new database now and then, so that creation and each subset of tiers have their turn.
    if (i % 25 == 0) {
      views_.clear();
      Close();
      std::filesystem::remove_all(location_);
      model_.clear();
      const uint64_t kind = Below(4);
      EngineOptions options = TieredOptions(2, kind != 1, kind != 2);
      options.without_log = Chance(6);
      OpenTiered(options);
    }
    RunSequence(60);
  }
  views_.clear();
}

}  // namespace
}  // namespace thermocline
