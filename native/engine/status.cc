#include "engine/status.h"

#include <rocksdb/status.h>

namespace thermocline {

namespace {

Code MapCode(const rocksdb::Status& s) {
  if (s.IsNoSpace()) return Code::kNoSpace;
  // A file that the database names and does not find is damage, not a passing failure.
  if (s.IsPathNotFound()) return Code::kCorruption;
  switch (s.code()) {
    case rocksdb::Status::kOk:
      return Code::kOk;
    case rocksdb::Status::kCorruption:
      return Code::kCorruption;
    case rocksdb::Status::kInvalidArgument:
    case rocksdb::Status::kNotSupported:
      return Code::kInvalidArgument;
    case rocksdb::Status::kNotFound:
      return Code::kNotFound;
    case rocksdb::Status::kShutdownInProgress:
      return Code::kClosed;
    case rocksdb::Status::kAborted:
    case rocksdb::Status::kIncomplete:
      return Code::kAborted;
    default:
      return Code::kIo;
  }
}

}  // namespace

Status Status::From(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return {};
  std::string message(doing);
  message += " failed: ";
  message += status.ToString();
  const Code code = MapCode(status);
  if (code == Code::kCorruption) message += ": restore the database from a backup";
  return {code, std::move(message)};
}

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kOk:
      return "OK";
    case Code::kClosed:
      return "ERR_CLOSED";
    case Code::kLocked:
      return "ERR_LOCKED";
    case Code::kCorruption:
      return "ERR_CORRUPTION";
    case Code::kIo:
      return "ERR_IO";
    case Code::kNoSpace:
      return "ERR_NO_SPACE";
    case Code::kReadOnly:
      return "ERR_READ_ONLY";
    case Code::kInvalidArgument:
      return "ERR_INVALID_ARGUMENT";
    case Code::kConflict:
      return "ERR_CONFLICT";
    case Code::kCondition:
      return "ERR_CONDITION";
    case Code::kBackpressure:
      return "ERR_BACKPRESSURE";
    case Code::kFormatVersion:
      return "ERR_FORMAT_VERSION";
    case Code::kNotFound:
      return "ERR_NOT_FOUND";
    case Code::kAborted:
      return "ERR_ABORTED";
    case Code::kGap:
      return "ERR_GAP";
    case Code::kFrozen:
      return "ERR_FROZEN";
  }
  return "ERR_IO";
}

}  // namespace thermocline
