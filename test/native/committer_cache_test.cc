// What commits do to the hot cache, and range deletes.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "committer_fixture.h"

namespace thermocline::test {
namespace {

using CommitterCacheTest = CommitterTest;

// --- The hot cache -------------------------------------------------------------------------------

TEST_F(CommitterCacheTest, OnlyKeysThatWereCachedArePublished) {
  Start();
  Cache("cached", "old");
  Cache("absent", std::nullopt);
  Cache("deleted", "old");
  ASSERT_THAT(Commit(PackedWrites()
                         .Put("cached", "new")
                         .Put("absent", "new")
                         .Put("other", "new")
                         .Delete("deleted")),
              IsOk());
  EXPECT_EQ(Cached("cached"), "value new");
  EXPECT_EQ(Cached("absent"), "value new");
  EXPECT_EQ(Cached("deleted"), "absent");
  EXPECT_EQ(Cached("other"), "miss");
}

TEST_F(CommitterCacheTest, TheLastOperationOnAKeyIsPublished) {
  Start();
  for (const char* key : {"put", "deleted", "put again", "longer"}) Cache(key, "old");
  std::vector<Pending> pending;
  AsOneGroup([&] {
    pending.push_back(Submit(PackedWrites().Put("put", "1").Put("put again", "1"), true));
    pending.push_back(Submit(PackedWrites().Put("put", "2").Put("deleted", "1"), false));
    pending.push_back(
        Submit(PackedWrites().Delete("deleted").Delete("put again").Put("longer", "a longer value"),
               true));
    pending.push_back(Submit(PackedWrites().Put("put again", "3"), false));
  });
  for (Pending& p : pending) EXPECT_THAT(Await(std::move(p.result)), IsOk());
  EXPECT_EQ(Cached("put"), "value 2");
  EXPECT_EQ(Cached("deleted"), "absent");
  EXPECT_EQ(Cached("put again"), "value 3");
  EXPECT_EQ(Cached("longer"), "value a longer value");
}

TEST_F(CommitterCacheTest, PublishedRecordsKeepTheirExpiry) {
  Start();
  Cache("key", "old");
  ASSERT_THAT(Run(PackedWrites().Put("key", "new", 1000)), IsOk());
  EXPECT_EQ(Cached("key", 999), "value new");
  EXPECT_EQ(Cached("key", 1000), "absent");
}

TEST_F(CommitterCacheTest, WhileAGroupIsWrittenItsKeysAreNeitherServedNorFilled) {
  Start();
  Cache("key", "old");
  store_.writing.Hold();
  Pending pending = Submit(PackedWrites().Put("key", "new"), false);
  store_.writing.AwaitVisitors();
  EXPECT_EQ(Cached("key"), "miss");
  EXPECT_FALSE(cache_.BeginFill(HashKey("key")).can_fill());
  store_.writing.Release();
  ASSERT_THAT(Await(std::move(pending.result)), IsOk());
  EXPECT_EQ(Cached("key"), "value new") << "published before it is acknowledged";
}

TEST_F(CommitterCacheTest, AFailedGroupLeavesNothingOfItInTheCache) {
  Start();
  Cache("key", "old");
  store_.FailWrite(0, rocksdb::Status::IOError("gone"));
  ASSERT_THAT(Run(PackedWrites().Put("key", "new")), HasCode(Code::kIo));
  EXPECT_EQ(Cached("key"), "miss") << "what the store holds now is unknown";
  EXPECT_TRUE(cache_.BeginFill(HashKey("key")).can_fill()) << "reads go on";
}

TEST_F(CommitterCacheTest, ARangeDeleteEmptiesTheCache) {
  Start();
  Cache("in", "old");
  Cache("out of the range", "old");
  ASSERT_THAT(Commit(PackedWrites().DeleteRange("in", "io")), IsOk());
  EXPECT_EQ(Cached("in"), "miss");
  EXPECT_TRUE(cache_.BeginFill(HashKey("in")).can_fill());
  EXPECT_EQ(store_.Payloads().size(), 0u);
}

TEST_F(CommitterCacheTest, WhileARangeIsDeletedNothingIsFilled) {
  Start();
  ASSERT_THAT(Run(PackedWrites().Put("in", "v")), IsOk());
  store_.writing.Hold();
  Pending pending = Submit(PackedWrites().DeleteRange("a", "z"), true);
  store_.writing.AwaitVisitors();
  const HotCache::FillTicket ticket = cache_.BeginFill(HashKey("in"));
  EXPECT_FALSE(cache_.Fill("in", HashKey("in"), ticket, "v", 0));
  store_.writing.Release();
  ASSERT_THAT(Await(std::move(pending.result)), IsOk());
  EXPECT_FALSE(cache_.Fill("in", HashKey("in"), ticket, "v", 0)) << "the ticket is of before";
  EXPECT_EQ(Cached("in"), "miss");
}

// --- Range deletes -------------------------------------------------------------------------------

TEST_F(CommitterCacheTest, ARangeIsDeletedFromEveryShard) {
  Start();
  PackedWrites writes;
  for (int i = 0; i < 100; i++) writes.Put("key" + std::to_string(100 + i), "v");
  ASSERT_THAT(Commit(writes), IsOk());
  ASSERT_THAT(Commit(PackedWrites().DeleteRange("key120", "key180")), IsOk());
  const auto payloads = store_.Payloads();
  EXPECT_EQ(payloads.size(), 40u);
  EXPECT_TRUE(payloads.contains("key119"));
  EXPECT_FALSE(payloads.contains("key120")) << "the start is inclusive";
  EXPECT_FALSE(payloads.contains("key179"));
  EXPECT_TRUE(payloads.contains("key180")) << "the end is exclusive";
}

TEST_F(CommitterCacheTest, ARangeWithoutAnEndReachesTheLastKeyOfTheStoreAndOfItsGroup) {
  Start();
  ASSERT_THAT(Commit(PackedWrites().Put("a", "1").Put("m", "1").Put(std::string(300, '\xff'), "1")),
              IsOk());
  std::vector<Pending> pending;
  AsOneGroup([&] {
    // Beyond the store's last key, and not yet in the store when the range is decided.
    pending.push_back(Submit(PackedWrites().Put(std::string(400, '\xff'), "2"), false));
    pending.push_back(Submit(PackedWrites().Put("n", "2").DeleteRange("b", std::nullopt), true));
    pending.push_back(Submit(PackedWrites().Put("z", "3"), false));
  });
  for (Pending& p : pending) EXPECT_THAT(Await(std::move(p.result)), IsOk());
  EXPECT_EQ(store_.Payloads(), (std::map<std::string, std::string>{{"a", "1"}, {"z", "3"}}))
      << "what follows the range delete in its group stays";
}

TEST_F(CommitterCacheTest, ARangeDeleteCoversWhatItsOwnCommitWroteBefore) {
  Start();
  ASSERT_THAT(Commit(PackedWrites()
                         .Put("b", "before")
                         .Put("x", "outside")
                         .DeleteRange("a", "c")
                         .Put("b2", "after")),
              IsOk());
  EXPECT_EQ(store_.Payloads(),
            (std::map<std::string, std::string>{{"b2", "after"}, {"x", "outside"}}));
}

TEST_F(CommitterCacheTest, ARangeDeleteOfAnEmptyStoreWritesNothing) {
  Start();
  ASSERT_THAT(Commit(PackedWrites().DeleteRange("", std::nullopt)), IsOk());
  EXPECT_TRUE(store_.Payloads().empty());
}

TEST_F(CommitterCacheTest, EmptyAndInvertedRangesDeleteNothing) {
  Start();
  ASSERT_THAT(Commit(PackedWrites().Put("a", "1").Put("b", "2").Put("c", "3")), IsOk());
  ASSERT_THAT(Commit(PackedWrites()
                         .DeleteRange("b", "b")
                         .DeleteRange("c", "a")
                         .DeleteRange("d", std::nullopt)
                         .DeleteRange("", "")),
              IsOk());
  EXPECT_EQ(store_.Payloads().size(), 3u);
}

TEST_F(CommitterCacheTest, AStoreThatCannotTellItsLastKeyFailsTheRangeDelete) {
  Start();
  store_.FailLastKey({Code::kCorruption, "a bad block"});
  EXPECT_THAT(Commit(PackedWrites().Put("a", "1").DeleteRange("a", std::nullopt)),
              HasCode(Code::kCorruption));
  EXPECT_TRUE(store_.Payloads().empty()) << "nothing of the commit was written";
  EXPECT_THAT(Commit(PackedWrites().Put("a", "1").DeleteRange("a", "b")), IsOk())
      << "nothing has been half written, so the database goes on";
}

// Random commits in random groups against a sorted map, range deletes of every kind among them.
TEST_F(CommitterCacheTest, RandomGroupsMatchASortedMap) {
  Start();
  std::minstd_rand random(7);
  std::map<std::string, std::string> model;
  const auto key = [&random] {
    return std::string(1 + random() % 2, static_cast<char>('a' + random() % 12));
  };
  for (int round = 0; round < 60; round++) {
    std::vector<Pending> pending;
    AsOneGroup([&] {
      model["the first group"] = "";
      for (auto submissions = 1 + random() % 4; submissions > 0; submissions--) {
        PackedWrites writes;
        for (auto n = random() % 6; n > 0; n--) {
          const std::string k = key();
          switch (random() % 6) {
            case 0:
              writes.Delete(k);
              model.erase(k);
              break;
            case 1: {
              const std::string end = key();
              writes.DeleteRange(k, end);
              if (k < end) model.erase(model.lower_bound(k), model.lower_bound(end));
              break;
            }
            case 2:
              if (random() % 4 != 0) break;
              writes.DeleteRange(k, std::nullopt);
              model.erase(model.lower_bound(k), model.end());
              break;
            default: {
              const std::string value = std::to_string(random());
              writes.Put(k, value);
              model[k] = value;
            }
          }
        }
        pending.push_back(Submit(writes, random() % 2 == 0));
      }
    });
    for (Pending& p : pending) ASSERT_THAT(Await(std::move(p.result)), IsOk());
    ASSERT_EQ(store_.Payloads(), model) << round;
  }
}

}  // namespace
}  // namespace thermocline::test
