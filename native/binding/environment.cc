#include "binding/environment.h"

#include <utility>

namespace thermocline {

napi_value Completion::ToJs(napi_env env) {
  napi_value undefined;
  napi_get_undefined(env, &undefined);
  return undefined;
}

void CompletionQueue::Post(std::shared_ptr<Completion> completion) {
  std::lock_guard lock(mutex_);
  if (shut_) return;
  finished_.push_back(std::move(completion));
  if (std::exchange(scheduled_, true)) return;
  napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
}

bool CompletionQueue::shut() {
  std::lock_guard lock(mutex_);
  return shut_;
}

void CompletionQueue::TaskBegan() {
  std::lock_guard lock(mutex_);
  tasks_++;
}

void CompletionQueue::TaskEnded() {
  std::lock_guard lock(mutex_);
  if (--tasks_ == 0) idle_.notify_all();
}

Environment::Environment(Napi::Env env) : env_(env), queue_(std::make_shared<CompletionQueue>()) {}

Environment::~Environment() = default;

Environment* Environment::Create(Napi::Env env) {
  auto* self = new Environment(env);
  env.SetInstanceData(self);
  const Napi::String name = Napi::String::New(env, "thermocline");
  napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, self, OnWake,
                                  &self->queue_->wake_);
  napi_unref_threadsafe_function(env, self->queue_->wake_);
  // After the threadsafe function, so that teardown comes to us before it comes to that.
  napi_add_env_cleanup_hook(env, OnTeardown, self);
  return self;
}

Environment* Environment::Of(napi_env env) {
  void* self = nullptr;
  napi_get_instance_data(env, &self);
  return static_cast<Environment*>(self);
}

void Environment::OnTeardown(void* data) {
  auto* self = static_cast<Environment*>(data);
  napi_threadsafe_function wake;
  // Destroyed outside the lock: a completion may own a session, whose end waits for others.
  std::vector<std::shared_ptr<Completion>> dropped;
  {
    std::lock_guard lock(self->queue_->mutex_);
    self->queue_->shut_ = true;
    dropped.swap(self->queue_->finished_);
    wake = self->queue_->wake_;
  }
  // Waits for accepted writes to reach the log; other environments' sessions are not touched.
  for (const auto& session : std::exchange(self->sessions_, {})) session->Close();
  dropped.clear();
  {
    std::unique_lock lock(self->queue_->mutex_);
    self->queue_->idle_.wait(lock, [self] { return self->queue_->tasks_ == 0; });
  }
  napi_release_threadsafe_function(wake, napi_tsfn_abort);
}

void Environment::Began() {
  if (pending_++ == 0) napi_ref_threadsafe_function(env_, queue_->wake_);
}

void Environment::Unbegan() {
  if (--pending_ == 0) napi_unref_threadsafe_function(env_, queue_->wake_);
}

void Environment::SetClasses(Napi::Function database, Napi::Function snapshot,
                             Napi::Function cursor, Napi::Function transaction,
                             Napi::Function tiers, Napi::Function reshard) {
  database_class_ = Napi::Persistent(database);
  snapshot_class_ = Napi::Persistent(snapshot);
  cursor_class_ = Napi::Persistent(cursor);
  transaction_class_ = Napi::Persistent(transaction);
  tiers_class_ = Napi::Persistent(tiers);
  reshard_class_ = Napi::Persistent(reshard);
}

void Environment::SetTopicClasses(Napi::Function topic, Napi::Function consumer) {
  topic_class_ = Napi::Persistent(topic);
  topic_consumer_class_ = Napi::Persistent(consumer);
}

void Environment::SetChangesClass(Napi::Function changes) {
  changes_class_ = Napi::Persistent(changes);
}

void Environment::SetDispatcher(Napi::Function dispatcher) {
  dispatcher_ = Napi::Persistent(dispatcher);
}

void Environment::OnWake(napi_env env, napi_value, void* self, void*) {
  // Null: the environment is going, and values cannot be made any more.
  if (env != nullptr) static_cast<Environment*>(self)->Drain(env);
}

void Environment::Drain(napi_env env) {
  {
    std::lock_guard lock(queue_->mutex_);
    queue_->scheduled_ = false;
    draining_.swap(queue_->finished_);
  }
  if (draining_.empty()) return;
  const auto finished = std::exchange(draining_, {});
  pending_ -= finished.size();
  if (pending_ == 0) napi_unref_threadsafe_function(env, queue_->wake_);
  napi_value triples = nullptr;  // ticket, code, payload or message
  napi_value undefined = nullptr;
  napi_create_array_with_length(env, finished.size() * 3, &triples);
  napi_get_undefined(env, &undefined);
  uint32_t index = 0;
  for (const auto& completion : finished) {
    napi_value ticket = nullptr;
    napi_value code = nullptr;
    napi_value payload = nullptr;
    napi_create_double(env, completion->ticket, &ticket);
    napi_create_int32(env, static_cast<int32_t>(completion->status.code()), &code);
    if (completion->status.ok()) {
      payload = completion->ToJs(env);
    } else {
      const std::string_view message = completion->status.message();
      napi_create_string_utf8(env, message.data(), message.size(), &payload);
    }
    // A worker that is being terminated: nobody is left to tell.
    if (triples == nullptr || payload == nullptr) return;
    napi_set_element(env, triples, index++, ticket);
    napi_set_element(env, triples, index++, code);
    napi_set_element(env, triples, index++, payload);
  }
  napi_value dispatcher = nullptr;
  if (napi_get_reference_value(env, dispatcher_, &dispatcher) != napi_ok) return;
  napi_value ignored;
  napi_call_function(env, undefined, dispatcher, 1, &triples, &ignored);
}

napi_value Environment::TakeError(napi_env env) {
  const Status status = std::exchange(error_, {});
  napi_value pair;
  napi_create_array_with_length(env, 2, &pair);
  napi_value code;
  napi_value message;
  napi_create_int32(env, static_cast<int32_t>(status.code()), &code);
  napi_create_string_utf8(env, status.message().data(), status.message().size(), &message);
  napi_set_element(env, pair, 0, code);
  napi_set_element(env, pair, 1, message);
  return pair;
}

}  // namespace thermocline
