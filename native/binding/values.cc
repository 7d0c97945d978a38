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

Napi::Object TotalsToJs(Napi::Env env, const OperationTotals& totals) {
  Napi::Object object = Napi::Object::New(env);
  SetNumber(object, "operations", static_cast<double>(totals.operations));
  SetNumber(object, "records", static_cast<double>(totals.records));
  SetNumber(object, "bytes", static_cast<double>(totals.bytes));
  return object;
}

Napi::Object HistogramToJs(Napi::Env env, const Histogram::Snapshot& snapshot) {
  Napi::Object object = Napi::Object::New(env);
  const auto seconds = [](uint64_t nanos) { return static_cast<double>(nanos) / 1e9; };
  SetNumber(object, "count", static_cast<double>(snapshot.count));
  SetNumber(object, "sum", seconds(snapshot.sum_nanos));
  SetNumber(object, "max", seconds(snapshot.max_nanos));
  SetNumber(object, "p50", seconds(snapshot.Percentile(50)));
  SetNumber(object, "p95", seconds(snapshot.Percentile(95)));
  SetNumber(object, "p99", seconds(snapshot.Percentile(99)));
  SetNumber(object, "p999", seconds(snapshot.Percentile(99.9)));
  return object;
}

Napi::Object WorkToJs(Napi::Env env, const WorkSnapshot& work) {
  Napi::Object object = Napi::Object::New(env);
  SetNumber(object, "threads", static_cast<double>(work.threads));
  SetNumber(object, "queued", static_cast<double>(work.queued));
  SetNumber(object, "running", static_cast<double>(work.running));
  SetNumber(object, "tasks", static_cast<double>(work.tasks));
  object.Set("waitSeconds", HistogramToJs(env, work.wait_nanos));
  object.Set("runSeconds", HistogramToJs(env, work.run_nanos));
  return object;
}

}  // namespace

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

Status ReadCompression(const Napi::Object& object, Compression* compression) {
  const Napi::Value names = object.Get("compression");
  if (!names.IsArray()) return {};
  const Napi::Array array = names.As<Napi::Array>();
  std::vector<std::string> levels;
  for (uint32_t i = 0; i < array.Length(); i++) {
    levels.push_back(array.Get(i).As<Napi::String>().Utf8Value());
  }
  double dictionary = 0;
  ReadNumber(object, "dictionaryBytes", &dictionary);
  return ParseCompression(levels, static_cast<uint64_t>(dictionary), compression);
}

