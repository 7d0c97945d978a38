#include "engine/cache/sequence_prefetcher.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "engine/hash.h"
#include "engine/platform/thread_pool.h"
#include "engine/platform/time.h"

namespace thermocline {

namespace {

// What an observed read costs its thread (0.35 to 0.6 µs of processor time, keys in random order
// over a table of 16 MiB), and a fetch the machine beyond the read itself, roughly: waking a
// thread, two switches, a place in the cache.
constexpr uint64_t kObserveNanos = 500;
constexpr uint64_t kFetchNanos = 5'000;
// How many fetches go by between two looks at whether a review is due.
constexpr uint64_t kLook = 64;

}  // namespace

PrefetchTally PrefetchTally::operator-(const PrefetchTally& past) const {
  return {observed - past.observed, fetched - past.fetched, used - past.used,
          late - past.late,         unused - past.unused,   fetch_nanos - past.fetch_nanos};
}

bool PrefetchPays(const PrefetchTally& tally) {
  if (tally.used == 0 || tally.fetched == 0) return false;
  if (2 * tally.used < tally.used + tally.late + tally.unused) return false;
  const uint64_t saved = tally.used * (tally.fetch_nanos / tally.fetched);
  return saved > tally.observed * kObserveNanos + tally.fetched * kFetchNanos;
}

SequencePrefetcher::SequencePrefetcher(Dependencies dependencies, size_t table_bytes)
    : deps_(std::move(dependencies)),
      table_(table_bytes),
      streams_(std::make_unique<std::array<Stream, kStreams>>()),
      tried_(std::make_unique<std::atomic<uint64_t>[]>(kTried)) {
  review_at_.store(ObservedPerReview(), std::memory_order_relaxed);
  for (int i = 0; i < kThreads; i++) threads_.emplace_back([this] { Run(); });
}

size_t SequencePrefetcher::StreamOfThisThread() {
  const auto handle = reinterpret_cast<uintptr_t>(reinterpret_cast<void*>(pthread_self()));
  static_assert(kStreams == 64, "six bits");
  return static_cast<size_t>((handle * 0x9e3779b97f4a7c15) >> 58);
}

bool SequencePrefetcher::Note(std::string_view key, uint64_t hash) {
  const uint64_t observed = observed_.fetch_add(1, std::memory_order_relaxed) + 1;
  const uint64_t resting_until = resting_until_.load(std::memory_order_relaxed);
  if (observed < resting_until) return false;
  if (resting_until != 0) {
    // Of those that come here at once, one ends the rest.
    std::lock_guard lock(review_mutex_);
    if (resting_until_.exchange(0, std::memory_order_relaxed) != 0) {
      reviewed_ = TallyNow();
      review_at_.store(reviewed_.observed + ObservedPerReview(), std::memory_order_relaxed);
    }
  }
  std::atomic<uint64_t>& tried = TriedOf(hash);
  if (tried.load(std::memory_order_relaxed) == NameOf(hash)) {
    tried.store(0, std::memory_order_relaxed);
  }
  if (observed >= review_at_.load(std::memory_order_relaxed)) Review();
  if (key.size() > SequenceKey::kMost) return false;
  Stream& stream = (*streams_)[StreamOfThisThread()];
  std::lock_guard lock(stream.mutex);
  if (stream.size == stream.window.size()) {
    LearnOldest(&stream);
  } else {
    stream.size++;
  }
  stream.window[stream.next] = {.hash = hash, .key = {}};
  stream.window[stream.next].key.Set(key);
  stream.next = (stream.next + 1) % stream.window.size();
  return true;
}

// REQUIRES: the window is full.
void SequencePrefetcher::LearnOldest(Stream* stream) {
  std::array<uint64_t, kWindow> followers;
  for (size_t i = 0; i < kWindow; i++) {
    followers[i] = stream->window[(stream->next + 1 + i) % stream->window.size()].hash;
  }
  const Wanted& oldest = stream->window[stream->next];
  table_.Learn(oldest.key.view(), oldest.hash, followers.data(), followers.size());
}

void SequencePrefetcher::Predict(uint64_t hash) {
  std::array<uint64_t, SequenceTable::kLinks> followers;
  const size_t count = table_.Likely(hash, &followers);
  std::array<Wanted, SequenceTable::kLinks> wanted;
  size_t missing = 0;
  for (size_t i = 0; i < count; i++) {
    if (TriedOf(followers[i]).load(std::memory_order_relaxed) == followers[i]) continue;
    Wanted& next = wanted[missing];
    if (!table_.KeyOf(followers[i], &next.key)) continue;
    next.hash = HashKey(next.key.view());
    if (deps_.cache->Contains(next.key.view(), next.hash)) continue;
    missing++;
  }
  if (missing > 0) HandOver(wanted.data(), missing);
}

void SequencePrefetcher::HandOver(const Wanted* wanted, size_t count) {
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  for (size_t i = 0; i < count; i++) {
    if (waiting_ == kQueue) {
      dropped_.fetch_add(count - i, std::memory_order_relaxed);
      return;
    }
    TriedOf(wanted[i].hash).store(NameOf(wanted[i].hash), std::memory_order_relaxed);
    queue_[(first_ + waiting_++) % kQueue] = wanted[i];
    // Waking costs the reader more than all the rest; one that is awake takes several.
    if (idle_ > 0) {
      idle_--;
      wake_.notify_one();
    }
  }
}

void SequencePrefetcher::Run() {
  NameThisThread("tc-prefetch");
  std::unique_lock lock(mutex_);
  for (;;) {
    while (waiting_ == 0 && !stopping_) {
      idle_++;
      wake_.wait(lock);
    }
    if (stopping_) return;
    const Wanted wanted = queue_[first_];
    first_ = (first_ + 1) % kQueue;
    waiting_--;
    fetching_++;
    lock.unlock();
    Fetch(wanted);
    lock.lock();
    fetching_--;
  }
}

void SequencePrefetcher::ReadingEnded() {
  read_nanos_.store(NowNanos(), std::memory_order_relaxed);
  readers_.fetch_sub(1, std::memory_order_relaxed);
}

bool SequencePrefetcher::AwaitPause(const Wanted& wanted) {
  const uint64_t limit = NowNanos() + kPatienceNanos;
  while (IsWanted(wanted)) {
    const uint64_t now = NowNanos();
    if (readers_.load(std::memory_order_relaxed) == 0 &&
        now >= read_nanos_.load(std::memory_order_relaxed) + kIdleNanos) {
      return true;
    }
    if (now > limit) {
      TriedOf(wanted.hash).store(0, std::memory_order_relaxed);
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    std::unique_lock lock(mutex_);
    const auto pause = std::chrono::nanoseconds(kIdleNanos / 2);
    if (stop_.wait_for(lock, pause, [this] { return stopping_; })) return false;
  }
  called_off_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

void SequencePrefetcher::Fetch(const Wanted& wanted) {
  if (!IsWanted(wanted)) {
    called_off_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  std::unique_lock one_arm(one_arm_, std::defer_lock);
  if (pace_nanos_.load(std::memory_order_relaxed) >= kSeekNanos) {
    one_arm.lock();
    if (!AwaitPause(wanted)) return;
  }
  const uint64_t began = NowNanos();
  bool filled = false;
  try {
    filled = deps_.fetch(wanted.key.view(), wanted.hash);
  } catch (const std::exception&) {
    // Out of memory: whoever wants it will read it.
  }
  if (!filled) {
    not_needed_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const uint64_t took = NowNanos() - began;
  fetch_nanos_.fetch_add(took, std::memory_order_relaxed);
  const uint64_t pace = pace_nanos_.load(std::memory_order_relaxed);
  pace_nanos_.store(pace == 0 ? took : pace - pace / 8 + took / 8, std::memory_order_relaxed);
  if (fetched_.fetch_add(1, std::memory_order_relaxed) % kLook == kLook - 1) Review();
}

PrefetchTally SequencePrefetcher::TallyNow() const {
  const AheadStats ahead = deps_.cache->GetStats().ahead;
  return {.observed = observed_.load(std::memory_order_relaxed),
          .fetched = fetched_.load(std::memory_order_relaxed),
          .used = ahead.used,
          .late = ahead.late + not_needed_.load(std::memory_order_relaxed),
          .unused = ahead.unused,
          .fetch_nanos = fetch_nanos_.load(std::memory_order_relaxed)};
}

void SequencePrefetcher::Review() {
  std::lock_guard lock(review_mutex_);
  if (resting_until_.load(std::memory_order_relaxed) != 0) return;
  const PrefetchTally now = TallyNow();
  PrefetchTally since = now - reviewed_;
  const uint64_t resolved = since.used + since.late + since.unused;
  if (since.observed < ObservedPerReview() && resolved < kReviewResolved) return;
  reviewed_ = now;
  review_at_.store(now.observed + ObservedPerReview(), std::memory_order_relaxed);
  // What is learned pays later: observing counts when it has led to little for long.
  if (since.observed < ObservedPerReview()) since.observed = 0;
  const bool pays = !deps_.rests || PrefetchPays(since);
  if (pays) {
    rest_ = kRest;
    return;
  }
  resting_until_.store(now.observed + rest_ * table_.nodes(), std::memory_order_relaxed);
  rest_ = std::min(2 * rest_, kMostRest);
  times_rested_.fetch_add(1, std::memory_order_relaxed);
}

void SequencePrefetcher::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  stop_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

size_t SequencePrefetcher::waiting() {
  std::lock_guard lock(mutex_);
  return waiting_ + fetching_;
}

SequencePrefetcher::Stats SequencePrefetcher::GetStats() const {
  return {.tally = TallyNow(),
          .called_off = called_off_.load(std::memory_order_relaxed),
          .dropped = dropped_.load(std::memory_order_relaxed),
          .times_rested = times_rested_.load(std::memory_order_relaxed),
          .resting = observed_.load(std::memory_order_relaxed) <
                     resting_until_.load(std::memory_order_relaxed),
          .memory_bytes = table_.memory_bytes()};
}

}  // namespace thermocline
