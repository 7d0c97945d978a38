// The commit pipeline over RocksDB: under many threads (pipeline_load.h says what must hold), and
// after a group that could not be written.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine_fixture.h"
#include "fault_file_system.h"
#include "pipeline_load.h"
#include "support.h"

namespace thermocline::test {
namespace {

using Records = WriteHistory::Records;

class EnginePipeline : public Pipeline {
 public:
  explicit EnginePipeline(Engine* engine) : engine_(engine) {}

  Status Submit(std::unique_ptr<Submission> submission) override {
    return engine_->Submit(std::move(submission));
  }
  std::shared_ptr<Moment> Begin() override {
    struct Opened : Moment {
      // The view's snapshot goes back as well.
      ~Opened() override { transaction->End(); }
      uint64_t start_commit_id() const override { return transaction->start_commit_id(); }
      std::optional<std::string> Get(const std::string& key) override {
        return test::Get(engine, key, transaction->view().get());
      }
      Records Scan(const std::string& start, const std::optional<std::string>& end) override {
        CursorOptions options;
        options.has_lower = true;
        options.lower = start;
        options.has_upper = end.has_value();
        options.upper = end.value_or("");
        const auto cursor = engine->NewCursor(transaction->view(), std::move(options));
        Records records;
        for (Record& record : TakeAll(cursor.get())) records.insert(std::move(record));
        cursor->Close();
        return records;
      }
      Engine* engine = nullptr;
      std::shared_ptr<Transaction> transaction;
    };
    auto moment = std::make_shared<Opened>();
    moment->engine = engine_;
    auto opened = std::make_shared<std::promise<void>>();
    EXPECT_THAT(engine_->BeginTransaction([moment, opened](std::shared_ptr<Transaction> begun) {
      moment->transaction = std::move(begun);
      opened->set_value();
    }),
                IsOk());
    Await(opened->get_future());
    return moment;
  }

 private:
  Engine* const engine_;
};

class RocksPipelineTest : public EngineTest {};

TEST_F(RocksPipelineTest, EveryViewIsAMomentInTheOrderOfAcceptance) {
  Open(Groups(1000));
  EnginePipeline pipeline(engine());
  Load load(&pipeline);
  struct Seen {
    size_t reported_before;
    uint64_t state;
  };
  std::vector<Seen> seen;
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop) {
      const size_t reported = load.Reported();
      State state;
      for (const Record& record : Scan(engine())) state.Put(record.first, record.second);
      seen.push_back({reported, state.number()});
    }
  });
  std::thread maintenance([&] {
    for (int i = 0; !stop && i < 40; i++) {
      EXPECT_THAT(engine()->Flush(), IsOk());
      EXPECT_THAT(i % 4 == 3 ? engine()->Compact({}) : Status(), IsOk());
    }
  });
  RunThreads(&load, 3, 1);
  stop = true;
  reader.join();
  maintenance.join();
  State state;
  const std::vector<uint64_t> passed = load.Replay(&state);
  EXPECT_EQ(RecordsOf(engine()), state.records());
  size_t place = 0;
  for (const Seen& one : seen) {
    // Not before what had been acknowledged, nor before what was seen last.
    place = Load::ExpectPassed(passed, one.state, std::max(place, one.reported_before));
    if (HasFailure()) return;
  }
  EXPECT_GT(seen.size(), 3u);
  Reopen();
  EXPECT_EQ(RecordsOf(engine()), state.records());
}

TEST_F(RocksPipelineTest, TransactionsAreSerialisable) {
  Open(Groups(1000));
  EnginePipeline pipeline(engine());
  Load load(&pipeline);
  RunThreads(&load, 1, 4);
  State state;
  load.Replay(&state);
  EXPECT_EQ(RecordsOf(engine()), state.records());
  EXPECT_GT(load.conflicts(), 0);
  EXPECT_LT(load.conflicts(), load.transactions());
}

// A write that could not be made is no write that a transaction could conflict with.
TEST(PipelineFailureTest, AFailedGroupConflictsWithNothing) {
  TempFolder folder;
  FaultFileSystem disk(folder / "aside");
  EngineOptions options = SmallOptions(3);
  options.env = disk.env();
  std::shared_ptr<Engine> engine;
  ASSERT_THAT(Engine::Open(folder / "db", options, &engine), IsOk());
  {
    EnginePipeline pipeline(engine.get());
    const auto earlier = pipeline.Begin();
    disk.Inject({.calls = {FaultFileSystem::kAppend}, .no_space = true});
    EXPECT_THAT(Put(engine.get(), "key", "never written"), HasCode(Code::kNoSpace));
    ASSERT_THAT(engine->Resume(), IsOk());
    const auto later = pipeline.Begin();
    for (const auto& moment : {earlier, later}) {
      EXPECT_EQ(moment->Get("key"), std::nullopt);
      auto done = std::make_shared<std::promise<Status>>();
      std::unique_ptr<Submission> commit = PackedWrites().Put("other", "x").ToSubmission(true);
      auto reads = std::make_unique<ReadSet>();
      reads->start_commit_id = moment->start_commit_id();
      reads->keys = {"key"};
      commit->reads = std::move(reads);
      commit->done = [done](const Status& status) { done->set_value(status); };
      ASSERT_THAT(engine->Submit(std::move(commit)), IsOk());
      EXPECT_THAT(Await(done->get_future()), IsOk());
    }
  }
  engine->Close();
}

// The ids of a group that was not written are given again, to other keys and in another order.
TEST(PipelineFailureTest, TransactionsEndSafelyAfterAFailedGroup) {
  TempFolder folder;
  FaultFileSystem disk(folder / "aside");
  EngineOptions options = SmallOptions(3);
  options.env = disk.env();
  std::shared_ptr<Engine> engine;
  ASSERT_THAT(Engine::Open(folder / "db", options, &engine), IsOk());
  {
    EnginePipeline pipeline(engine.get());
    auto open = pipeline.Begin();
    disk.Inject({.calls = {FaultFileSystem::kAppend}, .no_space = true});
    EXPECT_THAT(Write(engine.get(), PackedWrites().Put("a", "1").Put("key", "2"), false),
                HasCode(Code::kNoSpace));
    ASSERT_THAT(engine->Resume(), IsOk());
    // The first takes the id of "a", the second that of "key".
    EXPECT_THAT(Put(engine.get(), "key", "3"), IsOk());
    EXPECT_THAT(Put(engine.get(), "key", "4"), IsOk());
    open.reset();
    open = pipeline.Begin();
    EXPECT_EQ(open->Get("key"), "4");
  }
  engine->Close();
}

}  // namespace
}  // namespace thermocline::test
