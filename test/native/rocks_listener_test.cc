#include "engine/metrics/rocks_listener.h"

#include <memory>

#include "support.h"

namespace thermocline {
namespace {

using rocksdb::WriteStallCondition;

class RocksListenerTest : public testing::Test {
 protected:
  void Change(const char* family, WriteStallCondition from, WriteStallCondition to) {
    rocksdb::WriteStallInfo info;
    info.cf_name = family;
    info.condition.prev = from;
    info.condition.cur = to;
    listener_.OnStallConditionsChanged(info);
  }
  void Flush(int job, bool begins) {
    rocksdb::FlushJobInfo info;
    info.job_id = job;
    if (begins) {
      listener_.OnFlushBegin(nullptr, info);
    } else {
      listener_.OnFlushCompleted(nullptr, info);
    }
  }

  const std::unique_ptr<Metrics> metrics_ = std::make_unique<Metrics>();
  RocksListener listener_{metrics_.get()};
};

TEST_F(RocksListenerTest, AStallIsCountedOnceHoweverItsDegreeChanges) {
  Change("one", WriteStallCondition::kNormal, WriteStallCondition::kDelayed);
  Change("one", WriteStallCondition::kDelayed, WriteStallCondition::kStopped);
  Change("one", WriteStallCondition::kStopped, WriteStallCondition::kDelayed);
  EXPECT_EQ(metrics_->stalls.Total(), 1u);
  EXPECT_EQ(metrics_->stall_nanos.Total(), 0u) << "counted when it ends";
  Change("one", WriteStallCondition::kDelayed, WriteStallCondition::kNormal);
  EXPECT_EQ(metrics_->stalls.Total(), 1u);
  EXPECT_GT(metrics_->stall_nanos.Total(), 0u);
}

TEST_F(RocksListenerTest, ColumnFamiliesStallEachForThemselves) {
  Change("one", WriteStallCondition::kNormal, WriteStallCondition::kStopped);
  Change("two", WriteStallCondition::kNormal, WriteStallCondition::kStopped);
  EXPECT_EQ(metrics_->stalls.Total(), 2u);
  Change("one", WriteStallCondition::kStopped, WriteStallCondition::kNormal);
  const uint64_t first = metrics_->stall_nanos.Total();
  EXPECT_GT(first, 0u);
  Change("two", WriteStallCondition::kStopped, WriteStallCondition::kNormal);
  EXPECT_GT(metrics_->stall_nanos.Total(), first);
}

TEST_F(RocksListenerTest, AStallEndsWithItsFamily) {
  class Dropped : public rocksdb::ColumnFamilyHandle {
   public:
    const std::string& GetName() const override { return name_; }
    uint32_t GetID() const override { return 1; }
    rocksdb::Status GetDescriptor(rocksdb::ColumnFamilyDescriptor*) override { return {}; }
    const rocksdb::Comparator* GetComparator() const override { return nullptr; }

   private:
    const std::string name_ = "one";
  } dropped;
  Change("one", WriteStallCondition::kNormal, WriteStallCondition::kStopped);
  Change("two", WriteStallCondition::kNormal, WriteStallCondition::kStopped);
  ASSERT_EQ(metrics_->stall_tracker.Snapshot(NowNanos()).running, 2u);
  listener_.OnColumnFamilyHandleDeletionStarted(&dropped);
  EXPECT_EQ(metrics_->stall_tracker.Snapshot(NowNanos()).running, 1u);
  EXPECT_GT(metrics_->stall_nanos.Total(), 0u);
}

TEST_F(RocksListenerTest, AnEndWithoutABeginningIsIgnored) {
  Change("one", WriteStallCondition::kStopped, WriteStallCondition::kNormal);
  Flush(7, false);
  EXPECT_EQ(metrics_->stall_nanos.Total(), 0u);
  EXPECT_EQ(metrics_->flush_nanos.TakeSnapshot().count, 0u);
}

TEST_F(RocksListenerTest, SwitchesOfMemtablesAreCounted) {
  listener_.OnMemTableSealed({});
  listener_.OnMemTableSealed({});
  EXPECT_EQ(metrics_->memtable_switches.Total(), 2u);
}

TEST_F(RocksListenerTest, FlushesAreTimedByJob) {
  Flush(1, true);
  Flush(2, true);
  Flush(2, false);
  EXPECT_EQ(metrics_->flush_nanos.TakeSnapshot().count, 1u);
  Flush(1, false);
  EXPECT_EQ(metrics_->flush_nanos.TakeSnapshot().count, 2u);
  Flush(1, false);
  EXPECT_EQ(metrics_->flush_nanos.TakeSnapshot().count, 2u);
}

}  // namespace
}  // namespace thermocline
