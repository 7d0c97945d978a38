#include "engine/platform/file_lock.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "engine/platform/boot_id.h"
#include "support.h"

namespace thermocline {
namespace {

using test::HasCode;
using test::IsOk;
using test::TempFolder;

TEST(FileLockTest, CreatesTheFileAndExcludesASecondWriterOfTheSameProcess) {
  TempFolder folder;
  const std::string path = folder / "LOCK";
  FileLock first;
  ASSERT_THAT(first.Acquire(path, false), IsOk());
  EXPECT_TRUE(std::filesystem::exists(path));
  FileLock second;
  const Status status = second.Acquire(path, false);
  EXPECT_THAT(status, HasCode(Code::kLocked));
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(path));
}

TEST(FileLockTest, ReadersShareAndKeepWritersOut) {
  TempFolder folder;
  const std::string path = folder / "LOCK";
  test::WriteFile(path, "");
  FileLock one;
  FileLock two;
  FileLock writer;
  ASSERT_THAT(one.Acquire(path, true), IsOk());
  ASSERT_THAT(two.Acquire(path, true), IsOk());
  EXPECT_THAT(writer.Acquire(path, false), HasCode(Code::kLocked));
  one.Release();
  EXPECT_THAT(writer.Acquire(path, false), HasCode(Code::kLocked));
  two.Release();
  EXPECT_THAT(writer.Acquire(path, false), IsOk());
}

TEST(FileLockTest, AWriterKeepsReadersOut) {
  TempFolder folder;
  const std::string path = folder / "LOCK";
  FileLock writer;
  ASSERT_THAT(writer.Acquire(path, false), IsOk());
  FileLock reader;
  EXPECT_THAT(reader.Acquire(path, true), HasCode(Code::kLocked));
}

TEST(FileLockTest, AFailedAttemptLeavesTheHolderAlone) {
  TempFolder folder;
  const std::string path = folder / "LOCK";
  FileLock holder;
  ASSERT_THAT(holder.Acquire(path, false), IsOk());
  for (int i = 0; i < 3; i++) {
    FileLock other;
    ASSERT_THAT(other.Acquire(path, false), HasCode(Code::kLocked));
  }
  // A POSIX record lock would have gone with the first descriptor closed.
  FileLock last;
  EXPECT_THAT(last.Acquire(path, false), HasCode(Code::kLocked));
}

TEST(FileLockTest, ReleaseAndDestructionFreeIt) {
  TempFolder folder;
  const std::string path = folder / "LOCK";
  FileLock other;
  {
    FileLock lock;
    ASSERT_THAT(lock.Acquire(path, false), IsOk());
    lock.Release();
    lock.Release();
    ASSERT_THAT(other.Acquire(path, false), IsOk());
    other.Release();
    ASSERT_THAT(lock.Acquire(path, false), IsOk()) << "a released lock can be taken again";
    ASSERT_THAT(other.Acquire(path, false), HasCode(Code::kLocked));
  }
  EXPECT_THAT(other.Acquire(path, false), IsOk());
}

TEST(FileLockTest, AMissingFolderIsAnIoError) {
  TempFolder folder;
  FileLock lock;
  EXPECT_THAT(lock.Acquire(folder / "none/LOCK", false), HasCode(Code::kIo));
  EXPECT_THAT(lock.Acquire(folder / "none/LOCK", true), HasCode(Code::kIo));
}

TEST(FileLockTest, ASharedLockDoesNotCreateTheFile) {
  TempFolder folder;
  FileLock lock;
  EXPECT_THAT(lock.Acquire(folder / "LOCK", true), HasCode(Code::kIo));
  EXPECT_FALSE(std::filesystem::exists(folder / "LOCK"));
}

TEST(FileLockTest, AFolderInItsPlaceIsAnIoError) {
  TempFolder folder;
  std::filesystem::create_directory(folder / "LOCK");
  FileLock lock;
  EXPECT_THAT(lock.Acquire(folder / "LOCK", false), HasCode(Code::kIo));
}

TEST(FileLockTest, ANoteStaysForWhoeverLocksNext) {
  TempFolder folder;
  const std::string path = folder / "LOCK";
  {
    FileLock lock;
    ASSERT_THAT(lock.Acquire(path, false), IsOk());
    EXPECT_EQ(lock.Note(), "");
    lock.SetNote("a longer note of which nothing may stay");
    lock.SetNote("first");
    EXPECT_EQ(lock.Note(), "first");
  }
  FileLock reader;
  ASSERT_THAT(reader.Acquire(path, true), IsOk());
  EXPECT_EQ(reader.Note(), "first");
  reader.Release();
  FileLock writer;
  ASSERT_THAT(writer.Acquire(path, false), IsOk());
  EXPECT_EQ(writer.Note(), "first");
  writer.SetNote("");
  EXPECT_EQ(writer.Note(), "");
  EXPECT_EQ(std::filesystem::file_size(path), 0u);
}

TEST(BootIdTest, IsTheSameAllTheTime) {
  EXPECT_EQ(BootId(), BootId());
#ifdef __linux__
  EXPECT_GE(BootId().size(), 32u);
#endif
}

// The child speaks through a pipe: one byte once it has tried.
class Child {
 public:
  Child(const std::string& path, bool shared) {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    process_ = fork();
    if (process_ == 0) {
      FileLock lock;
      const Status status = lock.Acquire(path, shared);
      const auto code = static_cast<char>(status.code());
      if (write(ends[1], &code, 1) != 1) _exit(1);
      for (;;) pause();
    }
    close(ends[1]);
    char code = -1;
    if (read(ends[0], &code, 1) == 1) code_ = static_cast<Code>(code);
    close(ends[0]);
  }
  ~Child() { Kill(); }

  Code code() const { return code_; }
  void Kill() {
    if (process_ <= 0) return;
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    process_ = 0;
  }

 private:
  pid_t process_ = 0;
  Code code_ = Code::kAborted;
};

TEST(FileLockTest, AnotherProcessIsExcludedUntilTheHolderDies) {
  TempFolder folder;
  const std::string path = folder / "LOCK";
  FileLock lock;
  {
    Child holder(path, false);
    ASSERT_EQ(holder.code(), Code::kOk);
    EXPECT_THAT(lock.Acquire(path, false), HasCode(Code::kLocked));
    EXPECT_THAT(lock.Acquire(path, true), HasCode(Code::kLocked));
    holder.Kill();
  }
  ASSERT_THAT(lock.Acquire(path, false), IsOk());
  Child late(path, true);
  EXPECT_EQ(late.code(), Code::kLocked);
}

}  // namespace
}  // namespace thermocline
