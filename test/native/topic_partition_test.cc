// A partition: appending, reading, reopening, idempotence, syncs, waiting, failed writes.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <thread>
#include <vector>

#include "topic_fixture.h"

namespace thermocline::topic {
namespace {

using test::HasCode;
using test::IsOk;
using test::kStartMs;
using test::Message;
using test::PartitionTest;

class TopicPartition : public PartitionTest {};

TEST_F(TopicPartition, BeginsEmpty) {
  Open();
  EXPECT_EQ(partition()->start_offset(), 0u);
  EXPECT_EQ(partition()->end_offset(), 0u);
  EXPECT_TRUE(ReadFrom(0).empty());
  EXPECT_TRUE(ReadFrom(100).empty());
}

TEST_F(TopicPartition, GivesDenseOffsetsAndGivesBackWhatWasAppended) {
  Open();
  uint64_t expected = 0;
  for (uint32_t count = 1; count <= 50; count++) {
    const BatchAppend batch = Append(count);
    ASSERT_THAT(batch.status, IsOk());
    ASSERT_EQ(batch.base_offset, expected);
    expected += count;
  }
  ExpectRun(ReadFrom(0), 0, expected);
  for (uint64_t from = 0; from <= expected; from += 7) ExpectRun(ReadFrom(from), from, expected);
}

TEST_F(TopicPartition, ReadsAtMostWhatIsAskedFor) {
  Open();
  for (int i = 0; i < 100; i++) Append(10);
  PartitionReader reader(partition_);
  ReadResult result;
  ASSERT_THAT(reader.Read({.max_bytes = 1}, &result), IsOk());
  EXPECT_EQ(result.batches.size(), 1u) << "one batch is always read";
  EXPECT_EQ(result.next_offset, 10u);
  EXPECT_EQ(result.end_offset, 1000u);
  result = {};
  ASSERT_THAT(reader.Read({.max_bytes = 500}, &result), IsOk());
  EXPECT_LE(result.batches.size(), 4u);
  EXPECT_EQ(result.batches.front().base_offset, 10u);
}

TEST_F(TopicPartition, GoesOnWhereItWasAfterReopening) {
  options_.segment_records = 100;
  Open();
  for (int i = 0; i < 25; i++) Append(10);
  ASSERT_THAT(partition()->Sync(), IsOk());
  EXPECT_EQ(Files(".index").size(), 2u) << "for sealed segments, once they are synced";
  for (int life = 0; life < 3; life++) {
    const uint64_t end = partition()->end_offset();
    Open();
    EXPECT_EQ(partition()->end_offset(), end);
    ExpectRun(ReadFrom(0), 0, end);
    EXPECT_EQ(Append(10).base_offset, end);
  }
  EXPECT_EQ(metrics_->rebuilt_indexes.Total(), 0u);
}

TEST_F(TopicPartition, MakesLostIndexesAgain) {
  options_.segment_records = 100;
  Open();
  for (int i = 0; i < 50; i++) Append(10);
  ASSERT_THAT(partition()->Sync(), IsOk());
  for (const std::string& name : Files("index")) std::filesystem::remove(path_ + "/" + name);
  Open();
  EXPECT_EQ(metrics_->rebuilt_indexes.Total(), 4u);
  ExpectRun(ReadFrom(0), 0, 500);
  ExpectRun(ReadFrom(333), 333, 500);
  ASSERT_THAT(partition()->Sync(), IsOk());
  EXPECT_EQ(Files(".index").size(), 4u);
  EXPECT_EQ(Files(".timeindex").size(), 4u);
}

TEST_F(TopicPartition, KeepsKeysHeadersIdsAndTimes) {
  Open();
  BodyBuilder body(5000);
  const std::string_view key = "k";
  const uint64_t time = 4000;
  body.Add("payload", {.key = &key, .timestamp = &time});
  body.Add("other");
  AppendBody(body);
  Append();
  const std::vector<Message> messages = ReadFrom(0);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0].key, "k");
  EXPECT_EQ(messages[0].timestamp, 4000u);
  EXPECT_EQ(messages[1].timestamp, 5000u);
  EXPECT_EQ(messages[2].timestamp, kStartMs) << "the time of the append";
}

class TopicCompressed : public TopicPartition, public testing::WithParamInterface<Codec> {};

