#include "engine/topic/walker.h"

#include <string>

#include "engine/record/coding.h"
#include "engine/record/crc32c.h"
#include "engine/topic/codec.h"
#include "engine/topic/record_format.h"

namespace thermocline::topic {

bool BatchWalker::BodyIsGood() const {
  return !verify_bodies_ || Crc32c(body()) == header_.body_crc;
}

BatchWalker::Step BatchWalker::Next() {
  position_ = next_position_;
  const size_t left = segment_.size() - position_;
  if (left == 0) return Step::kEnd;
  if (left < kBatchHeaderBytes) return Step::kTorn;
  switch (DecodeHeader(segment_.data() + position_, seed_, &header_)) {
    case HeaderVerdict::kGood:
      break;
    case HeaderVerdict::kDamaged:
      return Step::kDamaged;
    case HeaderVerdict::kNewer:
      return Step::kNewer;
  }
  if (header_.base_offset != expected_) return Step::kDamaged;
  if (header_.total_bytes() > left) return Step::kTorn;
  if (!BodyIsGood()) return Step::kDamaged;
  next_position_ = position_ + header_.total_bytes();
  expected_ = header_.next_offset();
  return Step::kBatch;
}

bool BatchWalker::Resync() {
  char magic[4];
  EncodeFixed32(magic, kBatchMagic);
  for (size_t at = position_ + 1;; at++) {
    at = segment_.find({magic, sizeof magic}, at);
    if (at == std::string_view::npos || segment_.size() - at < kBatchHeaderBytes) return false;
    BatchHeader header;
    // Offsets only ascend, so an older batch that stands in a message is not taken for a later one.
    if (DecodeHeader(segment_.data() + at, seed_, &header) != HeaderVerdict::kGood ||
        header.base_offset < expected_ || header.total_bytes() > segment_.size() - at ||
        Crc32c(segment_.substr(at + kBatchHeaderBytes, header.body_bytes)) != header.body_crc) {
      continue;
    }
    next_position_ = at;
    expected_ = header.base_offset;
    return true;
  }
}

bool BatchIsSound(const BatchHeader& header, std::string_view body) {
  if (header.gap) return body.empty();
  if (body.size() != header.body_bytes || Crc32c(body) != header.body_crc) return false;
  BodyFacts facts;
  if (header.codec == Codec::kNone) {
    return CheckBody(body, header.count, header.first_timestamp, &facts) &&
           facts.max_timestamp == header.max_timestamp;
  }
  std::string raw(header.raw_bytes, '\0');
  return Decompress(header.codec, body, raw.data(), raw.size()) &&
         CheckBody(raw, header.count, header.first_timestamp, &facts) &&
         facts.max_timestamp == header.max_timestamp;
}

}  // namespace thermocline::topic
