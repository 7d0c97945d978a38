#include "binding/stats.h"

#include <string>
#include <utility>

#include "binding/values.h"

namespace thermocline {

namespace {

constexpr std::pair<const char*, size_t> kWindows[] = {{"1s", 1}, {"10s", 10}, {"60s", 60}};
constexpr const char* kStallCauseNames[kStallCauses] = {"memtables", "level0Files",
                                                        "pendingCompaction", "unknown"};

double SecondsOf(uint64_t nanos) { return static_cast<double>(nanos) / 1e9; }

void SetNumber(Napi::Object& object, const char* name, double value) {
  object.Set(name, Napi::Number::New(object.Env(), value));
}

void SetCount(Napi::Object& object, const char* name, uint64_t value) {
  SetNumber(object, name, static_cast<double>(value));
}

Napi::Object TotalsToJs(Napi::Env env, const OperationTotals& totals) {
  Napi::Object object = Napi::Object::New(env);
  SetNumber(object, "operations", static_cast<double>(totals.operations));
  SetNumber(object, "records", static_cast<double>(totals.records));
  SetNumber(object, "bytes", static_cast<double>(totals.bytes));
  return object;
}

Napi::Object HistogramToJs(Napi::Env env, const Histogram::Snapshot& snapshot,
                           const Bounds& bounds) {
  Napi::Object object = Napi::Object::New(env);
  SetCount(object, "count", snapshot.count);
  SetNumber(object, "sum", SecondsOf(snapshot.sum_nanos));
  SetNumber(object, "max", SecondsOf(snapshot.max_nanos));
  SetNumber(object, "p50", SecondsOf(snapshot.Percentile(50)));
  SetNumber(object, "p95", SecondsOf(snapshot.Percentile(95)));
  SetNumber(object, "p99", SecondsOf(snapshot.Percentile(99)));
  SetNumber(object, "p999", SecondsOf(snapshot.Percentile(99.9)));
  if (!bounds.empty()) {
    Napi::Array buckets = Napi::Array::New(env, bounds.size());
    for (uint32_t i = 0; i < bounds.size(); i++) {
      buckets.Set(i, Napi::Number::New(env, static_cast<double>(snapshot.CountUpTo(bounds[i]))));
    }
    object.Set("buckets", buckets);
  }
  return object;
}

Napi::Object WorkToJs(Napi::Env env, const WorkSnapshot& work, const Bounds& bounds) {
  Napi::Object object = Napi::Object::New(env);
  SetNumber(object, "threads", static_cast<double>(work.threads));
  SetNumber(object, "queued", static_cast<double>(work.queued));
  SetNumber(object, "running", static_cast<double>(work.running));
  SetNumber(object, "tasks", static_cast<double>(work.tasks));
  object.Set("waitSeconds", HistogramToJs(env, work.wait_nanos, bounds));
  object.Set("runSeconds", HistogramToJs(env, work.run_nanos, bounds));
  return object;
}

Napi::Object StallsToJs(Napi::Env env, const StallSnapshot& stalls) {
  Napi::Object object = Napi::Object::New(env);
  Napi::Object causes = Napi::Object::New(env);
  StallTotals all;
  for (size_t i = 0; i < kStallCauses; i++) {
    Napi::Object totals = Napi::Object::New(env);
    SetCount(totals, "count", stalls.by_cause[i].count);
    SetNumber(totals, "seconds", SecondsOf(stalls.by_cause[i].nanos));
    causes.Set(kStallCauseNames[i], totals);
    all.count += stalls.by_cause[i].count;
    all.nanos += stalls.by_cause[i].nanos;
  }
  SetCount(object, "count", all.count);
  SetNumber(object, "seconds", SecondsOf(all.nanos));
  object.Set("byCause", causes);
  SetCount(object, "running", stalls.running);
  if (stalls.running > 0) {
    object.Set("cause", kStallCauseNames[static_cast<size_t>(stalls.oldest_cause)]);
  }
  SetNumber(object, "ageSeconds", SecondsOf(stalls.oldest_nanos));
  return object;
}

Napi::Object StoreToJs(Napi::Env env, const StoreGauges& store) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("tier", std::string(TierName(store.tier)));
  uint64_t files = 0;
  Napi::Array levels = Napi::Array::New(env, store.files_by_level.size());
  for (uint32_t i = 0; i < store.files_by_level.size(); i++) {
    files += store.files_by_level[i];
    levels.Set(i, Napi::Number::New(env, static_cast<double>(store.files_by_level[i])));
  }
  SetCount(object, "tableBytes", store.table_bytes);
  SetCount(object, "files", files);
  object.Set("filesByLevel", levels);
  SetCount(object, "capacityBytes", store.capacity_bytes);
  SetCount(object, "diskCapacityBytes", store.disk_capacity_bytes);
  SetCount(object, "reserveBytes", store.reserve_bytes);
  SetCount(object, "diskUsedBytes", store.disk_used_bytes);
  SetNumber(object, "compressionRatio",
            store.data_bytes == 0
                ? 1
                : static_cast<double>(store.raw_bytes) / static_cast<double>(store.data_bytes));
  Napi::Object cache = Napi::Object::New(env);
  SetCount(cache, "bytes", store.block_cache_bytes);
  SetCount(cache, "capacityBytes", store.block_cache_capacity_bytes);
  SetCount(cache, "hits", store.block_cache_hits);
  SetCount(cache, "misses", store.block_cache_misses);
  object.Set("blockCache", cache);
  Napi::Object compactions = Napi::Object::New(env);
  SetCount(compactions, "count", store.compactions);
  SetNumber(compactions, "seconds", SecondsOf(store.compaction_nanos));
  SetCount(compactions, "readBytes", store.compaction_read_bytes);
  SetCount(compactions, "writtenBytes", store.compaction_written_bytes);
  SetCount(compactions, "running", store.running_compactions);
  SetCount(compactions, "pendingBytes", store.pending_compaction_bytes);
  object.Set("compactions", compactions);
  SetCount(object, "reads", store.found);
  SetCount(object, "movedInRecords", store.moved_in_records);
  SetCount(object, "movedInBytes", store.moved_in_bytes);
  SetCount(object, "movedOutRecords", store.moved_out_records);
  SetCount(object, "movedOutBytes", store.moved_out_bytes);
  return object;
}

}  // namespace

