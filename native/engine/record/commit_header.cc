#include "engine/record/commit_header.h"

#include <limits>

#include "engine/record/coding.h"

namespace thermocline {

EncodedCommitHeader EncodeCommitHeader(const CommitHeader& header) {
  EncodedCommitHeader encoded;
  char* p = encoded.bytes;
  *p++ = static_cast<char>(kCommitHeaderVersion);
  *p++ = static_cast<char>(header.origin);
  *p++ = static_cast<char>(header.kind);
  p = EncodeVarint64(p, header.first_commit_id);
  p = EncodeVarint32(p, header.operation_count);
  encoded.size = static_cast<uint8_t>(p - encoded.bytes);
  return encoded;
}

bool DecodeCommitHeader(std::string_view encoded, CommitHeader* out) {
  if (encoded.size() < 3) return false;
  const char* p = encoded.data();
  const char* const limit = p + encoded.size();
  const auto version = static_cast<uint8_t>(*p++);
  const auto origin = static_cast<uint8_t>(*p++);
  const auto kind = static_cast<uint8_t>(*p++);
  if (version != kCommitHeaderVersion) return false;
  if (origin > static_cast<uint8_t>(CommitOrigin::kInternal)) return false;
  if (kind > static_cast<uint8_t>(CommitKind::kRun)) return false;
  out->origin = static_cast<CommitOrigin>(origin);
  out->kind = static_cast<CommitKind>(kind);
  p = GetVarint64(p, limit, &out->first_commit_id);
  if (p == nullptr) return false;
  p = GetVarint32(p, limit, &out->operation_count);
  if (p != limit) return false;
  if (out->kind == CommitKind::kRun && out->operation_count > 0) {
    const uint64_t last_offset = out->operation_count - 1;
    if (out->first_commit_id > std::numeric_limits<uint64_t>::max() - last_offset) return false;
  }
  return true;
}

}  // namespace thermocline
