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

}  // namespace

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

std::string MoveLedger::Encode() const {
  const Totals totals = Get();
  std::string encoded = {kVersion, static_cast<char>(kMoveCauses)};
  for (const MovesByCause& moves : totals) {
    ForEachMember(moves, [&](uint64_t member) { PutVarint64(&encoded, member); });
  }
  return encoded;
}

bool MoveLedger::Decode(std::string_view encoded) {
  if (encoded.size() < 2 || encoded[0] != kVersion || encoded[1] != char{kMoveCauses}) return false;
  const char* p = encoded.data() + 2;
  const char* const limit = encoded.data() + encoded.size();
  Totals totals = {};
  for (MovesByCause& moves : totals) {
    ForEachMember(moves, [&](uint64_t& member) {
      if (p != nullptr) p = GetVarint64(p, limit, &member);
    });
  }
  if (p != limit) return false;
  std::lock_guard lock(mutex_);
  totals_ = totals;
  return true;
}

}  // namespace thermocline
