// When records were last read or written, roughly: for a tier whose records sink by age.
//
// Time goes in epochs of a twelfth of the age that is asked for. Each call of Advance in a new
// epoch begins a tick. An access writes the current tick into two cells that the key's hash
// chooses; the age of a key is that of the older of the two.
//
// Error bounds:
//   - A key is called old only if at least the age has passed since its last access that was told
//     to the sketch; and at the latest once the age and three epochs (a quarter of it) have, if
//     Advance is called in each. If it is not, accesses since the last call count as if made at its
//     end.
//   - A key looks younger if both its cells are shared with younger ones. With n keys accessed of
//     late and c cells that is (1 - e^(-2n/c))^2 of the old ones: 1% at c = 19n, 20% at c = 3.4n.
//     They sink when those have grown old too.
//   - What is not told does not count: hits of the hot cache are told by chance (heat_sketch.h);
//     accesses are not known that were made in openings without the option, or after the sketch was
//     last kept before a crash.
//   - Writes of keys count whatever they leave, so deleted keys do, and the keys of other tiers;
//     reads of keys that are not there do not.
//
// A cell is one byte and the ticks go round, so Advance looks through a part of the cells and holds
// back those that would be overtaken before it comes to them again.
//
// Thread safety: Touch from any thread; the others by one at a time.
// Alternative rejected: the times that RocksDB keeps of written records; it knows none of reads.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace thermocline {

class RecencySketch {
 public:
  static constexpr uint64_t kEpochsPerAge = 12;
  static constexpr int kOldest = 15;  // in epochs; what is older counts as this

  // `age_ms` > 0. `cells`: a power of two, at least 64; so many bytes. Everything begins as
  // accessed now.
  RecencySketch(uint64_t age_ms, uint64_t now_ms, size_t cells = kMinCells);
  RecencySketch(const RecencySketch&) = delete;
  RecencySketch& operator=(const RecencySketch&) = delete;

  // How many for a tier of so many records: four to each, 2 MiB to 16 MiB.
  static constexpr size_t kMinCells = size_t{1} << 21;
  static constexpr size_t kMaxCells = size_t{1} << 24;
  static size_t CellsFor(uint64_t records);

  // In the tick of the last Advance.
  void Touch(uint64_t hash) {
    const uint8_t now = now_.load(std::memory_order_relaxed);
    for (int row = 0; row < kRows; row++) {
      std::atomic<uint8_t>& cell = cells_[CellOf(hash, row)];
      if (cell.load(std::memory_order_relaxed) != now) cell.store(now, std::memory_order_relaxed);
    }
  }
  // One epoch may not have begun when the access came, and another not have been noticed.
  bool IsOld(uint64_t hash) const { return EpochsSince(hash) > epochs_ + 1; }
  // At most kOldest.
  int EpochsSince(uint64_t hash) const;

  void Advance(uint64_t now_ms);
  uint64_t age_ms() const { return age_ms_; }
  uint64_t epoch_ms() const { return epoch_ms_; }
  size_t memory_bytes() const { return count_; }

  // For keeping across restarts, in pages of at most 2^20 cells: u8 version (1), u8 log2 of all
  // cells, fixed64 length of an epoch in milliseconds, fixed64 the epoch of keeping, then the ages
  // of the page's cells in epochs, two to a byte, the lower half first.
  size_t pages() const;
  std::string EncodePage(size_t page) const;
  // Takes over what was kept, of whatever number of cells and length of epochs; what has passed
  // since counts as age. Pages that are missing or damaged count as accessed now; nothing is older
  // afterwards than it was when it was kept, and time since.
  void Restore(const std::vector<std::string>& pages);

  static constexpr size_t kPageCells = size_t{1} << 20;
  static constexpr size_t kMaxPages = kMaxCells / kPageCells;

 private:
  static constexpr int kRows = 2;
  static constexpr size_t kTicks = 256;

  size_t CellOf(uint64_t hash, int row) const {
    const uint64_t bits = row == 0 ? hash >> 8 : hash >> 36;
    return static_cast<size_t>(row) * (count_ / kRows) + (bits & (count_ / kRows - 1));
  }
  void BeginTicks();
  // What was accessed in a tick that has ended was accessed when it ended, at the latest.
  int AgeOf(uint8_t cell) const {
    const uint8_t now = now_.load(std::memory_order_relaxed);
    if (cell == now) return 0;
    const uint64_t age = epoch_ + 1 - began_[static_cast<uint8_t>(cell + 1)];
    return static_cast<int>(std::min<uint64_t>(age, kOldest));
  }

  const uint64_t age_ms_;
  const uint64_t epoch_ms_;
  const int epochs_;  // that make up the age, rounded up
  const size_t count_;
  const std::unique_ptr<std::atomic<uint8_t>[]> cells_;
  std::atomic<uint8_t> now_{0};  // the tick
  // The one thread's own.
  uint64_t epoch_ = 0;
  std::array<uint64_t, kTicks> began_;  // by tick: in which epoch
  size_t looked_through_ = 0;           // cells, of this round
};

}  // namespace thermocline
