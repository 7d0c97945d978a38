#include "binding/values.h"

#include <string>
#include <utility>
#include <vector>

namespace thermocline {

namespace {

template <class T>
void ReadNumber(const Napi::Object& object, const char* name, T* out) {
  const Napi::Value value = object.Get(name);
  if (value.IsNumber()) *out = static_cast<T>(value.As<Napi::Number>().DoubleValue());
}

void ReadBoolean(const Napi::Object& object, const char* name, bool* out) {
  const Napi::Value value = object.Get(name);
  if (value.IsBoolean()) *out = value.As<Napi::Boolean>().Value();
}

napi_value CopyToBuffer(napi_env env, const char* data, size_t size) {
  napi_value buffer = nullptr;
  napi_create_buffer_copy(env, size, data, nullptr, &buffer);
  return buffer;
}

void SetNumber(Napi::Object& object, const char* name, double value) {
  object.Set(name, Napi::Number::New(object.Env(), value));
}

}  // namespace

double NumberIn(const Napi::Value& value) {
  return value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0;
}

std::string TextIn(const Napi::Value& value) {
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

bool FlagIn(const Napi::Value& value) {
  return value.IsBoolean() && value.As<Napi::Boolean>().Value();
}

bool IsReadable(napi_env env) {
  napi_value global = nullptr;
  bool has = false;
  return napi_get_global(env, &global) == napi_ok &&
         napi_has_named_property(env, global, "Object", &has) == napi_ok;
}

Bytes BytesOf(napi_env env, napi_value value) {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  napi_value buffer;
  size_t offset;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, &buffer, &offset) != napi_ok ||
      type != napi_uint8_array) {
    return {};
  }
  return {static_cast<const char*>(data), length};
}

std::optional<std::string> OptionalBytes(const Napi::Value& value) {
  if (!value.IsTypedArray()) return std::nullopt;
  const Bytes bytes = BytesOf(value.Env(), value);
  return std::string(bytes.data == nullptr ? "" : bytes.data, bytes.size);
}

KeyRange RangeOf(const Napi::Value& start, const Napi::Value& end) {
  KeyRange range;
  if (auto bytes = OptionalBytes(start)) {
    range.has_start = true;
    range.start = std::move(*bytes);
  }
  if (auto bytes = OptionalBytes(end)) {
    range.has_end = true;
    range.end = std::move(*bytes);
  }
  return range;
}

Status ReadCompression(const Napi::Object& object, Compression* compression) {
  const Napi::Value names = object.Get("compression");
  if (!names.IsArray()) return {};
  const Napi::Array array = names.As<Napi::Array>();
  std::vector<std::string> levels;
  for (uint32_t i = 0; i < array.Length(); i++) {
    levels.push_back(TextIn(array.Get(i)));
  }
  double dictionary = 0;
  ReadNumber(object, "dictionaryBytes", &dictionary);
  return ParseCompression(levels, static_cast<uint64_t>(dictionary), compression);
}

// `tiers`: an object with a member for each tier that the options name.
Status ReadTiers(const Napi::Value& value, TiersOptions* tiers) {
  if (!value.IsObject()) return {};
  const Napi::Object object = value.As<Napi::Object>();
  tiers->sink_idle_shards = object.Get("sinkIdleShards").ToBoolean();
  for (int i = 0; i < kTierCount; i++) {
    TierOptions& tier = tiers->tier[static_cast<size_t>(i)];
    const Napi::Value given = object.Get(std::string(TierName(static_cast<Tier>(i))));
    if (given.IsNull()) tier.presence = TierOptions::Presence::kRemoved;
    if (!given.IsObject()) continue;
    const Napi::Object options = given.As<Napi::Object>();
    tier.presence = TierOptions::Presence::kWanted;
    const Napi::Value path = options.Get("path");
    if (path.IsString()) tier.path = TextIn(path);
    ReadNumber(options, "capacity", &tier.capacity_bytes);
    ReadNumber(options, "costPerTB", &tier.cost_per_tb);
    ReadNumber(options, "blockCache", &tier.block_cache_bytes);
    ReadNumber(options, "writeBuffer", &tier.write_buffer_bytes);
    ReadNumber(options, "filterBits", &tier.filter_bits);
    ReadNumber(options, "rateLimit", &tier.rate_limit_bytes);
    ReadNumber(options, "reserve", &tier.reserve_bytes);
    ReadNumber(options, "maxAge", &tier.max_age_ms);
    int simulated = 0;
    ReadNumber(options, "simulatedDisk", &simulated);
    tier.simulated = static_cast<SimulatedDisk>(simulated);
    if (options.Get("compression").IsArray()) {
      Compression compression;
      Status status = ReadCompression(options, &compression);
      if (!status.ok()) return status;
      tier.compression = std::move(compression);
    }
  }
  return {};
}

