// Sharing one engine: the registry by canonical path, sessions and how they end.

#include "engine/session.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <latch>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/registry.h"
#include "engine_fixture.h"

namespace thermocline {
namespace {

namespace fs = std::filesystem;
using test::Await;
using test::Get;
using test::HasCode;
using test::IsOk;
using test::PackedWrites;
using test::Put;
using test::SmallOptions;
using test::TakeAll;
using test::TakeChunk;
using test::Write;

class RegistryTest : public testing::Test {
 protected:
  Status Acquire(const std::string& location, std::shared_ptr<Engine>* out,
                 EngineOptions options = SmallOptions()) {
    return Registry::Get().Acquire(location, options, out);
  }
  std::shared_ptr<Engine> Acquire(const std::string& location) {
    std::shared_ptr<Engine> engine;
    EXPECT_THAT(Acquire(location, &engine), IsOk()) << location;
    return engine;
  }
  void Release(const std::shared_ptr<Engine>& engine) { Registry::Get().Release(engine); }

  test::TempFolder folder_;
  const std::string location_ = folder_ / "db";
};

TEST_F(RegistryTest, TheSameLocationSharesOneEngine) {
  const auto one = Acquire(location_);
  const auto two = Acquire(location_);
  EXPECT_EQ(one.get(), two.get());
  ASSERT_THAT(Put(one.get(), "key", "value"), IsOk());
  Release(one);
  EXPECT_EQ(Get(two.get(), "key"), "value") << "the other holder keeps it open";
  Release(two);
  const auto again = Acquire(location_);
  EXPECT_NE(again.get(), one.get()) << "the last holder closed the first engine";
  EXPECT_EQ(Get(again.get(), "key"), "value");
  Release(again);
}

TEST_F(RegistryTest, DifferentLocationsHaveDifferentEngines) {
  const auto one = Acquire(folder_ / "one");
  const auto two = Acquire(folder_ / "two");
  EXPECT_NE(one.get(), two.get());
  ASSERT_THAT(Put(one.get(), "key", "value"), IsOk());
  EXPECT_EQ(Get(two.get(), "key"), std::nullopt);
  Release(one);
  Release(two);
}

TEST_F(RegistryTest, EveryWayToWriteAPathLeadsToTheSameEngine) {
  fs::create_directories(folder_ / "sub");
  fs::create_directory_symlink(folder_.path(), folder_ / "link");
  const auto engine = Acquire(location_);
  const fs::path here = fs::current_path();
  fs::current_path(folder_.path());
  for (const std::string& path :
       {folder_ / "link/db", folder_ / "sub/../db", folder_ / "./db", folder_ / "db/",
        folder_ / "db/.", std::string("db"), std::string("./db"), std::string("sub/../link/db/"),
        "//" + location_.substr(1)}) {
    std::shared_ptr<Engine> same;
    EXPECT_THAT(Acquire(path, &same), IsOk()) << path;
    EXPECT_EQ(same.get(), engine.get()) << path;
    if (same) Release(same);
  }
  fs::current_path(here);
  Release(engine);
}

// Before the database exists its path cannot be resolved; sharing must work all the same.
TEST_F(RegistryTest, EveryWayToWriteThePathOfANewDatabaseLeadsToTheSameEngine) {
  fs::create_directory_symlink(folder_.path(), folder_ / "link");
  int n = 0;
  for (const std::string suffix : {"/", "/.", "//", "/./", "/x/.."}) {
    const std::string path = folder_ / ("new" + std::to_string(n++));
    const auto first = Acquire(path + suffix);
    if (!first) continue;
    std::shared_ptr<Engine> second;
    EXPECT_THAT(Acquire(path, &second), IsOk()) << path << suffix;
    EXPECT_EQ(first.get(), second.get()) << suffix;
    std::shared_ptr<Engine> third;
    EXPECT_THAT(Acquire(path + suffix, &third), IsOk()) << path << suffix;
    EXPECT_EQ(first.get(), third.get()) << suffix;
    for (const auto& engine : {first, second, third}) {
      if (engine) Release(engine);
    }
  }
  const auto linked = Acquire(folder_ / "link/linked");
  std::shared_ptr<Engine> direct;
  EXPECT_THAT(Acquire(folder_ / "linked", &direct), IsOk());
  EXPECT_EQ(linked.get(), direct.get());
  Release(linked);
  if (direct) Release(direct);
}

TEST_F(RegistryTest, ReadersAndWritersOfOneProcess) {
  EngineOptions reader = SmallOptions();
  reader.read_only = true;
  std::shared_ptr<Engine> engine;
  EXPECT_THAT(Acquire(location_, &engine, reader), HasCode(Code::kNotFound));
  Release(Acquire(location_));

  // Open for reading: more readers may come, a writer may not.
  ASSERT_THAT(Acquire(location_, &engine, reader), IsOk());
  std::shared_ptr<Engine> second;
  ASSERT_THAT(Acquire(location_, &second, reader), IsOk());
  EXPECT_EQ(engine.get(), second.get());
  std::shared_ptr<Engine> writer;
  EXPECT_THAT(Acquire(location_, &writer), HasCode(Code::kLocked));
  EXPECT_EQ(writer.get(), nullptr);
  Release(engine);
  EXPECT_THAT(Acquire(location_, &writer), HasCode(Code::kLocked));
  Release(second);

  // Open for writing: a reader shares it.
  ASSERT_THAT(Acquire(location_, &writer), IsOk());
  ASSERT_THAT(Acquire(location_, &engine, reader), IsOk());
  EXPECT_EQ(engine.get(), writer.get());
  Release(writer);
  Release(engine);
}

TEST_F(RegistryTest, ErrorIfExistsHoldsForAnOpenDatabase) {
  const auto engine = Acquire(location_);
  EngineOptions options = SmallOptions();
  options.error_if_exists = true;
  std::shared_ptr<Engine> other;
  EXPECT_THAT(Acquire(location_, &other, options), HasCode(Code::kInvalidArgument));
  EXPECT_EQ(other.get(), nullptr);
  Release(engine);
}

TEST_F(RegistryTest, SharersAgreeAboutTheLog) {
  EngineOptions options = SmallOptions();
  options.without_log = options.log_given = true;
  std::shared_ptr<Engine> engine;
  ASSERT_THAT(Acquire(location_, &engine, options), IsOk());
  ASSERT_THAT(Put(engine.get(), "key", "value"), IsOk());
  std::shared_ptr<Engine> other;
  ASSERT_THAT(Acquire(location_, &other), IsOk()) << "who says nothing takes what there is";
  Release(other);
  other.reset();
  options.without_log = false;
  EXPECT_THAT(Acquire(location_, &other, options), HasCode(Code::kInvalidArgument));
  EXPECT_EQ(other.get(), nullptr);
  Status closed(Code::kAborted, "not asked");
  Registry::Get().Release(engine, &closed);
  EXPECT_THAT(closed, IsOk()) << "its last records were flushed";
  const auto again = Acquire(location_);
  EXPECT_EQ(Get(again.get(), "key"), "value");
  Release(again);
}

TEST_F(RegistryTest, AFailedOpeningLeavesTheLocationFree) {
  test::WriteFile(location_, "a file");
  std::shared_ptr<Engine> engine;
  for (int i = 0; i < 3; i++) {
    EXPECT_THAT(Acquire(location_, &engine), HasCode(Code::kInvalidArgument));
  }
  fs::remove(location_);
  Release(Acquire(location_));
}

// RocksDB's cache ends the process when it cannot reserve its address space.
TEST_F(RegistryTest, AnImpossibleMemoryBudgetIsRefused) {
  for (size_t MemoryBudget::*const budget :
       {&MemoryBudget::hot_cache, &MemoryBudget::block_cache, &MemoryBudget::write_buffer}) {
    EngineOptions options = SmallOptions();
    options.memory.*budget = SIZE_MAX / 2;
    std::shared_ptr<Engine> engine;
    ASSERT_THAT(Finish(&options), HasCode(Code::kInvalidArgument));
    EXPECT_THAT(Acquire(location_, &engine, options), HasCode(Code::kInvalidArgument));
  }
}

TEST_F(RegistryTest, AnEngineOfAnotherProcessIsLocked) {
  // An engine that the registry does not know stands for another process, or another copy of the
  // addon: the lock belongs to its descriptor.
  std::shared_ptr<Engine> stranger;
  ASSERT_THAT(Engine::Open(location_, SmallOptions(), &stranger), IsOk());
  std::shared_ptr<Engine> engine;
  EXPECT_THAT(Acquire(location_, &engine), HasCode(Code::kLocked));
  EXPECT_THAT(Registry::Get().Destroy(location_), HasCode(Code::kLocked));
  stranger->Close();
  EXPECT_THAT(Acquire(location_, &engine), IsOk());
  Release(engine);
}

TEST_F(RegistryTest, DestroyRefusesAnOpenDatabase) {
  const auto engine = Acquire(location_);
  EXPECT_THAT(Registry::Get().Destroy(location_), HasCode(Code::kLocked));
  EXPECT_THAT(Registry::Get().Destroy(location_ + "/"), HasCode(Code::kLocked));
  ASSERT_THAT(Put(engine.get(), "key", "value"), IsOk());
  Release(engine);
  EXPECT_THAT(Registry::Get().Destroy(location_), IsOk());
  EXPECT_FALSE(fs::exists(location_));
  EXPECT_THAT(Registry::Get().Destroy(location_), IsOk());
  const auto fresh = Acquire(location_);
  EXPECT_EQ(Get(fresh.get(), "key"), std::nullopt);
  Release(fresh);
}

TEST_F(RegistryTest, ManyThreadsOpenWriteAndCloseAFewLocations) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 15;
  constexpr int kLocations = 2;
  std::array<std::atomic<int>, kLocations> written{};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(t + 1);
      for (int round = 0; round < kRounds; round++) {
        const size_t n = random() % kLocations;
        std::shared_ptr<Engine> engine;
        ASSERT_THAT(Acquire(folder_ / ("db" + std::to_string(n)), &engine), IsOk());
        const std::string key = std::to_string(t) + "/" + std::to_string(round);
        ASSERT_THAT(Put(engine.get(), key, "value"), IsOk());
        EXPECT_EQ(Get(engine.get(), key), "value");
        written[n]++;
        Release(engine);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t n = 0; n < kLocations; n++) {
    const auto engine = Acquire(folder_ / ("db" + std::to_string(n)));
    EXPECT_EQ(test::Scan(engine.get()).size(), static_cast<size_t>(written[n]));
    Release(engine);
  }
}

TEST_F(RegistryTest, ThreadsThatOpenAtTheSameMomentGetTheSameEngine) {
  for (int round = 0; round < 5; round++) {
    constexpr int kThreads = 6;
    std::latch together(kThreads);
    std::array<std::shared_ptr<Engine>, kThreads> engines;
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; t++) {
      threads.emplace_back([&, t] {
        together.arrive_and_wait();
        EXPECT_THAT(Acquire(location_, &engines[t]), IsOk());
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& engine : engines) {
      EXPECT_EQ(engine.get(), engines[0].get());
      Release(engine);
    }
  }
}

TEST_F(RegistryTest, TheSameRegistryForEverybodyWithAPoolForLongWork) {
  EXPECT_EQ(&Registry::Get(), &Registry::Get());
  std::promise<void> ran;
  Registry::Get().pool().Post([&ran] { ran.set_value(); });
  Await(ran.get_future());
}

// --- Sessions
// --------------------------------------------------------------------------------------

class SessionTest : public RegistryTest {
 protected:
  std::shared_ptr<Session> NewSession(bool read_only = false) {
    return std::make_shared<Session>(Acquire(location_), read_only);
  }
  // Whether the registry has closed the engine: then the folder can be locked.
  bool IsClosed() {
    // Two who tried at once would keep each other out.
    std::lock_guard one_at_a_time(probing_);
    FileLock lock;
    return lock.Acquire(location_ + "/LOCK", false).ok();
  }

 private:
  std::mutex probing_;
};

TEST_F(SessionTest, OperationsAreRefusedOnceItIsClosed) {
  const auto session = NewSession();
  ASSERT_THAT(session->Begin(), IsOk());
  ASSERT_THAT(Put(&session->engine(), "key", "value"), IsOk());
  session->End();
  session->Close();
  EXPECT_THAT(session->Begin(), HasCode(Code::kClosed));
  EXPECT_TRUE(IsClosed());
  session->Close();
  EXPECT_THAT(session->close_status(), IsOk());
}

TEST_F(SessionTest, AReadOnlySessionSaysSo) {
  const auto writer = NewSession();
  const auto reader = NewSession(/*read_only=*/true);
  EXPECT_THAT(writer->CheckWritable(), IsOk());
  EXPECT_THAT(reader->CheckWritable(), HasCode(Code::kReadOnly));
  writer->Close();
  reader->Close();
}

TEST_F(SessionTest, OneSessionsEndLeavesTheOthersAlone) {
  const auto one = NewSession();
  const auto two = NewSession();
  ASSERT_THAT(two->Begin(), IsOk());
  const auto view = two->NewView();
  const auto cursor = two->NewCursor(view, {});
  one->Close();
  EXPECT_FALSE(IsClosed());
  EXPECT_THAT(Put(&two->engine(), "key", "value"), IsOk());
  EXPECT_TRUE(TakeAll(cursor.get()).empty());
  two->End();
  two->Close();
  EXPECT_TRUE(IsClosed());
}

TEST_F(SessionTest, CloseEndsCursorsAndViewsThatAreStillAlive) {
  const auto session = NewSession();
  ASSERT_THAT(session->Begin(), IsOk());
  PackedWrites writes;
  for (int i = 0; i < 2000; i++) writes.Put("key" + std::to_string(i), std::string(100, 'v'));
  ASSERT_THAT(Write(&session->engine(), writes), IsOk());
  std::vector<std::shared_ptr<Cursor>> cursors;
  std::vector<std::shared_ptr<const ReadView>> views;
  for (int i = 0; i < 20; i++) {
    views.push_back(session->NewView());
    cursors.push_back(session->NewCursor(i % 2 == 0 ? views.back() : session->NewView(), {}));
    if (i % 3 == 0) continue;
    EXPECT_GT(TakeChunk(cursors.back().get()).count, 0u);
  }
  session->End();
  session->Close();
  EXPECT_TRUE(IsClosed()) << "cursors and views that are alive do not keep it open";
  for (const auto& cursor : cursors) {
    EXPECT_THAT(TakeChunk(cursor.get()).status, HasCode(Code::kClosed));
    cursor->Close();
  }
  for (const auto& view : views) EXPECT_EQ(view->snapshot(), nullptr);
}

TEST_F(SessionTest, CloseWaitsForOperationsInFlight) {
  const auto session = NewSession();
  ASSERT_THAT(session->Begin(), IsOk());
  std::atomic<bool> ended{false};
  std::atomic<bool> began_closing{false};
  std::thread closer([&] {
    began_closing = true;
    began_closing.notify_all();
    session->Close();
    EXPECT_TRUE(ended) << "it did not wait";
  });
  began_closing.wait(false);
  // From the moment of closing on nothing new begins, while what has begun goes on.
  while (session->Begin().ok()) {
    session->End();
    std::this_thread::yield();
  }
  EXPECT_THAT(Put(&session->engine(), "key", "value"), IsOk());
  const auto cursor = session->NewCursor(session->NewView(), {});
  EXPECT_EQ(TakeAll(cursor.get()).size(), 1u);
  ended = true;
  session->End();
  closer.join();
  EXPECT_THAT(TakeChunk(cursor.get()).status, HasCode(Code::kClosed))
      << "made while closing, ended all the same";
  EXPECT_TRUE(IsClosed());
}

TEST_F(SessionTest, ASecondCloserWaitsForTheFirst) {
  const auto session = NewSession();
  ASSERT_THAT(session->Begin(), IsOk());
  std::atomic<int> closed{0};
  std::vector<std::thread> closers;
  for (int i = 0; i < 3; i++) {
    closers.emplace_back([&] {
      session->Close();
      EXPECT_TRUE(IsClosed());
      closed++;
    });
  }
  while (session->Begin().ok()) {
    session->End();
    std::this_thread::yield();
  }
  EXPECT_EQ(closed, 0);
  session->End();
  for (std::thread& closer : closers) closer.join();
  EXPECT_EQ(closed, 3);
}

TEST_F(SessionTest, AConsumerThatWaitsForAChunkIsAnsweredByClosing) {
  const auto session = NewSession();
  ASSERT_THAT(session->Begin(), IsOk());
  ASSERT_THAT(Put(&session->engine(), "key", "value"), IsOk());
  const auto cursor = session->NewCursor(session->NewView(), {});
  session->End();
  // The read threads are busy, so the chunk cannot come.
  std::latch busy(session->engine().read_pool().threads());
  std::latch release(1);
  for (int i = 0; i < session->engine().read_pool().threads(); i++) {
    session->engine().read_pool().Post([&] {
      busy.count_down();
      release.wait();
    });
  }
  busy.wait();
  std::promise<void> ready;
  Chunk chunk;
  ASSERT_THAT(session->Begin(), IsOk());
  ASSERT_FALSE(cursor->Take(1, &chunk, [&] {
    session->End();
    ready.set_value();
  }));
  std::thread closer([&] { session->Close(); });
  while (session->Begin().ok()) {
    session->End();
    std::this_thread::yield();
  }
  release.count_down();
  Await(ready.get_future());
  closer.join();
  EXPECT_TRUE(IsClosed());
}

TEST_F(SessionTest, DroppedCursorsAndViewsAreGone) {
  const auto session = NewSession();
  ASSERT_THAT(session->Begin(), IsOk());
  ASSERT_THAT(Put(&session->engine(), "key", "value"), IsOk());
  std::vector<std::weak_ptr<const ReadView>> views;
  std::vector<std::weak_ptr<Cursor>> cursors;
  for (int i = 0; i < 100; i++) {
    auto view = session->NewView();
    auto cursor = session->NewCursor(i % 3 == 0 ? view : nullptr, {});
    views.push_back(view);
    cursors.push_back(cursor);
    if (i % 4 == 0) {
      EXPECT_EQ(TakeAll(cursor.get()).size(), 1u);
    }
    if (i % 2 == 0) cursor->Close();
    session->Drop(std::move(cursor));
    session->Drop(std::move(view));
  }
  // A read thread holds a cursor for a moment longer than it needs it.
  session->engine().read_pool().Shutdown();
  for (const auto& view : views) EXPECT_TRUE(view.expired());
  for (const auto& cursor : cursors) EXPECT_TRUE(cursor.expired());
  session->End();
  session->Close();
  EXPECT_TRUE(IsClosed());
}

// The other side may let go at any moment, from its own thread: of what is still being walked, and
// in the middle of closing.
TEST_F(SessionTest, DroppingWhileClosingIsSafe) {
  for (int round = 0; round < 30; round++) {
    const auto session = NewSession();
    ASSERT_THAT(session->Begin(), IsOk());
    PackedWrites writes;
    for (int i = 0; i < 300; i++) writes.Put("key" + std::to_string(i), "value");
    ASSERT_THAT(Write(&session->engine(), writes), IsOk());
    std::vector<std::shared_ptr<Cursor>> cursors;
    std::vector<std::shared_ptr<const ReadView>> views;
    for (int i = 0; i < 10; i++) {
      views.push_back(session->NewView());
      cursors.push_back(session->NewCursor(i % 2 == 0 ? views.back() : nullptr, {}));
      TakeChunk(cursors.back().get());
    }
    session->End();
    std::latch together(2);
    std::thread collector([&] {
      together.arrive_and_wait();
      for (auto& cursor : cursors) session->Drop(std::move(cursor));
      for (auto& view : views) session->Drop(std::move(view));
    });
    together.arrive_and_wait();
    session->Close();
    collector.join();
    EXPECT_TRUE(IsClosed());
  }
}

TEST_F(SessionTest, CloseEndsTransactions) {
  const auto session = NewSession();
  ASSERT_THAT(session->Begin(), IsOk());
  ASSERT_THAT(Put(&session->engine(), "key", "value"), IsOk());
  std::vector<std::shared_ptr<Transaction>> transactions;
  for (int i = 0; i < 3; i++) {
    std::promise<std::shared_ptr<Transaction>> opened;
    ASSERT_THAT(session->engine().BeginTransaction(
                    [&](std::shared_ptr<Transaction> t) { opened.set_value(std::move(t)); }),
                IsOk());
    transactions.push_back(Await(opened.get_future()));
    session->Keep(transactions.back());
    EXPECT_EQ(Get(&session->engine(), "key", transactions.back()->view().get()), "value");
  }
  session->Drop(std::move(transactions[0]));
  transactions[1]->End();
  session->End();
  session->Close();
  EXPECT_TRUE(IsClosed());
  EXPECT_EQ(transactions[2]->view()->snapshot(), nullptr);
}

TEST_F(SessionTest, ManySessionsComeAndGoWhileOthersWork) {
  std::atomic<int> written{0};
  std::vector<std::thread> threads;
  const auto keeper = NewSession();
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 40; round++) {
        const auto session = NewSession();
        ASSERT_THAT(session->Begin(), IsOk());
        ASSERT_THAT(Put(&session->engine(), std::to_string(t) + "/" + std::to_string(round), "v"),
                    IsOk());
        written++;
        const auto cursor = session->NewCursor(session->NewView(), {});
        TakeChunk(cursor.get());
        session->End();
        if (round % 2 == 0) cursor->Close();
        session->Close();
        EXPECT_THAT(TakeChunk(cursor.get()).status, HasCode(Code::kClosed));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_THAT(keeper->Begin(), IsOk());
  EXPECT_EQ(test::Scan(&keeper->engine()).size(), static_cast<size_t>(written));
  keeper->End();
  keeper->Close();
}

}  // namespace
}  // namespace thermocline
