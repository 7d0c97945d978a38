// Tells a log that a crash has torn from one that is damaged.
//
// RocksDB takes a record whose length reaches past the end of a log for the torn last one, and goes
// on as if the log ended there. One flipped bit in a length field therefore makes it forget every
// later write; in a MANIFEST it forgets the newest tables, and opening for writing then deletes
// them as obsolete. Behind a torn record there is nothing, so a whole record behind it means
// damage.
//
// Only the last block has to be looked at: records do not span blocks, and RocksDB itself reports a
// bad length in any block but the last. Thread safety: pure reads.
#pragma once

#include <string>

#include "engine/status.h"

namespace thermocline {

// ERR_CORRUPTION if whole records follow a record that reaches past the end of the log at `path`.
Status CheckLogEnd(const std::string& path);

}  // namespace thermocline
