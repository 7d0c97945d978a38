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
  napi_value object = nullptr;
  auto* self = environment->Construct<TransactionWrap>(environment->transaction_class(), &object);
  if (self == nullptr) return nullptr;
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
