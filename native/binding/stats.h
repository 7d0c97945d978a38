// The engine's statistics as JavaScript objects; lib/stats.ts has their public form.
//
// Thread safety: the environment's thread alone.
#pragma once

#include <napi.h>

#include <vector>

#include "engine/engine.h"

namespace thermocline {

// Upper bounds of a histogram's buckets in nanoseconds, ascending. Empty: no buckets are given.
using Bounds = std::vector<uint64_t>;

napi_value StatsToJs(Napi::Env env, Engine& engine, const Bounds& bounds);
Napi::Object PrefetchToJs(Napi::Env env, const SequencePrefetcher::Stats& stats);
napi_value SlowToJs(Napi::Env env, const std::vector<SlowOperation>& operations);

}  // namespace thermocline
