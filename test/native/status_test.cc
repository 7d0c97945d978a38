#include "engine/status.h"

#include <rocksdb/status.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support.h"

namespace thermocline {
namespace {

using Rocks = rocksdb::Status;

TEST(StatusTest, EveryRocksDbStatusHasItsCode) {
  const std::vector<std::pair<Rocks, Code>> cases = {
      {Rocks::OK(), Code::kOk},
      {Rocks::NotFound("x"), Code::kNotFound},
      {Rocks::Corruption("x"), Code::kCorruption},
      {Rocks::NotSupported("x"), Code::kInvalidArgument},
      {Rocks::InvalidArgument("x"), Code::kInvalidArgument},
      {Rocks::IOError("x"), Code::kIo},
      {Rocks::NoSpace(), Code::kNoSpace},
      {Rocks::NoSpace("x"), Code::kNoSpace},
      {Rocks::IOError(Rocks::kNoSpace), Code::kNoSpace},
      {Rocks::PathNotFound("x"), Code::kCorruption},  // a file that the database names
      {Rocks::Incomplete("x"), Code::kAborted},
      {Rocks::ShutdownInProgress(), Code::kClosed},
      {Rocks::Aborted("x"), Code::kAborted},
      {Rocks::MemoryLimit(), Code::kAborted},
      {Rocks::Busy(), Code::kIo},
      {Rocks::TimedOut(), Code::kIo},
      {Rocks::Expired("x"), Code::kIo},
      {Rocks::TryAgain("x"), Code::kIo},
      {Rocks::CompactionTooLarge("x"), Code::kIo},
      {Rocks::ColumnFamilyDropped(), Code::kIo},
  };
  for (const auto& [rocks, code] : cases) {
    EXPECT_EQ(Status::From(rocks, "testing").code(), code) << rocks.ToString();
    EXPECT_EQ(Status::From(rocks, "testing").ok(), rocks.ok()) << rocks.ToString();
  }
}

TEST(StatusTest, TheMessageSaysWhatWasDoneAndWhatRocksDbSays) {
  EXPECT_EQ(Status::From(Rocks::IOError("bad disk", "at 7.sst"), "reading a key").message(),
            "reading a key failed: IO error: bad disk: at 7.sst");
  EXPECT_EQ(Status::From(Rocks::Corruption("bad block"), "reading a key").message(),
            "reading a key failed: Corruption: bad block: restore the database from a backup");
  EXPECT_EQ(Status::From(Rocks::OK(), "reading a key").message(), "");
}

TEST(StatusTest, CopiesShareTheirMessage) {
  const Status status(Code::kIo, "a message");
  const Status copy = status;  // NOLINT(performance-unnecessary-copy-initialization)
  EXPECT_EQ(copy.message().data(), status.message().data());
  EXPECT_EQ(copy.code(), Code::kIo);
}

TEST(StatusTest, TheDefaultIsOk) {
  EXPECT_TRUE(Status().ok());
  EXPECT_TRUE(Status::Ok().ok());
  EXPECT_EQ(Status().code(), Code::kOk);
  EXPECT_FALSE(Status(Code::kAborted, "").ok());
}

TEST(StatusTest, EveryCodeHasTheNameOfTheContract) {
  const std::vector<std::string> names = {"OK",
                                          "ERR_CLOSED",
                                          "ERR_LOCKED",
                                          "ERR_CORRUPTION",
                                          "ERR_IO",
                                          "ERR_NO_SPACE",
                                          "ERR_READ_ONLY",
                                          "ERR_INVALID_ARGUMENT",
                                          "ERR_CONFLICT",
                                          "ERR_CONDITION",
                                          "ERR_BACKPRESSURE",
                                          "ERR_FORMAT_VERSION",
                                          "ERR_NOT_FOUND",
                                          "ERR_ABORTED"};
  for (size_t i = 0; i < names.size(); i++) {
    EXPECT_EQ(CodeName(static_cast<Code>(i)), names[i]);  // the numbers cross to JavaScript
  }
  EXPECT_EQ(CodeName(static_cast<Code>(12345)), "ERR_IO");
}

}  // namespace
}  // namespace thermocline