// `tiers`: an object with a member for each tier that the options name.
Status ReadTiers(const Napi::Value& value, TiersOptions* tiers) {
  if (!value.IsObject()) return {};
  const Napi::Object object = value.As<Napi::Object>();
  for (int i = 0; i < kTierCount; i++) {
    TierOptions& tier = tiers->tier[static_cast<size_t>(i)];
    const Napi::Value given = object.Get(std::string(TierName(static_cast<Tier>(i))));
    if (given.IsNull()) tier.presence = TierOptions::Presence::kRemoved;
    if (!given.IsObject()) continue;
    const Napi::Object options = given.As<Napi::Object>();
    tier.presence = TierOptions::Presence::kWanted;
    if (options.Get("path").IsString()) {
      tier.path = options.Get("path").As<Napi::String>().Utf8Value();
    }
    ReadNumber(options, "capacity", &tier.capacity_bytes);
    ReadNumber(options, "costPerTB", &tier.cost_per_tb);
    ReadNumber(options, "blockCache", &tier.block_cache_bytes);
    ReadNumber(options, "writeBuffer", &tier.write_buffer_bytes);
    ReadNumber(options, "filterBits", &tier.filter_bits);
    ReadNumber(options, "rateLimit", &tier.rate_limit_bytes);
    ReadNumber(options, "sinkAfter", &tier.sink_after_ms);
    ReadNumber(options, "reserve", &tier.reserve_bytes);
    int number = -1;
    ReadNumber(options, "sinkShards", &number);
    if (number >= 0) tier.sink_shards = static_cast<Temperature>(number);
    number = 0;
    ReadNumber(options, "simulatedDisk", &number);
    tier.simulated = static_cast<SimulatedDisk>(number);
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
  ReadBoolean(object, "withoutLog", &options->without_log);
  options->log_given = object.Get("withoutLog").IsBoolean();
  ReadBoolean(object, "prefetchSequence", &options->prefetch_sequence);
  Status status = ReadTiers(object.Get("tiers"), &options->tiers);
  return status.ok() ? ReadCompression(object, &options->compression) : status;
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
  object.Set("problems", Napi::Value(env, TextsToJs(env, report.problems)));
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

napi_value StatsToJs(Napi::Env env, Engine& engine) {
  const MetricsSnapshot metrics = engine.Snapshot();
  const EngineGauges gauges = engine.Gauges();
  Napi::Object operations = Napi::Object::New(env);
  operations.Set("get", TotalsToJs(env, metrics.get));
  operations.Set("getMany", TotalsToJs(env, metrics.get_many));
  operations.Set("put", TotalsToJs(env, metrics.put));
  operations.Set("delete", TotalsToJs(env, metrics.del));
  operations.Set("batch", TotalsToJs(env, metrics.batch));
  operations.Set("deleteRange", TotalsToJs(env, metrics.delete_range));
  operations.Set("scan", TotalsToJs(env, metrics.scan));

  Napi::Object latency = Napi::Object::New(env);
  latency.Set("get", HistogramToJs(env, metrics.get_nanos));
  latency.Set("getMany", HistogramToJs(env, metrics.get_many_nanos));
  latency.Set("put", HistogramToJs(env, metrics.put_nanos));
  latency.Set("batch", HistogramToJs(env, metrics.batch_nanos));
  latency.Set("scanChunk", HistogramToJs(env, metrics.scan_chunk_nanos));
  latency.Set("groupWrite", HistogramToJs(env, metrics.group_write_nanos));
  latency.Set("memtableSwitch", HistogramToJs(env, metrics.memtable_switch_nanos));
  latency.Set("fsync", HistogramToJs(env, metrics.fsync_nanos));
  latency.Set("flush", HistogramToJs(env, metrics.flush_nanos));

  Napi::Object cache = Napi::Object::New(env);
  SetNumber(cache, "hits", static_cast<double>(metrics.hot_cache_hits));
  SetNumber(cache, "negativeHits", static_cast<double>(metrics.hot_cache_negative_hits));
  SetNumber(cache, "misses", static_cast<double>(metrics.hot_cache_misses));
  SetNumber(cache, "entries", static_cast<double>(gauges.hot_cache_entries));

  Napi::Object writes = Napi::Object::New(env);
  SetNumber(writes, "commits", static_cast<double>(metrics.commits));
  SetNumber(writes, "groups", static_cast<double>(metrics.groups));
  SetNumber(writes, "groupOperations", static_cast<double>(metrics.group_operations));
  SetNumber(writes, "groupBytes", static_cast<double>(metrics.group_bytes));
  SetNumber(writes, "fsyncs", static_cast<double>(metrics.fsyncs));
  SetNumber(writes, "inFlightBytes", static_cast<double>(gauges.in_flight_bytes));
  SetNumber(writes, "inFlightLimitBytes", static_cast<double>(gauges.in_flight_limit_bytes));
  SetNumber(writes, "queueAgeSeconds", static_cast<double>(gauges.queue_age_nanos) / 1e9);
  SetNumber(writes, "targetGroupBytes", static_cast<double>(gauges.target_group_bytes));
  SetNumber(writes, "backpressureRejections", static_cast<double>(metrics.backpressure_rejections));
  SetNumber(writes, "memtableSwitches", static_cast<double>(metrics.memtable_switches));
  SetNumber(writes, "stalls", static_cast<double>(metrics.stalls));
  SetNumber(writes, "stallSeconds", static_cast<double>(metrics.stall_nanos) / 1e9);

  Napi::Object memory = Napi::Object::New(env);
  SetNumber(memory, "hotCacheBytes", static_cast<double>(gauges.hot_cache_bytes));
  SetNumber(memory, "hotCacheCapacityBytes", static_cast<double>(gauges.hot_cache_capacity_bytes));
  SetNumber(memory, "blockCacheBytes", static_cast<double>(gauges.block_cache_bytes));
  SetNumber(memory, "blockCacheCapacityBytes",
            static_cast<double>(gauges.block_cache_capacity_bytes));
  SetNumber(memory, "memtableBytes", static_cast<double>(gauges.memtable_bytes));
  SetNumber(memory, "tableReaderBytes", static_cast<double>(gauges.table_reader_bytes));
  SetNumber(memory, "blockCachePinnedBytes", static_cast<double>(gauges.block_cache_pinned_bytes));
  SetNumber(memory, "memtableBudgetBytes", static_cast<double>(gauges.memtable_budget_bytes));
  SetNumber(memory, "transactionBytes", static_cast<double>(gauges.transaction_bytes));
  SetNumber(memory, "transactionBudgetBytes", static_cast<double>(gauges.transaction_budget_bytes));
  SetNumber(memory, "bufferBytes", static_cast<double>(gauges.buffers.in_use_bytes));
  SetNumber(memory, "idleBufferBytes", static_cast<double>(gauges.buffers.idle_bytes));

  Napi::Object disk = Napi::Object::New(env);
  SetNumber(disk, "tableBytes", static_cast<double>(gauges.sst_bytes));
  SetNumber(disk, "estimatedRecords", static_cast<double>(gauges.estimated_keys));
  SetNumber(disk, "runningCompactions", static_cast<double>(gauges.running_compactions));
  SetNumber(disk, "runningFlushes", static_cast<double>(gauges.running_flushes));
  SetNumber(disk, "pendingCompactionBytes", static_cast<double>(gauges.pending_compaction_bytes));

  Napi::Object threads = Napi::Object::New(env);
  for (size_t i = 0; i < kWorkClasses; i++)
    threads.Set(kWorkClassNames[i], WorkToJs(env, metrics.work[i]));

  Napi::Object stats = Napi::Object::New(env);
  SetNumber(stats, "shards", gauges.shards);
  stats.Set("operations", operations);
  stats.Set("latencySeconds", latency);
  stats.Set("hotCache", cache);
  stats.Set("writes", writes);
  stats.Set("memory", memory);
  stats.Set("disk", disk);
  stats.Set("threads", threads);
  return stats;
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
