// What a partition remembers of its idempotent producers: the last sequence number of each, and
// where its last few batches went, so that a batch that is sent again is recognised.
//
// A producer numbers its batches, ascending, per partition. A batch whose number is above all
// before is new. One of the last kRemembered is a repetition and is answered with its first offset.
// An older number that is not remembered is refused: whether it was written cannot be told any
// more.
//
// At most kMaxProducers are kept, the least recently used is forgotten first; the database's own
// outbox never is.
//
// Thread safety: none; the partition's writer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>

namespace thermocline::topic {

// The producer of messages that were committed with records (outbox.h). Programs' ids are smaller.
inline constexpr uint64_t kOutboxProducer = UINT64_MAX;

class ProducerTable {
 public:
  static constexpr size_t kRemembered = 8;
  static constexpr size_t kMaxProducers = 10'000;

  enum class Verdict { kNew, kRepeated, kTooOld };

  // *base_offset is filled for kRepeated. REQUIRES: producer is not 0.
  Verdict Judge(uint64_t producer, uint64_t sequence, uint64_t* base_offset) const;
  // The batch was written.
  void Record(uint64_t producer, uint64_t sequence, uint64_t base_offset);
  // Whether the producer is known, and its last sequence number.
  bool Last(uint64_t producer, uint64_t* sequence) const;

  size_t size() const { return producers_.size(); }
  std::string Encode() const;
  // False: damaged, and the table is then empty.
  bool Decode(std::string_view encoded);

 private:
  struct Batch {
    uint64_t sequence = 0;
    uint64_t base_offset = 0;
  };
  struct Producer {
    std::deque<Batch> recent;  // ascending
    uint64_t used = 0;
  };

  std::map<uint64_t, Producer> producers_;
  uint64_t uses_ = 0;
};

}  // namespace thermocline::topic
