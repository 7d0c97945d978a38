#include "engine/tier/move_ledger.h"

#include <algorithm>
#include <utility>

#include "engine/record/coding.h"

namespace thermocline {

namespace {

constexpr char kVersion = 1;

// The members in their order on disk.
template <class Moves, class Fn>
void ForEachMember(Moves& moves, Fn&& fn) {
  for (auto* member : {&moves.records, &moves.bytes, &moves.markers, &moves.copies, &moves.tables,
                       &moves.last_ms}) {
    fn(*member);
  }
}

// Every number of the totals and its twin in others, in their order on disk.
template <class Totals, class Others, class Fn>
void ForEachTotal(Totals& totals, Others& others, Fn&& fn) {
  fn(totals.from_memory, others.from_memory);
  fn(totals.absent, others.absent);
  fn(totals.user_bytes, others.user_bytes);
  for (size_t i = 0; i < totals.tiers.size(); i++) {
    auto& tier = totals.tiers[i];
    auto& other = others.tiers[i];
    fn(tier.found, other.found);
    fn(tier.written_bytes, other.written_bytes);
    fn(tier.moved_in_records, other.moved_in_records);
    fn(tier.moved_in_bytes, other.moved_in_bytes);
    fn(tier.moved_out_records, other.moved_out_records);
    fn(tier.moved_out_bytes, other.moved_out_bytes);
  }
}

}  // namespace

LifetimeTotals LifetimeTotals::operator+(const LifetimeTotals& other) const {
  LifetimeTotals sum = *this;
  ForEachTotal(sum, other, [](uint64_t& to, uint64_t from) { to += from; });
  return sum;
}

LifetimeTotals MoveLedger::before() const {
  std::lock_guard lock(mutex_);
  return before_;
}

void MoveLedger::Add(MoveCause cause, const MovesByCause& moved) {
  if (moved.records + moved.markers + moved.copies + moved.tables == 0) return;
  std::lock_guard lock(mutex_);
  MovesByCause& total = totals_[static_cast<size_t>(cause)];
  total.records += moved.records;
  total.bytes += moved.bytes;
  total.markers += moved.markers;
  total.copies += moved.copies;
  total.tables += moved.tables;
  total.last_ms = std::max(total.last_ms, moved.last_ms);
}

MoveLedger::Totals MoveLedger::Get() const {
  std::lock_guard lock(mutex_);
  return totals_;
}

std::string MoveLedger::Encode(const LifetimeTotals& since) const {
  std::lock_guard lock(mutex_);
  std::string encoded = {kVersion, static_cast<char>(kMoveCauses + further_.size())};
  const auto put = [&](uint64_t number) { PutVarint64(&encoded, number); };
  for (const MovesByCause& moves : totals_) ForEachMember(moves, put);
  for (const MovesByCause& moves : further_) ForEachMember(moves, put);
  const LifetimeTotals all = before_ + since;
  ForEachTotal(all, all, [&](uint64_t number, uint64_t) { PutVarint64(&encoded, number); });
  return encoded;
}

bool MoveLedger::Decode(std::string_view encoded) {
  if (encoded.size() < 2 || encoded[0] != kVersion) return false;
  const size_t causes = static_cast<uint8_t>(encoded[1]);
  const char* p = encoded.data() + 2;
  const char* const limit = encoded.data() + encoded.size();
  const auto take = [&](uint64_t& number) {
    if (p != nullptr) p = GetVarint64(p, limit, &number);
  };
  Totals totals = {};
  std::vector<MovesByCause> further(causes - std::min(causes, kMoveCauses));
  for (size_t i = 0; i < causes; i++) {
    ForEachMember(i < kMoveCauses ? totals[i] : further[i - kMoveCauses], take);
  }
  LifetimeTotals before;
  ForEachTotal(before, before, [&](uint64_t& number, uint64_t) { take(number); });
  if (p != limit) return false;
  std::lock_guard lock(mutex_);
  totals_ = totals;
  further_ = std::move(further);
  before_ = before;
  return true;
}

}  // namespace thermocline
