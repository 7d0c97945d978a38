// What a colder store has refused must not come back: a change whose sync failed is in no read, yet
// its bytes may lie in the store's log, and the next opening brings them up.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "fault_file_system.h"
#include "tier_fixture.h"

namespace thermocline::test {
namespace {

using Disk = FaultFileSystem;

class TierFailedChangeTest : public testing::Test {
 protected:
  ~TierFailedChangeTest() override { Close(); }

  Status Open() { return Engine::Open(*folder_ / "db", options_, &engine_); }
  void Close() {
    if (engine_) engine_->Close();
    engine_.reset();
  }
  // A new database that holds "key", whose step from hot to `to` meets a failure at the n-th call
  // of a kind on that store's disk. False: the step made fewer, and succeeded.
  bool FailAt(Disk::Call call, uint64_t nth, int to, size_t value_size) {
    Close();
    disk_.reset();
    folder_ = std::make_unique<TempFolder>();
    disk_ = std::make_unique<Disk>(*folder_ / "aside");
    options_ = TieredOptions(2);
    options_.tiers.at(to == 1 ? Tier::kWarm : Tier::kCold).env = disk_->env();
    EXPECT_THAT(Open(), IsOk());
    EXPECT_THAT(Put(get(), "key", std::string(value_size, 'v')), IsOk());
    disk_->Inject({.calls = {call}, .nth = nth});
    const int shard = get()->NewView()->shards()->IndexOf("key");
    StepResult result;
    const Status status = get()->stepper()->Run({.shard = shard, .from = 0, .to = to}, &result);
    disk_->Heal();
    return !status.ok();
  }
  // `then` for every call of a kind that a step makes: a step that is a batch, and one that is a
  // table.
  void ForEachFailure(Disk::Call call, int to, const std::function<void()>& then) {
    for (const size_t size : {10, 700'000}) {
      uint64_t nth = 1;
      for (; FailAt(call, nth, to, size); nth++) {
        SCOPED_TRACE(std::string(Disk::NameOf(call)) + " " + std::to_string(nth) + ", " +
                     std::to_string(size) + " bytes");
        ASSERT_LT(nth, 50u);
        then();
        if (HasFailure()) return;
      }
      // A batch changes no folder.
      EXPECT_EQ(nth > 1, size > 10 || call != Disk::kSyncDirectory) << "calls that failed";
    }
  }
  void Reopen() {
    Close();
    ASSERT_THAT(Open(), IsOk());
  }
  Engine* get() { return engine_.get(); }

 private:
  std::unique_ptr<TempFolder> folder_;
  std::unique_ptr<Disk> disk_;
  EngineOptions options_;
  std::shared_ptr<Engine> engine_;
};

TEST_F(TierFailedChangeTest, ADeletedRecordDoesNotComeBackWithTheColdStoresLog) {
  for (const Disk::Call call : {Disk::kSync, Disk::kAppend, Disk::kSyncDirectory}) {
    ForEachFailure(call, 2, [&] {
      ASSERT_THAT(Delete(get(), "key"), IsOk());
      EXPECT_EQ(Get(get(), "key"), std::nullopt);
      Reopen();
      EXPECT_EQ(Get(get(), "key"), std::nullopt) << Levels(get(), "key").substr(0, 100);
      // Nor when what shadows it sinks.
      EXPECT_TRUE(Migrate(get(), 0, 1).done);
      EXPECT_TRUE(Migrate(get(), 1, 2).done);
      EXPECT_EQ(Levels(get(), "key"), "nothing | nothing | nothing");
    });
  }
}

TEST_F(TierFailedChangeTest, ADeletedRecordDoesNotComeBackWithTheWarmStoresLog) {
  ForEachFailure(Disk::kSync, 1, [&] {
    ASSERT_THAT(Delete(get(), "key"), IsOk());
    Reopen();
    EXPECT_EQ(Get(get(), "key"), std::nullopt) << Levels(get(), "key").substr(0, 100);
  });
}

TEST_F(TierFailedChangeTest, ARangeDeleteWithoutAnEndReachesWhatComesBack) {
  ForEachFailure(Disk::kSync, 2, [&] {
    ASSERT_THAT(DeleteRange(get(), "a", std::nullopt), IsOk());
    (void)get()->stepper()->ApplyIntents();  // the store may take nothing until it is reopened
    Reopen();
    EXPECT_EQ(Get(get(), "key"), std::nullopt);
    EXPECT_THAT(get()->stepper()->ApplyIntents(), IsOk());
    EXPECT_EQ(Levels(get(), "key"), "nothing | nothing | nothing");
  });
}

// A record that sinks past the store which refused an older one of its key.
TEST_F(TierFailedChangeTest, AnOlderRecordDoesNotShadowWhatSankPastIt) {
  ForEachFailure(Disk::kSync, 1, [&] {
    ASSERT_THAT(Put(get(), "key", "newer"), IsOk());
    const int shard = get()->NewView()->shards()->IndexOf("key");
    StepResult result;
    // May fail, as the warm store may take nothing; then the record stays where it is.
    (void)get()->stepper()->Run({.shard = shard, .from = 0, .to = 2}, &result);
    EXPECT_EQ(Get(get(), "key"), "newer");
    Reopen();
    EXPECT_EQ(Get(get(), "key"), "newer") << Levels(get(), "key").substr(0, 100);
  });
}

// The shard of the key is split after the failure, and merged again, if the store still takes it.
TEST_F(TierFailedChangeTest, ADeletedRecordDoesNotComeBackAfterASplit) {
  ForEachFailure(Disk::kSync, 2, [&] {
    const auto run = [&](const ReshardRequest& request, std::vector<uint32_t>* ids) {
      ReshardControl control;
      return get()->resharder()->Run(request, &control, ids).ok();
    };
    const auto id_of = [&] {
      const auto view = get()->NewView();
      const Shards& shards = *view->shards();
      return shards.table.shards()[static_cast<size_t>(shards.IndexOf("key"))].id;
    };
    std::vector<uint32_t> halves;
    const bool split = run({.split = true, .id = id_of(), .other = 0, .at = std::nullopt}, &halves);
    ASSERT_THAT(Delete(get(), "key"), IsOk());
    std::vector<uint32_t> merged;
    if (split) run({.split = false, .id = halves[0], .other = halves[1], .at = {}}, &merged);
    EXPECT_EQ(Get(get(), "key"), std::nullopt);
    Reopen();
    EXPECT_EQ(Get(get(), "key"), std::nullopt) << Levels(get(), "key").substr(0, 100);
  });
}

}  // namespace
}  // namespace thermocline::test
