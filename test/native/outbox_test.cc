// The outbox over a meta family that is a map: what is repeated after a crash, what waits for a
// topic that fails, and the form of its records. Kills are tested through the API.
#include "engine/topic/outbox.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "engine/topic/partition_reader.h"
#include "engine/topic/record_format.h"
#include "topic_fixture.h"

namespace thermocline::topic {
namespace {

using test::HasCode;
using test::IsOk;
using test::kStartMs;

class OutboxTest : public testing::Test {
 protected:
  void SetUp() override {
    OpenTopics();
    std::shared_ptr<Topic> topic;
    ASSERT_THAT(topics_->Create("t", {.partitions = 2}, &topic), IsOk());
    id_ = topic->id();
    OpenOutbox();
  }
  void TearDown() override {
    outbox_.reset();
    topics_.reset();
  }

  void OpenTopics() {
    topics_ = std::make_unique<TopicStore>(
        TopicStore::Options{.folder = folder_ / "topics",
                            .read_only = false,
                            .after_power_loss = false,
                            .appender = {.max_in_flight_bytes = 1 << 20, .upkeep_ms = 3'600'000}},
        TopicStore::Dependencies{.now_ms = [] { return kStartMs; },
                                 .sync = [this](File* file) -> Status {
                                   if (sync_fails_) return {Code::kIo, "no sync"};
                                   return file->Sync();
                                 },
                                 .offsets = {}});
  }
  void OpenOutbox() {
    outbox_ = std::make_unique<Outbox>(Outbox::Dependencies{
        .topics = topics_.get(),
        .put = nullptr,
        .sync = [this]() -> Status {
          log_syncs_++;
          return log_sync_fails_ ? Status(Code::kIo, "no sync") : Status();
        },
        .erase = [this](const std::vector<std::string>& keys) -> Status {
          if (erase_fails_) return {Code::kIo, "no erase"};
          for (const std::string& key : keys) EXPECT_EQ(meta_.erase(key), 1u);
          return {};
        },
        .scan =
            [this](std::string_view,
                   const std::function<Status(std::string_view, std::string_view)>& fn) {
              for (const auto& [key, payload] : meta_) {
                Status status = fn(key, payload);
                if (!status.ok()) return status;
              }
              return Status();
            },
        .retry_ms = 5,
        .max_bytes = 1000});
  }
  // As after a crash: nothing but the files and meta is left.
  void Reopen() {
    outbox_.reset();
    topics_.reset();
    OpenTopics();
    OpenOutbox();
  }

  OutgoingMessages Message(const std::string& text, uint32_t partition = 0) {
    BodyBuilder body;
    body.Add(text);
    return {.topic = "t",
            .topic_id = id_,
            .partition = partition,
            .count = 1,
            .first_timestamp = 0,
            .body = std::string(body.bytes())};
  }
  // What a commit leaves, without the outbox being told: the program died right after.
  void Leave(uint64_t commit, const std::vector<OutgoingMessages>& messages) {
    for (uint32_t i = 0; i < messages.size(); i++) {
      meta_[OutboxKey(commit, i)] = EncodeOutbox(messages[i]);
    }
  }
  void Commit(uint64_t commit, const std::vector<OutgoingMessages>& messages) {
    Leave(commit, messages);
    outbox_->Written(commit, messages);
  }
  std::vector<std::string> Read(uint32_t partition = 0) {
    std::shared_ptr<Topic> topic;
    EXPECT_THAT(topics_->Open("t", &topic), IsOk());
    PartitionReader reader(topic->partition(partition));
    reader.Seek(0);
    std::vector<std::string> texts;
    for (;;) {
      ReadResult result;
      EXPECT_THAT(reader.Read({}, &result), IsOk());
      if (result.batches.empty()) return texts;
      for (const test::Message& message : test::MessagesOf(result)) {
        texts.push_back(message.payload);
      }
    }
  }

