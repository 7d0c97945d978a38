// The folder of a database: the names in it, whether one can be opened, and deleting it
// (Engine::Destroy).
//
// Thread safety: pure functions on files.
#pragma once

#include <string>

#include "engine/options.h"
#include "engine/status.h"

namespace thermocline {

inline constexpr const char* kLockFile = "LOCK";
inline constexpr const char* kHotDirectory = "hot";
inline constexpr const char* kTopicsDirectory = "topics";

// Decides, before anything is touched, whether `location` is ours, new, or somebody else's.
// ERR_INVALID_ARGUMENT, ERR_NOT_FOUND, ERR_IO.
Status CheckLocation(const std::string& location, const EngineOptions& options);

}  // namespace thermocline
