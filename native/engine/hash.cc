#include "engine/hash.h"

#include <mutex>

namespace thermocline {

namespace {

std::mutex mutex;
bool fixed = false;  // GUARDED_BY(mutex)

}  // namespace

HashSeed FixHashSeed(const std::optional<HashSeed>& kept) {
  std::lock_guard lock(mutex);
  if (!fixed && kept) hash_internal::seed = *kept;
  fixed = true;
  return hash_internal::seed;
}

void ForgetHashSeed() {
  std::lock_guard lock(mutex);
  fixed = false;
  hash_internal::seed = HashSeed::Random();
}

}  // namespace thermocline