Napi::Object PrefetchToJs(Napi::Env env, const SequencePrefetcher::Stats& stats) {
  const PrefetchTally& tally = stats.tally;
  const uint64_t resolved = tally.used + tally.late + tally.unused;
  const auto share = [](uint64_t part, uint64_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
  };
  Napi::Object object = Napi::Object::New(env);
  object.Set("active", Napi::Boolean::New(env, !stats.resting));
  SetCount(object, "observedReads", tally.observed);
  SetCount(object, "prefetchedRecords", tally.fetched);
  SetCount(object, "usedRecords", tally.used);
  SetCount(object, "lateRecords", tally.late);
  SetCount(object, "unusedRecords", tally.unused);
  SetNumber(object, "precision", share(tally.used, resolved));
  SetNumber(object, "hitShare", share(tally.used, tally.observed));
  SetNumber(object, "fetchSeconds", SecondsOf(tally.fetch_nanos));
  SetCount(object, "calledOff", stats.called_off);
  SetCount(object, "dropped", stats.dropped);
  SetCount(object, "timesRested", stats.times_rested);
  SetCount(object, "memoryBytes", stats.memory_bytes);
  return object;
}

namespace {

Napi::Object WindowToJs(Napi::Env env, const MetricsWindow& window) {
  Napi::Object object = Napi::Object::New(env);
  const double seconds = SecondsOf(window.nanos);
  const auto rate = [&](const char* name, uint64_t n) {
    SetNumber(object, name, seconds == 0 ? 0 : static_cast<double>(n) / seconds);
  };
  const auto share = [&](const char* name, uint64_t hits, uint64_t misses) {
    if (hits + misses == 0) return;
    SetNumber(object, name, static_cast<double>(hits) / static_cast<double>(hits + misses));
  };
  const RateTotals& t = window.totals;
  SetNumber(object, "seconds", seconds);
  Napi::Object operations = Napi::Object::New(env);
  const std::pair<const char*, const OperationTotals*> kinds[] = {
      {"get", &t.get},     {"getMany", &t.get_many},         {"put", &t.put},  {"delete", &t.del},
      {"batch", &t.batch}, {"deleteRange", &t.delete_range}, {"scan", &t.scan}};
  for (const auto& [name, totals] : kinds) {
    SetNumber(operations, name,
              seconds == 0 ? 0 : static_cast<double>(totals->operations) / seconds);
  }
  object.Set("operationsPerSecond", operations);
  rate("readRecordsPerSecond", t.get.records + t.get_many.records + t.scan.records);
  rate("readBytesPerSecond", t.get.bytes + t.get_many.bytes + t.scan.bytes);
  rate("writtenRecordsPerSecond", t.put.records + t.del.records + t.batch.records);
  rate("writtenBytesPerSecond", t.put.bytes + t.del.bytes + t.batch.bytes);
  rate("commitsPerSecond", t.commits);
  rate("groupsPerSecond", t.groups);
  rate("fsyncsPerSecond", t.fsyncs);
  rate("compactionBytesPerSecond", t.compaction_written_bytes);
  SetNumber(object, "stallSeconds", SecondsOf(t.stall_nanos));
  share("hotCacheHitShare", t.hot_cache_hits, t.hot_cache_misses);
  share("blockCacheHitShare", t.block_cache_hits, t.block_cache_misses);
  Napi::Object latency = Napi::Object::New(env);
  constexpr const char* kNames[kRecent] = {"get",       "getMany",    "put",  "batch",
                                           "scanChunk", "groupWrite", "fsync"};
  for (size_t i = 0; i < kRecent; i++) {
    latency.Set(kNames[i], HistogramToJs(env, window.latency[i], {}));
  }
  object.Set("latencySeconds", latency);
  return object;
}

}  // namespace

