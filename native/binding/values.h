// Conversions between engine types and JavaScript values.
#pragma once

#include <napi.h>

#include <optional>
#include <string>

#include "engine/engine.h"
#include "engine/options.h"
#include "engine/platform/disk_probe.h"
#include "engine/read/arena.h"
#include "engine/read/cursor.h"
#include "engine/read/point_reader.h"

namespace thermocline {

// What JavaScript gave; nothing, where it cannot be read. From the moment a worker is being
// terminated objects cannot be looked into, and node-addon-api answers with values that end the
// whole process when they are used: so what comes out of an object is read by these.
double NumberIn(const Napi::Value& value);     // else 0
std::string TextIn(const Napi::Value& value);  // else empty
bool FlagIn(const Napi::Value& value);         // else false
// Whether everything that was read so far is what JavaScript gave. False for good once the worker
// is being terminated: whatever would act on half of its arguments must be left undone.
bool IsReadable(napi_env env);

// Bytes of a Uint8Array argument; empty if it is none.
struct Bytes {
  const char* data = nullptr;
  size_t size = 0;
};
Bytes BytesOf(napi_env env, napi_value value);
// A Uint8Array argument as a string; nullopt for undefined.
std::optional<std::string> OptionalBytes(const Napi::Value& value);
// The ends of a range as Uint8Arrays; undefined: open.
KeyRange RangeOf(const Napi::Value& start, const Napi::Value& end);

// Reads the option object that lib/options.ts has checked.
Status ReadOptions(const Napi::Object& object, EngineOptions* options);

// Reads `compression` and `dictionaryBytes` as lib/compression.ts gives them; absent: unchanged.
Status ReadCompression(const Napi::Object& object, Compression* compression);

// [index as Buffer of uint32 pairs, arena Buffer, arena Buffer, ...]; with a property `failure`,
// [code, message], if some of the keys failed
napi_value ResultsToJs(napi_env env, ReadBatch* batch);
// [block Buffer, records, keys offset, index offset, flags]: flags 1 = last, 2 = ASCII keys
napi_value ChunkToJs(napi_env env, const Chunk& chunk);
napi_value BackupToJs(Napi::Env env, const Backup& backup);
napi_value VerifyReportToJs(Napi::Env env, const VerifyReport& report);
napi_value TextsToJs(Napi::Env env, const std::vector<std::string>& texts);
// One object per shard; lib/shards.ts gives them their public form.
napi_value ShardsToJs(Napi::Env env, const std::vector<ShardReport>& reports);
napi_value DiskProbeToJs(Napi::Env env, const DiskProbe& probe);

}  // namespace thermocline
