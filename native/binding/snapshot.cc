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
  const napi_value object = environment->Construct(environment->snapshot_class());
  if (object == nullptr) return nullptr;
  SnapshotWrap* self = Unwrap(Napi::Object(env, object));
  self->session_ = std::move(session);
  self->view_ = std::move(view);
  return object;
}

}  // namespace thermocline