napi_value StatsToJs(Napi::Env env, Engine& engine, const Bounds& bounds) {
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
  latency.Set("get", HistogramToJs(env, metrics.get_nanos, bounds));
  latency.Set("getMany", HistogramToJs(env, metrics.get_many_nanos, bounds));
  latency.Set("put", HistogramToJs(env, metrics.put_nanos, bounds));
  latency.Set("batch", HistogramToJs(env, metrics.batch_nanos, bounds));
  latency.Set("scanChunk", HistogramToJs(env, metrics.scan_chunk_nanos, bounds));
  latency.Set("groupWrite", HistogramToJs(env, metrics.group_write_nanos, bounds));
  latency.Set("memtableSwitch", HistogramToJs(env, metrics.memtable_switch_nanos, bounds));
  latency.Set("fsync", HistogramToJs(env, metrics.fsync_nanos, bounds));
  latency.Set("flush", HistogramToJs(env, metrics.flush_nanos, bounds));

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
    threads.Set(kWorkClassNames[i], WorkToJs(env, metrics.work[i], bounds));

  Napi::Array tiers = Napi::Array::New(env, gauges.stores.size());
  for (uint32_t i = 0; i < gauges.stores.size(); i++) {
    tiers.Set(i, StoreToJs(env, gauges.stores[i]));
  }
  Napi::Object migration = Napi::Object::New(env);
  SetNumber(migration, "promotedRecords", static_cast<double>(gauges.promoted));
  SetNumber(migration, "absentReads", static_cast<double>(gauges.absent));
  migration.Set("trouble", gauges.trouble);
  Napi::Object rates = Napi::Object::New(env);
  for (const auto& [name, seconds] : kWindows) {
    rates.Set(name, WindowToJs(env, engine.history().Over(seconds)));
  }

  Napi::Object stats = Napi::Object::New(env);
  SetNumber(stats, "shards", gauges.shards);
  stats.Set("operations", operations);
  stats.Set("latencySeconds", latency);
  stats.Set("hotCache", cache);
  stats.Set("writes", writes);
  stats.Set("memory", memory);
  stats.Set("disk", disk);
  stats.Set("threads", threads);
  stats.Set("stalls", StallsToJs(env, metrics.stalled));
  stats.Set("tiers", tiers);
  stats.Set("migration", migration);
  if (gauges.prefetch) stats.Set("prefetch", PrefetchToJs(env, *gauges.prefetch));
  stats.Set("perShard", Napi::Value(env, ShardsToJs(env, engine.ShardReports())));
  stats.Set("rates", rates);
  return stats;
}

napi_value SlowToJs(Napi::Env env, const std::vector<SlowOperation>& operations) {
  Napi::Array array = Napi::Array::New(env, operations.size());
  for (uint32_t i = 0; i < operations.size(); i++) {
    const SlowOperation& operation = operations[i];
    Napi::Object object = Napi::Object::New(env);
    object.Set("kind", kSlowKindNames[static_cast<size_t>(operation.kind)]);
    object.Set("keyPrefix", Napi::Buffer<char>::Copy(env, operation.key_prefix.data(),
                                                     operation.key_prefix.size()));
    SetCount(object, "records", operation.records);
    SetCount(object, "endedMs", operation.ended_ms);
    SetNumber(object, "totalSeconds", SecondsOf(operation.total_nanos));
    SetNumber(object, "queueSeconds", SecondsOf(operation.queue_nanos));
    SetNumber(object, "storeSeconds", SecondsOf(operation.store_nanos));
    SetNumber(object, "syncSeconds", SecondsOf(operation.sync_nanos));
    array.Set(i, object);
  }
  return array;
}

}  // namespace thermocline
