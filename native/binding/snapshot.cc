#include "binding/snapshot.h"

#include <utility>

#include "binding/environment.h"

namespace thermocline {

Napi::Function SnapshotWrap::Define(Napi::Env env) {
  return DefineClass(env, "NativeSnapshot", {InstanceMethod<&SnapshotWrap::Close>("close")});
}

napi_value SnapshotWrap::New(napi_env env, std::shared_ptr<Session> session,
                             std::shared_ptr<const ReadView> view) {
  Napi::Object object = Environment::Of(env)->snapshot_class().New({});
  SnapshotWrap* self = Unwrap(object);
  self->session_ = std::move(session);
  self->view_ = std::move(view);
  return object;
}

}  // namespace thermocline
