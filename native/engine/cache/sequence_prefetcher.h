// Predictive prefetch: learns which keys follow which, and reads the likely next ones into the hot
// cache before they are asked for. For reads that follow each other in ways which repeat: links,
// trees, sessions. Off unless asked for.
//
// Steps, for each read, on the reader's thread:
//   1. If the key was prefetched and is still in the hot cache, that was right.
//   2. The key is noted as a successor of the one that the same thread read before it. A key has up
//      to kSuccessors of them; a new one takes the place of the one that is seen least.
//   3. From the key on, the likeliest successors are followed for a few links. What is not in the
//      hot cache is handed to fetch, in the background.
// A successor is likely once it was seen kConfident times and as often as all others together.
//
// It switches itself off when it does not pay: when of a window of prefetched keys fewer than
// kWorthwhile were read, or when a window of reads found next to nothing to prefetch. While off it
// costs a counter; after kRest reads it tries again.
//
// Memory: `keys` entries of a fixed size and the keys of their successors, none longer than
// kMaxKey. What collides takes the place of what was there.
// Thread safety: all methods from any thread; tables are striped by lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace thermocline {

class SequencePrefetcher {
 public:
  static constexpr size_t kMaxKey = 256;
  static constexpr int kSuccessors = 2;
  static constexpr int kConfident = 2;
  static constexpr int kLinks = 3;           // how far ahead
  static constexpr size_t kWaiting = 256;    // keys handed to fetch and not yet read, at most
  static constexpr uint64_t kWindow = 1024;  // prefetched keys
  static constexpr uint64_t kReadsWindow =
      65'536;  // reads, of which at least kWindow / 16 prefetch
  static constexpr double kWorthwhile = 0.3;
  static constexpr uint64_t kRest = 1'000'000;  // reads

  struct Dependencies {
    // Sees to it that Fetched(hash, read) is called some time, from any thread, after the record
    // was read into the hot cache; read = false: it was there, or could not be read.
    std::function<void(std::string key, uint64_t hash)> fetch;
  };

  struct Stats {
    bool active = true;
    uint64_t reads = 0;       // seen
    uint64_t prefetched = 0;  // records read ahead
    uint64_t used = 0;        // of them, those that were read afterwards, from the hot cache
    uint64_t switched_off = 0;
  };

  // `keys`: how many keys' successors are remembered; a power of two.
  explicit SequencePrefetcher(Dependencies dependencies, size_t keys = size_t{1} << 16);
  SequencePrefetcher(const SequencePrefetcher&) = delete;
  SequencePrefetcher& operator=(const SequencePrefetcher&) = delete;

  // A read of the present; `hit`: the hot cache answered it.
  void Read(std::string_view key, uint64_t hash, bool hit);
  void Fetched(uint64_t hash, bool read);

  Stats GetStats() const;

 private:
  struct Successor {
    uint64_t hash = 0;
    uint8_t seen = 0;
    std::string key;
  };
  struct Entry {
    uint64_t hash = 0;
    std::array<Successor, kSuccessors> successors;
  };
  static constexpr size_t kStripes = 64;
  static constexpr size_t kOutstanding = 8192;

  void Learn(uint64_t before, std::string_view key, uint64_t hash);
  // The likely successor of a key; false: there is none.
  bool Next(uint64_t hash, std::string* key, uint64_t* next);
  void Judge();

  const Dependencies deps_;
  std::vector<Entry> entries_;  // GUARDED_BY the stripe of their index
  std::array<std::mutex, kStripes> stripes_;
  // Prefetched and not yet read, by hash; what collides counts as not read.
  std::unique_ptr<std::atomic<uint64_t>[]> outstanding_;
  std::atomic<size_t> waiting_{0};
  std::atomic<uint64_t> reads_{0};
  std::atomic<uint64_t> prefetched_{0};
  std::atomic<uint64_t> used_{0};
  std::atomic<uint64_t> switched_off_{0};
  std::atomic<uint64_t> resting_until_{0};  // in reads_

  std::mutex judge_mutex_;
  uint64_t judged_reads_ = 0;       // GUARDED_BY(judge_mutex_)
  uint64_t judged_prefetched_ = 0;  // GUARDED_BY(judge_mutex_)
  uint64_t judged_used_ = 0;        // GUARDED_BY(judge_mutex_)
};

}  // namespace thermocline
