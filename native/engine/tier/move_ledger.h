// What has moved, and why: a count by cause that is kept with the database, so that it tells of
// more than the time since opening.
//
// Thread safety: all methods from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

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

class MoveLedger {
 public:
  using Totals = std::array<MovesByCause, kMoveCauses>;

  void Add(MoveCause cause, const MovesByCause& moved);
  Totals Get() const;

  // u8 version (1), u8 number of causes, per cause six varint64 in the order of MovesByCause.
  std::string Encode() const;
  // False if it is damaged; everything is then as before.
  bool Decode(std::string_view encoded);

 private:
  mutable std::mutex mutex_;
  Totals totals_ = {};  // GUARDED_BY(mutex_)
};

}  // namespace thermocline
