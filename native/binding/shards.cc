#include "binding/shards.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "binding/async_op.h"
#include "binding/environment.h"
#include "binding/job.h"
#include "binding/values.h"
#include "engine/engine.h"

namespace thermocline {

namespace {

Napi::Value NewJob(const Napi::CallbackInfo& info) {
  return Napi::External<Job>::New(info.Env(), new Job(std::make_shared<SnapshotControl>()),
                                  [](Napi::Env, Job* job) { delete job; });
}

Napi::Value JobProgress(const Napi::CallbackInfo& info) {
  const Job job = JobOf(info[0]);
  Napi::Array both = Napi::Array::New(info.Env(), 2);
  both.Set(0u, static_cast<double>(job->bytes.load(std::memory_order_relaxed)));
  both.Set(1u, static_cast<double>(job->total_bytes.load(std::memory_order_relaxed)));
  return both;
}

Napi::Value JobAbort(const Napi::CallbackInfo& info) {
  const Job job = JobOf(info[0]);
  job->aborted.store(true, std::memory_order_relaxed);
  return Napi::Boolean::New(info.Env(), job->gate.Cancel());
}

struct Restored {
  std::vector<uint32_t> ids;
  SnapshotManifest manifest;
};

napi_value IdsToJs(Napi::Env env, const std::vector<uint32_t>& ids) {
  Napi::Array array = Napi::Array::New(env, ids.size());
  for (uint32_t i = 0; i < ids.size(); i++) array.Set(i, static_cast<double>(ids[i]));
  return array;
}

}  // namespace

void ExportShardJobs(Napi::Env env, Napi::Object exports) {
  exports.Set("shardJob", Napi::Function::New<NewJob>(env, "shardJob"));
  exports.Set("shardJobProgress", Napi::Function::New<JobProgress>(env, "shardJobProgress"));
  exports.Set("shardJobAbort", Napi::Function::New<JobAbort>(env, "shardJobAbort"));
}

void SnapshotShards(const Napi::CallbackInfo& info, const std::shared_ptr<Session>& session) {
  auto op = std::make_shared<AsyncOp<SnapshotReport>>(TicketOf(info));
  op->session = session;
  std::vector<uint32_t> ids;
  const auto given = info[1].As<Napi::Array>();
  for (uint32_t i = 0; i < given.Length(); i++) {
    ids.push_back(static_cast<uint32_t>(NumberIn(given.Get(i))));
  }
  if (!IsReadable(info.Env())) return;
  const Job job = JobOf(info[3]);
  job->closing = [session] { return session->closing(); };
  op->execute = [session, ids, dir = info[2].As<Napi::String>().Utf8Value(),
                 job](SnapshotReport* report) -> Status {
    Status status = Begin(job);
    if (!status.ok()) return status;
    ShardSnapshotter* const snapshotter = session->engine().snapshotter();
    if (snapshotter == nullptr) {
      return {Code::kReadOnly, "a snapshot of shards needs the database open for writing"};
    }
    return snapshotter->Take(ids, dir, job.get(), report);
  };
  op->to_js = [](napi_env env, SnapshotReport& report) -> napi_value {
    Napi::Object object = Napi::Object::New(env);
    std::vector<uint32_t> ids;
    uint64_t keys = 0;
    for (const SnapshotShard& shard : report.manifest.shards) {
      ids.push_back(shard.info.id);
      keys += shard.keys;
    }
    object.Set("shards", Napi::Value(env, IdsToJs(env, ids)));
    object.Set("files", static_cast<double>(report.manifest.files()));
    object.Set("linked", static_cast<double>(report.linked));
    object.Set("bytes", static_cast<double>(report.manifest.bytes()));
    object.Set("keys", static_cast<double>(keys));
    return object;
  };
  StartAsync(Environment::Of(info.Env()), session->engine().shard_pool(), std::move(op));
}

void RestoreShards(const Napi::CallbackInfo& info, const std::shared_ptr<Session>& session) {
  auto op = std::make_shared<AsyncOp<Restored>>(TicketOf(info));
  op->session = session;
  const int64_t wanted = info[2].As<Napi::Number>().Int64Value();
  std::optional<uint32_t> as;
  if (wanted >= 0) as = static_cast<uint32_t>(wanted);
  const Job job = JobOf(info[3]);
  job->closing = [session] { return session->closing(); };
  op->execute = [session, as, dir = info[1].As<Napi::String>().Utf8Value(),
                 job](Restored* restored) -> Status {
    Status status = Begin(job);
    if (status.ok()) status = session->CheckWritable();
    if (!status.ok()) return status;
    return session->engine().restorer()->Restore(dir, as, job.get(), &restored->ids,
                                                 &restored->manifest);
  };
  op->to_js = [](napi_env env, Restored& restored) { return IdsToJs(env, restored.ids); };
  StartAsync(Environment::Of(info.Env()), session->engine().shard_pool(), std::move(op));
}

namespace {

using FreezerCall = Status (ShardFreezer::*)(uint32_t id, SnapshotControl* control);

void CallFreezer(const Napi::CallbackInfo& info, const std::shared_ptr<Session>& session,
                 FreezerCall call) {
  auto op = std::make_shared<AsyncOp<>>(TicketOf(info));
  op->session = session;
  const Job job = JobOf(info[2]);
  job->closing = [session] { return session->closing(); };
  op->execute = [session, call, id = info[1].As<Napi::Number>().Uint32Value(),
                 job](NoResult*) -> Status {
    Status status = Begin(job);
    if (status.ok()) status = session->CheckWritable();
    if (!status.ok()) return status;
    return (session->engine().freezer()->*call)(id, job.get());
  };
  StartAsync(Environment::Of(info.Env()), session->engine().shard_pool(), std::move(op));
}

}  // namespace

void FreezeShard(const Napi::CallbackInfo& info, const std::shared_ptr<Session>& session) {
  CallFreezer(info, session, &ShardFreezer::Freeze);
}

void ThawShard(const Napi::CallbackInfo& info, const std::shared_ptr<Session>& session) {
  CallFreezer(info, session, &ShardFreezer::Thaw);
}

}  // namespace thermocline
