// Snapshots of shards and their restoring: what comes back, what is refused, and what an error at
// each step leaves.

#include "engine/snapshot/shard_snapshot.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/snapshot/manifest.h"
#include "engine/snapshot/shard_restore.h"
#include "tier_fixture.h"

namespace thermocline::test {
namespace {

namespace fs = std::filesystem;

constexpr int kRecords = 400;

std::string KeyOf(int i) { return "key" + std::to_string(1000 + i); }

class ShardSnapshotTest : public TierTest {
 protected:
  void Fill(const std::string& value) {
    PackedWrites writes;
    for (int i = 0; i < kRecords; i++) writes.Put(KeyOf(i), value + std::to_string(i));
    ASSERT_THAT(Write(engine(), writes), IsOk());
  }
  Status Take(const std::vector<uint32_t>& ids, SnapshotReport* report = nullptr,
              SnapshotControl* control = nullptr) {
    SnapshotReport ignored;
    SnapshotControl none;
    return engine()->snapshotter()->Take(ids, dir_, control != nullptr ? control : &none,
                                         report != nullptr ? report : &ignored);
  }
  Status Restore(std::optional<uint32_t> as = std::nullopt, SnapshotControl* control = nullptr) {
    SnapshotControl none;
    SnapshotManifest manifest;
    restored_.clear();
    return engine()->restorer()->Restore(dir_, as, control != nullptr ? control : &none, &restored_,
                                         &manifest);
  }
  // A file of the snapshot that is no manifest.
  fs::path SomeTable() const {
    for (const auto& entry : fs::recursive_directory_iterator(dir_)) {
      if (entry.is_regular_file() && entry.path().filename() != kManifestName) return entry.path();
    }
    throw std::runtime_error("the snapshot has no table");
  }

