// Numbers as bytes: LEB128 varints and fixed-width little-endian integers.
//
// Encoders to a char* return the position after what they wrote; the caller provides room.
// Decoders take [p, limit) and return the position after what they read, or nullptr if the bytes
// end early or do not fit the type; *v is then unspecified. A varint padded with needless zero
// groups is accepted up to the type's maximum length: a writer may reserve room for a length
// before it is known.
//
// Thread safety: pure functions.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace thermocline {

inline constexpr size_t kMaxVarint32 = 5;
inline constexpr size_t kMaxVarint64 = 10;

namespace coding_internal {

template <std::unsigned_integral T>
inline char* EncodeFixed(char* dst, T v) {
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(dst, &v, sizeof v);
  } else {
    for (size_t i = 0; i < sizeof v; ++i) dst[i] = static_cast<char>(v >> (8 * i));
  }
  return dst + sizeof v;
}

template <std::unsigned_integral T>
inline T DecodeFixed(const char* src) {
  T v = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&v, src, sizeof v);
  } else {
    for (size_t i = 0; i < sizeof v; ++i) {
      v = static_cast<T>(v |
                         static_cast<T>(static_cast<T>(static_cast<uint8_t>(src[i])) << (8 * i)));
    }
  }
  return v;
}

template <std::unsigned_integral T>
inline const char* GetFixed(const char* p, const char* limit, T* v) {
  if (limit - p < static_cast<std::ptrdiff_t>(sizeof(T))) return nullptr;
  *v = DecodeFixed<T>(p);
  return p + sizeof(T);
}

template <std::unsigned_integral T>
inline char* EncodeVarint(char* dst, T v) {
  while (v >= 0x80) {
    *dst++ = static_cast<char>(v | 0x80);
    v >>= 7;
  }
  *dst++ = static_cast<char>(v);
  return dst;
}

template <std::unsigned_integral T>
inline const char* GetVarint(const char* p, const char* limit, T* v) {
  constexpr unsigned kBits = 8 * sizeof(T);
  if (p < limit && static_cast<uint8_t>(*p) < 0x80) [[likely]] {
    *v = static_cast<uint8_t>(*p);
    return p + 1;
  }
  T result = 0;
  for (unsigned shift = 0; shift < kBits && p < limit; shift += 7) {
    const auto byte = static_cast<uint8_t>(*p++);
    const auto group = static_cast<T>(byte & 0x7f);
    // In the last group some bits have no place in T: they must be zero.
    if (shift + 7 > kBits && (group >> (kBits - shift)) != 0) return nullptr;
    result |= group << shift;
    if (byte < 0x80) {
      *v = result;
      return p;
    }
  }
  return nullptr;
}

}  // namespace coding_internal

inline char* EncodeFixed16(char* dst, uint16_t v) { return coding_internal::EncodeFixed(dst, v); }
inline char* EncodeFixed32(char* dst, uint32_t v) { return coding_internal::EncodeFixed(dst, v); }
inline char* EncodeFixed64(char* dst, uint64_t v) { return coding_internal::EncodeFixed(dst, v); }

// REQUIRES: as many bytes readable at `src` as the type has.
inline uint16_t DecodeFixed16(const char* src) {
  return coding_internal::DecodeFixed<uint16_t>(src);
}
inline uint32_t DecodeFixed32(const char* src) {
  return coding_internal::DecodeFixed<uint32_t>(src);
}
inline uint64_t DecodeFixed64(const char* src) {
  return coding_internal::DecodeFixed<uint64_t>(src);
}

inline const char* GetFixed16(const char* p, const char* limit, uint16_t* v) {
  return coding_internal::GetFixed(p, limit, v);
}
inline const char* GetFixed32(const char* p, const char* limit, uint32_t* v) {
  return coding_internal::GetFixed(p, limit, v);
}
inline const char* GetFixed64(const char* p, const char* limit, uint64_t* v) {
  return coding_internal::GetFixed(p, limit, v);
}

// Room needed: kMaxVarint32, kMaxVarint64, or VarintLength(v) exactly.
inline char* EncodeVarint32(char* dst, uint32_t v) { return coding_internal::EncodeVarint(dst, v); }
inline char* EncodeVarint64(char* dst, uint64_t v) { return coding_internal::EncodeVarint(dst, v); }

inline const char* GetVarint32(const char* p, const char* limit, uint32_t* v) {
  return coding_internal::GetVarint(p, limit, v);
}
inline const char* GetVarint64(const char* p, const char* limit, uint64_t* v) {
  return coding_internal::GetVarint(p, limit, v);
}

inline constexpr size_t VarintLength(uint64_t v) {
  return v == 0 ? 1 : (static_cast<size_t>(std::bit_width(v)) + 6) / 7;
}

inline void PutFixed16(std::string* dst, uint16_t v) {
  char buffer[sizeof v];
  EncodeFixed16(buffer, v);
  dst->append(buffer, sizeof v);
}
inline void PutFixed32(std::string* dst, uint32_t v) {
  char buffer[sizeof v];
  EncodeFixed32(buffer, v);
  dst->append(buffer, sizeof v);
}
inline void PutFixed64(std::string* dst, uint64_t v) {
  char buffer[sizeof v];
  EncodeFixed64(buffer, v);
  dst->append(buffer, sizeof v);
}
inline void PutVarint32(std::string* dst, uint32_t v) {
  char buffer[kMaxVarint32];
  dst->append(buffer, static_cast<size_t>(EncodeVarint32(buffer, v) - buffer));
}
inline void PutVarint64(std::string* dst, uint64_t v) {
  char buffer[kMaxVarint64];
  dst->append(buffer, static_cast<size_t>(EncodeVarint64(buffer, v) - buffer));
}

}  // namespace thermocline
