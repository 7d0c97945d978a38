// How much a migration step does between two groups of writes, and how long it leaves the committer
// alone afterwards.
//
// What a step writes to hot it writes on the committer's thread. A write that arrives meanwhile
// waits for one slice at most, so its tail is a slice's time; and since a step at full rate asks
// for the next slice at once, it rests between two of them for a multiple of what the last one
// took. Not while writes are held until there is room: they wait for the step.
// docs/decisions/0027-a-step-writes-in-small-slices.md has the figures.
//
// Thread safety: pure functions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/options.h"

namespace thermocline {

inline constexpr size_t kSliceKeys = 64;
inline constexpr size_t kSliceBytes = 32 * kKiB;
inline constexpr uint64_t kRestPerSlice = 2;
// A slice that took long waited for a disk or a processor, and then rest helps nobody.
inline constexpr uint64_t kMaxRestNanos = 1'000'000;

// Where the slice that begins at `begin` ends, of records with these sizes in bytes. It has one at
// least, however large.
template <typename SizeOf>
size_t SliceEnd(size_t begin, size_t count, const SizeOf& size_of) {
  size_t end = begin;
  for (size_t bytes = 0; end < count && end - begin < kSliceKeys && bytes < kSliceBytes; end++) {
    bytes += size_of(end);
  }
  return end;
}

inline uint64_t RestAfterSlice(uint64_t slice_nanos, bool writes_held) {
  if (writes_held) return 0;
  return std::min(kMaxRestNanos, kRestPerSlice * std::min(kMaxRestNanos, slice_nanos));
}

}  // namespace thermocline
