#include "engine/platform/disk_probe.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <new>
#include <random>
#include <thread>
#include <utility>

#include "engine/metrics/histogram.h"
#include "engine/platform/time.h"

namespace thermocline {

namespace {

constexpr size_t kPage = 4096;  // what O_DIRECT wants addresses, lengths and places aligned to
constexpr size_t kBlock = size_t{1} << 20;
constexpr int kMaxDepth = 1024;
constexpr double kMaxSeconds = 600;

Status Failed(const std::string& doing, int error) {
  const std::string message = doing + ": " + std::strerror(error);
  return {error == ENOSPC || error == EDQUOT ? Code::kNoSpace : Code::kIo, message};
}

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using AlignedBlock = std::unique_ptr<char, Free>;

AlignedBlock NewBlock(size_t size) {
  AlignedBlock block(static_cast<char*>(std::aligned_alloc(kPage, size)));
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

// Not compressible: some disks and file systems would win by it.
void FillRandom(char* out, size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  for (size_t i = 0; i + sizeof(uint64_t) <= size; i += sizeof(uint64_t)) {
    const uint64_t word = random();
    std::memcpy(out + i, &word, sizeof word);
  }
}

// A file without a name. `direct` becomes false where the page cache cannot be passed by.
Status NewFile(const std::string& folder, bool* direct, Descriptor* out) {
  std::string path = folder + "/.thermocline-probe-XXXXXX";
  const int fd = mkstemp(path.data());
  if (fd < 0) return Failed("cannot write in " + folder, errno);
  *out = Descriptor(fd);
  if (*direct) {
    *direct = false;
#ifdef O_DIRECT
    // A second descriptor, since not every file system takes the flag afterwards.
    Descriptor uncached(open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    *direct = uncached.get() >= 0;
    if (*direct) *out = std::move(uncached);
#elif defined(F_NOCACHE)
    *direct = fcntl(fd, F_NOCACHE, 1) >= 0;
#endif
  }
  unlink(path.c_str());
  return {};
}

bool SyncData(int fd) {
#ifdef __APPLE__
  return fcntl(fd, F_FULLFSYNC) == 0;
#else
  return fdatasync(fd) == 0;
#endif
}

double Seconds(uint64_t nanos) { return static_cast<double>(nanos) / 1e9; }

class Probe {
 public:
  Probe(const DiskProbeOptions& options, DiskProbe* out) : options_(options), out_(*out) {}

  Status Run() {
    for (const auto step :
         {&Probe::Open, &Probe::Write, &Probe::Sync, &Probe::ReadRandomly, &Probe::ReadInOrder}) {
      if (Status status = (this->*step)(); !status.ok()) return status;
    }
    return {};
  }

 private:
  Status Open() {
    struct statvfs disk;
    if (statvfs(options_.folder.c_str(), &disk) != 0) {
      return Failed("cannot use " + options_.folder, errno);
    }
    const uint64_t half = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize / 2;
    const uint64_t wanted = (options_.file_bytes + kBlock - 1) / kBlock;
    blocks_ = std::min(wanted, half / kBlock);
    if (blocks_ == 0) return Failed("measuring " + options_.folder, ENOSPC);
    out_.file_bytes = blocks_ * kBlock;
    return NewFile(options_.folder, &out_.direct, &file_);
  }

  // The whole file, however long it takes: the reads need it.
  Status Write() {
    const AlignedBlock block = NewBlock(kBlock);
    FillRandom(block.get(), kBlock, 0);
    const uint64_t began = NowNanos();
    for (uint64_t i = 0; i < blocks_; i++) {
      std::memcpy(block.get(), &i, sizeof i);  // no two blocks alike
      const ssize_t n = pwrite(file_.get(), block.get(), kBlock, static_cast<off_t>(i * kBlock));
      if (n != static_cast<ssize_t>(kBlock)) return Failed("writing", n < 0 ? errno : ENOSPC);
    }
    if (!SyncData(file_.get())) return Failed("syncing", errno);
    const double took = Seconds(NowNanos() - began);
    out_.write_bytes_per_second = static_cast<double>(out_.file_bytes) / took;
    return {};
  }

  Status Sync() {
    Descriptor log;
    bool direct = false;  // as a log is written
    if (Status status = NewFile(options_.folder, &direct, &log); !status.ok()) return status;
    std::string page(kPage, '\0');
    FillRandom(page.data(), page.size(), 1);
    const auto latencies = std::make_unique<Histogram>();
    const uint64_t began = NowNanos();
    uint64_t last = began;
    while (Seconds(last - began) < options_.seconds) {
      if (write(log.get(), page.data(), kPage) != static_cast<ssize_t>(kPage)) {
        return Failed("writing", errno);
      }
      if (!SyncData(log.get())) return Failed("syncing", errno);
      const uint64_t now = NowNanos();
      latencies->Record(now - last);
      last = now;
    }
    const Histogram::Snapshot all = latencies->TakeSnapshot();
    out_.fsyncs_per_second = static_cast<double>(all.count) / Seconds(last - began);
    out_.fsync_p50_nanos = all.Percentile(50);
    out_.fsync_p99_nanos = all.Percentile(99);
    return {};
  }

  Status ReadRandomly() {
    for (const int depth : options_.queue_depths) {
      const auto latencies = std::make_unique<Histogram>();
      std::atomic<int> error{0};
      const uint64_t began = NowNanos();
      const uint64_t end = began + static_cast<uint64_t>(options_.seconds * 1e9);
      {
        std::vector<std::jthread> threads;
        for (int i = 0; i < depth; i++) {
          threads.emplace_back([&, i] {
            std::mt19937_64 random(static_cast<uint64_t>(depth) << 32 | static_cast<uint64_t>(i));
            const AlignedBlock block = NewBlock(kPage);
            for (uint64_t last = NowNanos(); last < end && error.load() == 0;) {
              const uint64_t page = random() % (out_.file_bytes / kPage);
              const ssize_t n =
                  pread(file_.get(), block.get(), kPage, static_cast<off_t>(page * kPage));
              if (n != static_cast<ssize_t>(kPage)) error.store(n < 0 ? errno : EIO);
              const uint64_t now = NowNanos();
              latencies->Record(now - last);
              last = now;
            }
          });
        }
      }
      if (error.load() != 0) return Failed("reading", error.load());
      const Histogram::Snapshot all = latencies->TakeSnapshot();
      const double rate = static_cast<double>(all.count) / Seconds(NowNanos() - began);
      out_.random_reads.push_back({depth, rate, all.Percentile(50), all.Percentile(99)});
    }
    return {};
  }

  Status ReadInOrder() {
    const AlignedBlock block = NewBlock(kBlock);
    const uint64_t began = NowNanos();
    uint64_t done = 0;
    do {
      const off_t at = static_cast<off_t>(done % blocks_ * kBlock);
      const ssize_t n = pread(file_.get(), block.get(), kBlock, at);
      if (n != static_cast<ssize_t>(kBlock)) return Failed("reading", n < 0 ? errno : EIO);
      done++;
    } while (Seconds(NowNanos() - began) < options_.seconds);
    out_.read_bytes_per_second = static_cast<double>(done * kBlock) / Seconds(NowNanos() - began);
    return {};
  }

  const DiskProbeOptions& options_;
  DiskProbe& out_;
  Descriptor file_;
  uint64_t blocks_ = 0;
};

}  // namespace

Status ProbeDisk(const DiskProbeOptions& options, DiskProbe* out) {
  const bool good_depths = std::all_of(options.queue_depths.begin(), options.queue_depths.end(),
                                       [](int depth) { return depth >= 1 && depth <= kMaxDepth; });
  if (!good_depths || options.file_bytes == 0 ||
      !(options.seconds > 0 && options.seconds <= kMaxSeconds)) {
    return {Code::kInvalidArgument,
            "a disk is measured with a file of some size, 0 to 600 seconds for each figure and "
            "queue depths of 1 to 1,024"};
  }
  *out = {};
  return Probe(options, out).Run();
}

Status DropFileCache(const std::string& folder) {
#ifdef POSIX_FADV_DONTNEED
  std::error_code error;
  const auto options = std::filesystem::directory_options::skip_permission_denied;
  std::filesystem::recursive_directory_iterator it(folder, options, error);
  for (; !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
    std::error_code gone;
    if (!it->is_regular_file(gone)) continue;
    const Descriptor file(open(it->path().c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) continue;  // removed meanwhile
    // Only pages that the disk has can go.
    if (fdatasync(file.get()) != 0) return Failed("syncing " + it->path().string(), errno);
    const int failed = posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
    if (failed != 0) return Failed("dropping the cache of " + it->path().string(), failed);
  }
  if (error) return {Code::kIo, "reading " + folder + ": " + error.message()};
#else
  (void)folder;
#endif
  return {};
}

}  // namespace thermocline
