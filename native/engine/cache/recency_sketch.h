// When records were last read or written, roughly: for tiers whose records sink by age.
//
// Time goes in epochs, a fraction of the shortest age that is asked for. An access writes the
// current epoch into two cells that the key's hash chooses; the age of a key is that of the older
// of the two. A key that shares both cells with a younger one looks as young as that: it stays
// until that one is old as well. No key looks older than it is, but for reads that the hot cache
// answers, which are sampled as for heat.
//
// A cell is one byte and the epochs go round, so Advance holds the cells that would be overtaken at
// the greatest age.
//
// Thread safety: Touch and EpochsSince from any thread; Advance, Encode and Decode by one at a
// time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace thermocline {

class RecencySketch {
 public:
  static constexpr int kGreatestAge = 128;  // in epochs

  // `epoch_ms` > 0. `cells`: a power of two, so many bytes. Everything begins as accessed now.
  explicit RecencySketch(uint64_t epoch_ms, uint64_t now_ms, size_t cells = size_t{1} << 21);
  RecencySketch(const RecencySketch&) = delete;
  RecencySketch& operator=(const RecencySketch&) = delete;

  // In the epoch of the last Advance.
  void Touch(uint64_t hash) {
    const uint8_t now = now_.load(std::memory_order_relaxed);
    for (int row = 0; row < kRows; row++) {
      std::atomic<uint8_t>& cell = CellOf(hash, row);
      if (cell.load(std::memory_order_relaxed) != now) cell.store(now, std::memory_order_relaxed);
    }
  }
  // At most kGreatestAge.
  int EpochsSince(uint64_t hash) const;

  void Advance(uint64_t now_ms);
  uint64_t epoch_ms() const { return epoch_ms_; }

  // For keeping across restarts: u8 version, fixed64 epoch length, fixed64 current epoch, then
  // pairs of (varint length of a run, u8 age in epochs).
  std::string Encode() const;
  // False if it is damaged, or of another size or epoch; everything is then as before. What passed
  // since counts as age.
  bool Decode(std::string_view encoded);

 private:
  static constexpr int kRows = 2;

  std::atomic<uint8_t>& CellOf(uint64_t hash, int row) const {
    const uint64_t bits = row == 0 ? hash >> 8 : hash >> 36;
    return cells_[static_cast<size_t>(row) * (count_ / kRows) + (bits & (count_ / kRows - 1))];
  }
  static int AgeOf(uint8_t cell, uint8_t now) { return static_cast<uint8_t>(now - cell); }

  const uint64_t epoch_ms_;
  const size_t count_;
  const std::unique_ptr<std::atomic<uint8_t>[]> cells_;
  uint64_t epoch_ = 0;  // the one thread's own
  std::atomic<uint8_t> now_{0};
};

}  // namespace thermocline
