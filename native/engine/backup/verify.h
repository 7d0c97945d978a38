// Checks a whole database without changing anything.
//
//   every table    of every tier: all its blocks against their checksums
//   every record   its envelope, and that its shard owns its slot
//   archives       of frozen shards: their manifests and the checksums of their files
//   (Engine::Verify) meta records   their checksums; opening has checked the shard table and the
//   identity
//
// Thread safety: from any thread, beside reads and writes. Takes as long as reading everything.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/tier/hot_store.h"

namespace thermocline {

struct VerifyReport {
  uint64_t tables = 0;
  uint64_t table_bytes = 0;
  uint64_t records = 0;        // expired ones and markers included
  uint64_t problem_count = 0;  // all of them; `problems` has the first kMaxShownProblems
  std::vector<std::string> problems;
};

inline constexpr size_t kMaxShownProblems = 100;

void ReportProblem(VerifyReport* report, std::string problem);

// An error is a failure to look; what was found to be wrong is in the report.
Status VerifyStore(HotStore* store, VerifyReport* report);

}  // namespace thermocline