// `changes`: absent, false, or an object with what is retained.
void ReadChangesOptions(const Napi::Value& value, ChangesOptions* changes) {
  if (value.IsBoolean()) changes->state = ChangesOptions::State::kOff;
  if (!value.IsObject()) return;
  changes->state = ChangesOptions::State::kOn;
  ReadNumber(value.As<Napi::Object>(), "bytes", &changes->retain_bytes);
  ReadNumber(value.As<Napi::Object>(), "ms", &changes->retain_ms);
}

Status ReadOptions(const Napi::Object& object, EngineOptions* options) {
  const Napi::Value preset = object.Get("preset");
  if (preset.IsString()) {
    Status status = ApplyPreset(preset.As<Napi::String>().Utf8Value(), options);
    if (!status.ok()) return status;
  }
  ReadBoolean(object, "createIfMissing", &options->create_if_missing);
  ReadBoolean(object, "errorIfExists", &options->error_if_exists);
  ReadBoolean(object, "readOnly", &options->read_only);
  ReadNumber(object, "shards", &options->shards);
  ReadChangesOptions(object.Get("changes"), &options->changes);
  ReadNumber(object, "hotCache", &options->memory.hot_cache);
  ReadNumber(object, "blockCache", &options->memory.block_cache);
  ReadNumber(object, "writeBuffer", &options->memory.write_buffer);
  ReadNumber(object, "prefetchBytes", &options->memory.prefetch);
  ReadBoolean(object, "prefetchSequence", &options->prefetch_sequence);
  ReadNumber(object, "readThreads", &options->threads.read);
  ReadNumber(object, "backgroundThreads", &options->threads.background);
  ReadNumber(object, "maintenanceThreads", &options->threads.maintenance);
  ReadNumber(object, "hardInFlightBytes", &options->hard_in_flight_bytes);
  ReadNumber(object, "minGroupBytes", &options->min_group_bytes);
  ReadNumber(object, "maxGroupBytes", &options->max_group_bytes);
  ReadNumber(object, "commitWindowNanos", &options->commit_window_nanos);
  ReadNumber(object, "hotAgeMs", &options->temperature_ages.hot_ms);
  ReadNumber(object, "warmAgeMs", &options->temperature_ages.warm_ms);
  ReadNumber(object, "coldAgeMs", &options->temperature_ages.cold_ms);
  ReadNumber(object, "autoSplitMaxBytes", &options->auto_split.max_bytes);
  ReadNumber(object, "autoSplitMinBytes", &options->auto_split.min_bytes);
  ReadBoolean(object, "freezeAutomatic", &options->freeze.automatic);
  ReadBoolean(object, "thawOnAccess", &options->freeze.thaw_on_access);
  ReadBoolean(object, "withoutLog", &options->without_log);
  ReadBoolean(object, "tickers", &options->tickers);
  ReadNumber(object, "slowOperations", &options->slow_operations);
  ReadNumber(object, "slowKeyPrefixBytes", &options->slow_key_prefix_bytes);
  options->log_given = object.Get("withoutLog").IsBoolean();
  Status status = ReadTiers(object.Get("tiers"), &options->tiers);
  if (status.ok()) status = ReadCompression(object, &options->compression);
  if (status.ok() && !IsReadable(object.Env())) {
    return {Code::kClosed, "the worker thread is being terminated"};
  }
  return status;
}