TEST_P(TopicCompressed, MessagesComeBackAsTheyWere) {
  options_.compression.codec = GetParam();
  options_.segment_bytes = 8192;
  Open();
  for (int i = 0; i < 100; i++) Append(100);
  EXPECT_LT(metrics_->stored_bytes.Total(), metrics_->appended_bytes.Total() / 2);
  ExpectRun(ReadFrom(0), 0, 10'000);
  ExpectRun(ReadFrom(7777), 7777, 10'000);
  // Batches as they were written stay readable when the setting changes.
  options_.compression.codec = Codec::kNone;
  Open();
  for (int i = 0; i < 10; i++) Append(100);
  ExpectRun(ReadFrom(0), 0, 11'000);
}

INSTANTIATE_TEST_SUITE_P(All, TopicCompressed,
                         testing::Values(Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd),
                         [](const auto& info) { return std::string(CodecName(info.param)); });

TEST_F(TopicPartition, ABatchThatIsSentAgainIsNotWrittenAgain) {
  options_.segment_records = 25;
  Open();
  for (uint64_t sequence = 1; sequence <= 20; sequence++) {
    EXPECT_EQ(Append(5, /*producer=*/7, sequence).base_offset, (sequence - 1) * 5);
  }
  const BatchAppend again = Append(5, 7, 18);
  EXPECT_THAT(again.status, IsOk());
  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(again.base_offset, 85u);
  EXPECT_THAT(Append(5, 7, 3).status, HasCode(Code::kConflict));
  EXPECT_EQ(Append(5, /*producer=*/8, 3).base_offset, 100u) << "each has its own numbers";
  EXPECT_EQ(partition()->end_offset(), 105u);
  for (const bool with_snapshots : {true, false}) {
    if (!with_snapshots) {
      for (const std::string& name : Files(".producers")) {
        std::filesystem::remove(path_ + "/" + name);
      }
    }
    Open();
    const BatchAppend repeated = Append(5, 7, 15);
    EXPECT_TRUE(repeated.repeated);
    EXPECT_EQ(repeated.base_offset, 70u);
    uint64_t last = 0;
    EXPECT_TRUE(partition()->LastSequence(7, &last));
    EXPECT_EQ(last, 20u);
  }
  ExpectRun(ReadFrom(0), 0, 105);
}

TEST_F(TopicPartition, TwoOfTheSameBatchInOneGroupAreWrittenOnce) {
  Open();
  BodyBuilder body;
  body.Add(test::PayloadOf(0));
  BatchAppend batches[3];
  std::vector<BatchAppend*> group;
  for (BatchAppend& batch : batches) {
    batch.body = body.bytes();
    batch.count = 1;
    batch.producer_id = 1;
    batch.sequence = 9;
    group.push_back(&batch);
  }
  partition()->Append(group);
  EXPECT_FALSE(batches[0].repeated);
  EXPECT_TRUE(batches[1].repeated);
  EXPECT_TRUE(batches[2].repeated);
  EXPECT_EQ(batches[2].base_offset, 0u);
  EXPECT_EQ(partition()->end_offset(), 1u);
}

TEST_F(TopicPartition, FindsTheFirstMessageThatIsNotOlder) {
  options_.segment_records = 4;
  Open();
  // Times need not ascend.
  const std::vector<std::vector<uint64_t>> batches = {{100, 150}, {120, 300}, {200},     {250, 90},
                                                      {400},      {350},      {500, 450}};
  std::vector<uint64_t> times;
  for (const auto& batch : batches) {
    AppendAt(batch);
    times.insert(times.end(), batch.begin(), batch.end());
  }
  for (const bool reopened : {false, true}) {
    if (reopened) Open();
    for (uint64_t time = 0; time <= 510; time += 5) {
      PartitionReader reader(partition_);
      ASSERT_THAT(reader.SeekTime(time), IsOk());
      const auto first =
          std::find_if(times.begin(), times.end(), [&](uint64_t each) { return each >= time; });
      ASSERT_EQ(reader.next_offset(), static_cast<uint64_t>(first - times.begin())) << time;
    }
  }
}

TEST_F(TopicPartition, ALookupCostsTheSameHoweverLongTheLogIs) {
  options_.segment_bytes = 64 << 10;
  Open();
  const auto cost = [&](bool by_time) {
    const uint64_t probes = metrics_->index_probes.Total();
    const uint64_t walked = metrics_->walked_bytes.Total();
    PartitionReader reader(partition_);
    const uint64_t target = partition()->end_offset() / 2 + 3;
    if (by_time) {
      EXPECT_THAT(reader.SeekTime(kStartMs + target), IsOk());
    } else {
      reader.Seek(target);
    }
    ReadResult result;
    EXPECT_THAT(reader.Read({.max_bytes = 1}, &result), IsOk());
    EXPECT_EQ(result.batches.front().base_offset, target);
    return std::pair(metrics_->index_probes.Total() - probes,
                     metrics_->walked_bytes.Total() - walked);
  };
  std::vector<std::pair<uint64_t, uint64_t>> costs;
  for (const uint64_t length : {1000u, 8000u, 64'000u}) {
    while (partition()->end_offset() < length) {
      AppendAt({kStartMs + partition()->end_offset()});
    }
    for (const bool by_time : {false, true}) {
      const auto [probes, walked] = cost(by_time);
      // A segment has 16 entries; a time's place is looked up, and then its offset.
      EXPECT_LE(probes, by_time ? 10u : 5u) << "at " << length;
      EXPECT_LE(walked, (by_time ? 2 : 1) * (kIndexInterval + 200u)) << "at " << length;
    }
  }
}

TEST_F(TopicPartition, AWaiterIsCalledOnceWhenThereIsSomethingToRead) {
  Open();
  int calls = 0;
  const auto waiter = [&] { return std::make_shared<Waiter>([&] { calls++; }); };
  partition()->WaitFor(0, waiter());
  partition()->WaitFor(1, waiter());
  EXPECT_EQ(calls, 0);
  Append();
  EXPECT_EQ(calls, 1);
  Append();
  EXPECT_EQ(calls, 2);
  Append();
  EXPECT_EQ(calls, 2);
  partition()->WaitFor(2, waiter());
  EXPECT_EQ(calls, 3) << "at once";
  const auto fired = waiter();
  fired->Fire();
  fired->Fire();
  EXPECT_EQ(calls, 4);
}

TEST_F(TopicPartition, SyncsSealedSegmentsAndTheActiveOne) {
  options_.segment_records = 10;
  std::vector<std::string> synced;
  sync_ = [&](File* file) {
    synced.push_back(std::filesystem::path(file->path()).filename().string());
    return Status();
  };
  Open();
  for (int i = 0; i < 3; i++) Append(10);
  EXPECT_TRUE(synced.empty());
  ASSERT_THAT(partition()->Sync(), IsOk());
  EXPECT_EQ(synced,
            (std::vector<std::string>{"00000000000000000000.log", "00000000000000000010.log",
                                      "00000000000000000020.log"}));
  synced.clear();
  Append(1);
  ASSERT_THAT(partition()->Sync(), IsOk());
  EXPECT_EQ(synced,
            (std::vector<std::string>{"00000000000000000020.log", "00000000000000000030.log"}));
}

TEST_F(TopicPartition, AfterAFailedSyncNothingIsTakenUntilItIsOpenedAgain) {
  sync_ = [](File*) { return Status(Code::kIo, "the disk is gone"); };
  Open();
  EXPECT_THAT(Append().status, IsOk());
  EXPECT_THAT(partition()->Sync(), HasCode(Code::kIo));
  const BatchAppend refused = Append();
  EXPECT_THAT(refused.status, HasCode(Code::kReadOnly));
  EXPECT_THAT(std::string(refused.status.message()), testing::HasSubstr("the disk is gone"));
  ExpectRun(ReadFrom(0), 0, 1);
  sync_ = nullptr;
  Open();
  EXPECT_EQ(Append().base_offset, 1u);
}

// A limit on the size of files makes writes fail as a full disk does.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit = {bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_;
  void (*old_handler_)(int);
};

TEST_F(TopicPartition, AWriteThatFailsLeavesNothing) {
  Open();
  Append(10);
  const auto size = std::filesystem::file_size(LogPath(0));
  {
    FileSizeLimit limit(size + 100);
    EXPECT_THAT(Append(1000).status, HasCode(Code::kIo));
    EXPECT_EQ(std::filesystem::file_size(LogPath(0)), size);
    EXPECT_EQ(partition()->end_offset(), 10u);
  }
  EXPECT_EQ(Append(10).base_offset, 10u);
  ExpectRun(ReadFrom(0), 0, 20);
  Open();
  ExpectRun(ReadFrom(0), 0, 20);
}

TEST_F(TopicPartition, ReadOnlyItIsReadAndNothingIsTouched) {
  Open();
  Append(10);
  std::string torn = test::ReadFile(LogPath(0));
  torn.resize(torn.size() + 20, 'x');
  test::WriteFile(LogPath(0), torn);
  ASSERT_THAT(TryOpen(/*read_only=*/true), IsOk());
  ExpectRun(ReadFrom(0), 0, 10);
  EXPECT_THAT(Append().status, HasCode(Code::kReadOnly));
  EXPECT_EQ(test::ReadFile(LogPath(0)), torn);
}

TEST_F(TopicPartition, ReadersAndTheWriterDoNotDisturbEachOther) {
  options_.segment_records = 500;
  Open();
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  std::atomic<uint64_t> wrong{0};
  for (int i = 0; i < 3; i++) {
    readers.emplace_back([&, i] {
      PartitionReader reader(partition_);
      uint64_t expected = 0;
      for (;;) {
        const bool last = done.load();
        ReadResult result;
        if (!reader.Read({.max_bytes = size_t{1000} << i}, &result).ok()) wrong++;
        for (const Message& message : test::MessagesOf(result)) {
          if (message.offset != expected || message.payload != test::PayloadOf(expected)) wrong++;
          expected++;
        }
        if (last && result.batches.empty()) break;
      }
      if (expected != partition_->end_offset()) wrong++;
    });
  }
  for (int i = 0; i < 1000; i++) Append(1 + i % 20);
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace thermocline::topic
