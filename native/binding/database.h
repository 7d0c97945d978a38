// The native half of a Database: one session on an engine.
//
// Method contract with lib/database.ts: every asynchronous method takes a ticket first and answers
// through the dispatcher. lookup is called per key and therefore is a closure over this object
// instead of a method: it needs no unwrapping.
//
// Three files define the methods: database.cc the object's life, lookups, reads and writes;
// database_objects.cc what makes a JavaScript object of its own; database_maintenance.cc upkeep,
// shards, backup, and reports.
//
// Thread safety: the environment's thread alone.
#pragma once

#include <napi.h>

#include <memory>

#include "binding/environment.h"
#include "engine/session.h"

namespace thermocline {

class DatabaseWrap : public Napi::ObjectWrap<DatabaseWrap> {
 public:
  static Napi::Function Define(Napi::Env env);
  // Makes the JavaScript object for an open session; null if JavaScript cannot run any more.
  static napi_value New(napi_env env, const std::shared_ptr<Session>& session);

  explicit DatabaseWrap(const Napi::CallbackInfo& info);
  // A database that was dropped without close() is closed here, in the background.
  ~DatabaseWrap() override;

  const std::shared_ptr<Session>& session() const { return state_->session; }

 private:
  // What the lookup closure needs; it may outlive the wrapping object.
  struct State {
    Environment* environment = nullptr;  // valid until queue->shut()
    std::shared_ptr<CompletionQueue> queue;
    std::shared_ptr<Session> session;
    Engine* engine = nullptr;  // null once closed
  };

  // lookup(key bytes in the request buffer, offset in the slab, cache only) -> length, or a code
  // below zero: see lib/native.ts.
  static napi_value Lookup(napi_env env, napi_callback_info info);
  static double LookupInto(State* state, std::string_view key, char* out, size_t room,
                           bool cache_only, const ReadView* view);

  // database.cc
  Napi::Value LookupLarge(const Napi::CallbackInfo& info);
  Napi::Value GetMany(const Napi::CallbackInfo& info);
  Napi::Value Submit(const Napi::CallbackInfo& info);
  Napi::Value SubmitChecked(const Napi::CallbackInfo& info);
  // The end of both: hands the submission over, or reports why not.
  Napi::Value Accept(const Napi::CallbackInfo& info, std::unique_ptr<Submission> submission,
                     double applied_ticket, const Napi::Value& messages);
  void Close(const Napi::CallbackInfo& info);

  // database_objects.cc
  Napi::Value Snapshot(const Napi::CallbackInfo& info);
  Napi::Value Cursor(const Napi::CallbackInfo& info);
  void BeginTransaction(const Napi::CallbackInfo& info);
  Napi::Value Reshard(const Napi::CallbackInfo& info);
  Napi::Value Tiers(const Napi::CallbackInfo& info);

  // database_maintenance.cc
  void Flush(const Napi::CallbackInfo& info);
  void Compact(const Napi::CallbackInfo& info);
  void Resume(const Napi::CallbackInfo& info);
  void Shards(const Napi::CallbackInfo& info);
  void SnapshotShards(const Napi::CallbackInfo& info);
  void RestoreShards(const Napi::CallbackInfo& info);
  void FreezeShard(const Napi::CallbackInfo& info);
  void ThawShard(const Napi::CallbackInfo& info);
  void Backup(const Napi::CallbackInfo& info);
  void Verify(const Napi::CallbackInfo& info);
  void ApproximateSize(const Napi::CallbackInfo& info);
  Napi::Value Stats(const Napi::CallbackInfo& info);
  Napi::Value SlowOperations(const Napi::CallbackInfo& info);
  void RocksDb(const Napi::CallbackInfo& info);

  std::shared_ptr<State> state_;
};

}  // namespace thermocline
