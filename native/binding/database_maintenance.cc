// The methods of a database that look after its store, whole or by shard, and that report on it.
// All but stats and slowOperations run on the engine's pools.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "binding/async_op.h"
#include "binding/database.h"
#include "binding/job.h"
#include "binding/shards.h"
#include "binding/stats.h"
#include "binding/values.h"

namespace thermocline {

void DatabaseWrap::Flush(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<>>(TicketOf(info));
  op->session = state_->session;
  op->execute = [session = state_->session](NoResult*) {
    Status status = session->CheckWritable();
    return status.ok() ? session->engine().Flush() : status;
  };
  StartAsync(state_->environment, state_->session->engine().task_pool(), std::move(op));
}

void DatabaseWrap::Compact(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<>>(TicketOf(info));
  op->session = state_->session;
  op->execute = [session = state_->session, range = RangeOf(info[1], info[2])](NoResult*) {
    Status status = session->CheckWritable();
    return status.ok() ? session->engine().Compact(range) : status;
  };
  StartAsync(state_->environment, state_->session->engine().background_pool(), std::move(op));
}

void DatabaseWrap::Resume(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<>>(TicketOf(info));
  op->session = state_->session;
  op->execute = [session = state_->session](NoResult*) {
    Status status = session->CheckWritable();
    return status.ok() ? session->engine().Resume() : status;
  };
  StartAsync(state_->environment, state_->session->engine().task_pool(), std::move(op));
}

// shards(ticket) -> one object per shard
void DatabaseWrap::Shards(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<std::vector<ShardReport>>>(TicketOf(info));
  op->session = state_->session;
  op->execute = [session = state_->session](std::vector<ShardReport>* reports) -> Status {
    *reports = session->engine().ShardReports();
    return {};
  };
  op->to_js = [](napi_env env, std::vector<ShardReport>& reports) {
    return ShardsToJs(env, reports);
  };
  StartAsync(state_->environment, state_->session->engine().task_pool(), std::move(op));
}

void DatabaseWrap::SnapshotShards(const Napi::CallbackInfo& info) {
  thermocline::SnapshotShards(info, state_->session);
}

void DatabaseWrap::RestoreShards(const Napi::CallbackInfo& info) {
  thermocline::RestoreShards(info, state_->session);
}

void DatabaseWrap::FreezeShard(const Napi::CallbackInfo& info) {
  thermocline::FreezeShard(info, state_->session);
}

void DatabaseWrap::ThawShard(const Napi::CallbackInfo& info) {
  thermocline::ThawShard(info, state_->session);
}

// backup(ticket, dir, keep, job) -> {id, created, bytes, files, warning?}
void DatabaseWrap::Backup(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<thermocline::Backup>>(TicketOf(info));
  op->session = state_->session;
  const Job job = JobOf(info[3]);  // closing waits for it
  op->execute = [session = state_->session, dir = info[1].As<Napi::String>().Utf8Value(),
                 keep = info[2].As<Napi::Number>().Uint32Value(),
                 job](thermocline::Backup* backup) {
    Status status = Begin(job);
    if (status.ok()) status = session->CheckWritable();
    return status.ok() ? session->engine().CreateBackup(dir, keep, backup, job.get()) : status;
  };
  op->to_js = [](napi_env env, thermocline::Backup& backup) { return BackupToJs(env, backup); };
  StartAsync(state_->environment, state_->session->engine().background_pool(), std::move(op));
}

// verify(ticket, job) -> VerifyReportToJs
void DatabaseWrap::Verify(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<VerifyReport>>(TicketOf(info));
  op->session = state_->session;
  const Job job = JobOf(info[1]);
  job->closing = [session = state_->session] { return session->closing(); };
  op->execute = [session = state_->session, job](VerifyReport* report) {
    Status status = Begin(job);
    return status.ok() ? session->engine().Verify(report, job.get()) : status;
  };
  op->to_js = [](napi_env env, VerifyReport& report) { return VerifyReportToJs(env, report); };
  StartAsync(state_->environment, state_->session->engine().background_pool(), std::move(op));
}

void DatabaseWrap::ApproximateSize(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<uint64_t>>(TicketOf(info));
  op->session = state_->session;
  op->execute = [session = state_->session, range = RangeOf(info[1], info[2])](uint64_t* bytes) {
    return session->engine().ApproximateSize(range, bytes);
  };
  op->to_js = [](napi_env env, uint64_t& bytes) -> napi_value {
    return Napi::Number::New(env, static_cast<double>(bytes));
  };
  StartAsync(state_->environment, state_->session->engine().task_pool(), std::move(op));
}

// stats(bounds?) -> one object; with bounds in nanoseconds every latency has its buckets
Napi::Value DatabaseWrap::Stats(const Napi::CallbackInfo& info) {
  Status status = state_->session->Begin();
  if (!status.ok()) {
    state_->environment->SetError(std::move(status));
    return info.Env().Undefined();
  }
  Bounds bounds;
  if (info[0].IsArray()) {
    const Napi::Array given = info[0].As<Napi::Array>();
    for (uint32_t i = 0; i < given.Length(); i++) {
      bounds.push_back(static_cast<uint64_t>(NumberIn(given.Get(i))));
    }
  }
  const Napi::Value stats(info.Env(), StatsToJs(info.Env(), state_->session->engine(), bounds));
  state_->session->End();
  return stats;
}

// slowOperations(clear) -> one object each, slowest first; undefined if they are not traced
Napi::Value DatabaseWrap::SlowOperations(const Napi::CallbackInfo& info) {
  Status status = state_->session->Begin();
  if (!status.ok()) {
    state_->environment->SetError(std::move(status));
    return info.Env().Null();
  }
  SlowLog* const slow = state_->session->engine().metrics().slow.get();
  Napi::Value operations = info.Env().Undefined();
  if (slow != nullptr) {
    operations = Napi::Value(info.Env(), SlowToJs(info.Env(), slow->Snapshot()));
    if (FlagIn(info[0])) slow->Clear();
  }
  state_->session->End();
  return operations;
}

// rocksdb(ticket, tier, property or undefined) -> tickers by name, or the property as a number or
// text; undefined if there is no such thing
void DatabaseWrap::RocksDb(const Napi::CallbackInfo& info) {
  struct Result {
    bool found = false;
    bool tickers = false;
    std::map<std::string, uint64_t> by_name;
    std::optional<uint64_t> number;
    std::string text;
  };
  auto op = std::make_shared<AsyncOp<Result>>(TicketOf(info));
  op->session = state_->session;
  const auto tier = static_cast<Tier>(info[1].As<Napi::Number>().Uint32Value());
  std::optional<std::string> property;
  if (info[2].IsString()) property = info[2].As<Napi::String>().Utf8Value();
  op->execute = [session = state_->session, tier, property](Result* result) -> Status {
    Engine& engine = session->engine();
    result->tickers = !property;
    result->found = property ? engine.Property(tier, *property, &result->number, &result->text)
                             : engine.Tickers(tier, &result->by_name);
    return {};
  };
  op->to_js = [](napi_env env, Result& result) -> napi_value {
    if (!result.found) return Napi::Env(env).Undefined();
    if (result.tickers) {
      Napi::Object object = Napi::Object::New(env);
      for (const auto& [name, value] : result.by_name) {
        object.Set(name, Napi::Number::New(env, static_cast<double>(value)));
      }
      return object;
    }
    if (result.number) return Napi::Number::New(env, static_cast<double>(*result.number));
    return Napi::String::New(env, result.text);
  };
  StartAsync(state_->environment, state_->session->engine().task_pool(), std::move(op));
}

}  // namespace thermocline
