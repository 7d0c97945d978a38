#include "binding/transaction.h"

#include <utility>

#include "binding/environment.h"
#include "binding/snapshot.h"

namespace thermocline {

Napi::Function TransactionWrap::Define(Napi::Env env) {
  return DefineClass(env, "NativeTransaction",
                     {
                         InstanceMethod<&TransactionWrap::Snapshot>("snapshot"),
                         InstanceMethod<&TransactionWrap::End>("end"),
                     });
}

napi_value TransactionWrap::New(napi_env env, std::shared_ptr<Session> session,
                                std::shared_ptr<Transaction> transaction) {
  Environment* environment = Environment::Of(env);
  const napi_value object = environment->Construct(environment->transaction_class());
  if (object == nullptr) return nullptr;
  TransactionWrap* self = Unwrap(Napi::Object(env, object));
  self->session_ = std::move(session);
  self->transaction_ = std::move(transaction);
  return object;
}

Napi::Value TransactionWrap::Snapshot(const Napi::CallbackInfo& info) {
  if (!transaction_ || !session_->Begin().ok()) return info.Env().Undefined();
  session_->Keep(transaction_->view());
  session_->End();
  return Napi::Value(info.Env(), SnapshotWrap::New(info.Env(), session_, transaction_->view()));
}

}  // namespace thermocline
