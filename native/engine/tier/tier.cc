#include "engine/tier/tier.h"

namespace thermocline {

TierOptions WithDefaults(Tier tier, TierOptions options) {
  constexpr double kCost[kTierCount] = {300, 100, 20};
  constexpr size_t kMebibyte = size_t{1} << 20;
  const bool cold = tier == Tier::kCold;
  if (options.cost_per_tb < 0) options.cost_per_tb = kCost[static_cast<size_t>(tier)];
  if (!options.compression) {
    options.compression = Compression();
    // Records that arrive here stay, so every level is worth it.
    if (cold)
      *options.compression = {.levels = {{Codec::kZstd, 10}}, .dictionary_bytes = 16 * 1024};
  }
  // A read that a filter turns away from a disk saves a seek.
  if (options.filter_bits == 0) options.filter_bits = cold ? 14 : 10;
  if (tier == Tier::kHot) return options;
  if (options.block_cache_bytes == 0) options.block_cache_bytes = (cold ? 16 : 32) * kMebibyte;
  if (options.write_buffer_bytes == 0) options.write_buffer_bytes = 8 * kMebibyte;
  return options;
}

}  // namespace thermocline
