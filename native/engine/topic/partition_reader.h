// A reader's place in one partition.
//
// Reads hand out whole batches as one block of memory. Uncompressed batches of a sealed segment are
// a private mapping of the file, not a copy; each read has a mapping of its own, so what one caller
// writes into his is seen by nobody else. Batches of the active segment are copied, compressed ones
// decompressed. Every checksum is verified and every record is well-formed before anything is
// handed out.
//
// The reader holds the segment it is in: one that retention deletes meanwhile is read to its end. A
// place whose messages are gone is moved to the first that is left.
//
// Thread safety: none; one thread at a time. Results are independent of the reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/platform/file.h"
#include "engine/status.h"
#include "engine/topic/partition.h"

namespace thermocline::topic {

// Whole batches, or the rest of one, decompressed.
struct BatchView {
  uint64_t base_offset = 0;  // of the first record here
  uint32_t count = 0;
  uint64_t first_timestamp = 0;
  size_t begin = 0;  // of the records in the block
  size_t size = 0;
};

// What was passed over because the caller asked for it.
struct LostRange {
  std::string segment;
  uint64_t position = 0;
  uint64_t from_offset = 0;
  uint64_t to_offset = 0;  // of the next good record
};

struct ReadResult {
  std::shared_ptr<MemoryBlock> block;  // null if there are no batches
  std::vector<BatchView> batches;
  std::vector<LostRange> lost;
  uint64_t next_offset = 0;  // where the reader stands now
  uint64_t end_offset = 0;   // of the partition, as of this read
};

class PartitionReader {
 public:
  explicit PartitionReader(std::shared_ptr<Partition> partition)
      : partition_(std::move(partition)) {}

  // The next read begins with the record at `offset`.
  void Seek(uint64_t offset);
  // The next read begins with the first record that is not older than `timestamp`; behind the last
  // one if all are.
  Status SeekTime(uint64_t timestamp);

  struct Limits {
    // Of records. One batch is always read whole.
    size_t max_bytes = size_t{1} << 20;
    // Goes on after damage, and says what was lost, instead of failing.
    bool past_damage = false;
  };
  // ERR_CORRUPTION, ERR_FORMAT_VERSION: at the reader's place; it stays there. ERR_IO.
  // Without batches: nothing is there yet.
  Status Read(const Limits& limits, ReadResult* out);

  uint64_t next_offset() const { return next_; }
  const std::shared_ptr<Partition>& partition() const { return partition_; }

 private:
  struct Found {
    BatchHeader header;
    size_t at = 0;  // in the window
  };

  bool Enter();
  void Leave();
  Status Collect(const Limits& limits, ReadResult* out, bool* moved);
  Status LoadWindow(size_t wanted, size_t ahead, std::shared_ptr<MemoryBlock>* window);
  Status Deliver(const std::shared_ptr<MemoryBlock>& window, const std::vector<Found>& found,
                 ReadResult* out, size_t* delivered);
  Status SeekWithinBatch(uint64_t timestamp);
  Status PassDamage(ReadResult* out);
  Status PassHole(const Limits& limits, ReadResult* out);

  const std::shared_ptr<Partition> partition_;
  uint64_t next_ = 0;

  // The segment the reader is in; null: it has to look it up.
  Partition::Extent extent_;
  std::shared_ptr<File> file_;
  uint64_t position_ = 0;  // of the batch with the offset expected_
  uint64_t expected_ = 0;
};

// Sends whole batches as they are stored, at least one if there is one and as many as fit into
// `max_bytes`, to a stream socket, without copying them through the process (SendFile). The first
// is the one that has `offset`. *next_offset: of the record behind what was sent.
Status SendBatches(const Partition& partition, uint64_t offset, size_t max_bytes, int socket,
                   int timeout_ms, size_t* sent, uint64_t* next_offset);

}  // namespace thermocline::topic
