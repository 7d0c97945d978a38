// Topics as a whole: creating, appending through the threads, routing, groups, upkeep, the engine.
#include "engine/topic/topic_store.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <random>
#include <set>
#include <thread>

#include "engine/tier/meta.h"
#include "engine/topic/assignment.h"
#include "engine/topic/consumer_groups.h"
#include "engine/topic/router.h"
#include "engine_fixture.h"
#include "topic_fixture.h"

namespace thermocline::topic {
namespace {

using test::Await;
using test::HasCode;
using test::IsOk;
using test::kStartMs;
using test::Message;

class TopicStoreTest : public testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open(bool read_only = false) {
    store_.reset();
    store_ = std::make_unique<TopicStore>(
        TopicStore::Options{.folder = folder_ / "topics",
                            .read_only = read_only,
                            .after_power_loss = false,
                            .appender = {.max_in_flight_bytes = 1 << 20, .upkeep_ms = 3'600'000}},
        TopicStore::Dependencies{
            .now_ms = [this] { return now_ms_.load(); },
            .sync =
                [this](File* file) {
                  syncs_++;
                  if (gate_.valid()) gate_.wait();
                  return file->Sync();
                },
            .offsets = {.get =
                            [this](std::string_view key, std::string* payload, bool* found) {
                              const auto at = meta_.find(std::string(key));
                              *found = at != meta_.end();
                              if (*found) *payload = at->second;
                              return Status();
                            },
                        .put =
                            [this](std::string_view key, std::string payload, bool) {
                              meta_[std::string(key)] = std::move(payload);
                              return Status();
                            }}});
  }
  std::shared_ptr<Topic> Create(const std::string& name, TopicOptions options = {}) {
    std::shared_ptr<Topic> topic;
    EXPECT_THAT(store_->Create(name, options, &topic), IsOk());
    return topic;
  }

  struct Appended {
    Status status;
    AppendOutcome outcome;
  };
  std::future<Appended> Start(const std::shared_ptr<Topic>& topic, const BodyBuilder& body,
                              int64_t partition = -1, Durability durability = Durability::kWal,
                              uint64_t producer = 0, uint64_t sequence = 0) {
    auto promise = std::make_shared<std::promise<Appended>>();
    auto submission = std::make_unique<AppendSubmission>();
    submission->topic = topic;
    submission->size = body.bytes().size();
    submission->body = std::make_unique<char[]>(submission->size);
    std::copy(body.bytes().begin(), body.bytes().end(), submission->body.get());
    submission->count = body.count();
    submission->partition = partition;
    submission->durability = durability;
    submission->producer_id = producer;
    submission->sequence = sequence;
    submission->done = [promise](const Status& status, const AppendOutcome& outcome) {
      promise->set_value({status, outcome});
    };
    std::future<Appended> future = promise->get_future();
    const Status status = store_->Append(std::move(submission));
    if (!status.ok()) promise->set_value({status, {}});
    return future;
  }
  Appended Append(const std::shared_ptr<Topic>& topic, std::string_view payload,
                  int64_t partition = -1) {
    BodyBuilder body;
    body.Add(payload);
    return Await(Start(topic, body, partition));
  }
  static std::vector<Message> ReadAll(const std::shared_ptr<Topic>& topic, uint32_t partition) {
    PartitionReader reader(topic->partition(partition));
    std::vector<Message> all;
    for (;;) {
      ReadResult result;
      EXPECT_THAT(reader.Read({}, &result), IsOk());
      if (result.batches.empty()) return all;
      for (Message& message : test::MessagesOf(result)) all.push_back(std::move(message));
    }
  }

