#include "binding/snapshot.h"

#include <utility>

#include "binding/environment.h"

namespace thermocline {

Napi::Function SnapshotWrap::Define(Napi::Env env) {
  return DefineClass(env, "NativeSnapshot", {InstanceMethod<&SnapshotWrap::Close>("close")});
}

napi_value SnapshotWrap::New(napi_env env, std::shared_ptr<Session> session,
                             std::shared_ptr<const ReadView> view) {
  Environment* environment = Environment::Of(env);
  napi_value object = nullptr;
  auto* self = environment->Construct<SnapshotWrap>(environment->snapshot_class(), &object);
  if (self == nullptr) return nullptr;
  self->session_ = std::move(session);
  self->view_ = std::move(view);
  return object;
}

std::shared_ptr<const ReadView> ViewOf(const Napi::Value& value) {
  if (!value.IsObject()) return nullptr;
  const SnapshotWrap* wrap = SnapshotWrap::Unwrap(value.As<Napi::Object>());
  return wrap ? wrap->view() : nullptr;
}

}  // namespace thermocline
