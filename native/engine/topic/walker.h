// A walk over the batches of one segment: the decoder that recovery, index building, checking and
// repair share.
//
// It reads nothing but the bytes it is given, and judges each batch by its header's checksum, its
// body's checksum (unless told otherwise) and its place in the order of offsets.
//
// Thread safety: none; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/topic/batch_format.h"

namespace thermocline::topic {

class BatchWalker {
 public:
  enum class Step {
    kBatch,    // header() and body() are good
    kEnd,      // the bytes end with a batch
    kTorn,     // the bytes end within what a crash may have cut: the start of a batch
    kDamaged,  // what stands at position() is not the next batch
    kNewer,    // a batch of a newer format
  };

  // `segment`: the file's bytes. `expected`: the offset of its first record.
  BatchWalker(std::string_view segment, uint32_t seed, uint64_t expected, bool verify_bodies = true)
      : segment_(segment), seed_(seed), expected_(expected), verify_bodies_(verify_bodies) {}

  // Where to go on instead of the segment's start: a batch that begins at `position` with offset
  // `expected`.
  void StartAt(size_t position, uint64_t expected) {
    position_ = position;
    next_position_ = position;
    expected_ = expected;
  }

  Step Next();
  // After kDamaged or kTorn: goes on at the next good batch behind, or the end. Next() then gives
  // it. False: there is none, and nothing after position() can be told apart.
  bool Resync();

  // Of the batch, or of the damage.
  size_t position() const { return position_; }
  const BatchHeader& header() const { return header_; }
  std::string_view body() const {
    return segment_.substr(position_ + kBatchHeaderBytes, header_.body_bytes);
  }
  // The offset of the next record, as far as the walk has come.
  uint64_t expected() const { return expected_; }

 private:
  bool BodyIsGood() const;

  const std::string_view segment_;
  const uint32_t seed_;
  uint64_t expected_;
  const bool verify_bodies_;
  size_t position_ = 0;
  size_t next_position_ = 0;
  BatchHeader header_;
};

// Whether the header's batch decodes to what it says: its body's checksum, its compression and
// every record. Needs memory for the body before compression.
bool BatchIsSound(const BatchHeader& header, std::string_view body);

}  // namespace thermocline::topic