  test::TempFolder folder_;
  std::atomic<uint64_t> now_ms_{kStartMs};
  std::atomic<int> syncs_{0};
  std::shared_future<void> gate_;
  std::map<std::string, std::string> meta_;
  std::unique_ptr<TopicStore> store_;
};

TEST_F(TopicStoreTest, TopicsAreCreatedOpenedListedAndDeleted) {
  std::vector<std::string> names;
  ASSERT_THAT(store_->List(&names), IsOk());
  EXPECT_TRUE(names.empty());
  const auto topic = Create("orders", {.partitions = 3});
  Create("Audit-1.x_y");
  std::shared_ptr<Topic> other;
  EXPECT_THAT(store_->Create("orders", {}, &other), HasCode(Code::kInvalidArgument));
  ASSERT_THAT(store_->Open("orders", &other), IsOk());
  EXPECT_EQ(other, topic);
  EXPECT_THAT(store_->Open("none", &other), HasCode(Code::kNotFound));
  ASSERT_THAT(store_->List(&names), IsOk());
  EXPECT_EQ(names, (std::vector<std::string>{"Audit-1.x_y", "orders"}));
  Append(topic, "gone");
  EXPECT_THAT(store_->Delete("orders"), IsOk());
  EXPECT_THAT(store_->Delete("orders"), HasCode(Code::kNotFound));
  EXPECT_THAT(Append(topic, "late").status, HasCode(Code::kNotFound));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "topics/orders"));
  const auto again = Create("orders");
  EXPECT_NE(again->id(), topic->id());
  EXPECT_TRUE(ReadAll(again, 0).empty());
}

TEST_F(TopicStoreTest, NamesThatWouldBePathsAreRefused) {
  for (const char* name : {"", ".", "..", ".hidden", "a/b", "a b", "ä"}) {
    EXPECT_THAT(TopicStore::CheckName(name), HasCode(Code::kInvalidArgument)) << name;
  }
  EXPECT_THAT(TopicStore::CheckName(std::string(201, 'x')), HasCode(Code::kInvalidArgument));
  EXPECT_THAT(TopicStore::CheckName(std::string(200, 'x')), IsOk());
}

TEST_F(TopicStoreTest, SettingsAreCheckedAndKept) {
  std::shared_ptr<Topic> topic;
  EXPECT_THAT(store_->Create("t", {.partitions = 0}, &topic), HasCode(Code::kInvalidArgument));
  EXPECT_THAT(store_->Create("t", {.partitions = 1025}, &topic), HasCode(Code::kInvalidArgument));
  EXPECT_THAT(store_->Create("t", {.segment_bytes = 100}, &topic), HasCode(Code::kInvalidArgument));
  TopicOptions options = {.partitions = 2,
                          .compression = {.codec = Codec::kZstd, .level = -3},
                          .segment_bytes = 5000,
                          .segment_ms = 6,
                          .segment_records = 7,
                          .retention_ms = 8,
                          .retention_bytes = 9};
  topic = Create("t", options);
  Open();
  ASSERT_THAT(store_->Open("t", &topic), IsOk());
  EXPECT_EQ(topic->options(), options);
  options.partitions = 1;
  EXPECT_THAT(store_->Configure(topic, options), HasCode(Code::kInvalidArgument));
}

TEST_F(TopicStoreTest, DamagedOrNewerSettingsAreRefused) {
  Create("t");
  const std::string path = folder_ / "topics/t/topic";
  const std::string good = test::ReadFile(path);
  for (size_t bit = 0; bit < 8 * good.size(); bit++) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    TopicConfig config;
    EXPECT_THAT(DecodeTopicConfig(bad, &config), HasCode(Code::kCorruption)) << "bit " << bit;
  }
  TopicConfig config;
  EXPECT_THAT(DecodeTopicConfig(SealMeta(kTopicFile, std::string(100, '\2')), &config),
              HasCode(Code::kFormatVersion));
}

