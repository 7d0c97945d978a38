// Memory for the bodies of appends, used again.
//
// Bodies live for less than a millisecond, are large, and are given back by another thread than the
// one that took them. An allocator answers that by giving the memory back to the system and asking
// for it again: a page fault, and a page to clear, for every 4 KiB that is appended, and pages that
// no processor has in its cache.
//
// Invariants: what rests here are powers of two from kSmallest to kLargest, and kMaxResting bytes
// at most. Other sizes are allocated and freed as everywhere else.
//
// Thread safety: any thread.
// Ownership: a body holds its pool, and may outlive everyone else who does.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace thermocline::topic {

class BodyPool : public std::enable_shared_from_this<BodyPool> {
 public:
  static constexpr size_t kSmallest = size_t{16} << 10;
  static constexpr size_t kLargest = size_t{4} << 20;
  static constexpr size_t kMaxResting = size_t{8} << 20;

  // Gives the memory back to where it came from.
  class Return {
   public:
    Return() = default;
    // Of memory that is from no pool.
    Return(std::default_delete<char[]>) {}  // NOLINT(google-explicit-constructor)
    Return(std::shared_ptr<BodyPool> pool, size_t bytes) : pool_(std::move(pool)), bytes_(bytes) {}
    void operator()(char* body) const;

   private:
    std::shared_ptr<BodyPool> pool_;
    size_t bytes_ = 0;
  };
  using Body = std::unique_ptr<char[], Return>;

  // At least `size` bytes, not initialised.
  Body Take(size_t size);
  // Frees what has not been used since the last call.
  void Tidy();
  size_t resting_bytes() const;

 private:
  static constexpr size_t kClasses = 9;
  static_assert(kSmallest << (kClasses - 1) == kLargest);

  struct Class {
    std::vector<std::unique_ptr<char[]>> resting;  // the last one that was used at the end
    size_t unused = 0;                             // the fewest that rested since the last Tidy
  };

  void Give(char* body, size_t bytes);

  mutable std::mutex mutex_;
  std::array<Class, kClasses> classes_;  // GUARDED_BY(mutex_)
  size_t resting_bytes_ = 0;             // GUARDED_BY(mutex_)
};

}  // namespace thermocline::topic
