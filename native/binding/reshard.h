// One split or merge: the native half of ShardMove. Thread safety: the environment's thread.
#pragma once

#include <napi.h>

#include <memory>

#include "engine/session.h"
#include "engine/shard/resharder.h"

namespace thermocline {

class ReshardWrap : public Napi::ObjectWrap<ReshardWrap> {
 public:
  static Napi::Function Define(Napi::Env env);
  static napi_value New(napi_env env, std::shared_ptr<Session> session);

  explicit ReshardWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ReshardWrap>(info) {}

 private:
  void Run(const Napi::CallbackInfo& info);
  Napi::Value Progress(const Napi::CallbackInfo& info);
  void Pause(const Napi::CallbackInfo& info);
  Napi::Value Abort(const Napi::CallbackInfo& info);

  std::shared_ptr<Session> session_;
  const std::shared_ptr<ReshardControl> control_ = std::make_shared<ReshardControl>();
};

}  // namespace thermocline