TEST_F(TopicStoreTest, MessagesWithAKeyGoWhereItsSlotSaysAndOthersInTurn) {
  const auto topic = Create("t", {.partitions = 4});
  BodyBuilder body;
  for (int i = 0; i < 100; i++) body.AddWithKey("key" + std::to_string(i), std::to_string(i));
  const Appended keyed = Await(Start(topic, body));
  ASSERT_THAT(keyed.status, IsOk());
  ASSERT_EQ(keyed.outcome.partition_of.size(), 100u);
  std::vector<std::string> expected[4];
  for (int i = 0; i < 100; i++) {
    const uint32_t partition = PartitionOfKey("key" + std::to_string(i), 4);
    EXPECT_EQ(partition, SlotOf("key" + std::to_string(i)) / 4096u);
    EXPECT_EQ(keyed.outcome.partition_of[static_cast<size_t>(i)], partition);
    expected[partition].push_back(std::to_string(i));
  }
  for (uint32_t partition = 0; partition < 4; partition++) {
    const std::vector<Message> messages = ReadAll(topic, partition);
    ASSERT_EQ(messages.size(), expected[partition].size());
    ASSERT_GT(messages.size(), 5u);
    for (size_t i = 0; i < messages.size(); i++) {
      EXPECT_EQ(messages[i].payload, expected[partition][i]) << "in order";
    }
  }
  std::multiset<uint32_t> seen;
  for (int i = 0; i < 8; i++) seen.insert(Append(topic, "x").outcome.parts[0].partition);
  EXPECT_EQ(seen, (std::multiset<uint32_t>{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(Append(topic, "x", 2).outcome.parts[0].partition, 2u);
  EXPECT_THAT(Append(topic, "x", 4).status, HasCode(Code::kInvalidArgument));
}

TEST_F(TopicStoreTest, MalformedMessagesAreRefusedAndDisturbNobody) {
  const auto topic = Create("t", {.partitions = 2});
  for (const int64_t partition : {int64_t{-1}, int64_t{0}}) {
    auto promise = std::make_shared<std::promise<Status>>();
    auto submission = std::make_unique<AppendSubmission>();
    submission->topic = topic;
    submission->size = 3;
    submission->body = std::make_unique<char[]>(3);
    submission->count = 2;
    submission->partition = partition;
    submission->done = [promise](const Status& status, const AppendOutcome&) {
      promise->set_value(status);
    };
    ASSERT_THAT(store_->Append(std::move(submission)), IsOk());
    EXPECT_THAT(Await(promise->get_future()), HasCode(Code::kInvalidArgument));
  }
  EXPECT_THAT(Append(topic, "good").status, IsOk());
}

TEST_F(TopicStoreTest, PartitionsAreAddedWhileMessagesArrive) {
  const auto topic = Create("t", {.partitions = 1});
  std::atomic<bool> done{false};
  std::atomic<uint64_t> appended{0};
  std::thread writer([&] {
    for (int i = 0; !done; i++) {
      BodyBuilder body;
      body.AddWithKey(std::to_string(i), "x");
      EXPECT_THAT(Await(Start(topic, body)).status, IsOk());
      appended++;
    }
  });
  for (uint32_t count = 2; count <= 6; count++) {
    TopicOptions options = topic->options();
    options.partitions = count;
    ASSERT_THAT(store_->Configure(topic, options), IsOk());
    const uint64_t before = appended;
    while (appended < before + 20) std::this_thread::yield();
  }
  done = true;
  writer.join();
  uint64_t total = 0;
  for (const auto& partition : topic->partitions()) total += partition->end_offset();
  EXPECT_EQ(total, appended);
  EXPECT_EQ(topic->partition_count(), 6u);
  Open();
  std::shared_ptr<Topic> reopened;
  ASSERT_THAT(store_->Open("t", &reopened), IsOk());
  EXPECT_EQ(reopened->partition_count(), 6u);
}

TEST_F(TopicStoreTest, AppendsThatWaitShareASync) {
  const auto topic = Create("t");
  std::promise<void> open;
  gate_ = open.get_future().share();
  BodyBuilder body;
  body.Add("x");
  std::vector<std::future<Appended>> waiting;
  waiting.push_back(Start(topic, body, 0, Durability::kFsync));
  while (syncs_ == 0) std::this_thread::yield();
  for (int i = 0; i < 50; i++) waiting.push_back(Start(topic, body, 0, Durability::kFsync));
  // Written and read long before it is synced.
  while (topic->partition(0)->end_offset() < 51) std::this_thread::yield();
  EXPECT_THAT(Await(Start(topic, body, 0, Durability::kWal)).status, IsOk());
  EXPECT_EQ(waiting[1].wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  open.set_value();
  for (auto& each : waiting) EXPECT_THAT(Await(std::move(each)).status, IsOk());
  EXPECT_EQ(syncs_, 2);
}

TEST_F(TopicStoreTest, TooMuchThatWaitsIsRefused) {
  const auto topic = Create("t");
  std::promise<void> open;
  gate_ = open.get_future().share();
  BodyBuilder body;
  body.Add(std::string(600 << 10, 'x'));
  std::future<Appended> first = Start(topic, body, 0, Durability::kFsync);
  EXPECT_THAT(Await(Start(topic, body, 0)).status, HasCode(Code::kBackpressure));
  open.set_value();
  EXPECT_THAT(Await(std::move(first)).status, IsOk());
  EXPECT_THAT(Await(Start(topic, body, 0)).status, IsOk());
}

TEST_F(TopicStoreTest, UpkeepRollsDeletesAndWritesIndexes) {
  const auto topic = Create("t", {.segment_ms = 1000, .retention_ms = 5000});
  Append(topic, "old");
  now_ms_ += 1000;
  ASSERT_THAT(store_->Upkeep(), IsOk());
  EXPECT_EQ(topic->partition(0)->Segments().size(), 2u);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "topics/t/0/00000000000000000000.index"));
  now_ms_ += 4000;
  ASSERT_THAT(store_->Upkeep(), IsOk());
  EXPECT_EQ(topic->partition(0)->start_offset(), 1u);
  EXPECT_EQ(Append(topic, "new").outcome.parts[0].base_offset, 1u);
}

TEST_F(TopicStoreTest, ClosingFinishesWhatWasAcceptedAndWakesWhoWaits) {
  const auto topic = Create("t");
  std::vector<std::future<Appended>> all;
  BodyBuilder body;
  body.Add("x");
  for (int i = 0; i < 100; i++) {
    all.push_back(Start(topic, body, 0, i % 2 ? Durability::kFsync : Durability::kWal));
  }
  bool woken = false;
  topic->partition(0)->WaitFor(1'000'000, std::make_shared<Waiter>([&] { woken = true; }));
  store_->Close();
  for (auto& each : all) EXPECT_THAT(Await(std::move(each)).status, IsOk());
  EXPECT_TRUE(woken);
  EXPECT_THAT(Append(topic, "late").status, HasCode(Code::kClosed));
  Open();
  std::shared_ptr<Topic> reopened;
  ASSERT_THAT(store_->Open("t", &reopened), IsOk());
  EXPECT_EQ(ReadAll(reopened, 0).size(), 100u);
}

TEST_F(TopicStoreTest, ReadOnlyNothingIsChanged) {
  Append(Create("t"), "x");
  Open(/*read_only=*/true);
  std::shared_ptr<Topic> topic;
  EXPECT_THAT(store_->Create("u", {}, &topic), HasCode(Code::kReadOnly));
  EXPECT_THAT(store_->Delete("t"), HasCode(Code::kReadOnly));
  ASSERT_THAT(store_->Open("t", &topic), IsOk());
  EXPECT_THAT(Append(topic, "y").status, HasCode(Code::kReadOnly));
  EXPECT_EQ(ReadAll(topic, 0).size(), 1u);
}

TEST_F(TopicStoreTest, ARangeOfASegmentGoesToASocketWithoutBeingCopied) {
  const auto topic = Create("t");
  for (int i = 0; i < 100; i++) Append(topic, std::string(5000, 'x'));
  int sockets[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
  std::string received;
  std::thread receiver([&] {
    char buffer[4096];
    for (ssize_t n; (n = read(sockets[1], buffer, sizeof buffer)) > 0;) {
      received.append(buffer, static_cast<size_t>(n));
    }
  });
  Partition::Extent extent;
  ASSERT_TRUE(topic->partition(0)->Locate(50, &extent));
  std::shared_ptr<File> file;
  ASSERT_THAT(extent.segment->OpenFile(&file), IsOk());
  size_t sent = 0;
  ASSERT_THAT(SendFile(*file, extent.start.position,
                       static_cast<size_t>(extent.bytes - extent.start.position), sockets[0],
                       10'000, &sent),
              IsOk());
  close(sockets[0]);
  receiver.join();
  close(sockets[1]);
  EXPECT_EQ(received, test::ReadFile(folder_ / "topics/t/0/00000000000000000000.log")
                          .substr(extent.start.position));
}

// Assignment.

uint64_t Moved(const Assignment& before, const Assignment& after) {
  uint64_t moved = 0;
  for (const auto& [member, partitions] : after) {
    const auto was = before.find(member);
    for (const uint32_t partition : partitions) {
      const bool had =
          was != before.end() && std::count(was->second.begin(), was->second.end(), partition) > 0;
      moved += had ? 0 : 1;
    }
  }
  return moved;
}

TEST(TopicAssignment, IsBalancedAndComplete) {
  EXPECT_EQ(Assign({"a", "b"}, {0, 1, 2, 3, 4}, {}), (Assignment{{"a", {0, 1, 2}}, {"b", {3, 4}}}));
  EXPECT_EQ(Assign({}, {0, 1}, {}), Assignment());
  EXPECT_EQ(Assign({"a", "b", "c"}, {7}, {}), (Assignment{{"a", {7}}, {"b", {}}, {"c", {}}}));
}

TEST(TopicAssignment, MovesAsFewAsPossible) {
  const Assignment two = {{"a", {0, 1, 2}}, {"b", {3, 4, 5}}};
  EXPECT_EQ(Assign({"a", "b", "c"}, {0, 1, 2, 3, 4, 5}, two),
            (Assignment{{"a", {0, 1}}, {"b", {3, 4}}, {"c", {2, 5}}}));
  EXPECT_EQ(Assign({"b"}, {0, 1, 2, 3, 4, 5}, two), (Assignment{{"b", {0, 1, 2, 3, 4, 5}}}));
  EXPECT_EQ(Assign({"a", "b"}, {0, 1, 2, 3, 4, 5, 6, 7}, two),
            (Assignment{{"a", {0, 1, 2, 6}}, {"b", {3, 4, 5, 7}}}));
  EXPECT_EQ(Assign({"a", "b"}, {0, 1, 2, 3, 4, 5}, two), two);
  // Two claims to one partition, partitions and members that are gone.
  EXPECT_EQ(Assign({"a", "b"}, {0, 1}, {{"a", {0, 9}}, {"b", {0}}, {"z", {1}}}),
            (Assignment{{"a", {0}}, {"b", {1}}}));
}

TEST(TopicAssignment, StaysBalancedCompleteAndStickyThroughRandomChanges) {
  std::mt19937 random(7);
  Assignment current;
  std::set<std::string> members;
  uint32_t partitions = 1;
  for (int step = 0; step < 3000; step++) {
    const std::set<std::string> members_before = members;
    const uint32_t partitions_before = partitions;
    const auto name = std::to_string(random() % 12);
    if (random() % 5 == 0) {
      partitions += random() % 3;
    } else if (random() % 2) {
      members.insert(name);
    } else {
      members.erase(name);
    }
    if (partitions > 60) partitions = 1;
    std::vector<uint32_t> all(partitions);
    for (uint32_t i = 0; i < partitions; i++) all[i] = i;
    const Assignment next = Assign({members.begin(), members.end()}, all, current);
    ASSERT_EQ(next.size(), members.size());
    std::multiset<uint32_t> given;
    size_t least = SIZE_MAX;
    size_t most = 0;
    for (const auto& [member, owned] : next) {
      given.insert(owned.begin(), owned.end());
      least = std::min(least, owned.size());
      most = std::max(most, owned.size());
    }
    if (!members.empty()) {
      ASSERT_EQ(given, std::multiset<uint32_t>(all.begin(), all.end()));
      ASSERT_LE(most - least, 1u);
    }
    if (members == members_before && partitions == partitions_before) {
      ASSERT_EQ(next, current) << "nothing changed, nothing moves";
    } else if (!members.empty() && !members_before.empty() && partitions == partitions_before) {
      // One member came or went: its share and no more.
      ASSERT_LE(
          Moved(current, next),
          partitions / std::max<size_t>(1, std::min(members.size(), members_before.size())) + 1);
    }
    current = next;
  }
}

class TopicGroups : public TopicStoreTest {};

TEST_F(TopicGroups, OffsetsAreKeptByGroupAndTopic) {
  ConsumerGroups& groups = store_->groups();
  Offsets offsets;
  ASSERT_THAT(groups.LoadOffsets("topic1", "g", &offsets), IsOk());
  EXPECT_TRUE(offsets.empty());
  ASSERT_THAT(groups.CommitOffsets("topic1", "g", {{0, 5}, {2, 7}}, false), IsOk());
  ASSERT_THAT(groups.CommitOffsets("topic1", "g", {{2, 9}}, false), IsOk());
  ASSERT_THAT(groups.LoadOffsets("topic1", "g", &offsets), IsOk());
  EXPECT_EQ(offsets, (Offsets{{0, 5}, {2, 9}}));
  ASSERT_THAT(groups.LoadOffsets("topic1", "h", &offsets), IsOk());
  EXPECT_TRUE(offsets.empty());
  ASSERT_THAT(groups.LoadOffsets("topic2", "g", &offsets), IsOk());
  EXPECT_TRUE(offsets.empty());
}

TEST_F(TopicGroups, APartitionIsGivenUpBeforeAnotherTakesIt) {
  ConsumerGroups& groups = store_->groups();
  int told_a = 0;
  int told_b = 0;
  const auto a = groups.Join("t", "g", 4, [&] { told_a++; });
  EXPECT_EQ(a->Sync(), (std::vector<uint32_t>{0, 1, 2, 3}));
  auto b = groups.Join("t", "g", 4, [&] { told_b++; });
  EXPECT_EQ(told_a, 1);
  EXPECT_EQ(b->Sync(), std::vector<uint32_t>()) << "a still reads them";
  EXPECT_EQ(a->Sync(), (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(told_b, 1);
  EXPECT_EQ(b->Sync(), (std::vector<uint32_t>{2, 3}));
  groups.SetPartitions("t", 6);
  EXPECT_EQ(told_a, 2);
  EXPECT_EQ(told_b, 2);
  EXPECT_EQ(a->Sync(), (std::vector<uint32_t>{0, 1, 4}));
  EXPECT_EQ(b->Sync(), (std::vector<uint32_t>{2, 3, 5}));
  const auto other = groups.Join("t", "h", 6, nullptr);
  EXPECT_EQ(other->Sync().size(), 6u) << "another group";
  b.reset();
  EXPECT_EQ(told_a, 3);
  EXPECT_EQ(a->Sync(), (std::vector<uint32_t>{0, 1, 2, 3, 4, 5}));
}

class TopicEngine : public test::EngineTest {};

TEST_F(TopicEngine, OffsetsOfGroupsSurviveReopeningAndDestroyTakesTopics) {
  Open();
  std::shared_ptr<Topic> topic;
  ASSERT_THAT(engine()->topics().Create("t", {}, &topic), IsOk());
  ASSERT_THAT(engine()->topics().groups().CommitOffsets(topic->id(), "g", {{0, 42}}, true), IsOk());
  topic.reset();
  Reopen();
  ASSERT_THAT(engine()->topics().Open("t", &topic), IsOk());
  Offsets offsets;
  ASSERT_THAT(engine()->topics().groups().LoadOffsets(topic->id(), "g", &offsets), IsOk());
  EXPECT_EQ(offsets, (Offsets{{0, 42}}));
  Close();
  ASSERT_THAT(Engine::Destroy(location_), IsOk());
  EXPECT_FALSE(std::filesystem::exists(location_));
}

}  // namespace
}  // namespace thermocline::topic