napi_value ResultsToJs(napi_env env, ReadBatch* batch) {
  static_assert(sizeof(ResultRef) == 8);
  auto& arenas = batch->arenas.arenas();
  napi_value array;
  napi_create_array_with_length(env, arenas.size() + 1, &array);
  if (!batch->status.ok()) {
    const std::string_view message = batch->status.message();
    napi_value failure;
    napi_value text;
    napi_value code;
    napi_create_array_with_length(env, 2, &failure);
    napi_create_int32(env, static_cast<int32_t>(batch->status.code()), &code);
    napi_create_string_utf8(env, message.data(), message.size(), &text);
    napi_set_element(env, failure, 0, code);
    napi_set_element(env, failure, 1, text);
    napi_set_named_property(env, array, "failure", failure);
  }
  napi_set_element(env, array, 0,
                   CopyToBuffer(env, reinterpret_cast<const char*>(batch->results.data()),
                                batch->results.size() * sizeof(ResultRef)));
  uint32_t index = 1;
  for (const Arena& arena : arenas) {
    napi_set_element(env, array, index++, CopyToBuffer(env, arena.data(), arena.size()));
  }
  return array;
}

napi_value ChunkToJs(napi_env env, const Chunk& chunk) {
  napi_value array;
  napi_create_array_with_length(env, 5, &array);
  napi_set_element(env, array, 0, CopyToBuffer(env, chunk.block.data(), chunk.block.size()));
  const uint32_t numbers[4] = {chunk.count, chunk.keys_offset, chunk.index_offset,
                               (chunk.last ? 1u : 0u) | (chunk.ascii_keys ? 2u : 0u)};
  for (uint32_t i = 0; i < 4; i++) {
    napi_value number;
    napi_create_uint32(env, numbers[i], &number);
    napi_set_element(env, array, i + 1, number);
  }
  return array;
}

napi_value BackupToJs(Napi::Env env, const Backup& backup) {
  Napi::Object object = Napi::Object::New(env);
  SetNumber(object, "id", backup.id);
  SetNumber(object, "created", static_cast<double>(backup.created_ms));
  SetNumber(object, "bytes", static_cast<double>(backup.bytes));
  SetNumber(object, "files", backup.files);
  if (!backup.untidied.empty()) object.Set("warning", backup.untidied);
  return object;
}

napi_value TextsToJs(Napi::Env env, const std::vector<std::string>& texts) {
  Napi::Array array = Napi::Array::New(env, texts.size());
  for (uint32_t i = 0; i < texts.size(); i++) array.Set(i, texts[i]);
  return array;
}

napi_value VerifyReportToJs(Napi::Env env, const VerifyReport& report) {
  Napi::Object object = Napi::Object::New(env);
  SetNumber(object, "tables", static_cast<double>(report.tables));
  SetNumber(object, "tableBytes", static_cast<double>(report.table_bytes));
  SetNumber(object, "records", static_cast<double>(report.records));
  SetNumber(object, "problemCount", static_cast<double>(report.problem_count));
  SetNumber(object, "shadowed", static_cast<double>(report.shadowed));
  object.Set("problems", Napi::Value(env, TextsToJs(env, report.problems)));
  Napi::Array counts = Napi::Array::New(env, report.counts.size());
  for (uint32_t i = 0; i < report.counts.size(); i++) {
    const VerifyCount& count = report.counts[i];
    Napi::Object one = Napi::Object::New(env);
    SetNumber(one, "shard", count.shard);
    one.Set("tier", std::string(TierName(count.tier)));
    one.Set("frozen", count.frozen);
    SetNumber(one, "records", static_cast<double>(count.records));
    SetNumber(one, "markers", static_cast<double>(count.markers));
    SetNumber(one, "expired", static_cast<double>(count.expired));
    SetNumber(one, "cleanCopies", static_cast<double>(count.clean_copies));
    SetNumber(one, "bytes", static_cast<double>(count.bytes));
    SetNumber(one, "estimatedRecords", static_cast<double>(count.estimated_records));
    SetNumber(one, "tableBytes", static_cast<double>(count.table_bytes));
    counts.Set(i, one);
  }
  object.Set("counts", counts);
  return object;
}

