// Splits on a disk that fails: whatever call of it fails, the database opens again with all its
// records.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fault_file_system.h"
#include "tier_fixture.h"
#include "write_history.h"

namespace thermocline::test {
namespace {

using Disk = FaultFileSystem;

// A split of a shard with records in hot and in warm, on one disk, whose n-th call of a kind fails.
class ReshardFaultsTest : public testing::TestWithParam<Disk::Call> {
 protected:
  ~ReshardFaultsTest() override { Close(); }

  Status Open() { return Engine::Open(*folder_ / "db", options_, &engine_); }
  void Close() {
    if (engine_) engine_->Close();
    engine_.reset();
  }
  // False: the split made fewer calls, and succeeded.
  bool FailAt(uint64_t nth) {
    Close();
    disk_.reset();
    folder_ = std::make_unique<TempFolder>();
    disk_ = std::make_unique<Disk>(*folder_ / "aside");
    options_ = TieredOptions(1, true, false);
    options_.env = disk_->env();
    EXPECT_THAT(Open(), IsOk());
    records_.clear();
    PackedWrites writes;
    for (int i = 0; i < 40; i++) {
      const std::string key = "key" + std::to_string(i);
      records_[key] = "value of " + key;
      writes.Put(key, records_[key]);
    }
    EXPECT_THAT(Write(engine_.get(), writes), IsOk());
    Migrate(engine_.get(), 0, 1,
            [](std::string_view key, const Envelope&) { return (key.back() - '0') % 2 == 0; });
    // For good: a later success would write a new manifest.
    disk_->Inject({.calls = {GetParam()}, .nth = nth, .lasting = true});
    ReshardControl control;
    std::vector<uint32_t> ids;
    const Status status = engine_->resharder()->Run(
        {.split = true, .id = ShardId(), .other = 0, .at = std::nullopt}, &control, &ids);
    struck_ = disk_->struck();
    disk_->Heal();
    return !status.ok() || !struck_.empty();
  }
  uint32_t ShardId() { return engine_->NewView()->shards()->table.shards()[0].id; }

  WriteHistory::Records records_;
  std::string struck_;
  std::unique_ptr<TempFolder> folder_;
  std::unique_ptr<Disk> disk_;
  EngineOptions options_;
  std::shared_ptr<Engine> engine_;
};

TEST_P(ReshardFaultsTest, ASplitThatFailsLeavesADatabaseThatOpens) {
  uint64_t nth = 1;
  for (; FailAt(nth); nth++) {
    SCOPED_TRACE(std::string(Disk::NameOf(GetParam())) + " " + std::to_string(nth) + ": " +
                 struck_);
    ASSERT_LT(nth, 200u);
    Close();
    ASSERT_THAT(Open(), IsOk());
    EXPECT_EQ(RecordsOf(engine_.get()), records_);
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(nth, 2u) << "calls that failed";
}

INSTANTIATE_TEST_SUITE_P(Calls, ReshardFaultsTest,
                         testing::Values(Disk::kSync, Disk::kSyncDirectory), [](const auto& call) {
                           return call.param == Disk::kSync ? "Sync" : "SyncDirectory";
                         });

}  // namespace
}  // namespace thermocline::test
