// What each tier holds, answers and costs.
//
// Thread safety: pure reads of the stores' own figures; they need not be of one moment.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/tier/move_ledger.h"
#include "engine/tier/tier.h"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
}  // namespace rocksdb

namespace thermocline {

struct TierFigures {
  Tier tier = Tier::kHot;
  std::string path;
  uint64_t file_bytes = 0;      // of tables, those too that are kept for reads of before alone
  uint64_t table_bytes = 0;     // of the tables in use
  uint64_t memory_bytes = 0;    // of memtables
  uint64_t records = 0;         // roughly; markers and copies included
  uint64_t raw_bytes = 0;       // keys and values in the tables, before compression
  uint64_t data_bytes = 0;      // the same, compressed
  uint64_t deleted = 0;         // deletions in the tables, whose space is still to come back
  uint64_t entries = 0;         // in the tables, deletions included
  uint64_t markers = 0;         // of deleted records, in the tables
  uint64_t copies = 0;          // promoted ones of colder records, in the tables
  uint64_t written_bytes = 0;   // by flushes, compactions and ingestion, since it was opened
  uint64_t capacity_bytes = 0;  // as configured; 0: what the file system has
  uint64_t found = 0;           // reads that ended here
  uint64_t moved_in_records = 0;
  uint64_t moved_in_bytes = 0;
  uint64_t moved_out_records = 0;
  uint64_t moved_out_bytes = 0;
  double cost_per_tb = 0;  // per month

  // What the records will take on disk once memtables are flushed and deletions have been compacted
  // away. This, and not what lies on the disk now, tells whether more must sink: space comes back
  // late.
  uint64_t LiveBytes() const;
};

struct TierReport {
  std::vector<TierFigures> tiers;  // hot first
  uint64_t from_memory = 0;        // reads that the hot cache answered
  uint64_t absent = 0;             // reads that found nothing in any tier
  uint64_t promoted = 0;           // records
  uint64_t user_bytes = 0;         // of keys and values that the program wrote or deleted
  MoveLedger::Totals moves = {};   // by MoveCause, since the database was created
  LifetimeTotals lifetime;         // likewise
  std::string trouble;             // why migration stands still; empty: it does not
};

// What the report says of the time since opening.
LifetimeTotals TotalsOf(const TierReport& report);

// Fills in what the store itself knows, but for written_bytes.
void ReadStoreFigures(rocksdb::DB* db, const std::vector<rocksdb::ColumnFamilyHandle*>& shards,
                      TierFigures* figures);
// Fills in written_bytes, which takes the longest.
void ReadWrittenBytes(rocksdb::DB* db, const std::vector<rocksdb::ColumnFamilyHandle*>& shards,
                      TierFigures* figures);

}  // namespace thermocline
