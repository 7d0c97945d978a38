// Checks a whole database without changing anything.
//
//   meta records   their checksums; opening has checked the shard table and the identity
//   every table    of every tier: its size, all its blocks against their checksums, and how many
//                  entries it has against what it says of itself
//   every record   in one read view of all tiers (backup/verify_records.h): its envelope, that its
//                  shard owns its slot, and how it agrees with what colder tiers hold of the key
//   archives       of frozen shards: their manifests, the checksums of their files, their records
//                  like those of the tiers, and how many these are
//   counts         of shards whose tables did not change meanwhile: the tables must have as many
//                  records as were met, see CountProblem
//
// Thread safety: from any thread, beside reads, writes, migration, splits and freezing. Takes as
// long as reading everything twice. While it runs the view keeps compactions from dropping what is
// replaced meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/read/read_view.h"
#include "engine/snapshot/table_files.h"
#include "engine/tier/hot_store.h"

namespace thermocline {

// What was met of one shard in one tier, beside what its metadata says.
struct VerifyCount {
  uint32_t shard = 0;  // its id
  Tier tier = Tier::kHot;
  bool frozen = false;        // counted in the archive
  uint64_t records = 0;       // all, also those of the next three
  uint64_t markers = 0;       // of deletes that colder tiers have not carried out
  uint64_t expired = 0;       // at the moment of the check
  uint64_t clean_copies = 0;  // promoted: a colder tier has them too
  uint64_t bytes = 0;         // of keys and values, without envelopes
  // What listing the shards says (shard/report.h); of an archive, its manifest for all tiers.
  uint64_t estimated_records = 0;
  uint64_t table_bytes = 0;
};

struct VerifyReport {
  uint64_t tables = 0;
  uint64_t table_bytes = 0;
  uint64_t records = 0;        // expired ones and markers included
  uint64_t shadowed = 0;       // of these: a hotter tier has the key as well
  uint64_t problem_count = 0;  // all of them; `problems` has the first kMaxShownProblems
  std::vector<std::string> problems;
  std::vector<VerifyCount> counts;  // by shard as in the table, then by tier, hotter first
};

inline constexpr size_t kMaxShownProblems = 100;

void ReportProblem(VerifyReport* report, std::string problem);

// What a family's tables say of themselves.
struct TableFigures {
  bool known = false;       // they and nothing else are what was read
  uint64_t entries = 0;     // deletions included
  uint64_t deletions = 0;   // of ranges included
  bool unique_keys = true;  // no key is there twice: one level, and no table keeps old versions
};

// What is wrong with a family of `records` records; empty if nothing is. A record is at least one
// entry that is no deletion; exactly one if there are no deletions and no second versions.
std::string CountProblem(const TableFigures& figures, uint64_t records);

struct VerifySource {
  HotStore* hot = nullptr;
  std::function<std::shared_ptr<const ReadView>()> new_view;
  std::function<uint64_t()> now_ms;  // the engine's clock
  std::string archives;              // the folder of the frozen shards
  CurrentShards shards;
};

// An error is a failure to look; what was found to be wrong is in the report. ERR_ABORTED.
Status VerifyStore(const VerifySource& source, SnapshotControl* control, VerifyReport* report);

}  // namespace thermocline
