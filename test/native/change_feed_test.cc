// The change feed: decoding batches of the log, and what a reader makes of a log that is damaged or
// gone. What programs see of it is tested through the API.
#include "engine/feed/change_feed.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/feed/change_decoder.h"
#include "engine/feed/retention.h"
#include "engine/record/commit_header.h"
#include "engine/record/envelope.h"
#include "engine/tier/meta.h"
#include "engine_fixture.h"
#include "raw_store.h"

namespace thermocline {
namespace {

using test::HasCode;
using test::IsOk;

constexpr uint32_t kMeta = 1;
constexpr int kShard = 5;

class Family : public rocksdb::ColumnFamilyHandle {
 public:
  explicit Family(uint32_t id) : id_(id) {}
  const std::string& GetName() const override { return name_; }
  uint32_t GetID() const override { return id_; }
  rocksdb::Status GetDescriptor(rocksdb::ColumnFamilyDescriptor*) override {
    return rocksdb::Status::NotSupported();
  }
  const rocksdb::Comparator* GetComparator() const override {
    return rocksdb::BytewiseComparator();
  }

 private:
  const uint32_t id_;
  const std::string name_;
};

class ChangeDecoderTest : public testing::Test {
 protected:
  void Header(CommitOrigin origin, CommitKind kind, uint64_t id, uint32_t count) {
    const EncodedCommitHeader header = EncodeCommitHeader(
        {.origin = origin, .kind = kind, .first_commit_id = id, .operation_count = count});
    ASSERT_TRUE(batch_.PutLogData({header.bytes, header.size}).ok());
  }
  void Put(const std::string& key, const std::string& value, uint8_t flags = 0,
           uint64_t expiry = 0) {
    const EnvelopeHeader envelope = EncodeEnvelopeHeader(flags, expiry);
    ASSERT_TRUE(batch_.Put(&shard_, key, std::string(envelope.view()) + value).ok());
  }
  Status Decode(uint64_t after = 0) {
    seen_.clear();
    return DecodeChanges(
        batch_, 100, after,
        [](uint32_t family, std::string_view) { return family == kMeta ? kNotAShard : kShard; },
        [this](const Change& change) {
          std::string text =
              std::to_string(change.sequence) + "#" + std::to_string(change.commit_id);
          for (const ChangeOperation& operation : change.operations) {
            text += " " + std::to_string(static_cast<int>(operation.type)) + ":" +
                    std::string(operation.key) + "=" +
                    (operation.has_end ? std::string(operation.value) : "to the end");
            if (operation.expiry_ms > 0) text += "@" + std::to_string(operation.expiry_ms);
          }
          seen_.push_back(text);
        });
  }

  void Intent(uint64_t id, uint32_t index, const RangeIntentRecord& range) {
    const std::string key = IntentKey(id, index);
    ASSERT_TRUE(batch_.Put(&meta_, key, SealMeta(key, EncodeRangeIntent(range))).ok());
  }

