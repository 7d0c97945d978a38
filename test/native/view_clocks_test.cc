// Expiry and compaction: which clock a compaction goes by, and what it drops then.

#include "engine/read/view_clocks.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "engine/tier/expiry_filter.h"
#include "support.h"

namespace thermocline {
namespace {

std::function<uint64_t()> Always(uint64_t now) {
  return [now] { return now; };
}

TEST(ViewClocksTest, TheOldestOpenViewDecides) {
  ViewClocks clocks;
  EXPECT_EQ(clocks.OldestOr(Always(50)), 50u);
  EXPECT_EQ(clocks.Open(Always(10)), 10u);
  EXPECT_EQ(clocks.Open(Always(20)), 20u);
  EXPECT_EQ(clocks.Open(Always(10)), 10u);
  EXPECT_EQ(clocks.OldestOr(Always(50)), 10u);
  clocks.Remove(10);
  EXPECT_EQ(clocks.OldestOr(Always(50)), 10u) << "two views of that moment were open";
  clocks.Remove(10);
  EXPECT_EQ(clocks.OldestOr(Always(50)), 20u);
  EXPECT_EQ(clocks.OldestOr(Always(15)), 15u) << "now, if that is older still";
  clocks.Remove(20);
  EXPECT_EQ(clocks.OldestOr(Always(50)), 50u);
}

// Runs `other` on a second thread while `now` is being asked, and gives it every chance to
// overtake.
class Intruder {
 public:
  explicit Intruder(std::function<void()> other) : other_(std::move(other)) {}
  void Intrude() {
    thread_ = std::thread([this] {
      entered_ = true;
      other_();
      finished_ = true;
    });
    while (!entered_) std::this_thread::yield();
    for (int i = 0; i < 2000 && !finished_; i++) std::this_thread::yield();
  }
  void Join() { thread_.join(); }

 private:
  std::function<void()> other_;
  std::atomic<bool> entered_{false};
  std::atomic<bool> finished_{false};
  std::thread thread_;
};

TEST(ViewClocksTest, NoCompactionOvertakesAViewThatIsBeingOpened) {
  for (int round = 0; round < 20; round++) {
    ViewClocks clocks;
    std::atomic<uint64_t> time{1};
    uint64_t captured = 0;
    Intruder compaction([&] { captured = clocks.OldestOr([&] { return ++time; }); });
    const uint64_t view = clocks.Open([&] {
      const uint64_t now = ++time;
      compaction.Intrude();
      return now;
    });
    compaction.Join();
    ASSERT_LE(captured, view) << "it would drop what the view still shows";
  }
}

TEST(ViewClocksTest, NoViewOpensBehindACompactionThatIsStarting) {
  for (int round = 0; round < 20; round++) {
    ViewClocks clocks;
    std::atomic<uint64_t> time{1};
    uint64_t view = 0;
    Intruder opening([&] { view = clocks.Open([&] { return ++time; }); });
    const uint64_t captured = clocks.OldestOr([&] {
      opening.Intrude();
      return ++time;
    });
    opening.Join();
    ASSERT_LE(captured, view);
  }
}

// --- The filter
// ------------------------------------------------------------------------------------

using Decision = rocksdb::CompactionFilter::Decision;

Decision Filter(
    uint64_t clock, std::string_view stored,
    rocksdb::CompactionFilter::ValueType type = rocksdb::CompactionFilter::ValueType::kValue) {
  ExpiryFilterFactory factory(Always(clock));
  const auto filter = factory.CreateCompactionFilter({});
  std::string changed;
  std::string skip;
  return filter->FilterV2(3, "key", type, {stored.data(), stored.size()}, &changed, &skip);
}

std::string Stored(uint8_t flags, uint64_t expiry) {
  return std::string(EncodeEnvelopeHeader(flags, expiry).view()) + "payload";
}

TEST(ExpiryFilterTest, DropsWhatHasExpiredAndNothingElse) {
  EXPECT_EQ(Filter(1000, Stored(0, 0)), Decision::kKeep) << "never expires";
  EXPECT_EQ(Filter(999, Stored(0, 1000)), Decision::kKeep);
  EXPECT_EQ(Filter(1000, Stored(0, 1000)), Decision::kRemove);
  EXPECT_EQ(Filter(1001, Stored(kEnvelopeCleanCopy, 1000)), Decision::kRemove);
  EXPECT_EQ(Filter(1000, Stored(kEnvelopeTombstone, 0)), Decision::kKeep);
}

TEST(ExpiryFilterTest, LeavesDamageForReadersToFind) {
  EXPECT_EQ(Filter(UINT64_MAX, ""), Decision::kKeep);
  EXPECT_EQ(Filter(UINT64_MAX, "\x80what"), Decision::kKeep);
  EXPECT_EQ(Filter(UINT64_MAX, std::string("\x02\x01", 2)), Decision::kKeep);
}

TEST(ExpiryFilterTest, LooksAtPlainValuesAlone) {
  using Type = rocksdb::CompactionFilter::ValueType;
  EXPECT_EQ(Filter(2000, Stored(0, 1000), Type::kMergeOperand), Decision::kKeep);
  EXPECT_EQ(Filter(2000, Stored(0, 1000), Type::kBlobIndex), Decision::kKeep);
}

TEST(ExpiryFilterTest, EachCompactionHasTheClockOfItsStart) {
  uint64_t now = 500;
  ExpiryFilterFactory factory([&now] { return now; });
  EXPECT_STREQ(factory.Name(), "thermocline.expiry");
  const auto early = factory.CreateCompactionFilter({});
  now = 5000;
  const auto late = factory.CreateCompactionFilter({});
  EXPECT_STREQ(late->Name(), "thermocline.expiry");
  const std::string stored = Stored(0, 1000);
  std::string unused;
  using Type = rocksdb::CompactionFilter::ValueType;
  EXPECT_EQ(early->FilterV2(0, "k", Type::kValue, stored, &unused, &unused), Decision::kKeep);
  EXPECT_EQ(late->FilterV2(0, "k", Type::kValue, stored, &unused, &unused), Decision::kRemove);
}

}  // namespace
}  // namespace thermocline
