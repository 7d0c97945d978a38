// The one result type of the engine.
//
// A Status is a code from a small closed set plus a message for people. The codes are the
// vocabulary users program against (docs/errors.md has a heading for each); the binding maps them
// to `ThermoclineError.code` by one table. Every mapping from RocksDB lives in status.cc.
//
// Thread safety: a value type; safe to copy between threads.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace rocksdb {
class Status;
}

namespace thermocline {

// Order is part of the binding's contract: the numbers cross to JavaScript.
enum class Code : int {
  kOk = 0,
  kClosed = 1,
  kLocked = 2,
  kCorruption = 3,
  kIo = 4,
  kNoSpace = 5,
  kReadOnly = 6,
  kInvalidArgument = 7,
  kConflict = 8,
  kCondition = 9,
  kBackpressure = 10,
  kFormatVersion = 11,
  kNotFound = 12,
  kAborted = 13,
  kGap = 14,
  kFrozen = 15,
};

class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(Code code, std::string message)
      : code_(code), message_(std::make_shared<const std::string>(std::move(message))) {}

  static Status Ok() { return {}; }
  // The mapping from RocksDB. `doing` says what was attempted, such as "reading a key"; it leads
  // the message so that a log line makes sense on its own.
  static Status From(const rocksdb::Status& status, std::string_view doing);

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  std::string_view message() const { return message_ ? std::string_view(*message_) : ""; }

 private:
  Code code_ = Code::kOk;
  // Shared so that failing a group of many writes copies a pointer, not a string.
  std::shared_ptr<const std::string> message_;
};

// The stable name of a code, such as "ERR_LOCKED".
std::string_view CodeName(Code code);

}  // namespace thermocline
