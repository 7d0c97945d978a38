// Closing and seeking in the middle of things, and many cursors, readers and writers at once.

#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cursor_fixture.h"

namespace thermocline::test {
namespace {

TEST_F(CursorTest, AClosedCursorSaysSo) {
  Open();
  ASSERT_THAT(Put(engine(), "key", "value"), IsOk());
  const auto cursor = NewCursor();
  cursor->Close();
  cursor->Close();
  const Chunk chunk = TakeChunk(cursor.get());
  EXPECT_TRUE(chunk.last);
  EXPECT_THAT(chunk.status, HasCode(Code::kClosed));
  cursor->Seek("key", 0);
  EXPECT_THAT(TakeChunk(cursor.get()).status, HasCode(Code::kClosed));
}

// Keeps every read thread busy until it is let go, so that what a cursor posts has to wait.
class BusyPool {
 public:
  explicit BusyPool(ThreadPool* pool) : started_(pool->threads()), gone_(pool->threads()) {
    for (int i = 0; i < pool->threads(); i++) {
      pool->Post([this] {
        started_.count_down();
        release_.wait();
        gone_.count_down();
      });
    }
    started_.wait();
  }
  ~BusyPool() {
    release_.count_down();
    gone_.wait();
  }

 private:
  std::latch started_;
  std::latch release_{1};
  std::latch gone_;
};

TEST_F(CursorTest, CloseAnswersAConsumerThatWaits) {
  Open();
  ASSERT_THAT(Put(engine(), "key", "value"), IsOk());
  const auto cursor = NewCursor();
  std::promise<void> ready;
  std::thread closer;
  {
    BusyPool busy(&engine()->read_pool());
    Chunk chunk;
    ASSERT_FALSE(cursor->Take(1, &chunk, [&ready] { ready.set_value(); }));
    closer = std::thread([&cursor] { cursor->Close(); });
  }
  Await(ready.get_future());  // by the chunk or by the closing, whichever came first
  closer.join();
  EXPECT_THAT(TakeChunk(cursor.get()).status, HasCode(Code::kClosed));
}

TEST_F(CursorTest, CloseWhileProducingWaitsAndIsSafe) {
  Open();
  PackedWrites writes;
  for (int i = 0; i < 5000; i++) writes.Put("key" + std::to_string(i), std::string(100, 'v'));
  ASSERT_THAT(Write(engine(), writes), IsOk());
  for (int round = 0; round < 50; round++) {
    const auto cursor = NewCursor();
    // The first chunk is handed out while the next ones are being filled.
    EXPECT_GT(TakeChunk(cursor.get(), 16).count, 0u);
    cursor->Close();
    EXPECT_THAT(TakeChunk(cursor.get()).status, HasCode(Code::kClosed));
  }
}

// A session that closes and a program that closes its iterator do so on two threads.
TEST_F(CursorTest, SeveralThreadsMayCloseAtOnce) {
  Open(SmallOptions(64));
  PackedWrites writes;
  for (int i = 0; i < 500; i++) writes.Put("key" + std::to_string(i), "value");
  ASSERT_THAT(Write(engine(), writes), IsOk());
  for (int round = 0; round < 100; round++) {
    const auto cursor = NewCursor();
    TakeChunk(cursor.get());
    constexpr int kClosers = 3;
    std::latch together(kClosers);
    std::vector<std::thread> closers;
    for (int i = 0; i < kClosers; i++) {
      closers.emplace_back([&] {
        together.arrive_and_wait();
        cursor->Close();
      });
    }
    for (std::thread& closer : closers) closer.join();
    ASSERT_THAT(TakeChunk(cursor.get()).status, HasCode(Code::kClosed));
  }
}

TEST_F(CursorTest, ASeekWhileProducingLeavesNothingOfThePast) {
  Open();
  PackedWrites writes;
  for (int i = 0; i < 3000; i++) writes.Put("a" + std::to_string(10000 + i), std::string(50, 'v'));
  for (int i = 0; i < 100; i++) writes.Put("b" + std::to_string(10000 + i), "v");
  ASSERT_THAT(Write(engine(), writes), IsOk());
  for (int round = 0; round < 40; round++) {
    const auto cursor = NewCursor();
    if (round % 2 == 0) TakeChunk(cursor.get(), 16);
    cursor->Seek("b", 0);
    const std::vector<Record> records = TakeAll(cursor.get());
    ASSERT_EQ(records.size(), 100u);
    EXPECT_EQ(records.front().first, "b10000");
    cursor->Close();
  }
}

TEST_F(CursorTest, ASeekAnswersAConsumerThatWaitedBefore) {
  Open();
  ASSERT_THAT(Write(engine(), PackedWrites().Put("a", "1").Put("b", "2")), IsOk());
  const auto cursor = NewCursor();
  std::promise<void> ready;
  {
    BusyPool busy(&engine()->read_pool());
    Chunk chunk;
    ASSERT_FALSE(cursor->Take(1, &chunk, [&ready] { ready.set_value(); }));
    cursor->Seek("b", 0);
  }
  Await(ready.get_future());
  EXPECT_EQ(TakeAll(cursor.get()), (std::vector<Record>{{"b", "2"}}));
  cursor->Close();
}

TEST_F(CursorTest, OnlyTheLastOfSeveralSeeksCounts) {
  Open();
  ASSERT_THAT(Write(engine(), PackedWrites().Put("a", "1").Put("b", "2").Put("c", "3")), IsOk());
  const auto cursor = NewCursor();
  cursor->Seek("a", 0);
  cursor->Seek("c", 0);
  cursor->Seek("b", 0);
  EXPECT_EQ(TakeAll(cursor.get()), (std::vector<Record>{{"b", "2"}, {"c", "3"}}));
  cursor->Seek("a", 0);
  EXPECT_EQ(TakeAll(cursor.get()).size(), 3u) << "an ended walk can be taken up again";
  cursor->Close();
}

TEST_F(CursorTest, ManyCursorsWalkAtOnce) {
  Open();
  Model model;
  Fill(77, 500, &model);
  std::vector<std::shared_ptr<Cursor>> cursors;
  std::vector<CursorOptions> options;
  std::minstd_rand random(5);
  for (int i = 0; i < 60; i++) {
    options.push_back(RandomOptions(random));
    cursors.push_back(NewCursor(options.back()));
  }
  // A chunk of each in turn, so that all are in the middle of their walk together.
  std::vector<std::vector<Record>> results(cursors.size());
  std::vector<bool> ended(cursors.size());
  for (size_t left = cursors.size(); left > 0;) {
    for (size_t i = 0; i < cursors.size(); i++) {
      if (ended[i]) continue;
      const Chunk chunk = TakeChunk(cursors[i].get(), 8);
      ASSERT_THAT(chunk.status, IsOk());
      for (Record& record : Decode(chunk)) results[i].push_back(std::move(record));
      if (chunk.last) {
        ended[i] = true;
        left--;
      }
    }
  }
  for (size_t i = 0; i < cursors.size(); i++) {
    EXPECT_EQ(results[i], Expected(model, options[i])) << i;
    cursors[i]->Close();
  }
}

TEST_F(CursorTest, CursorsOfManyThreadsShareThePool) {
  Open();
  Model model;
  Fill(78, 400, &model);
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(t + 1);
      for (int round = 0; round < 20; round++) {
        const CursorOptions options = RandomOptions(random);
        ASSERT_EQ(Scan(engine(), options), Expected(model, options));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Every commit writes one number under all keys at once, over all shards: a walk that shows two
// numbers has torn a commit apart.
TEST_F(CursorTest, WalksDuringWritesNeverTearACommit) {
  Open(SmallOptions(8));
  constexpr int kKeys = 40;
  const auto commit = [this](int version) {
    PackedWrites writes;
    for (int i = 0; i < kKeys; i++) writes.Put("key" + std::to_string(i), std::to_string(version));
    return Write(engine(), writes);
  };
  ASSERT_THAT(commit(0), IsOk());
  std::atomic<bool> stop{false};
  std::atomic<int> walks{0};
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; r++) {
    readers.emplace_back([&, r] {
      int newest = 0;
      while (!stop) {
        CursorOptions options;
        options.reverse = r == 1;
        const std::vector<Record> records = Scan(engine(), options);
        ASSERT_EQ(records.size(), static_cast<size_t>(kKeys));
        for (const Record& record : records) ASSERT_EQ(record.second, records[0].second);
        const int version = std::stoi(records[0].second);
        ASSERT_GE(version, newest) << "a later view is older";
        newest = version;
        walks++;
      }
    });
  }
  for (int version = 1; version < 300 || (walks < 40 && !HasFailure()); version++) {
    ASSERT_THAT(commit(version), IsOk());
    if (version == 100) {
      ASSERT_THAT(engine()->Flush(), IsOk());
    }
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
}

TEST_F(CursorTest, ADroppedCursorGivesItsViewBack) {
  Open();
  ASSERT_THAT(Put(engine(), "key", "value"), IsOk());
  std::weak_ptr<const ReadView> watched;
  {
    auto view = engine()->NewView();
    watched = view;
    const auto cursor = engine()->NewCursor(std::move(view), {});
    EXPECT_EQ(TakeAll(cursor.get()).size(), 1u);
  }
  // A pool thread may hold the last reference to the cursor for a moment.
  std::promise<void> idle;
  engine()->read_pool().Post([&idle] { idle.set_value(); });
  Await(idle.get_future());
  engine()->read_pool().Shutdown();
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace thermocline::test
