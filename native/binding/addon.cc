// The addon: its functions and classes. The engine knows nothing of this folder.
#include <napi.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "binding/async_op.h"
#include "binding/changes.h"
#include "binding/cursor.h"
#include "binding/database.h"
#include "binding/environment.h"
#include "binding/job.h"
#include "binding/reshard.h"
#include "binding/shards.h"
#include "binding/snapshot.h"
#include "binding/tiers.h"
#include "binding/topic.h"
#include "binding/topic_consumer.h"
#include "binding/transaction.h"
#include "binding/values.h"
#include "engine/backup/backup.h"
#include "engine/options.h"
#include "engine/platform/disk_probe.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "engine/shard/slot.h"

namespace thermocline {

namespace {

// An open session that closes itself if nobody takes it, because the environment died meanwhile.
struct OpenedSession {
  std::shared_ptr<Session> session;
  OpenedSession() = default;
  OpenedSession(const OpenedSession&) = delete;
  OpenedSession& operator=(const OpenedSession&) = delete;
  ~OpenedSession() {
    if (session) session->Close();
  }
};

// open(ticket, location, options)
Napi::Value Open(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<OpenedSession>>(TicketOf(info));
  std::string location = info[1].As<Napi::String>().Utf8Value();
  EngineOptions options;
  Status status = ReadOptions(info[2].As<Napi::Object>(), &options);
  op->execute = [location = std::move(location), options, status](OpenedSession* out) -> Status {
    if (!status.ok()) return status;
    std::shared_ptr<Engine> engine;
    Status opened = Registry::Get().Acquire(location, options, &engine);
    if (!opened.ok()) return opened;
    out->session = std::make_shared<Session>(std::move(engine), options.read_only);
    return {};
  };
  op->to_js = [](napi_env env, OpenedSession& result) {
    const napi_value database = DatabaseWrap::New(env, result.session);
    if (database != nullptr) result.session.reset();  // the object closes it from now on
    return database;
  };
  StartAsync(Environment::Of(info.Env()), Registry::Get().pool(), std::move(op));
  return info.Env().Undefined();
}

// destroy(ticket, location)
Napi::Value Destroy(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<>>(TicketOf(info));
  op->execute = [location = info[1].As<Napi::String>().Utf8Value()](NoResult*) {
    return Registry::Get().Destroy(location);
  };
  StartAsync(Environment::Of(info.Env()), Registry::Get().pool(), std::move(op));
  return info.Env().Undefined();
}

// probeDisk(ticket, folder, fileBytes, seconds, queueDepths)
Napi::Value ProbeDisk(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<DiskProbe>>(TicketOf(info));
  DiskProbeOptions options;
  options.folder = info[1].As<Napi::String>().Utf8Value();
  options.file_bytes = static_cast<uint64_t>(info[2].As<Napi::Number>().Int64Value());
  options.seconds = info[3].As<Napi::Number>().DoubleValue();
  options.queue_depths.clear();
  const Napi::Array depths = info[4].As<Napi::Array>();
  for (uint32_t i = 0; i < depths.Length(); i++) {
    options.queue_depths.push_back(static_cast<int>(NumberIn(depths.Get(i))));
  }
  op->execute = [options = std::move(options)](DiskProbe* out) {
    return thermocline::ProbeDisk(options, out);
  };
  op->to_js = [](napi_env env, DiskProbe& probe) -> napi_value {
    return DiskProbeToJs(env, probe);
  };
  StartAsync(Environment::Of(info.Env()), Registry::Get().pool(), std::move(op));
  return info.Env().Undefined();
}

// dropFileCache(ticket, folder)
Napi::Value DropFileCache(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<>>(TicketOf(info));
  op->execute = [folder = info[1].As<Napi::String>().Utf8Value()](NoResult*) {
    return thermocline::DropFileCache(folder);
  };
  StartAsync(Environment::Of(info.Env()), Registry::Get().pool(), std::move(op));
  return info.Env().Undefined();
}

struct BackupsFound {
  std::vector<Backup> backups;
  std::vector<std::string> problems;
};

// backups(ticket, dir, verify) -> [backups, problems]
Napi::Value Backups(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<BackupsFound>>(TicketOf(info));
  op->execute = [dir = info[1].As<Napi::String>().Utf8Value(),
                 verify = info[2].As<Napi::Boolean>().Value()](BackupsFound* found) {
    return verify ? VerifyBackups(dir, &found->backups, &found->problems)
                  : ListBackups(dir, &found->backups);
  };
  op->to_js = [](napi_env env, BackupsFound& found) -> napi_value {
    Napi::Array backups = Napi::Array::New(env, found.backups.size());
    for (uint32_t i = 0; i < found.backups.size(); i++) {
      backups.Set(i, Napi::Value(env, BackupToJs(env, found.backups[i])));
    }
    Napi::Array both = Napi::Array::New(env, 2);
    both.Set(0u, backups);
    both.Set(1u, Napi::Value(env, TextsToJs(env, found.problems)));
    return both;
  };
  StartAsync(Environment::Of(info.Env()), Registry::Get().pool(), std::move(op));
  return info.Env().Undefined();
}

// restore(ticket, dir, id, location, warm, cold, job): paths of colder tiers, empty for their own
// place
Napi::Value Restore(const Napi::CallbackInfo& info) {
  TierPaths paths;
  const std::string warm = info[4].As<Napi::String>().Utf8Value();
  const std::string cold = info[5].As<Napi::String>().Utf8Value();
  if (!warm.empty()) paths[Tier::kWarm] = warm;
  if (!cold.empty()) paths[Tier::kCold] = cold;
  auto op = std::make_shared<AsyncOp<>>(TicketOf(info));
  op->execute = [dir = info[1].As<Napi::String>().Utf8Value(),
                 id = info[2].As<Napi::Number>().Uint32Value(),
                 location = info[3].As<Napi::String>().Utf8Value(), paths = std::move(paths),
                 job = JobOf(info[6])](NoResult*) {
    Status status = Begin(job);
    return status.ok() ? RestoreBackup(dir, id, location, paths, nullptr, job.get()) : status;
  };
  StartAsync(Environment::Of(info.Env()), Registry::Get().pool(), std::move(op));
  return info.Env().Undefined();
}

// slotOf(key bytes)
Napi::Value SlotOfKey(const Napi::CallbackInfo& info) {
  const Bytes key = BytesOf(info.Env(), info[0]);
  return Napi::Number::New(info.Env(), SlotOf({key.data, key.size}));
}

Napi::Value SetDispatcher(const Napi::CallbackInfo& info) {
  Environment::Of(info.Env())->SetDispatcher(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

Napi::Value PinRequest(const Napi::CallbackInfo& info) {
  const Bytes bytes = BytesOf(info.Env(), info[0]);
  Environment::Of(info.Env())->PinRequest(const_cast<char*>(bytes.data), bytes.size);
  return info.Env().Undefined();
}

Napi::Value PinSlab(const Napi::CallbackInfo& info) {
  const Bytes bytes = BytesOf(info.Env(), info[0]);
  Environment::Of(info.Env())->PinSlab(const_cast<char*>(bytes.data), bytes.size);
  return info.Env().Undefined();
}

Napi::Value TakeError(const Napi::CallbackInfo& info) {
  return Napi::Value(info.Env(), Environment::Of(info.Env())->TakeError(info.Env()));
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  Environment* environment = Environment::Create(env);
  environment->SetClasses(DatabaseWrap::Define(env), SnapshotWrap::Define(env),
                          CursorWrap::Define(env), TransactionWrap::Define(env),
                          TiersWrap::Define(env), ReshardWrap::Define(env));
  environment->SetTopicClasses(TopicWrap::Define(env), TopicConsumerWrap::Define(env));
  TopicWrap::Export(env, exports);
  environment->SetChangesClass(ChangesWrap::Define(env));
  ChangesWrap::Export(env, exports);
  exports.Set("open", Napi::Function::New<Open>(env, "open"));
  exports.Set("destroy", Napi::Function::New<Destroy>(env, "destroy"));
  exports.Set("probeDisk", Napi::Function::New<ProbeDisk>(env, "probeDisk"));
  exports.Set("dropFileCache", Napi::Function::New<DropFileCache>(env, "dropFileCache"));
  exports.Set("backups", Napi::Function::New<Backups>(env, "backups"));
  exports.Set("restore", Napi::Function::New<Restore>(env, "restore"));
  ExportShardJobs(env, exports);
  exports.Set("slotOf", Napi::Function::New<SlotOfKey>(env, "slotOf"));
  exports.Set("setDispatcher", Napi::Function::New<SetDispatcher>(env, "setDispatcher"));
  exports.Set("pinRequest", Napi::Function::New<PinRequest>(env, "pinRequest"));
  exports.Set("pinSlab", Napi::Function::New<PinSlab>(env, "pinSlab"));
  exports.Set("takeError", Napi::Function::New<TakeError>(env, "takeError"));
  Napi::Array codes = Napi::Array::New(env);
  for (int code = 0; code <= static_cast<int>(Code::kFrozen); code++) {
    codes.Set(static_cast<uint32_t>(code), std::string(CodeName(static_cast<Code>(code))));
  }
  exports.Set("codes", codes);
  return exports;
}

}  // namespace

}  // namespace thermocline

static Napi::Object InitModule(Napi::Env env, Napi::Object exports) {
  return thermocline::Init(env, exports);
}
NODE_API_MODULE(thermocline, InitModule)
