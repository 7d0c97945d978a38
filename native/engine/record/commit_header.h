// The header in front of every commit in a WriteBatch, stored with PutLogData: it reaches the WAL
// and its readers (recovery, the change feed) but no memtable.
//
//   u8        format version (1)
//   u8        origin: 0 user, 1 internal (migration, promotion, expiry...)
//   u8        kind: 0 one atomic commit, 1 a run of single-operation commits
//   varint64  id of the (first) commit; a run's commits have consecutive ids
//   varint32  number of operations until the next header or the end of the batch
//
// A run is how the committer keeps the boundaries of many lone puts without a header for each.
//
// Thread safety: value types, pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace thermocline {

enum class CommitOrigin : uint8_t { kUser = 0, kInternal = 1 };
enum class CommitKind : uint8_t { kAtomic = 0, kRun = 1 };

struct CommitHeader {
  CommitOrigin origin = CommitOrigin::kUser;
  CommitKind kind = CommitKind::kAtomic;
  uint64_t first_commit_id = 0;
  uint32_t operation_count = 0;

  friend bool operator==(const CommitHeader&, const CommitHeader&) = default;
};

inline constexpr uint8_t kCommitHeaderVersion = 1;
inline constexpr size_t kMaxCommitHeader = 3 + 10 + 5;

struct EncodedCommitHeader {
  char bytes[kMaxCommitHeader];
  uint8_t size;

  std::string_view view() const { return {bytes, size}; }
};

EncodedCommitHeader EncodeCommitHeader(const CommitHeader& header);

// False means corruption or a newer format: unknown version, origin or kind, a truncated or
// overlong number, bytes left over, or a run whose ids would overflow. *out is then unspecified.
bool DecodeCommitHeader(std::string_view encoded, CommitHeader* out);

}  // namespace thermocline
