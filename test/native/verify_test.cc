// What only a look at every record finds: envelopes that are damaged, and keys in a shard that does
// not own their slot.
#include "engine/backup/verify.h"

#include <memory>
#include <string>

#include "engine_fixture.h"
#include "raw_store.h"

namespace thermocline {
namespace {

using test::IsOk;
using test::Put;
using test::RawStore;
using test::SmallOptions;

class VerifyTest : public test::EngineTest {
 protected:
  VerifyReport Verify() {
    VerifyReport report;
    EngineOptions options = SmallOptions(0);
    options.read_only = true;
    std::shared_ptr<Engine> engine;
    EXPECT_THAT(Engine::Open(location_, options, &engine), IsOk());
    if (engine) {
      EXPECT_THAT(engine->Verify(&report), IsOk());
    }
    return report;
  }
  void Fill(int shards, int records) {
    std::shared_ptr<Engine> engine;
    ASSERT_THAT(Engine::Open(location_, SmallOptions(shards), &engine), IsOk());
    for (int i = 0; i < records; i++) {
      ASSERT_THAT(Put(engine.get(), "key" + std::to_string(i), "value"), IsOk());
    }
    ASSERT_THAT(engine->Flush(), IsOk());
    engine->Close();
  }
};

TEST_F(VerifyTest, ASoundDatabaseHasNoProblems) {
  Fill(3, 200);
  const VerifyReport report = Verify();
  EXPECT_EQ(report.records, 200u);
  EXPECT_EQ(report.problem_count, 0u);
  EXPECT_GE(report.tables, 3u);
}

TEST_F(VerifyTest, AKeyInAShardThatDoesNotOwnItsSlotIsNamed) {
  Fill(2, 10);
  const std::string key = "123456789";  // slot 12739: of the second half
  RawStore(hot_).Put("shard_0000_00000000", key, std::string("\0x", 2));
  const VerifyReport report = Verify();
  EXPECT_EQ(report.records, 11u);
  ASSERT_EQ(report.problem_count, 1u);
  EXPECT_THAT(report.problems[0], testing::HasSubstr("shard 0"));
  EXPECT_THAT(report.problems[0], testing::HasSubstr("313233343536373839"));
  EXPECT_THAT(report.problems[0], testing::HasSubstr("belongs to another shard"));
}

TEST_F(VerifyTest, ADamagedEnvelopeIsNamed) {
  Fill(1, 10);
  RawStore(hot_).Put("shard_0000_00000000", "bad", "\xff");
  RawStore(hot_).Put("shard_0000_00000000", "worse", "");
  const VerifyReport report = Verify();
  EXPECT_EQ(report.problem_count, 2u);
  for (const std::string& problem : report.problems) {
    EXPECT_THAT(problem, testing::HasSubstr("damaged envelope"));
  }
}

TEST_F(VerifyTest, ADamagedMetaRecordIsNamed) {
  Fill(1, 10);
  RawStore(hot_).Put("meta", "log", "nonsense");
  std::shared_ptr<Engine> engine;
  EXPECT_FALSE(Engine::Open(location_, SmallOptions(0), &engine).ok()) << "opening looks at it";
}

TEST_F(VerifyTest, ManyProblemsAreCountedAndTheFirstAreShown) {
  Fill(1, 10);
  {
    RawStore raw(hot_);
    for (int i = 0; i < 250; i++) {
      raw.Put("shard_0000_00000000", "bad" + std::to_string(i), "\xff");
    }
  }
  const VerifyReport report = Verify();
  EXPECT_EQ(report.problem_count, 250u);
  EXPECT_EQ(report.problems.size(), kMaxShownProblems);
}

}  // namespace
}  // namespace thermocline
