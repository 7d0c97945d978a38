// Where results are gathered: blocks of memory that the binding copies into Buffers.
//
// A value up to kStandaloneBytes goes into a shared arena of at most kArenaBytes, so that a view
// that is kept for long pins little; a larger one gets a block of its own.
// Thread safety: ResultArenas may be shared by several writers; an ArenaWriter belongs to one
// thread. Ownership: each Arena owns its block.
#pragma once

#include <cstdint>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/platform/block_pool.h"

namespace thermocline {

inline constexpr size_t kArenaBytes = 64 * 1024;
inline constexpr size_t kStandaloneBytes = 16 * 1024;

class Arena {
 public:
  Arena() = default;
  explicit Arena(size_t capacity) : data_(TakeBlock(capacity)), capacity_(capacity) {}
  Arena(Arena&& other) noexcept
      : data_(std::move(other.data_)), size_(other.size_), capacity_(other.capacity_) {}
  Arena& operator=(Arena&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }

  char* data() { return data_.get(); }
  const char* data() const { return data_.get(); }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  void set_size(size_t size) { size_ = size; }

  // Moves a few bytes out of a large block, which goes back to the pool: results may wait long for
  // their reader.
  void Shrink() {
    if (size_ * 2 >= capacity_ || size_ > kUnpooledBytes) return;
    char* const block = block_pool::TakeOrNull(size_);
    if (block == nullptr) return;
    Block smaller(block, BlockDeleter{size_});
    if (size_ > 0) std::memcpy(smaller.get(), data_.get(), size_);
    data_ = std::move(smaller);
    capacity_ = size_;
  }

 private:
  Block data_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

// Where one result lies. JavaScript reads these as pairs of uint32.
struct ResultRef {
  static constexpr uint32_t kAbsent = 0xffffffffu;  // as a length
  static constexpr uint32_t kFailed = 0xfffffffeu;  // as a length: the read's status says why
  uint32_t location = 0;                            // arena index << 16 | offset
  uint32_t length = kAbsent;
};

class ResultArenas {
 public:
  static constexpr size_t kMaxArenas = 1 << 16;

  // An index for an arena that is Put when it is finished. Throws std::length_error if a location
  // cannot name another one.
  uint32_t Reserve() {
    std::lock_guard lock(mutex_);
    if (arenas_.size() == kMaxArenas) {
      throw std::length_error("more results than one read can carry: ask for fewer keys at once");
    }
    arenas_.emplace_back();
    return static_cast<uint32_t>(arenas_.size() - 1);
  }
  void Put(uint32_t index, Arena arena) {
    std::lock_guard lock(mutex_);
    arenas_[index] = std::move(arena);
  }
  // REQUIRES: no writer is active.
  std::vector<Arena>& arenas() { return arenas_; }

 private:
  std::mutex mutex_;
  std::vector<Arena> arenas_;  // GUARDED_BY(mutex_) while writers are active
};

class ArenaWriter {
 public:
  explicit ArenaWriter(ResultArenas* out) : out_(out) {}
  ~ArenaWriter() { Finish(); }
  ArenaWriter(const ArenaWriter&) = delete;
  ArenaWriter& operator=(const ArenaWriter&) = delete;

  ResultRef Append(std::string_view value) {
    const uint32_t length = static_cast<uint32_t>(value.size());
    if (value.size() > kStandaloneBytes) {
      Arena own(value.size());
      std::memcpy(own.data(), value.data(), value.size());
      own.set_size(value.size());
      const uint32_t index = out_->Reserve();
      out_->Put(index, std::move(own));
      return {index << 16, length};
    }
    if (value.size() > current_.capacity() - used_ || used_ == kArenaBytes || !open_) Open();
    const ResultRef ref{index_ << 16 | static_cast<uint32_t>(used_), length};
    std::memcpy(current_.data() + used_, value.data(), value.size());
    used_ += value.size();
    return ref;
  }

  void Finish() {
    if (!open_) return;
    current_.set_size(used_);
    current_.Shrink();
    out_->Put(index_, std::move(current_));
    current_ = Arena();
    open_ = false;
  }

 private:
  void Open() {
    Finish();
    current_ = Arena(kArenaBytes);
    index_ = out_->Reserve();
    used_ = 0;
    open_ = true;
  }

  ResultArenas* out_;
  Arena current_;
  size_t used_ = 0;
  uint32_t index_ = 0;
  bool open_ = false;
};

}  // namespace thermocline
