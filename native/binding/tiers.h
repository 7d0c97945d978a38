// The native half of db.tiers. Thread safety: the environment's thread.
#pragma once

#include <napi.h>

#include <memory>

#include "engine/session.h"

namespace thermocline {

class TiersWrap : public Napi::ObjectWrap<TiersWrap> {
 public:
  static Napi::Function Define(Napi::Env env);
  static napi_value New(napi_env env, std::shared_ptr<Session> session);

  explicit TiersWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TiersWrap>(info) {}

 private:
  void Step(const Napi::CallbackInfo& info);
  void Page(const Napi::CallbackInfo& info);
  void Report(const Napi::CallbackInfo& info);
  Napi::Value Troubles(const Napi::CallbackInfo& info);
  Napi::Value Prefetch(const Napi::CallbackInfo& info);

  std::shared_ptr<Session> session_;
};

}  // namespace thermocline