  const std::string dir_ = folder_ / "snapshot";
  std::vector<uint32_t> restored_;
};

TEST_F(ShardSnapshotTest, WhatWasThereComesBackInEveryTierAndTheOtherShardsStay) {
  OpenTiered();
  Fill("old");
  Migrate(engine(), 0, 2, [](std::string_view key, const Envelope&) { return key.back() == '7'; });
  ASSERT_THAT(Delete(engine(), KeyOf(7)), IsOk());
  const std::vector<Record> before = Scan(engine());
  SnapshotReport report;
  ASSERT_THAT(Take({0}, &report), IsOk());
  EXPECT_GT(report.manifest.bytes(), 0u);
  EXPECT_EQ(report.manifest.files(), report.linked) << "on one file system nothing is copied";
  Fill("new");
  ASSERT_THAT(DeleteRange(engine(), KeyOf(0), KeyOf(50)), IsOk());
  const std::vector<Record> after = Scan(engine());
  std::shared_ptr<const ReadView> view = engine()->NewView();

  ASSERT_THAT(Restore(), IsOk());
  EXPECT_EQ(restored_, std::vector<uint32_t>{0});
  const ShardTable table = view->shards()->table;
  const auto of_first = [&](const std::vector<Record>& records) {
    std::vector<Record> some;
    for (const Record& record : records) {
      if (table.IndexOfSlot(SlotOf(record.first)) == 0) some.push_back(record);
    }
    return some;
  };
  const std::vector<Record> now = Scan(engine());
  EXPECT_EQ(of_first(now), of_first(before));
  EXPECT_EQ(now.size() - of_first(now).size(), after.size() - of_first(after).size());
  for (const Record& record : of_first(before)) {
    EXPECT_EQ(Get(engine(), record.first), record.second);
  }
  // An older view goes on showing its moment.
  std::shared_ptr<Cursor> cursor = engine()->NewCursor(std::move(view), {});
  EXPECT_EQ(TakeAll(cursor.get()), after);
  cursor->Close();
  cursor.reset();
  ReopenTiered();
  EXPECT_EQ(Scan(engine()), now);
  VerifyReport verified;
  ASSERT_THAT(engine()->Verify(&verified), IsOk());
  EXPECT_EQ(verified.problem_count, 0u);
}

TEST_F(ShardSnapshotTest, SeveralShardsAreOfOneMomentAndRestoredTogetherIntoAnotherDatabase) {
  Open();
  Fill("v");
  const std::vector<Record> all = Scan(engine());
  ASSERT_THAT(Take({0, 1, 2, 3}), IsOk());
  Close();
  std::shared_ptr<Engine> other;
  ASSERT_THAT(Engine::Open(folder_ / "other", SmallOptions(4), &other), IsOk());
  ASSERT_THAT(Put(other.get(), "gone", "v"), IsOk());
  SnapshotControl control;
  SnapshotManifest manifest;
  ASSERT_THAT(other->restorer()->Restore(dir_, std::nullopt, &control, &restored_, &manifest),
              IsOk());
  EXPECT_EQ(restored_, (std::vector<uint32_t>{0, 1, 2, 3}));
  EXPECT_EQ(Scan(other.get()), all);
  EXPECT_EQ(control.bytes.load(), control.total_bytes.load());
  other->Close();
}

TEST_F(ShardSnapshotTest, WrongRequestsAreRefused) {
  Open();
  Fill("v");
  EXPECT_THAT(Take({77}), HasCode(Code::kNotFound));
  EXPECT_FALSE(fs::exists(dir_));
  EXPECT_THAT(Restore(), HasCode(Code::kNotFound));
  SnapshotControl aborted;
  aborted.aborted = true;
  EXPECT_THAT(Take({0}, nullptr, &aborted), HasCode(Code::kAborted));
  ASSERT_THAT(Take({0}), IsOk());
  EXPECT_THAT(Take({1}), HasCode(Code::kInvalidArgument)) << "there is a snapshot already";
  EXPECT_THAT(Restore(1), HasCode(Code::kInvalidArgument)) << "another shard's slots";
  EXPECT_THAT(Restore(std::nullopt, &aborted), HasCode(Code::kAborted));
  Close();
  std::shared_ptr<Engine> other;
  ASSERT_THAT(Engine::Open(folder_ / "other", SmallOptions(3), &other), IsOk());
  SnapshotControl control;
  SnapshotManifest manifest;
  EXPECT_THAT(other->restorer()->Restore(dir_, std::nullopt, &control, &restored_, &manifest),
              HasCode(Code::kInvalidArgument))
      << "no shard has these slots";
  other->Close();
}

TEST_F(ShardSnapshotTest, DamageIsFoundBeforeAnythingIsTouched) {
  Open();
  Fill("v");
  ASSERT_THAT(Take({0}), IsOk());
  Fill("w");
  const std::vector<Record> before = Scan(engine());
  const fs::path table = SomeTable();
  const std::string whole = ReadFile(table);
  // Not through the link: the table is the database's own.
  const auto replace = [](const fs::path& path, const std::string& bytes) {
    fs::remove(path);
    WriteFile(path, bytes);
  };
  std::string flipped = whole;
  flipped[flipped.size() / 2] ^= 1;
  for (const std::string& bad : {flipped, whole.substr(0, whole.size() - 1), whole + "x"}) {
    replace(table, bad);
    EXPECT_THAT(Restore(), HasCode(Code::kCorruption));
  }
  fs::remove(table);
  EXPECT_FALSE(Restore().ok());
  WriteFile(table, whole);
  const fs::path manifest = fs::path(dir_) / kManifestName;
  const std::string described = ReadFile(manifest);
  for (size_t at = 0; at < described.size(); at++) {
    std::string bad = described;
    bad[at] ^= 4;
    replace(manifest, bad);
    EXPECT_FALSE(Restore().ok()) << "byte " << at;
    replace(manifest, described.substr(0, at));
    EXPECT_FALSE(Restore().ok()) << at << " bytes";
  }
  EXPECT_EQ(Scan(engine()), before);
  replace(manifest, described);
  EXPECT_THAT(Restore(), IsOk());
}

TEST_F(ShardSnapshotTest, AnErrorAtAnyStepOfASnapshotLeavesNoFolder) {
  using Point = ShardSnapshotter::Point;
  Open();
  Fill("v");
  for (const Point failing :
       {Point::kSwitched, Point::kFlushed, Point::kLinked, Point::kChecked, Point::kDescribed}) {
    engine()->snapshotter()->SetProbe([failing](Point point) {
      return point == failing ? Status(Code::kIo, "failed here") : Status();
    });
    EXPECT_FALSE(Take({0, 1}).ok()) << static_cast<int>(failing);
    EXPECT_FALSE(fs::exists(dir_)) << static_cast<int>(failing);
  }
  engine()->snapshotter()->SetProbe(nullptr);
  EXPECT_THAT(Take({0, 1}), IsOk());
}

TEST_F(ShardSnapshotTest, AnErrorBeforeTheSwitchLeavesTheShardsAsTheyWere) {
  using Point = ShardRestorer::Point;
  Open();
  Fill("old");
  ASSERT_THAT(Take({2}), IsOk());
  Fill("new");
  const std::vector<Record> before = Scan(engine());
  for (const Point failing :
       {Point::kVerified, Point::kPlaced, Point::kCreated, Point::kSwitching}) {
    engine()->restorer()->SetProbe([failing](Point point) {
      return point == failing ? Status(Code::kIo, "failed here") : Status();
    });
    EXPECT_FALSE(Restore().ok()) << static_cast<int>(failing);
    EXPECT_EQ(Scan(engine()), before) << static_cast<int>(failing);
  }
  engine()->restorer()->SetProbe(nullptr);
  Reopen();
  EXPECT_EQ(Scan(engine()), before) << "what was filled aside is dropped";
  ASSERT_THAT(Restore(), IsOk());
  EXPECT_NE(Scan(engine()), before);
}

}  // namespace
}  // namespace thermocline::test
