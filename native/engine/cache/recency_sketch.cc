#include "engine/cache/recency_sketch.h"

#include <algorithm>
#include <bit>

#include "engine/record/coding.h"

namespace thermocline {

namespace {

constexpr char kVersion = 1;
constexpr size_t kHeader = 2 + 8 + 8;
// All cells are looked through in so many ticks, and none is further back than kFar and those.
constexpr size_t kParts = 64;
constexpr uint8_t kFar = 128;

uint64_t DividedUp(uint64_t a, uint64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

}  // namespace

RecencySketch::RecencySketch(uint64_t age_ms, uint64_t now_ms, size_t cells)
    : age_ms_(age_ms),
      epoch_ms_(DividedUp(age_ms, kEpochsPerAge)),
      epochs_(static_cast<int>(DividedUp(age_ms, epoch_ms_))),
      count_(cells),
      cells_(std::make_unique<std::atomic<uint8_t>[]>(cells)),
      epoch_(now_ms / epoch_ms_) {
  BeginTicks();
  for (size_t i = 0; i < count_; i++) cells_[i].store(0, std::memory_order_relaxed);
}

// As if there had always been one in each epoch.
void RecencySketch::BeginTicks() {
  for (size_t i = 0; i < kTicks; i++) began_[static_cast<uint8_t>(-i)] = epoch_ - i;
  now_.store(0, std::memory_order_relaxed);
}

size_t RecencySketch::CellsFor(uint64_t records) {
  return std::clamp(std::bit_ceil(4 * std::min<uint64_t>(records, kMaxCells)), kMinCells,
                    kMaxCells);
}

int RecencySketch::EpochsSince(uint64_t hash) const {
  int oldest = 0;
  for (int row = 0; row < kRows; row++) {
    oldest = std::max(oldest, AgeOf(cells_[CellOf(hash, row)].load(std::memory_order_relaxed)));
  }
  return oldest;
}

void RecencySketch::Advance(uint64_t now_ms) {
  const uint64_t epoch = now_ms / epoch_ms_;
  if (epoch <= epoch_) return;
  epoch_ = epoch;
  const uint8_t now = static_cast<uint8_t>(now_.load(std::memory_order_relaxed) + 1);
  began_[now] = epoch;
  now_.store(now, std::memory_order_relaxed);
  const size_t part = count_ / kParts;
  for (size_t i = looked_through_; i < looked_through_ + part; i++) {
    uint8_t cell = cells_[i].load(std::memory_order_relaxed);
    if (static_cast<uint8_t>(now - cell) <= kFar) continue;
    // An access meanwhile wins.
    cells_[i].compare_exchange_strong(cell, static_cast<uint8_t>(now - kFar),
                                      std::memory_order_relaxed);
  }
  looked_through_ = (looked_through_ + part) % count_;
}

size_t RecencySketch::pages() const { return std::max<size_t>(1, count_ / kPageCells); }

std::string RecencySketch::EncodePage(size_t page) const {
  std::string encoded = {kVersion, static_cast<char>(std::bit_width(count_) - 1)};
  PutFixed64(&encoded, epoch_ms_);
  PutFixed64(&encoded, epoch_);
  const auto age_at = [&](size_t i) { return AgeOf(cells_[i].load(std::memory_order_relaxed)); };
  const size_t cells = count_ / pages();
  encoded.reserve(kHeader + cells / 2);
  for (size_t i = page * cells; i < (page + 1) * cells; i += 2) {
    encoded.push_back(static_cast<char>(age_at(i) | age_at(i + 1) << 4));
  }
  return encoded;
}

void RecencySketch::Restore(const std::vector<std::string>& pages) {
  if (pages.empty() || pages[0].size() < kHeader) return;
  const int log2 = pages[0][1];
  if (log2 < 6 || log2 > 40) return;
  const size_t kept_cells = size_t{1} << log2;
  const size_t page_cells = std::min(kept_cells, kPageCells);
  if (kept_cells / page_cells > pages.size()) return;
  std::vector<uint8_t> ages(count_, kOldest);
  const size_t kept_row = kept_cells / kRows;
  const size_t row_cells = count_ / kRows;
  for (size_t page = 0; page < kept_cells / page_cells; page++) {
    const std::string& kept = pages[page];
    const bool sound = kept.size() == kHeader + page_cells / 2 && kept[0] == kVersion &&
                       kept[1] == log2 && DecodeFixed64(kept.data() + 2) > 0;
    // A key of a kept cell may have any of those here whose lower bits are the same, or, if there
    // are fewer here, shares its own with others: the youngest of them counts.
    const auto put = [&](size_t from, uint8_t age) {
      const size_t first = from / kept_row * row_cells;
      for (size_t at = from % kept_row % row_cells; at < row_cells; at += kept_row) {
        ages[first + at] = std::min(ages[first + at], age);
      }
    };
    for (size_t i = 0; i < page_cells; i++) {
      uint8_t age = 0;
      if (sound) {
        const uint8_t both = static_cast<uint8_t>(kept[kHeader + i / 2]);
        const uint64_t kept_age = i % 2 == 0 ? both & 15 : both >> 4;
        const uint64_t length = DecodeFixed64(kept.data() + 2);
        const uint64_t kept_epoch = DecodeFixed64(kept.data() + 10);
        // The end of the epoch it counts for; where epochs are others, also of the next one, in
        // which it may have been without being noticed.
        const uint64_t slack = length == epoch_ms_ ? 1 : 2;
        const uint64_t accessed =
            (kept_epoch - std::min(kept_epoch, kept_age) + slack) * length - 1;
        const uint64_t epoch = accessed / epoch_ms_;
        age = static_cast<uint8_t>(std::min<uint64_t>(epoch_ - std::min(epoch_, epoch), kOldest));
      }
      put(page * page_cells + i, age);
    }
  }
  BeginTicks();
  for (size_t i = 0; i < count_; i++) {
    cells_[i].store(static_cast<uint8_t>(-ages[i]), std::memory_order_relaxed);
  }
}

}  // namespace thermocline
