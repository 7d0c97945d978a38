#include "engine/topic/codec.h"

#include <lz4.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <climits>
#include <memory>

namespace thermocline::topic {

namespace {

// zlib's window of 32 KiB, in the gzip wrapping.
constexpr int kGzipWindowBits = 15 + 16;
constexpr int kGzipMemLevel = 8;

struct FreeZstdCompressor {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeZstdDecompressor {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

bool Gzip(int level, std::string_view body, std::string* out) {
  z_stream stream = {};
  if (deflateInit2(&stream, level == 0 ? Z_DEFAULT_COMPRESSION : level, Z_DEFLATED, kGzipWindowBits,
                   kGzipMemLevel, Z_DEFAULT_STRATEGY) != Z_OK) {
    return false;
  }
  out->resize(deflateBound(&stream, body.size()));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(out->data());
  stream.avail_out = static_cast<uInt>(out->size());
  const bool ended = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out->resize(stream.total_out);
  deflateEnd(&stream);
  return ended;
}

bool Gunzip(std::string_view stored, char* out, size_t raw_bytes) {
  z_stream stream = {};
  if (inflateInit2(&stream, kGzipWindowBits) != Z_OK) return false;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(stored.data()));
  stream.avail_in = static_cast<uInt>(stored.size());
  stream.next_out = reinterpret_cast<Bytef*>(out);
  stream.avail_out = static_cast<uInt>(raw_bytes);
  const bool ended = inflate(&stream, Z_FINISH) == Z_STREAM_END;
  const bool exact = stream.total_out == raw_bytes && stream.avail_in == 0;
  inflateEnd(&stream);
  return ended && exact;
}

bool Zstd(int level, std::string_view body, std::string* out) {
  thread_local std::unique_ptr<ZSTD_CCtx, FreeZstdCompressor> context(ZSTD_createCCtx());
  if (!context) return false;
  out->resize(ZSTD_compressBound(body.size()));
  const size_t size = ZSTD_compressCCtx(context.get(), out->data(), out->size(), body.data(),
                                        body.size(), level == 0 ? ZSTD_CLEVEL_DEFAULT : level);
  if (ZSTD_isError(size)) return false;
  out->resize(size);
  return true;
}

bool Unzstd(std::string_view stored, char* out, size_t raw_bytes) {
  thread_local std::unique_ptr<ZSTD_DCtx, FreeZstdDecompressor> context(ZSTD_createDCtx());
  return context && ZSTD_decompressDCtx(context.get(), out, raw_bytes, stored.data(),
                                        stored.size()) == raw_bytes;
}

bool Lz4(int level, std::string_view body, std::string* out) {
  out->resize(static_cast<size_t>(LZ4_compressBound(static_cast<int>(body.size()))));
  const int size = LZ4_compress_fast(body.data(), out->data(), static_cast<int>(body.size()),
                                     static_cast<int>(out->size()), level == 0 ? 1 : level);
  out->resize(static_cast<size_t>(size));
  return size > 0;
}

bool Unlz4(std::string_view stored, char* out, size_t raw_bytes) {
  const int size = LZ4_decompress_safe(stored.data(), out, static_cast<int>(stored.size()),
                                       static_cast<int>(raw_bytes));
  return size >= 0 && static_cast<size_t>(size) == raw_bytes;
}

bool Unsnappy(std::string_view stored, char* out, size_t raw_bytes) {
  size_t size = 0;
  return snappy::GetUncompressedLength(stored.data(), stored.size(), &size) && size == raw_bytes &&
         snappy::RawUncompress(stored.data(), stored.size(), out);
}

bool CompressAny(const Compression& compression, std::string_view body, std::string* out) {
  switch (compression.codec) {
    case Codec::kNone:
      return false;
    case Codec::kGzip:
      return Gzip(compression.level, body, out);
    case Codec::kSnappy: {
      out->resize(snappy::MaxCompressedLength(body.size()));
      size_t size = 0;
      snappy::RawCompress(body.data(), body.size(), out->data(), &size);
      out->resize(size);
      return true;
    }
    case Codec::kLz4:
      return Lz4(compression.level, body, out);
    case Codec::kZstd:
      return Zstd(compression.level, body, out);
  }
  return false;
}

}  // namespace

bool Compress(const Compression& compression, std::string_view body, std::string* out) {
  static_assert(kMaxBodyBytes < INT_MAX);
  return CompressAny(compression, body, out) && out->size() < body.size();
}

bool Decompress(Codec codec, std::string_view stored, char* out, size_t raw_bytes) {
  switch (codec) {
    case Codec::kNone:
      return false;
    case Codec::kGzip:
      return Gunzip(stored, out, raw_bytes);
    case Codec::kSnappy:
      return Unsnappy(stored, out, raw_bytes);
    case Codec::kLz4:
      return Unlz4(stored, out, raw_bytes);
    case Codec::kZstd:
      return Unzstd(stored, out, raw_bytes);
  }
  return false;
}

std::string_view CodecName(Codec codec) {
  switch (codec) {
    case Codec::kNone:
      return "none";
    case Codec::kGzip:
      return "gzip";
    case Codec::kSnappy:
      return "snappy";
    case Codec::kLz4:
      return "lz4";
    case Codec::kZstd:
      return "zstd";
  }
  return "?";
}

}  // namespace thermocline::topic
