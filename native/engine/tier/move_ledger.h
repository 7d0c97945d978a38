// What has moved, and why, and what the tiers did: counts that are kept with the database, so that
// they tell of more than the time since opening.
//
// Thread safety: all methods from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tier/tier.h"

namespace thermocline {

// In the order of their numbers on disk.
enum class MoveCause : uint8_t {
  kProgram = 0,   // db.tiers.migrate
  kCapacity = 1,  // a tier above its high-water mark, or a disk without room
  kAge = 2,       // records that were not used for long
  kShard = 3,     // shards that were not used for long
  kTidy = 4,      // markers, and promoted copies that cooled
};
inline constexpr size_t kMoveCauses = 5;

struct MovesByCause {
  uint64_t records = 0;  // written to another tier
  uint64_t bytes = 0;    // of their keys and values
  uint64_t markers = 0;  // of deleted and expired records: sunk or at their end
  uint64_t copies = 0;   // promoted ones that left without being written
  uint64_t tables = 0;   // compacted, for the deletions in them
  uint64_t last_ms = 0;  // Unix; 0: never
};

// What a tier did.
struct TierTotals {
  uint64_t found = 0;          // reads that ended there
  uint64_t written_bytes = 0;  // to tables
  uint64_t moved_in_records = 0;
  uint64_t moved_in_bytes = 0;
  uint64_t moved_out_records = 0;
  uint64_t moved_out_bytes = 0;
};

struct LifetimeTotals {
  uint64_t from_memory = 0;  // reads that the hot cache answered
  uint64_t absent = 0;       // reads that found nothing
  uint64_t user_bytes = 0;   // of keys and values that the program wrote or deleted
  std::array<TierTotals, kTierCount> tiers = {};  // by Tier

  LifetimeTotals operator+(const LifetimeTotals& other) const;
};

class MoveLedger {
 public:
  using Totals = std::array<MovesByCause, kMoveCauses>;

  void Add(MoveCause cause, const MovesByCause& moved);
  Totals Get() const;

  // Before this opening.
  LifetimeTotals before() const;

  // u8 version (1), u8 number of causes, per cause six varint64 in the order of MovesByCause, then
  // 21 varint64 in the order of LifetimeTotals. `since`: since opening; those before are added.
  std::string Encode(const LifetimeTotals& since) const;
  // False if it is damaged; everything is then as before. Causes that another version did not know
  // are zero; those that it knows and this one does not are kept for it.
  bool Decode(std::string_view encoded);

 private:
  mutable std::mutex mutex_;
  Totals totals_ = {};                 // GUARDED_BY(mutex_)
  std::vector<MovesByCause> further_;  // GUARDED_BY(mutex_): of causes that this version has not
  LifetimeTotals before_;              // GUARDED_BY(mutex_)
};

}  // namespace thermocline