  Family shard_{2};
  Family other_{3};
  Family meta_{kMeta};
  rocksdb::WriteBatch batch_;
  std::vector<std::string> seen_;
};

TEST_F(ChangeDecoderTest, AnAtomicCommitIsOneChangeAndARunIsOneForEachOperation) {
  Header(CommitOrigin::kUser, CommitKind::kAtomic, 7, 2);
  Put("a", "1");
  ASSERT_TRUE(batch_.Delete(&other_, "b").ok());
  Header(CommitOrigin::kUser, CommitKind::kRun, 8, 2);
  Put("c", "2", 0, 99);
  Put("d", "");
  ASSERT_THAT(Decode(), IsOk());
  EXPECT_EQ(seen_, (std::vector<std::string>{"101#7 0:a=1 1:b=", "102#8 0:c=2@99", "103#9 0:d="}));
}

TEST_F(ChangeDecoderTest, InternalCommitsAndTheDatabasesOwnRecordsArePassedOverAndCounted) {
  Header(CommitOrigin::kInternal, CommitKind::kAtomic, 0, 1);
  Put("copied", "x", kEnvelopeCleanCopy);
  Header(CommitOrigin::kUser, CommitKind::kAtomic, 3, 1);
  ASSERT_TRUE(batch_.Put(&meta_, "intent", "x").ok());
  Put("a", "1");
  ASSERT_TRUE(batch_.Put(&meta_, "outbox", "x").ok());
  Header(CommitOrigin::kUser, CommitKind::kAtomic, 4, 0);
  ASSERT_TRUE(batch_.Put(&meta_, "outbox", "x").ok());
  ASSERT_THAT(Decode(), IsOk());
  EXPECT_EQ(seen_, std::vector<std::string>{"103#3 0:a=1"});
}

TEST_F(ChangeDecoderTest, AMarkerIsADelete) {
  Header(CommitOrigin::kUser, CommitKind::kRun, 1, 1);
  Put("a", "", kEnvelopeTombstone);
  ASSERT_THAT(Decode(), IsOk());
  EXPECT_EQ(seen_, std::vector<std::string>{"100#1 1:a="});
}

TEST_F(ChangeDecoderTest, TheRangesOfOneCallAreOneOperation) {
  Header(CommitOrigin::kUser, CommitKind::kAtomic, 1, 2);
  ASSERT_TRUE(batch_.DeleteRange(&shard_, "a", "c").ok());
  ASSERT_TRUE(batch_.DeleteRange(&other_, "a", "d").ok());
  ASSERT_TRUE(batch_.DeleteRange(&shard_, "x", "y").ok());
  Header(CommitOrigin::kUser, CommitKind::kAtomic, 2, 1);
  ASSERT_TRUE(batch_.DeleteRange(&shard_, "x", "y").ok());
  ASSERT_THAT(Decode(), IsOk());
  EXPECT_EQ(seen_, (std::vector<std::string>{"102#1 2:a=d 2:x=y", "103#2 2:x=y"}));
}

TEST_F(ChangeDecoderTest, EqualRangesOfTwoCommitsAreTwoChanges) {
  Header(CommitOrigin::kUser, CommitKind::kRun, 5, 3);
  for (int commit = 0; commit < 2; commit++) {
    ASSERT_TRUE(batch_.DeleteRange(&shard_, "a", "c").ok());
    ASSERT_TRUE(batch_.DeleteRange(&other_, "a", "c").ok());
  }
  Put("b", "1");
  ASSERT_THAT(Decode(), IsOk());
  EXPECT_EQ(seen_, (std::vector<std::string>{"101#5 2:a=c", "103#6 2:a=c", "104#7 0:b=1"}));
}

TEST_F(ChangeDecoderTest, WhatColderTiersAreToDropCountsAndNotWhereTheHotStoreEnds) {
  Header(CommitOrigin::kUser, CommitKind::kAtomic, 1, 3);
  Put("a", "1");
  Intent(1, 0, {.start = "a", .end = "", .has_end = false});
  ASSERT_TRUE(batch_.DeleteRange(&shard_, "a", "b").ok());
  ASSERT_TRUE(batch_.DeleteRange(&other_, "a", "c").ok());
  Intent(1, 1, {.start = "m", .end = "x", .has_end = true});
  ASSERT_TRUE(batch_.DeleteRange(&shard_, "m", "x").ok());
  ASSERT_TRUE(batch_.DeleteRange(&other_, "m", "x").ok());
  Header(CommitOrigin::kUser, CommitKind::kRun, 2, 3);
  Intent(2, 0, {.start = "q", .end = "", .has_end = false});  // the hot store holds nothing there
  Intent(3, 1, {.start = "q", .end = "", .has_end = false});
  Put("r", "2");
  ASSERT_THAT(Decode(), IsOk());
  EXPECT_EQ(seen_,
            (std::vector<std::string>{"106#1 0:a=1 2:a=to the end 2:m=x", "107#2 2:q=to the end",
                                      "108#3 2:q=to the end", "109#4 0:r=2"}));
}

TEST_F(ChangeDecoderTest, ADamagedIntentIsRefused) {
  Header(CommitOrigin::kUser, CommitKind::kAtomic, 1, 1);
  const std::string key = IntentKey(1, 0);
  std::string sealed =
      SealMeta(key, EncodeRangeIntent({.start = "a", .end = "b", .has_end = true}));
  sealed[0] ^= 2;
  ASSERT_TRUE(batch_.Put(&meta_, key, sealed).ok());
  EXPECT_THAT(Decode(), HasCode(Code::kCorruption));
}

TEST_F(ChangeDecoderTest, CommitsUpToThePlaceAreLeftOutAndOneAcrossItIsWhole) {
  Header(CommitOrigin::kUser, CommitKind::kRun, 1, 2);
  Put("a", "");
  Put("b", "");
  Header(CommitOrigin::kUser, CommitKind::kAtomic, 3, 2);
  Put("c", "");
  Put("d", "");
  ASSERT_THAT(Decode(100), IsOk());
  EXPECT_EQ(seen_, (std::vector<std::string>{"101#2 0:b=", "103#3 0:c= 0:d="}));
  ASSERT_THAT(Decode(102), IsOk());
  EXPECT_EQ(seen_, std::vector<std::string>{"103#3 0:c= 0:d="});
  ASSERT_THAT(Decode(103), IsOk());
  EXPECT_TRUE(seen_.empty());
}

TEST_F(ChangeDecoderTest, WhatIsNoLogOfOursIsCorruption) {
  Put("a", "");
  EXPECT_THAT(Decode(), HasCode(Code::kCorruption));
  batch_.Clear();
  ASSERT_TRUE(batch_.PutLogData("\x09").ok());
  EXPECT_THAT(Decode(), HasCode(Code::kCorruption));
  batch_.Clear();
  Header(CommitOrigin::kUser, CommitKind::kRun, 1, 1);
  ASSERT_TRUE(batch_.Put(&shard_, "a", "\x40").ok());
  EXPECT_THAT(Decode(), HasCode(Code::kCorruption));
  batch_.Clear();
  Header(CommitOrigin::kUser, CommitKind::kRun, 1, 1);
  ASSERT_TRUE(batch_.Merge(&shard_, "a", "").ok());
  EXPECT_THAT(Decode(), HasCode(Code::kCorruption));
}

TEST(RetentionTest, IsReadOutOfTheOptionsFile) {
  const ChangesOptions on = ParseRetention(
      "[DBOptions]\n  WAL_ttl_seconds=60\n  x_WAL_size_limit_MB=1\n  WAL_size_limit_MB=7\n");
  EXPECT_TRUE(on.on());
  EXPECT_EQ(on.retain_bytes, 7 * kMiB);
  EXPECT_EQ(on.retain_ms, 60'000u);
  EXPECT_EQ(ParseRetention("[DBOptions]\n  WAL_ttl_seconds=0\n  WAL_size_limit_MB=0\n").state,
            ChangesOptions::State::kOff);
  EXPECT_EQ(ParseRetention("").state, ChangesOptions::State::kOff);
  EXPECT_EQ(ReadRetention("/nowhere").state, ChangesOptions::State::kOff);
}

class ChangeFeedTest : public testing::Test {
 protected:
  void SetUp() override {
    EngineOptions options = test::SmallOptions();
    options.changes.state = ChangesOptions::State::kOn;
    ASSERT_THAT(Engine::Open(folder_ / "db", options, &engine_), IsOk());
  }
  std::shared_ptr<ChangeReader> Reader(uint64_t since) {
    std::shared_ptr<ChangeReader> reader;
    EXPECT_THAT(engine_->ReadChanges(true, since, false, &reader), IsOk());
    return reader;
  }
  // How many changes a reader gives, and how it ends.
  static size_t Count(ChangeReader* reader, Status* end, std::string* keys = nullptr) {
    for (size_t count = 0;;) {
      ChangeChunk chunk;
      *end = reader->Read(1000, &chunk);
      if (!end->ok() || chunk.changes == 0) return count;
      count += chunk.changes;
      if (keys != nullptr) *keys += chunk.block;
    }
  }

  test::TempFolder folder_;
  std::shared_ptr<Engine> engine_;
};

TEST_F(ChangeFeedTest, EveryFlippedByteOfAKeptLogEndsTheFeedAndNeverThinsIt) {
  constexpr size_t kWrites = 150;
  std::string expected;
  for (size_t i = 0; i < kWrites; i++) {
    const std::string key = "k" + std::to_string(1000 + i);
    ASSERT_THAT(test::Put(engine_.get(), key, ""), IsOk());
    expected += key;
  }
  ASSERT_THAT(engine_->Flush(), IsOk());
  ASSERT_THAT(test::Put(engine_.get(), "last", ""), IsOk());
  expected += "last";
  std::filesystem::path log;
  for (const auto& file : std::filesystem::directory_iterator(folder_ / "db/hot/archive")) {
    if (log.empty() || file.file_size() > std::filesystem::file_size(log)) log = file.path();
  }
  const std::string whole = test::ReadFile(log);
  ASSERT_GT(whole.size(), kWrites * 10);
  Status end;
  std::string keys;
  ASSERT_EQ(Count(Reader(0).get(), &end, &keys), kWrites + 1);
  ASSERT_THAT(end, IsOk());
  ASSERT_EQ(keys, expected);
  size_t failed = 0;
  const std::set<size_t> types = test::LogTypeBytes(whole);
  for (size_t at = 0; at < whole.size(); at++) {
    const bool is_type = types.contains(at);
    if (at % 3 != 0 && !is_type) continue;
    std::string damaged = whole;
    // A type turns into that of a recycled log.
    damaged[at] = static_cast<char>(damaged[at] ^ (is_type ? 4 : 1 << (at % 8)));
    test::WriteFile(log, damaged);
    keys.clear();
    const auto reader = Reader(0);
    const size_t count = Count(reader.get(), &end, &keys);
    ASSERT_TRUE(expected.starts_with(keys)) << "byte " << at;
    if (count == kWrites + 1) continue;  // the flip was in what nobody looks at
    failed++;
    EXPECT_FALSE(end.ok()) << "byte " << at << " ended the feed in silence after " << count;
    // It says so again, and does not go on behind the hole.
    ChangeChunk chunk;
    EXPECT_FALSE(reader->Read(1000, &chunk).ok());
    EXPECT_EQ(chunk.changes, 0u);
    reader->Close();
  }
  EXPECT_GT(failed, whole.size() / 3 / 2);
  test::WriteFile(log, whole);
}

TEST_F(ChangeFeedTest, AKeptLogThatIsDeletedIsAGap) {
  ASSERT_THAT(test::Put(engine_.get(), "a", ""), IsOk());
  ASSERT_THAT(engine_->Flush(), IsOk());
  ASSERT_THAT(test::Put(engine_.get(), "b", ""), IsOk());
  DropArchive(folder_ / "db/hot");
  Status end;
  EXPECT_EQ(Count(Reader(0).get(), &end), 0u);
  EXPECT_THAT(end, HasCode(Code::kGap));
}

TEST_F(ChangeFeedTest, WhatCouldNotBeSyncedIsGivenOnceItCan) {
  bool broken = true;
  ChangeFeed feed(
      {.db = engine_->hot_db(),
       .shard_of = [](uint32_t, std::string_view) { return kShard; },
       .sync = [&broken] { return broken ? Status(Code::kIo, "the disk failed") : Status(); }},
      0);
  ASSERT_THAT(test::Put(engine_.get(), "a", ""), IsOk());
  ASSERT_THAT(test::Put(engine_.get(), "b", ""), IsOk());
  const auto reader = feed.NewReader(0, /*durable=*/true);
  for (int i = 0; i < 2; i++) {
    ChangeChunk chunk;
    EXPECT_THAT(reader->Read(1, &chunk), HasCode(Code::kIo));
    EXPECT_EQ(chunk.changes, 0u);
    EXPECT_EQ(reader->position(), 0u);
  }
  broken = false;
  Status end;
  std::string keys;
  EXPECT_EQ(Count(reader.get(), &end, &keys), 2u);
  EXPECT_THAT(end, IsOk());
  EXPECT_EQ(keys, "ab");
}

TEST_F(ChangeFeedTest, ReadersFollowWritersThroughLogSwitchesWithoutMissingAWake) {
  constexpr int kWrites = 600;
  constexpr int kReaders = 3;
  std::vector<std::thread> readers;
  std::vector<size_t> counts(kReaders);
  for (int i = 0; i < kReaders; i++) {
    readers.emplace_back([this, i, &counts] {
      const auto reader = Reader(0);
      while (counts[static_cast<size_t>(i)] < kWrites) {
        ChangeChunk chunk;
        const Status status = reader->Read(500, &chunk);
        ASSERT_THAT(status, IsOk());
        counts[static_cast<size_t>(i)] += chunk.changes;
        if (chunk.changes > 0) continue;
        auto woken = std::make_shared<std::promise<void>>();
        std::future<void> wake = woken->get_future();
        reader->WaitFor(std::make_shared<Waiter>([woken] { woken->set_value(); }));
        test::Await(std::move(wake));
      }
    });
  }
  for (int i = 0; i < kWrites; i++) {
    ASSERT_THAT(test::Put(engine_.get(), "k" + std::to_string(i % 50), "v"), IsOk());
    if (i % 100 == 99) {
      ASSERT_THAT(engine_->Flush(), IsOk());
    }
  }
  for (std::thread& reader : readers) reader.join();
  for (const size_t count : counts) EXPECT_EQ(count, static_cast<size_t>(kWrites));
}

TEST_F(ChangeFeedTest, ClosingTheEngineWakesAndEndsReadersThatAreStillHeld) {
  const auto reader = Reader(0);
  ASSERT_THAT(test::Put(engine_.get(), "a", ""), IsOk());
  Status end;
  ASSERT_EQ(Count(reader.get(), &end), 1u);
  auto woken = std::make_shared<std::promise<void>>();
  std::future<void> wake = woken->get_future();
  reader->WaitFor(std::make_shared<Waiter>([woken] { woken->set_value(); }));
  engine_->Close();
  test::Await(std::move(wake));
  ChangeChunk chunk;
  EXPECT_THAT(reader->Read(1000, &chunk), HasCode(Code::kClosed));
  reader->Close();
}

}  // namespace
}  // namespace thermocline
