#include "binding/cursor.h"

#include <utility>

#include "binding/async_op.h"
#include "binding/values.h"
#include "engine/registry.h"

namespace thermocline {

Napi::Function CursorWrap::Define(Napi::Env env) {
  return DefineClass(env, "NativeCursor",
                     {
                         InstanceMethod<&CursorWrap::Take>("take"),
                         InstanceMethod<&CursorWrap::Seek>("seek"),
                         InstanceMethod<&CursorWrap::Close>("close"),
                     });
}

napi_value CursorWrap::New(napi_env env, std::shared_ptr<Session> session,
                           std::shared_ptr<Cursor> cursor) {
  Environment* environment = Environment::Of(env);
  napi_value object = nullptr;
  auto* self = environment->Construct<CursorWrap>(environment->cursor_class(), &object);
  if (self == nullptr) return nullptr;
  self->session_ = std::move(session);
  self->cursor_ = std::move(cursor);
  return object;
}

Napi::Value CursorWrap::Take(const Napi::CallbackInfo& info) {
  Environment* environment = Environment::Of(info.Env());
  auto completion = std::make_shared<Completion>(TicketOf(info));
  environment->Began();
  completion->status = session_->Begin();
  if (!completion->status.ok()) {
    environment->queue()->Post(std::move(completion));
    return info.Env().Undefined();
  }
  Chunk chunk;
  const bool taken = cursor_->Take(info[1].As<Napi::Number>().Uint32Value(), &chunk,
                                   [completion, queue = environment->queue(), session = session_] {
                                     queue->Post(completion);
                                     session->End();
                                   });
  if (!taken) return info.Env().Undefined();
  session_->End();
  if (!chunk.status.ok()) {
    // Records before the failure are lost to the caller on purpose: a walk that failed must not
    // look like one that ended.
    completion->status = chunk.status;
    environment->queue()->Post(std::move(completion));
    return info.Env().Undefined();
  }
  environment->Unbegan();
  return Napi::Value(info.Env(), ChunkToJs(info.Env(), chunk));
}

void CursorWrap::Seek(const Napi::CallbackInfo& info) {
  cursor_->Seek(OptionalBytes(info[0]).value_or(std::string()),
                info[1].As<Napi::Number>().Uint32Value());
}

void CursorWrap::Close(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<>>(TicketOf(info));
  op->execute = [session = session_, cursor = cursor_](NoResult*) {
    cursor->Close();
    session->Drop(cursor);
    return Status();
  };
  StartAsync(Environment::Of(info.Env()), Registry::Get().pool(), std::move(op));
}

}  // namespace thermocline
