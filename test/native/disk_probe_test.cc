#include "engine/platform/disk_probe.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support.h"

namespace thermocline {
namespace {

using test::HasCode;
using test::IsOk;
using test::TempFolder;

DiskProbeOptions SmallProbe(const std::string& folder) {
  return {.folder = folder, .file_bytes = 4 << 20, .seconds = 0.05, .queue_depths = {1, 3}};
}

TEST(DiskProbeTest, EveryFigureIsMeasuredAndConsistent) {
  TempFolder folder;
  DiskProbe probe;
  ASSERT_THAT(ProbeDisk(SmallProbe(folder.path()), &probe), IsOk());
  EXPECT_EQ(probe.file_bytes, 4u << 20);
  EXPECT_GT(probe.fsyncs_per_second, 0);
  EXPECT_GT(probe.fsync_p50_nanos, 0u);
  EXPECT_LE(probe.fsync_p50_nanos, probe.fsync_p99_nanos);
  EXPECT_GT(probe.write_bytes_per_second, 0);
  EXPECT_GT(probe.read_bytes_per_second, 0);
  ASSERT_EQ(probe.random_reads.size(), 2u);
  EXPECT_EQ(probe.random_reads[0].depth, 1);
  EXPECT_EQ(probe.random_reads[1].depth, 3);
  for (const DiskProbe::RandomRead& reads : probe.random_reads) {
    EXPECT_GT(reads.reads_per_second, 0);
    EXPECT_LE(reads.p50_nanos, reads.p99_nanos);
  }
}

TEST(DiskProbeTest, NothingIsLeftBehind) {
  TempFolder folder;
  DiskProbe probe;
  ASSERT_THAT(ProbeDisk(SmallProbe(folder.path()), &probe), IsOk());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(DiskProbeTest, AFolderThatIsMissingIsAnError) {
  TempFolder folder;
  DiskProbe probe;
  EXPECT_THAT(ProbeDisk(SmallProbe(folder / "missing"), &probe), HasCode(Code::kIo));
}

TEST(DiskProbeTest, OptionsOutOfRangeAreRefused) {
  TempFolder folder;
  DiskProbe probe;
  for (const auto change : std::vector<void (*)(DiskProbeOptions*)>{
           [](DiskProbeOptions* o) { o->queue_depths = {0}; },
           [](DiskProbeOptions* o) {
             o->queue_depths = {1, 1025};
           },
           [](DiskProbeOptions* o) { o->seconds = 0; },
           [](DiskProbeOptions* o) { o->seconds = 601; },
           [](DiskProbeOptions* o) { o->file_bytes = 0; },
       }) {
    DiskProbeOptions options = SmallProbe(folder.path());
    change(&options);
    EXPECT_THAT(ProbeDisk(options, &probe), HasCode(Code::kInvalidArgument));
  }
}

// Pages of a file that memory holds.
size_t CachedPages(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY);
  const size_t size = std::filesystem::file_size(path);
  void* mapped = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  std::vector<unsigned char> pages((size + 4095) / 4096);
  EXPECT_EQ(mincore(mapped, size, pages.data()), 0);
  munmap(mapped, size);
  close(fd);
  return static_cast<size_t>(
      std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return page & 1; }));
}

TEST(DiskProbeTest, DroppedFilesAreNoLongerInMemoryAndKeepTheirBytes) {
  TempFolder folder;
  const std::string inner = folder / "inner";
  std::filesystem::create_directory(inner);
  const std::string path = inner + "/file";
  const std::string content(1 << 20, 'x');
  test::WriteFile(path, content);
  ASSERT_EQ(CachedPages(path), 256u);
  ASSERT_THAT(DropFileCache(folder.path()), IsOk());
  EXPECT_EQ(CachedPages(path), 0u);
  EXPECT_EQ(test::ReadFile(path), content);
}

TEST(DiskProbeTest, DroppingAMissingFolderIsAnError) {
  TempFolder folder;
  EXPECT_THAT(DropFileCache(folder / "missing"), HasCode(Code::kIo));
}

}  // namespace
}  // namespace thermocline
