// Predictive prefetch: learns which keys are read after which, and reads the likely next ones into
// the hot cache before they are asked for. For reads that follow each other in ways that repeat:
// links, trees, sessions. There is one only where `prefetch: 'sequence'` asks for it.
//
// What is observed: reads of the present that the hot cache could not answer, and the first hit of
// each record that was read ahead, which would have been such a read. Other hits need no help, so
// they cost nothing here, and leaving them out makes the rest a longer memory.
//
// A stream is what one calling thread reads: one JavaScript thread, in the order of its calls,
// getMany in the order of its keys. (Two threads may come to share one of the kStreams places.)
// Requests that a thread serves at once interleave in it; the window sees across as many of them as
// it has room for. Rejected: one stream for all threads (interleaves without need), and one per
// asynchronous context (following those costs more than the reads).
//
// Steps of an observed read, on the reader's thread:
//   1. If the key waits to be fetched, that is called off.
//   2. It enters its stream's window; the one that has seen kWindow others follow leaves it, and
//      the table learns what followed (sequence_table.h).
//   3. What likely follows the key, is not in the cache, and was not tried just now is handed to
//      the tc-prefetch threads. For a batch the last key alone does so: the others of the batch are
//      already being read.
// Nobody waits: when kQueue keys are waiting, more are dropped.
//
// Slow disks. A disk whose fetches take a millisecond has one arm, and what is fetched there makes
// readers wait behind it. Then one thread fetches at a time, and begins when nobody reads a store
// and nobody did for kIdleNanos. Who reads without a pause is thus left alone. Readers say so by a
// Reading.
//
// It pays if half of what it read ahead was asked for in time, and if that saved more than it cost:
// a fetch is timed, since it is what a reader would have waited for. (So it rests where all reads
// come out of memory.) A review comes once kReviewResolved predictions have come to something, or
// much was observed without that; then what observing costs counts too. When it finds otherwise, it
// rests for kRest times as many reads as the table has nodes, twice as long after each failure in a
// row, and tries again. At rest an observed read costs an atomic counter.
//
// Values: fetch goes through the cache's fill protocol (hot_cache.h), as any reader's fill; entries
// wait in a queue of their own there and push nothing out but each other.
//
// Memory: that of the table, and a fixed 90 KiB.
// Thread safety: Observe, Note, Predict, GetStats and waiting from any thread; Stop by one.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/cache/hot_cache.h"
#include "engine/cache/sequence_table.h"

namespace thermocline {

// What a stretch of prefetching came to.
struct PrefetchTally {
  uint64_t observed = 0;
  uint64_t fetched = 0;  // into the cache
  uint64_t used = 0;
  uint64_t late = 0;    // the reader was as fast
  uint64_t unused = 0;  // left the cache unread
  uint64_t fetch_nanos = 0;

  PrefetchTally operator-(const PrefetchTally& past) const;
};

// The rule above.
bool PrefetchPays(const PrefetchTally& tally);

class SequencePrefetcher {
 public:
  static constexpr size_t kWindow = 8;
  static constexpr size_t kStreams = 64;
  static constexpr size_t kQueue = 256;
  static constexpr int kThreads = 4;
  static constexpr uint64_t kReviewResolved = 512;  // used, late or unused
  static constexpr uint64_t kReviewTurns = 2;       // or observed: so many times the nodes
  static constexpr uint64_t kRest = 8;
  static constexpr uint64_t kMostRest = 128;
  static constexpr uint64_t kSeekNanos = 1'000'000;
  static constexpr uint64_t kIdleNanos = 1'000'000;
  static constexpr uint64_t kPatienceNanos = 1'000'000'000;

  struct Dependencies {
    HotCache* cache = nullptr;
    // Reads a record into the hot cache, as one that nobody has asked for. True: it is there now;
    // false: there was no need or no way. On this class's threads.
    std::function<bool(std::string_view key, uint64_t hash)> fetch;
    bool rests = true;  // false: never, whether it pays or not
  };

  struct Stats {
    PrefetchTally tally;
    uint64_t called_off = 0;  // asked for while they waited to be fetched
    uint64_t dropped = 0;     // too many were waiting, or readers left the disk no pause
    uint64_t times_rested = 0;
    bool resting = false;
    uint64_t memory_bytes = 0;
  };