  test::TempFolder folder_;
  std::string id_;
  std::map<std::string, std::string> meta_;
  std::atomic<bool> sync_fails_ = false;
  std::atomic<bool> log_sync_fails_ = false;
  std::atomic<bool> erase_fails_ = false;
  std::atomic<int> log_syncs_ = 0;
  std::unique_ptr<TopicStore> topics_;
  std::unique_ptr<Outbox> outbox_;
};

using Texts = std::vector<std::string>;

TEST_F(OutboxTest, WhatWasCommittedAndNotAppendedIsAppendedAtTheNextOpening) {
  Leave(3, {Message("a"), Message("other", 1)});
  Leave(20, {Message("b")});
  ASSERT_THAT(outbox_->Recover(), IsOk());
  EXPECT_EQ(Read(0), (Texts{"a", "b"}));
  EXPECT_EQ(Read(1), (Texts{"other"}));
  EXPECT_TRUE(meta_.empty());
  EXPECT_EQ(outbox_->pending(), 0u);
}

TEST_F(OutboxTest, RecoveryLeavesTheTopicsClosedForChecks) {
  Leave(3, {Message("a")});
  Reopen();
  ASSERT_THAT(outbox_->Recover(), IsOk());
  TopicReport report;
  EXPECT_THAT(topics_->Check("t", &report), IsOk());
  EXPECT_EQ(report.messages, 1u);
}

TEST_F(OutboxTest, WhatWasAppendedBeforeACrashIsNotAppendedAgain) {
  erase_fails_ = true;
  for (uint64_t commit = 1; commit <= 40; commit++) {
    Commit(commit, {Message(std::to_string(commit)), Message("p1 " + std::to_string(commit), 1)});
  }
  outbox_->Stop();
  ASSERT_EQ(meta_.size(), 80u) << "the records stayed";
  erase_fails_ = false;
  Leave(41, {Message("41")});
  Reopen();
  ASSERT_THAT(outbox_->Recover(), IsOk());
  const Texts texts = Read(0);
  ASSERT_EQ(texts.size(), 41u);
  for (size_t i = 0; i < texts.size(); i++) EXPECT_EQ(texts[i], std::to_string(i + 1));
  EXPECT_EQ(Read(1).size(), 40u);
  EXPECT_TRUE(meta_.empty());
}

TEST_F(OutboxTest, NothingIsAppendedBeforeTheLogIsSyncedAndAllOfItLater) {
  log_sync_fails_ = true;
  Commit(1, {Message("1")});
  Commit(2, {Message("2")});
  while (log_syncs_ < 3) std::this_thread::yield();
  EXPECT_EQ(Read(), Texts());
  EXPECT_EQ(outbox_->pending(), 2u);
  log_sync_fails_ = false;
  outbox_->Stop();
  EXPECT_EQ(Read(), (Texts{"1", "2"}));
  EXPECT_TRUE(meta_.empty());
}

TEST_F(OutboxTest, AFailedSyncOfATopicLosesNothingDoublesNothingAndKeepsTheOrder) {
  Commit(1, {Message("1")});
  while (outbox_->pending() > 0) std::this_thread::yield();
  sync_fails_ = true;
  Commit(2, {Message("2")});
  Commit(3, {Message("3"), Message("else", 1)});
  outbox_->Stop();
  EXPECT_EQ(meta_.size(), 3u) << "what may not be on the disk keeps its record";
  sync_fails_ = false;
  Leave(4, {Message("4")});
  Reopen();
  ASSERT_THAT(outbox_->Recover(), IsOk());
  EXPECT_EQ(Read(), (Texts{"1", "2", "3", "4"}));
  EXPECT_EQ(Read(1), Texts{"else"});
  EXPECT_TRUE(meta_.empty());
}

TEST_F(OutboxTest, ADeletedTopicTakesItsMessagesWithIt) {
  Leave(1, {Message("1")});
  ASSERT_THAT(topics_->Delete("t"), IsOk());
  std::shared_ptr<Topic> anew;
  ASSERT_THAT(topics_->Create("t", {.partitions = 2}, &anew), IsOk());
  ASSERT_THAT(outbox_->Recover(), IsOk());
  EXPECT_EQ(anew->partition(0)->end_offset(), 0u);
  EXPECT_TRUE(meta_.empty());
}

TEST_F(OutboxTest, TooMuchThatWaitsIsRefused) {
  EXPECT_THAT(outbox_->Admit(1'000'000), IsOk()) << "one alone passes";
  log_sync_fails_ = true;
  Commit(1, {Message(std::string(600, 'x'))});
  EXPECT_THAT(outbox_->Admit(300), IsOk());
  EXPECT_THAT(outbox_->Admit(500), HasCode(Code::kBackpressure));
  log_sync_fails_ = false;
}

TEST_F(OutboxTest, TimestampsOfACommitStayThoughCommitsAreJoined) {
  OutgoingMessages early = Message("");
  uint64_t at = 1000;
  BodyBuilder body(at);
  body.Add("early", {.timestamp = &at});
  early.first_timestamp = at;
  early.body = body.bytes();
  Leave(1, {Message("now")});
  Leave(2, {early});
  Leave(3, {Message("now")});
  ASSERT_THAT(outbox_->Recover(), IsOk());
  std::shared_ptr<Topic> topic;
  ASSERT_THAT(topics_->Open("t", &topic), IsOk());
  PartitionReader reader(topic->partition(0));
  ReadResult result;
  ASSERT_THAT(reader.Read({}, &result), IsOk());
  const auto messages = test::MessagesOf(result);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0].timestamp, kStartMs);
  EXPECT_EQ(messages[1].timestamp, at);
  EXPECT_EQ(messages[2].timestamp, kStartMs);
}

