#include "engine/options.h"

#include <algorithm>
#include <thread>

namespace thermocline {

namespace {

// As maxAge. Records of shards that no use keeps hot for a while would go up and down for ever.
constexpr uint64_t kLeastHotMsToSink = 1000;

}  // namespace

Status ApplyPreset(std::string_view name, EngineOptions* options) {
  if (name == "balanced") {
    options->memory = MemoryBudget{};
  } else if (name == "production") {
    options->memory = {512 * kMiB, 1 * kGiB, 256 * kMiB};
  } else if (name == "bulk-load") {
    options->memory = {0, 64 * kMiB, 512 * kMiB};
  } else if (name == "low-memory") {
    options->memory = {4 * kMiB, 8 * kMiB, 8 * kMiB};
  } else {
    return {Code::kInvalidArgument, "unknown preset '" + std::string(name) +
                                        "'; use balanced, production, bulk-load or low-memory"};
  }
  options->compression = Compression{};
  return {};
}

Status Finish(EngineOptions* options) {
  const int processors = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 8);
  if (options->threads.read == 0) options->threads.read = processors;
  if (options->threads.background == 0) options->threads.background = std::max(2, processors);
  if (options->shards < 0 || options->shards > kMaxShards) {
    return {Code::kInvalidArgument, "shards must be between 1 and 256"};
  }
  if (options->threads.read < 1 || options->threads.read > 256) {
    return {Code::kInvalidArgument, "threads.read must be between 1 and 256"};
  }
  if (options->threads.background < 1 || options->threads.background > 256) {
    return {Code::kInvalidArgument, "threads.background must be between 1 and 256"};
  }
  if (options->threads.maintenance < 1 || options->threads.maintenance > 64) {
    return {Code::kInvalidArgument, "threads.maintenance must be between 1 and 64"};
  }
  const TierOptions& hot = options->tiers.at(Tier::kHot);
  if (hot.compression) options->compression = *hot.compression;
  if (hot.block_cache_bytes > 0) options->memory.block_cache = hot.block_cache_bytes;
  if (hot.write_buffer_bytes > 0) options->memory.write_buffer = hot.write_buffer_bytes;
  if (!hot.path.empty()) {
    return {Code::kInvalidArgument,
            "the hot tier lies in the database's own folder: tiers.hot takes no path"};
  }
  const MemoryBudget& memory = options->memory;
  if (std::max({memory.hot_cache, memory.block_cache, memory.write_buffer}) > kMaxMemoryBytes) {
    return {Code::kInvalidArgument, "a memory budget can be at most 1TB"};
  }
  if (options->prefetch_sequence && memory.hot_cache == 0) {
    return {Code::kInvalidArgument,
            "prefetch reads into the hot cache, which memory.hotCache or the preset turns off"};
  }
  if (memory.prefetch < kMiB || memory.prefetch > kMaxMemoryBytes) {
    return {Code::kInvalidArgument, "memory.prefetch must be at least 1MB and at most 1TB"};
  }
  if (options->memory.write_buffer < kMiB) {
    return {Code::kInvalidArgument, "memory.writeBuffer must be at least 1MB"};
  }
  const TemperatureAges& ages = options->temperature_ages;
  if (ages.hot_ms > ages.warm_ms || ages.warm_ms > ages.cold_ms) {
    return {Code::kInvalidArgument, "temperature: hot, warm and cold must be ascending"};
  }
  if (options->tiers.sink_idle_shards && ages.hot_ms < kLeastHotMsToSink) {
    return {
        Code::kInvalidArgument,
        "tiers.sinkIdleShards: temperature.hot must be at least 1000 (a second), or what is read "
        "sinks at once"};
  }
  ChangesOptions& changes = options->changes;
  if (changes.on() && options->log_given && options->without_log) {
    return {Code::kInvalidArgument,
            "changes: a database with durability 'none' has no log to read changes from"};
  }
  if (changes.on() && changes.retain_bytes == 0 && changes.retain_ms == 0) {
    changes.retain_bytes = kDefaultRetainBytes;
  }
  if (options->min_group_bytes > options->max_group_bytes) {
    return {Code::kInvalidArgument, "the smallest group size exceeds the largest"};
  }
  return {};
}

}  // namespace thermocline