  SequencePrefetcher(Dependencies dependencies, size_t table_bytes);
  ~SequencePrefetcher() { Stop(); }
  SequencePrefetcher(const SequencePrefetcher&) = delete;
  SequencePrefetcher& operator=(const SequencePrefetcher&) = delete;

  // Held by whoever reads a store for a caller. Of a null prefetcher: nothing.
  class Reading {
   public:
    explicit Reading(SequencePrefetcher* prefetcher) : prefetcher_(prefetcher) {
      if (prefetcher_ != nullptr) prefetcher_->readers_.fetch_add(1, std::memory_order_relaxed);
    }
    ~Reading() {
      if (prefetcher_ != nullptr) prefetcher_->ReadingEnded();
    }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    SequencePrefetcher* const prefetcher_;
  };

  void Observe(std::string_view key, uint64_t hash) {
    if (Note(key, hash)) Predict(hash);
  }
  // The two halves of Observe. False: nothing can be predicted from it.
  bool Note(std::string_view key, uint64_t hash);
  void Predict(uint64_t hash);

  // The place of the calling thread's stream.
  static size_t StreamOfThisThread();

  // Ends what is being fetched, then joins the threads. Idempotent.
  void Stop();
  Stats GetStats() const;
  // Keys that wait to be fetched, or are being fetched.
  size_t waiting();

 private:
  struct Wanted {
    uint64_t hash;
    SequenceKey key;
  };
  struct alignas(64) Stream {
    std::mutex mutex;
    // GUARDED_BY(mutex): a ring, oldest at `next` once it is full.
    std::array<Wanted, kWindow + 1> window;
    size_t size = 0;
    size_t next = 0;
  };
  static constexpr size_t kTried = 4096;

  // Names (hashes but for the count's bits) that were handed over and not asked for since; what
  // collides takes the place.
  std::atomic<uint64_t>& TriedOf(uint64_t hash) const { return tried_[(hash >> 8) % kTried]; }
  static uint64_t NameOf(uint64_t hash) { return hash & ~uint64_t{0xff}; }

  void LearnOldest(Stream* stream);
  void HandOver(const Wanted* wanted, size_t count);
  void ReadingEnded();
  bool IsWanted(const Wanted& wanted) const {
    return TriedOf(wanted.hash).load(std::memory_order_relaxed) == NameOf(wanted.hash);
  }
  // False: it is not wanted any more.
  bool AwaitPause(const Wanted& wanted);
  void Run();
  void Fetch(const Wanted& wanted);
  PrefetchTally TallyNow() const;
  // If it is time for one.
  void Review();
  uint64_t ObservedPerReview() const { return kReviewTurns * table_.nodes(); }

  const Dependencies deps_;
  SequenceTable table_;
  std::unique_ptr<std::array<Stream, kStreams>> streams_;
  std::unique_ptr<std::atomic<uint64_t>[]> tried_;

  alignas(64) std::atomic<uint64_t> observed_{0};
  std::atomic<uint64_t> resting_until_{0};  // in observed_; 0: at work
  std::atomic<uint64_t> review_at_{0};      // in observed_
  std::atomic<uint64_t> fetched_{0};
  std::atomic<uint64_t> not_needed_{0};
  std::atomic<uint64_t> fetch_nanos_{0};
  std::atomic<uint64_t> pace_nanos_{0};  // of the last few fetches
  std::atomic<int> readers_{0};
  std::atomic<uint64_t> read_nanos_{0};  // when the last one ended
  std::atomic<uint64_t> called_off_{0};
  std::atomic<uint64_t> dropped_{0};
  std::atomic<uint64_t> times_rested_{0};

  std::mutex review_mutex_;
  PrefetchTally reviewed_;  // GUARDED_BY(review_mutex_): up to the last review
  uint64_t rest_ = kRest;   // GUARDED_BY(review_mutex_): the next one, in tables' nodes

  std::mutex one_arm_;  // held while a slow disk is read; before mutex_

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable stop_;
  std::array<Wanted, kQueue> queue_;  // GUARDED_BY(mutex_): a ring
  size_t first_ = 0;                  // GUARDED_BY(mutex_)
  size_t waiting_ = 0;                // GUARDED_BY(mutex_)
  size_t fetching_ = 0;               // GUARDED_BY(mutex_)
  int idle_ = 0;                      // GUARDED_BY(mutex_)
  bool stopping_ = false;             // GUARDED_BY(mutex_)
  std::vector<std::thread> threads_;  // last: they run over all the members above
};

}  // namespace thermocline
