// Short ways to ask and fill a hot cache.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/cache/hot_cache.h"
#include "engine/hash.h"

namespace thermocline::test {

using Found = HotCache::Found;

struct Answer {
  Found found;
  std::string value;
  uint64_t expiry_ms = 0;

  friend bool operator==(const Answer&, const Answer&) = default;
};

inline const Answer kMissed{Found::kMiss, "", 0};
inline const Answer kNegative{Found::kAbsent, "", 0};

inline Answer Get(HotCache& cache, std::string_view key, uint64_t now_ms = 0) {
  Answer answer;
  answer.found = cache.Get(
      key, HashKey(key), [now_ms] { return now_ms; },
      [&answer](std::string_view value, uint64_t expiry_ms) {
        answer.value = value;
        answer.expiry_ms = expiry_ms;
      });
  return answer;
}

inline bool Fill(HotCache& cache, std::string_view key, std::string_view value,
                 uint64_t expiry_ms = 0) {
  const uint64_t hash = HashKey(key);
  return cache.Fill(key, hash, cache.BeginFill(hash), value, expiry_ms);
}

inline bool FillAbsent(HotCache& cache, std::string_view key) {
  const uint64_t hash = HashKey(key);
  return cache.FillAbsent(key, hash, cache.BeginFill(hash));
}

inline std::string Key(int i) { return "key:" + std::to_string(i); }

}  // namespace thermocline::test
