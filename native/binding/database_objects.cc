// The methods of a database that make a JavaScript object of its own: snapshot, cursor,
// transaction, reshard and tiers.

#include <memory>
#include <utility>

#include "binding/cursor.h"
#include "binding/database.h"
#include "binding/environment.h"
#include "binding/reshard.h"
#include "binding/snapshot.h"
#include "binding/tiers.h"
#include "binding/transaction.h"
#include "binding/values.h"

namespace thermocline {

Napi::Value DatabaseWrap::Snapshot(const Napi::CallbackInfo& info) {
  Status status = state_->session->Begin();
  if (!status.ok()) {
    state_->environment->SetError(std::move(status));
    return info.Env().Undefined();
  }
  const Napi::Value snapshot(
      info.Env(), SnapshotWrap::New(info.Env(), state_->session, state_->session->NewView()));
  state_->session->End();
  return snapshot;
}

// cursor(lower?, upper?, flags, limit, snapshot?, first slot?, last slot?); flags: 1 reverse, 2
// keys, 4 values, 8 fill cache
Napi::Value DatabaseWrap::Cursor(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Status status = state_->session->Begin();
  if (!status.ok()) {
    state_->environment->SetError(std::move(status));
    return env.Undefined();
  }
  KeyRange range = RangeOf(info[0], info[1]);
  CursorOptions options;
  options.has_lower = range.has_start;
  options.has_upper = range.has_end;
  options.lower = std::move(range.start);
  options.upper = std::move(range.end);
  const uint32_t flags = info[2].As<Napi::Number>().Uint32Value();
  options.reverse = (flags & 1) != 0;
  options.keys = (flags & 2) != 0;
  options.values = (flags & 4) != 0;
  options.fill_cache = (flags & 8) != 0;
  const double limit = info[3].As<Napi::Number>().DoubleValue();
  if (limit >= 0) options.limit = static_cast<uint64_t>(limit);
  if (info[5].IsNumber() && info[6].IsNumber()) {
    options.first_slot = static_cast<uint16_t>(info[5].As<Napi::Number>().Uint32Value());
    options.last_slot = static_cast<uint16_t>(info[6].As<Napi::Number>().Uint32Value());
  }
  std::shared_ptr<const ReadView> view = ViewOf(info[4]);
  auto cursor = state_->session->NewCursor(std::move(view), std::move(options));
  const Napi::Value wrapped(env, CursorWrap::New(env, state_->session, std::move(cursor)));
  state_->session->End();
  return wrapped;
}

// beginTransaction(ticket) -> a NativeTransaction
void DatabaseWrap::BeginTransaction(const Napi::CallbackInfo& info) {
  struct Begun : Completion {
    using Completion::Completion;
    std::shared_ptr<Session> session;
    std::shared_ptr<Transaction> transaction;
    napi_value ToJs(napi_env env) override {
      return TransactionWrap::New(env, session, transaction);
    }
  };
  auto begun = std::make_shared<Begun>(TicketOf(info));
  const std::shared_ptr<CompletionQueue>& queue = state_->environment->queue();
  const std::shared_ptr<Session>& session = state_->session;
  state_->environment->Began();
  begun->status = session->CheckWritable();
  if (begun->status.ok()) begun->status = session->Begin();
  if (!begun->status.ok()) return queue->Post(std::move(begun));
  const Status status = session->engine().BeginTransaction(
      [begun, queue, session](std::shared_ptr<Transaction> transaction) {
        session->Keep(transaction);
        begun->session = session;
        begun->transaction = std::move(transaction);
        queue->Post(begun);
        session->End();
      });
  if (status.ok()) return;
  begun->status = status;
  queue->Post(std::move(begun));
  session->End();
}

// reshard() -> a NativeReshard, for one split or merge
Napi::Value DatabaseWrap::Reshard(const Napi::CallbackInfo& info) {
  return Napi::Value(info.Env(), ReshardWrap::New(info.Env(), state_->session));
}

// tiers() -> a NativeTiers
Napi::Value DatabaseWrap::Tiers(const Napi::CallbackInfo& info) {
  return Napi::Value(info.Env(), TiersWrap::New(info.Env(), state_->session));
}

}  // namespace thermocline
