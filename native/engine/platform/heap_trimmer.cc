#include "engine/platform/heap_trimmer.h"

#ifdef __GLIBC__
#include <fcntl.h>
#include <malloc.h>
#include <time.h>
#include <unistd.h>
#endif

#include <chrono>
#include <cstdio>
#include <exception>
#include <utility>

#include "engine/platform/thread_pool.h"
#include "engine/platform/time.h"

namespace thermocline {

namespace {

#ifdef __GLIBC__
constexpr bool kCanTrim = true;

// 0 if the system does not say: then nothing ever grows, and nothing is trimmed.
uint64_t ResidentBytes() {
  const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[128];
  const ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  if (size <= 0) return 0;
  text[size] = '\0';
  unsigned long long pages = 0;
  if (std::sscanf(text, "%*u %llu", &pages) != 1) return 0;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

TrimSample Sample() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return {.now_nanos = NowNanos(),
          .processor_nanos = static_cast<uint64_t>(used.tv_sec) * 1'000'000'000 +
                             static_cast<uint64_t>(used.tv_nsec),
          .resident_bytes = ResidentBytes()};
}

void Trim() { malloc_trim(0); }
#else
constexpr bool kCanTrim = false;
TrimSample Sample() { return {}; }
void Trim() {}
#endif

}  // namespace

bool TrimPolicy::Look(const TrimSample& sample) {
  const uint64_t elapsed = sample.now_nanos - last_.now_nanos;
  const uint64_t used = sample.processor_nanos - last_.processor_nanos;
  last_ = sample;
  if (sample.resident_bytes < floor_bytes_) floor_bytes_ = sample.resident_bytes;
  armed_ = sample.resident_bytes - floor_bytes_ >= kGrowthBytes;
  const bool rests = used * kBusyPart < elapsed;
  return armed_ && rests && sample.now_nanos - trimmed_nanos_ >= kWatchNanos;
}

void TrimPolicy::Trimmed(const TrimSample& sample) {
  last_ = sample;
  floor_bytes_ = sample.resident_bytes;
  trimmed_nanos_ = sample.now_nanos;
  armed_ = false;
}

HeapTrimmer::~HeapTrimmer() = default;

void HeapTrimmer::Begin() {
  std::lock_guard lock(mutex_);
  if (databases_++ > 0 || !kCanTrim) return;
  try {
    thread_ = std::thread([this, turn = turn_] { Run(turn); });
  } catch (const std::exception&) {
    // No thread to be had: memory stays with malloc, as it would without this class.
  }
}

void HeapTrimmer::End() {
  std::thread ending;
  {
    std::lock_guard lock(mutex_);
    if (--databases_ > 0) return;
    turn_++;
    ending = std::exchange(thread_, {});
  }
  wake_.notify_all();
  if (ending.joinable()) ending.join();
}

uint64_t HeapTrimmer::trims() const {
  std::lock_guard lock(mutex_);
  return trims_;
}

void HeapTrimmer::Run(uint64_t turn) {
  NameThisThread("tc-trim");
  TrimPolicy policy(Sample());
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, std::chrono::nanoseconds(policy.PauseNanos()),
                         [this, turn] { return turn_ != turn; })) {
    lock.unlock();
    const bool due = policy.Look(Sample());
    if (due) {
      Trim();
      policy.Trimmed(Sample());
    }
    lock.lock();
    if (due) trims_++;
  }
}

}  // namespace thermocline
