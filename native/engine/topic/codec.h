// Compression of a batch's body: gzip, snappy, lz4 and zstd, all linked statically.
//
// Thread safety: any thread; contexts that are costly to make are kept per thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/topic/batch_format.h"

namespace thermocline::topic {

// Levels are the library's own; 0 means its default. snappy has none, and lz4 reads it as
// "acceleration": higher is faster.
struct Compression {
  Codec codec = Codec::kNone;
  int level = 0;

  friend bool operator==(const Compression&, const Compression&) = default;
};

// Compresses into *out. False: not possible, or it would not get smaller; the body is then stored
// as it is. REQUIRES: the codec is not kNone.
bool Compress(const Compression& compression, std::string_view body, std::string* out);

// Decompresses exactly `raw_bytes` into `out`. False: the bytes are not what Compress made of a
// body of that size. REQUIRES: the codec is not kNone.
bool Decompress(Codec codec, std::string_view stored, char* out, size_t raw_bytes);

// "none", "gzip", "snappy", "lz4", "zstd".
std::string_view CodecName(Codec codec);

}  // namespace thermocline::topic
