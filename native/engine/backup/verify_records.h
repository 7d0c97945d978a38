// Checks the records of one shard, those of all its tiers side by side.
//
// Of every record: its envelope; that the shard owns its slot; a marker has no contents, and there
// is none in the cold tier, which has nothing below that one could hide.
// Of every key that several tiers have: the hotter record counts, whatever the colder ones are
// (I2). A clean copy alone says something about them (I5): the first colder tier that has the key,
// but for what a pending range delete takes, must have the same value with the same expiry, since
// dropping the copy must lose nothing. That holds in every read view, with steps of migration and
// promotions under way (tier/view_latch.h). A copy that has expired is passed over: what it was
// made from may be gone.
// What cannot be told apart from what a crash leaves is not looked at: equal records in two tiers,
// and markers in a warm tier, or a hot one, that once had a colder one below it.
//
// Thread safety: none; one shard by one thread.
#pragma once

#include <rocksdb/iterator.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/backup/verify.h"
#include "engine/status.h"

namespace thermocline {

// Records in the order of their keys.
class RecordStream {
 public:
  virtual ~RecordStream() = default;
  virtual bool Valid() const = 0;
  virtual void Next() = 0;
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual Status status() const = 0;  // why it ended
};

// A family in a snapshot.
std::unique_ptr<RecordStream> StreamFamily(std::unique_ptr<rocksdb::Iterator> iterator);
// Tables whose keys ascend from one to the next.
std::unique_ptr<RecordStream> StreamTables(std::vector<std::string> paths);

struct RecordLevel {
  VerifyCount* count = nullptr;
  std::unique_ptr<RecordStream> stream;
};

struct RecordChecks {
  std::function<bool(std::string_view key)> owns;     // whether the key is of the shard
  std::function<bool(std::string_view key)> covered;  // by a pending range delete
  // Not before anything that the streams show was written.
  uint64_t now_ms = 0;
  // Called now and then with the bytes that were read since; an error ends the check.
  std::function<Status(uint64_t bytes)> go_on;
};

// `levels`: hotter first. A stream that ends with an error is a problem of the report.
Status VerifyRecords(std::vector<RecordLevel> levels, const RecordChecks& checks,
                     VerifyReport* report);

}  // namespace thermocline
