// What the addon keeps per Node environment (the main thread, or one worker).
//
// CompletionQueue: the one way from engine threads back to JavaScript. Engine threads post finished
// work; one threadsafe function wakes the environment, which hands everything finished to one
// JavaScript function, the dispatcher, in one call.
//
// Invariants:
//   - After Shut (the environment is going) nothing is posted to Node; late completions are dropped
//     on the engine's thread.
//   - The environment stays alive while work is pending, and not because a database is open.
//   - Teardown waits for the tasks that were begun: a process must not end, and so destroy
//   RocksDB's
//     statics, while a thread opens or closes a store.
//
// Thread safety: CompletionQueue::Post from any thread; all else on the environment's thread.
#pragma once

#include <napi.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "engine/session.h"
#include "engine/status.h"

namespace thermocline {

// One finished piece of work on its way to JavaScript.
struct Completion {
  explicit Completion(double ticket_in) : ticket(ticket_in) {}
  virtual ~Completion() = default;
  // Builds what the promise resolves with. Runs on the environment's thread, if status is OK. Null
  // if JavaScript cannot run any more.
  virtual napi_value ToJs(napi_env env);

  double ticket;  // names the promise; made by lib/dispatcher.ts
  Status status;
};

// The ticket of a call: what every asynchronous method takes first.
inline double TicketOf(const Napi::CallbackInfo& info) {
  return info[0].As<Napi::Number>().DoubleValue();
}

class CompletionQueue {
 public:
  void Post(std::shared_ptr<Completion> completion);
  // Whether the environment is going or gone.
  bool shut();
  // Brackets what a pool thread does on behalf of the environment.
  void TaskBegan();
  void TaskEnded();

 private:
  friend class Environment;
  std::mutex mutex_;
  std::condition_variable idle_;
  size_t tasks_ = 0;                                   // GUARDED_BY(mutex_)
  std::vector<std::shared_ptr<Completion>> finished_;  // GUARDED_BY(mutex_)
  bool scheduled_ = false;                             // GUARDED_BY(mutex_)
  bool shut_ = false;                                  // GUARDED_BY(mutex_)
  napi_threadsafe_function wake_ = nullptr;            // GUARDED_BY(mutex_) once shared
};

class Environment {
 public:
  // Creates the environment's state and hooks its teardown.
  static Environment* Create(Napi::Env env);
  static Environment* Of(napi_env env);
  ~Environment();

  const std::shared_ptr<CompletionQueue>& queue() const { return queue_; }
  // Every operation that will post a completion is announced first, on this thread.
  void Began();
  // Takes an announcement back: the operation ended at once, nothing will be posted.
  void Unbegan();

  // Makes a new object of one of the classes and gives its native half; null if JavaScript cannot
  // run any more, since the worker is being terminated. node-addon-api would end the process then.
  template <class Wrap>
  Wrap* Construct(const Napi::FunctionReference& constructor, napi_value* object) {
    napi_value function = nullptr;
    void* wrap = nullptr;
    if (napi_get_reference_value(env_, constructor, &function) != napi_ok ||
        napi_new_instance(env_, function, 0, nullptr, object) != napi_ok ||
        napi_unwrap(env_, *object, &wrap) != napi_ok) {
      return nullptr;
    }
    return static_cast<Wrap*>(wrap);
  }
  void SetClasses(Napi::Function database, Napi::Function snapshot, Napi::Function cursor,
                  Napi::Function transaction, Napi::Function tiers, Napi::Function reshard);
  void SetTopicClasses(Napi::Function topic, Napi::Function consumer);
  void SetChangesClass(Napi::Function changes);
  const Napi::FunctionReference& changes_class() const { return changes_class_; }
  const Napi::FunctionReference& topic_class() const { return topic_class_; }
  const Napi::FunctionReference& topic_consumer_class() const { return topic_consumer_class_; }
  const Napi::FunctionReference& database_class() const { return database_class_; }
  const Napi::FunctionReference& snapshot_class() const { return snapshot_class_; }
  const Napi::FunctionReference& cursor_class() const { return cursor_class_; }
  const Napi::FunctionReference& transaction_class() const { return transaction_class_; }
  const Napi::FunctionReference& tiers_class() const { return tiers_class_; }
  const Napi::FunctionReference& reshard_class() const { return reshard_class_; }

  void SetDispatcher(Napi::Function dispatcher);
  // Memory that lookups read the key from, and write the value to. JavaScript keeps both alive.
  void PinRequest(void* data, size_t size) { request_ = {static_cast<char*>(data), size}; }
  void PinSlab(void* data, size_t size) { slab_ = {static_cast<char*>(data), size}; }
  const std::pair<char*, size_t>& request() const { return request_; }
  const std::pair<char*, size_t>& slab() const { return slab_; }

  void Adopt(const std::shared_ptr<Session>& session) { sessions_.insert(session); }
  void Forget(const std::shared_ptr<Session>& session) { sessions_.erase(session); }

  // The error behind a failed synchronous call, as [code, message].
  void SetError(Status status) { error_ = std::move(status); }
  napi_value TakeError(napi_env env);

 private:
  explicit Environment(Napi::Env env);
  static void OnTeardown(void* self);
  static void OnWake(napi_env env, napi_value, void* self, void*);
  void Drain(napi_env env);

  const napi_env env_;
  const std::shared_ptr<CompletionQueue> queue_;
  Napi::FunctionReference dispatcher_;
  Napi::FunctionReference database_class_;
  Napi::FunctionReference snapshot_class_;
  Napi::FunctionReference cursor_class_;
  Napi::FunctionReference transaction_class_;
  Napi::FunctionReference topic_class_;
  Napi::FunctionReference topic_consumer_class_;
  Napi::FunctionReference tiers_class_;
  Napi::FunctionReference changes_class_;
  Napi::FunctionReference reshard_class_;
  size_t pending_ = 0;
  std::vector<std::shared_ptr<Completion>> draining_;
  std::pair<char*, size_t> request_;
  std::pair<char*, size_t> slab_;
  std::set<std::shared_ptr<Session>> sessions_;
  Status error_;
};

}  // namespace thermocline