TEST(OutboxRecordTest, RoundTripAndEveryCutIsCorruption) {
  const OutgoingMessages messages = {.topic = "name",
                                     .topic_id = std::string(16, 'i'),
                                     .partition = 300,
                                     .count = 2,
                                     .first_timestamp = uint64_t{1} << 40,
                                     .body = ""};
  const std::string payload = EncodeOutbox(messages);
  OutgoingMessages decoded;
  ASSERT_THAT(DecodeOutbox(payload, &decoded), IsOk());
  EXPECT_EQ(decoded.topic, "name");
  EXPECT_EQ(decoded.topic_id, messages.topic_id);
  EXPECT_EQ(decoded.partition, 300u);
  EXPECT_EQ(decoded.count, 2u);
  EXPECT_EQ(decoded.first_timestamp, messages.first_timestamp);
  for (size_t size = 0; size < payload.size(); size++) {
    EXPECT_THAT(DecodeOutbox(payload.substr(0, size), &decoded), HasCode(Code::kCorruption));
  }
  EXPECT_THAT(DecodeOutbox("\x02" + payload.substr(1), &decoded), HasCode(Code::kFormatVersion));
}

TEST(OutboxRecordTest, KeysStandInTheOrderOfTheCommits) {
  EXPECT_EQ(OutboxKey(0x1f, 2), "outbox/000000000000001f.00000002");
  EXPECT_LT(OutboxKey(9, 5), OutboxKey(10, 0));
  OutboxEntry entry;
  ASSERT_TRUE(ParseOutboxKey(OutboxKey(0x1f, 2), &entry));
  EXPECT_EQ(entry.commit_id, 0x1fu);
  EXPECT_EQ(entry.index, 2u);
  for (const char* key : {"outbox/", "outbox/1f.2", "outbox/000000000000001g.00000002",
                          "outbox/000000000000001f.00000800", "topics/x"}) {
    EXPECT_FALSE(ParseOutboxKey(key, &entry)) << key;
  }
}

}  // namespace
}  // namespace thermocline::topic
