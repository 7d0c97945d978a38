// The native half of a transaction. Thread safety: the environment's thread.
#pragma once

#include <napi.h>

#include <memory>
#include <utility>

#include "engine/commit/transaction.h"
#include "engine/session.h"

namespace thermocline {

class TransactionWrap : public Napi::ObjectWrap<TransactionWrap> {
 public:
  static Napi::Function Define(Napi::Env env);
  // REQUIRES: the session keeps the transaction.
  static napi_value New(napi_env env, std::shared_ptr<Session> session,
                        std::shared_ptr<Transaction> transaction);

  explicit TransactionWrap(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<TransactionWrap>(info) {}
  ~TransactionWrap() override { Drop(); }

  // Null once ended.
  const std::shared_ptr<Transaction>& transaction() const { return transaction_; }

 private:
  // snapshot() -> what the transaction reads from
  Napi::Value Snapshot(const Napi::CallbackInfo& info);
  void End(const Napi::CallbackInfo&) { Drop(); }
  void Drop() {
    if (!transaction_) return;
    transaction_->End();
    session_->Drop(std::move(transaction_));
    transaction_.reset();
  }

  std::shared_ptr<Session> session_;
  std::shared_ptr<Transaction> transaction_;
};

}  // namespace thermocline
