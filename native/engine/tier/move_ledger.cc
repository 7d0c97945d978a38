#include "engine/tier/move_ledger.h"

#include <algorithm>

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
  const Totals totals = Get();
  std::string encoded = {kVersion, static_cast<char>(kMoveCauses)};
  for (const MovesByCause& moves : totals) {
    ForEachMember(moves, [&](uint64_t member) { PutVarint64(&encoded, member); });
  }
  const LifetimeTotals all = before() + since;
  ForEachTotal(all, all, [&](uint64_t number, uint64_t) { PutVarint64(&encoded, number); });
  return encoded;
}

bool MoveLedger::Decode(std::string_view encoded) {
  if (encoded.size() < 2 || encoded[0] != kVersion || encoded[1] != char{kMoveCauses}) return false;
  const char* p = encoded.data() + 2;
  const char* const limit = encoded.data() + encoded.size();
  const auto take = [&](uint64_t& number) {
    if (p != nullptr) p = GetVarint64(p, limit, &number);
  };
  Totals totals = {};
  for (MovesByCause& moves : totals) ForEachMember(moves, take);
  LifetimeTotals before;
  ForEachTotal(before, before, [&](uint64_t& number, uint64_t) { take(number); });
  if (p != limit) return false;
  std::lock_guard lock(mutex_);
  totals_ = totals;
  before_ = before;
  return true;
}

}  // namespace thermocline