napi_value ShardsToJs(Napi::Env env, const std::vector<ShardReport>& reports) {
  Napi::Array array = Napi::Array::New(env, reports.size());
  for (uint32_t i = 0; i < reports.size(); i++) {
    const ShardReport& report = reports[i];
    Napi::Object object = Napi::Object::New(env);
    SetNumber(object, "id", report.info.id);
    SetNumber(object, "generation", report.info.generation);
    Napi::Array slots = Napi::Array::New(env);
    for (const SlotRange& range : report.info.slots) {
      Napi::Array pair = Napi::Array::New(env, 2);
      pair.Set(0u, Napi::Number::New(env, range.first));
      pair.Set(1u, Napi::Number::New(env, range.last));
      slots.Set(slots.Length(), pair);
    }
    object.Set("slots", slots);
    SetNumber(object, "hotKeys", static_cast<double>(report.hot_keys));
    SetNumber(object, "hotTableBytes", static_cast<double>(report.hot_table_bytes));
    SetNumber(object, "hotMemtableBytes", static_cast<double>(report.hot_memtable_bytes));
    Napi::Array colder = Napi::Array::New(env, report.colder.size());
    for (uint32_t level = 0; level < report.colder.size(); level++) {
      const ColderFigures& figures = report.colder[level];
      Napi::Object tier = Napi::Object::New(env);
      tier.Set("tier", std::string(TierName(figures.tier)));
      SetNumber(tier, "keys", static_cast<double>(figures.keys));
      SetNumber(tier, "tableBytes", static_cast<double>(figures.table_bytes));
      SetNumber(tier, "memoryBytes", static_cast<double>(figures.memtable_bytes));
      colder.Set(level, tier);
    }
    object.Set("colder", colder);
    object.Set("frozen", report.info.frozen);
    SetNumber(object, "archiveKeys", static_cast<double>(report.archive.keys));
    SetNumber(object, "archiveBytes", static_cast<double>(report.archive.bytes));
    SetNumber(object, "created", static_cast<double>(report.activity.created_ms));
    SetNumber(object, "lastAccess", static_cast<double>(report.activity.last_access_ms));
    SetNumber(object, "reads", static_cast<double>(report.activity.reads));
    SetNumber(object, "writes", static_cast<double>(report.activity.writes));
    SetNumber(object, "readsPerSecond", report.activity.reads_per_second);
    SetNumber(object, "writesPerSecond", report.activity.writes_per_second);
    SetNumber(object, "temperature", static_cast<double>(report.temperature));
    array.Set(i, object);
  }
  return array;
}

napi_value DiskProbeToJs(Napi::Env env, const DiskProbe& probe) {
  const auto seconds = [](uint64_t nanos) { return static_cast<double>(nanos) / 1e9; };
  Napi::Object object = Napi::Object::New(env);
  object.Set("direct", Napi::Boolean::New(env, probe.direct));
  SetNumber(object, "fileBytes", static_cast<double>(probe.file_bytes));
  SetNumber(object, "fsyncsPerSecond", probe.fsyncs_per_second);
  SetNumber(object, "fsyncP50Seconds", seconds(probe.fsync_p50_nanos));
  SetNumber(object, "fsyncP99Seconds", seconds(probe.fsync_p99_nanos));
  SetNumber(object, "writeBytesPerSecond", probe.write_bytes_per_second);
  SetNumber(object, "readBytesPerSecond", probe.read_bytes_per_second);
  Napi::Array reads = Napi::Array::New(env, probe.random_reads.size());
  for (size_t i = 0; i < probe.random_reads.size(); i++) {
    const DiskProbe::RandomRead& read = probe.random_reads[i];
    Napi::Object figures = Napi::Object::New(env);
    SetNumber(figures, "depth", read.depth);
    SetNumber(figures, "readsPerSecond", read.reads_per_second);
    SetNumber(figures, "p50Seconds", seconds(read.p50_nanos));
    SetNumber(figures, "p99Seconds", seconds(read.p99_nanos));
    reads.Set(static_cast<uint32_t>(i), figures);
  }
  object.Set("randomReads", reads);
  return object;
}

}  // namespace thermocline
