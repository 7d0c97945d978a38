#include "engine/topic/body_pool.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

namespace thermocline::topic {

namespace {

size_t ClassOf(size_t bytes) {
  return static_cast<size_t>(std::countr_zero(bytes) - std::countr_zero(BodyPool::kSmallest));
}

}  // namespace

void BodyPool::Return::operator()(char* body) const {
  if (pool_) {
    pool_->Give(body, bytes_);
  } else {
    delete[] body;
  }
}

BodyPool::Body BodyPool::Take(size_t size) {
  if (size < kSmallest || size > kLargest) return std::make_unique_for_overwrite<char[]>(size);
  const size_t bytes = std::bit_ceil(size);
  {
    std::lock_guard lock(mutex_);
    Class& of_size = classes_[ClassOf(bytes)];
    if (!of_size.resting.empty()) {
      Body body(of_size.resting.back().release(), {shared_from_this(), bytes});
      of_size.resting.pop_back();
      of_size.unused = std::min(of_size.unused, of_size.resting.size());
      resting_bytes_ -= bytes;
      return body;
    }
    // So that giving back never needs memory.
    of_size.resting.reserve(kMaxResting / bytes);
  }
  return {std::make_unique_for_overwrite<char[]>(bytes).release(), {shared_from_this(), bytes}};
}

void BodyPool::Give(char* body, size_t bytes) {
  std::unique_ptr<char[]> owned(body);
  std::lock_guard lock(mutex_);
  if (resting_bytes_ + bytes > kMaxResting) return;
  classes_[ClassOf(bytes)].resting.push_back(std::move(owned));
  resting_bytes_ += bytes;
}

void BodyPool::Tidy() {
  std::vector<std::unique_ptr<char[]>> unused;
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < kClasses; i++) {
    std::vector<std::unique_ptr<char[]>>& resting = classes_[i].resting;
    // Those at the front have rested longest.
    const auto end = resting.begin() + static_cast<std::ptrdiff_t>(classes_[i].unused);
    std::move(resting.begin(), end, std::back_inserter(unused));
    resting.erase(resting.begin(), end);
    resting_bytes_ -= classes_[i].unused * (kSmallest << i);
    classes_[i].unused = resting.size();
  }
}

size_t BodyPool::resting_bytes() const {
  std::lock_guard lock(mutex_);
  return resting_bytes_;
}

}  // namespace thermocline::topic
