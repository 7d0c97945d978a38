// Whether a store keeps its log for the change feed, as it was last opened.
//
// RocksDB writes the options it was opened with to a file of its own; the feed stays on, with its
// retention, until it is turned off by name. So a tool that opens the database for a moment does
// not make a gap.
//
// Thread safety: pure, but for reading the folder.
#pragma once

#include <string>
#include <string_view>

#include "engine/options.h"

namespace thermocline {

// Out of the text of an OPTIONS file.
ChangesOptions ParseRetention(std::string_view text);
// Out of the newest OPTIONS file in the folder of a store. Off if there is none.
ChangesOptions ReadRetention(const std::string& directory);
// Deletes the logs that were kept. Best effort.
void DropArchive(const std::string& directory);

}  // namespace thermocline
