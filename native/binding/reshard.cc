#include "binding/reshard.h"

#include <utility>
#include <vector>

#include "binding/async_op.h"
#include "binding/environment.h"

namespace thermocline {

namespace {

uint32_t Uint32Of(const Napi::Value& value) { return value.As<Napi::Number>().Uint32Value(); }

}  // namespace

Napi::Function ReshardWrap::Define(Napi::Env env) {
  return DefineClass(env, "NativeReshard",
                     {
                         InstanceMethod<&ReshardWrap::Run>("run"),
                         InstanceMethod<&ReshardWrap::Progress>("progress"),
                         InstanceMethod<&ReshardWrap::Pause>("pause"),
                         InstanceMethod<&ReshardWrap::Abort>("abort"),
                     });
}

napi_value ReshardWrap::New(napi_env env, std::shared_ptr<Session> session) {
  Environment* environment = Environment::Of(env);
  napi_value object = nullptr;
  auto* self = environment->Construct<ReshardWrap>(environment->reshard_class(), &object);
  if (self == nullptr) return nullptr;
  self->control_->closing = [session] { return session->closing(); };
  self->session_ = std::move(session);
  return object;
}

// run(ticket, id, other or undefined, at or undefined) -> ids of the shards that hold the data now.
// With `other` a merge, else a split. Once
void ReshardWrap::Run(const Napi::CallbackInfo& info) {
  using Ids = std::vector<uint32_t>;
  auto op = std::make_shared<AsyncOp<Ids>>(TicketOf(info));
  op->session = session_;
  ReshardRequest request;
  request.id = Uint32Of(info[1]);
  request.split = !info[2].IsNumber();
  if (!request.split) request.other = Uint32Of(info[2]);
  if (info[3].IsNumber()) request.at = static_cast<uint16_t>(Uint32Of(info[3]));
  op->execute = [session = session_, control = control_, request](Ids* ids) {
    if (!control->gate.Begin()) return Status(Code::kAborted, "the split or merge was aborted");
    Status status = session->CheckWritable();
    if (!status.ok()) return status;
    return session->engine().resharder()->Run(request, control.get(), ids);
  };
  op->to_js = [](napi_env env, Ids& ids) -> napi_value {
    Napi::Array array = Napi::Array::New(env, ids.size());
    for (uint32_t i = 0; i < ids.size(); i++) array.Set(i, Napi::Number::New(env, ids[i]));
    return array;
  };
  StartAsync(Environment::Of(info.Env()), session_->engine().reshard_pool(), std::move(op));
}

// progress() -> [phase, copied bytes, copied records, total bytes, caught up]
Napi::Value ReshardWrap::Progress(const Napi::CallbackInfo& info) {
  const ReshardControl::Progress progress = control_->progress();
  const uint64_t numbers[] = {static_cast<uint64_t>(progress.phase), progress.copied_bytes,
                              progress.copied_records, progress.total_bytes, progress.caught_up};
  Napi::Array array = Napi::Array::New(info.Env(), 5);
  for (uint32_t i = 0; i < 5; i++) {
    array.Set(i, Napi::Number::New(info.Env(), static_cast<double>(numbers[i])));
  }
  return array;
}

// pause(on)
void ReshardWrap::Pause(const Napi::CallbackInfo& info) {
  control_->Pause(info[0].As<Napi::Boolean>().Value());
}

// abort() -> whether it will never begin
Napi::Value ReshardWrap::Abort(const Napi::CallbackInfo& info) {
  control_->Abort();
  return Napi::Boolean::New(info.Env(), control_->gate.Cancel());
}

}  // namespace thermocline
