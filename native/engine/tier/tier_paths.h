// Where the colder tiers of a restored database lie, and who they are, until it has been opened.
//
// Hot's meta says where a colder tier is, as it was when the backup was made. A restore puts the
// tiers elsewhere and must not open the hot store to say so: it would replay its log. So it writes
// a file beside the hot store, which takes precedence over the records; the first opening for
// writing brings them up to date and deletes it. It also gives each tier a new UUID: else the
// restored database could take the original's tier for its own, or the other way round.
//
// Thread safety: pure functions on files.
#pragma once

#include <map>
#include <string>

#include "engine/status.h"
#include "engine/tier/tier.h"

namespace thermocline {

// As a meta record has them: relative ones are relative to the database's folder.
using TierPaths = std::map<Tier, std::string>;

struct MovedTier {
  std::string path;
  std::string uuid;  // 16 bytes: the one it gets
};
using MovedTiers = std::map<Tier, MovedTier>;

inline constexpr const char* kTierPathsFile = "tier-paths";

// In a colder tier's folder that a restore has filled: the location that it is for. Deleted when
// that is a database, at its first opening for writing at the latest.
inline constexpr const char* kRestoringMark = "RESTORING";

// Durable on return.
Status WriteTierPaths(const std::string& location, const MovedTiers& tiers);
// Empty where there is no file. ERR_CORRUPTION.
Status ReadTierPaths(const std::string& location, MovedTiers* tiers);
void DeleteTierPaths(const std::string& location);

}  // namespace thermocline
