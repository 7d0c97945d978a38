#include "binding/tiers.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "binding/async_op.h"
#include "binding/environment.h"
#include "binding/stats.h"
#include "binding/values.h"
#include "engine/record/coding.h"
#include "engine/tier/tier_page.h"

namespace thermocline {

namespace {

constexpr size_t kPageRecords = 4096;
constexpr size_t kPageBytes = kMiB;
constexpr std::chrono::milliseconds kSetAsidePause{20};

int IntOf(const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); }

Napi::Value NumberOf(napi_env env, uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

// The level of a tier, in *level. ERR_INVALID_ARGUMENT if the database does not have it.
Status LevelOf(Engine& engine, int tier, int* level) {
  *level = engine.tiers().LevelOf(static_cast<Tier>(tier));
  if (*level >= 0) return {};
  return {Code::kInvalidArgument,
          "the database has no " + std::string(TierName(static_cast<Tier>(tier))) + " tier"};
}

// Keys packed as varint length, bytes; ascending.
std::vector<std::string> KeysOf(const Bytes& packed) {
  std::vector<std::string> keys;
  const char* p = packed.data;
  const char* const limit = p + packed.size;
  while (p != nullptr && p < limit) {
    uint32_t size = 0;
    p = GetVarint32(p, limit, &size);
    if (p == nullptr || static_cast<size_t>(limit - p) < size) break;
    keys.emplace_back(p, size);
    p += size;
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

napi_value BytesToJs(napi_env env, const std::string& bytes) {
  napi_value buffer = nullptr;
  napi_create_buffer_copy(env, bytes.size(), bytes.data(), nullptr, &buffer);
  return buffer;
}

Napi::Object FiguresToJs(Napi::Env env, const TierFigures& figures) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("tier", std::string(TierName(figures.tier)));
  object.Set("path", figures.path);
  const auto set = [&](const char* name, uint64_t value) {
    object.Set(name, NumberOf(env, value));
  };
  set("fileBytes", figures.file_bytes);
  set("memoryBytes", figures.memory_bytes);
  set("records", figures.records);
  set("rawBytes", figures.raw_bytes);
  set("dataBytes", figures.data_bytes);
  set("writtenBytes", figures.written_bytes);
  set("capacityBytes", figures.capacity_bytes);
  set("found", figures.found);
  set("markers", figures.markers);
  set("copies", figures.copies);
  set("movedInRecords", figures.moved_in_records);
  set("movedInBytes", figures.moved_in_bytes);
  set("movedOutRecords", figures.moved_out_records);
  set("movedOutBytes", figures.moved_out_bytes);
  object.Set("costPerTB", figures.cost_per_tb);
  return object;
}

Napi::Array MovesToJs(Napi::Env env, const MoveLedger::Totals& totals) {
  Napi::Array array = Napi::Array::New(env, totals.size());
  for (uint32_t cause = 0; cause < totals.size(); cause++) {
    const MovesByCause& moves = totals[cause];
    Napi::Object object = Napi::Object::New(env);
    object.Set("records", NumberOf(env, moves.records));
    object.Set("bytes", NumberOf(env, moves.bytes));
    object.Set("markers", NumberOf(env, moves.markers));
    object.Set("copies", NumberOf(env, moves.copies));
    object.Set("tables", NumberOf(env, moves.tables));
    object.Set("lastMs", NumberOf(env, moves.last_ms));
    array.Set(cause, object);
  }
  return array;
}

Napi::Object LifetimeToJs(Napi::Env env, const LifetimeTotals& totals) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("fromMemory", NumberOf(env, totals.from_memory));
  object.Set("absent", NumberOf(env, totals.absent));
  object.Set("userBytes", NumberOf(env, totals.user_bytes));
  for (size_t i = 0; i < totals.tiers.size(); i++) {
    const TierTotals& tier = totals.tiers[i];
    Napi::Object figures = Napi::Object::New(env);
    figures.Set("found", NumberOf(env, tier.found));
    figures.Set("writtenBytes", NumberOf(env, tier.written_bytes));
    figures.Set("movedInRecords", NumberOf(env, tier.moved_in_records));
    figures.Set("movedInBytes", NumberOf(env, tier.moved_in_bytes));
    figures.Set("movedOutRecords", NumberOf(env, tier.moved_out_records));
    figures.Set("movedOutBytes", NumberOf(env, tier.moved_out_bytes));
    object.Set(std::string(TierName(static_cast<Tier>(i))), figures);
  }
  return object;
}

}  // namespace

Napi::Function TiersWrap::Define(Napi::Env env) {
  return DefineClass(env, "NativeTiers",
                     {
                         InstanceMethod<&TiersWrap::Step>("step"),
                         InstanceMethod<&TiersWrap::Page>("page"),
                         InstanceMethod<&TiersWrap::Report>("report"),
                     });
}

napi_value TiersWrap::New(napi_env env, std::shared_ptr<Session> session) {
  Environment* environment = Environment::Of(env);
  napi_value object = nullptr;
  auto* self = environment->Construct<TiersWrap>(environment->tiers_class(), &object);
  if (self == nullptr) return nullptr;
  self->session_ = std::move(session);
  return object;
}

// step(ticket, from, to, shard, start, packed keys or undefined) -> [records, bytes, markers,
// dropped, dirty, next or undefined]. One migration step; tiers by number, 0 hot
void TiersWrap::Step(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<StepResult>>(TicketOf(info));
  op->session = session_;
  std::vector<std::string> keys;
  const bool given = info[5].IsTypedArray();
  if (given) keys = KeysOf(BytesOf(info.Env(), info[5]));
  op->execute = [session = session_, from = IntOf(info[1]), to = IntOf(info[2]),
                 shard = IntOf(info[3]), start = OptionalBytes(info[4]).value_or(std::string()),
                 keys = std::move(keys), given](StepResult* result) {
    Engine& engine = session->engine();
    Status status = session->CheckWritable();
    StepPlan plan;
    plan.shard = shard;
    plan.start = start;
    if (given) plan.keys = &keys;
    if (status.ok()) status = LevelOf(engine, from, &plan.from);
    if (status.ok()) status = LevelOf(engine, to, &plan.to);
    // A shard beyond the table was merged away meanwhile.
    if (status.ok() && (shard < 0 || plan.from == plan.to)) {
      status = {Code::kInvalidArgument, "a migration step outside the database"};
    }
    if (status.ok() && engine.stepper() == nullptr) {
      status = {Code::kReadOnly, "the database is open read-only"};
    }
    if (!status.ok()) return status;
    // A shard that is being split or merged is waited for: nothing may be left out in silence.
    do {
      status = engine.stepper()->Run(plan, result);
      if (result->set_aside) std::this_thread::sleep_for(kSetAsidePause);
    } while (status.ok() && result->set_aside && !session->closing());
    if (status.ok() && result->set_aside) status = {Code::kClosed, "the database was closed"};
    return status;
  };
  op->to_js = [](napi_env env, StepResult& result) -> napi_value {
    Napi::Array array = Napi::Array::New(env, 6);
    const uint64_t numbers[] = {result.records, result.bytes, result.markers, result.dropped,
                                result.dirty};
    for (uint32_t i = 0; i < 5; i++) array.Set(i, NumberOf(env, numbers[i]));
    if (!result.done) array.Set(5u, Napi::Value(env, BytesToJs(env, result.next)));
    return array;
  };
  StartAsync(Environment::Of(info.Env()), session_->engine().background_pool(), std::move(op));
}

// page(ticket, tier, shard, start) -> [bytes, index, next or undefined]: keys and values one after
// another, and their lengths as pairs of uint32. What readers see of a tier
void TiersWrap::Page(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<TierPage>>(TicketOf(info));
  op->session = session_;
  op->execute = [session = session_, tier = IntOf(info[1]), shard = IntOf(info[2]),
                 start = OptionalBytes(info[3]).value_or(std::string())](TierPage* page) {
    Engine& engine = session->engine();
    int level = 0;
    Status status = LevelOf(engine, tier, &level);
    if (status.ok() && shard < 0) {
      status = {Code::kInvalidArgument, "a page outside the database"};
    }
    if (!status.ok()) return status;
    const auto view = engine.NewView();
    if (shard >= view->shards()->count()) {  // merged away meanwhile
      page->done = true;
      return status;
    }
    return ReadTierPage(engine.hot_db(), *view, level, shard, start, kPageRecords, kPageBytes,
                        page);
  };
  op->to_js = [](napi_env env, TierPage& page) -> napi_value {
    std::string bytes;
    std::string index;
    for (const auto& [key, value] : page.records) {
      bytes += key;
      bytes += value;
      PutFixed32(&index, static_cast<uint32_t>(key.size()));
      PutFixed32(&index, static_cast<uint32_t>(value.size()));
    }
    Napi::Array array = Napi::Array::New(env, 3);
    array.Set(0u, Napi::Value(env, BytesToJs(env, bytes)));
    array.Set(1u, Napi::Value(env, BytesToJs(env, index)));
    if (!page.done) array.Set(2u, Napi::Value(env, BytesToJs(env, page.next)));
    return array;
  };
  StartAsync(Environment::Of(info.Env()), session_->engine().background_pool(), std::move(op));
}

// report(ticket) -> { tiers, fromMemory, absent, promoted, moves by cause, userBytes, trouble,
// shards, prefetch? }
void TiersWrap::Report(const Napi::CallbackInfo& info) {
  struct Result {
    TierReport report;
    int shards = 0;
    std::optional<SequencePrefetcher::Stats> prefetch;
  };
  auto op = std::make_shared<AsyncOp<Result>>(TicketOf(info));
  op->session = session_;
  op->execute = [session = session_](Result* result) {
    result->report = session->engine().ReportTiers();
    EngineGauges gauges = session->engine().Gauges();
    result->shards = gauges.shards;
    result->prefetch = gauges.prefetch;
    return Status();
  };
  op->to_js = [](napi_env env, Result& result) -> napi_value {
    const TierReport& report = result.report;
    Napi::Object object = Napi::Object::New(env);
    Napi::Array tiers = Napi::Array::New(env, report.tiers.size());
    for (uint32_t i = 0; i < report.tiers.size(); i++) {
      tiers.Set(i, FiguresToJs(env, report.tiers[i]));
    }
    object.Set("tiers", tiers);
    object.Set("fromMemory", NumberOf(env, report.from_memory));
    object.Set("absent", NumberOf(env, report.absent));
    object.Set("promoted", NumberOf(env, report.promoted));
    object.Set("moves", MovesToJs(env, report.moves));
    object.Set("lifetime", LifetimeToJs(env, report.lifetime));
    object.Set("userBytes", NumberOf(env, report.user_bytes));
    object.Set("trouble", report.trouble);
    object.Set("shards", Napi::Number::New(env, result.shards));
    if (result.prefetch) object.Set("prefetch", PrefetchToJs(env, *result.prefetch));
    return object;
  };
  StartAsync(Environment::Of(info.Env()), session_->engine().task_pool(), std::move(op));
}

}  // namespace thermocline
