#include "engine/tier/move_ledger.h"

#include <gtest/gtest.h>

#include <string>

namespace thermocline {
namespace {

TEST(MoveLedgerTest, ItAddsUpByCauseAndSurvivesARestart) {
  MoveLedger ledger;
  ledger.Add(MoveCause::kAge, {.records = 2, .bytes = 300, .last_ms = 20});
  ledger.Add(MoveCause::kAge, {.records = 1, .markers = 1, .copies = 5, .last_ms = 10});
  ledger.Add(MoveCause::kTidy, {.tables = 1, .last_ms = 30});
  ledger.Add(MoveCause::kProgram, {.last_ms = 40});
  LifetimeTotals since;
  since.absent = 3;
  since.tiers[2] = {.found = 4, .moved_out_bytes = 5};
  MoveLedger again;
  ASSERT_TRUE(again.Decode(ledger.Encode(since)));
  MoveLedger later;
  ASSERT_TRUE(later.Decode(again.Encode(since)));
  EXPECT_EQ(later.before().absent, 6u);
  EXPECT_EQ(later.before().tiers[2].found, 8u);
  EXPECT_EQ(later.before().tiers[2].moved_out_bytes, 10u);
  EXPECT_EQ(later.before().tiers[1].found, 0u);
  const MovesByCause age = again.Get()[static_cast<size_t>(MoveCause::kAge)];
  EXPECT_EQ(age.records, 3u);
  EXPECT_EQ(age.bytes, 300u);
  EXPECT_EQ(age.markers, 1u);
  EXPECT_EQ(age.copies, 5u);
  EXPECT_EQ(age.last_ms, 20u);
  EXPECT_EQ(again.Get()[static_cast<size_t>(MoveCause::kTidy)].tables, 1u);
  EXPECT_EQ(again.Get()[static_cast<size_t>(MoveCause::kProgram)].last_ms, 0u) << "nothing moved";
}

// As a version writes it that knows so many causes, with records 10, 11, ... moved by them.
std::string WithCauses(int causes) {
  std::string encoded = {'\x01', static_cast<char>(causes)};
  for (int cause = 0; cause < causes; cause++) {
    encoded += {static_cast<char>(10 + cause), 0, 0, 0, 0, 1};
  }
  encoded += '\x07';                    // reads that the hot cache answered
  return encoded + std::string(20, 0);  // the other totals
}

TEST(MoveLedgerTest, CausesThatAnotherVersionDidNotKnowAreZero) {
  for (const int causes : {0, 3}) {
    MoveLedger ledger;
    ASSERT_TRUE(ledger.Decode(WithCauses(causes)));
    EXPECT_EQ(ledger.before().from_memory, 7u);
    for (size_t i = 0; i < kMoveCauses; i++) {
      EXPECT_EQ(ledger.Get()[i].records, i < static_cast<size_t>(causes) ? 10 + i : 0u);
    }
  }
}

TEST(MoveLedgerTest, CausesThatOnlyAnotherVersionKnowsAreKeptForIt) {
  const std::string newer = WithCauses(kMoveCauses + 2);
  MoveLedger ledger;
  ASSERT_TRUE(ledger.Decode(newer));
  EXPECT_EQ(ledger.Get()[kMoveCauses - 1].records, 10 + kMoveCauses - 1);
  EXPECT_EQ(ledger.before().from_memory, 7u);
  EXPECT_EQ(ledger.Encode({}), newer);
  ledger.Add(MoveCause::kProgram, {.records = 1});
  std::string more = newer;
  more[2]++;
  EXPECT_EQ(ledger.Encode({}), more);
}

TEST(MoveLedgerTest, DamageChangesNothing) {
  MoveLedger ledger;
  ledger.Add(MoveCause::kAge, {.records = 2, .last_ms = 1});
  const std::string encoded = ledger.Encode({});
  for (const std::string& damaged :
       {std::string(), encoded.substr(0, encoded.size() - 1), encoded + '\0',
        '\x02' + encoded.substr(1), encoded.substr(0, 1) + '\x04' + encoded.substr(2),
        encoded.substr(0, 1) + '\x06' + encoded.substr(2), std::string("\x01\xff", 2)}) {
    MoveLedger again;
    again.Add(MoveCause::kAge, {.records = 7, .last_ms = 1});
    EXPECT_FALSE(again.Decode(damaged));
    EXPECT_EQ(again.Get()[static_cast<size_t>(MoveCause::kAge)].records, 7u);
  }
}

}  // namespace
}  // namespace thermocline
