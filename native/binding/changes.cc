#include "binding/changes.h"

#include <cstring>
#include <utility>

#include "binding/async_op.h"
#include "binding/database.h"
#include "binding/environment.h"

namespace thermocline {

namespace {

napi_value ChunkToJs(napi_env env, ChangeChunk& chunk) {
  napi_value pair = nullptr;
  if (chunk.changes == 0) {
    napi_get_undefined(env, &pair);
    return pair;
  }
  napi_value block = nullptr;
  napi_value memory = nullptr;
  napi_value numbers = nullptr;
  void* data = nullptr;
  const size_t count = chunk.numbers.size();
  // A buffer of its own, never one of Node's pool: its parts are handed out.
  if (napi_create_buffer(env, chunk.block.size(), &data, &block) != napi_ok) return nullptr;
  if (!chunk.block.empty()) std::memcpy(data, chunk.block.data(), chunk.block.size());
  if (napi_create_arraybuffer(env, count * sizeof(double), &data, &memory) != napi_ok ||
      napi_create_typedarray(env, napi_float64_array, count, memory, 0, &numbers) != napi_ok) {
    return nullptr;
  }
  std::memcpy(data, chunk.numbers.data(), count * sizeof(double));
  napi_create_array_with_length(env, 2, &pair);
  napi_set_element(env, pair, 0, block);
  napi_set_element(env, pair, 1, numbers);
  return pair;
}

}  // namespace

Napi::Function ChangesWrap::Define(Napi::Env env) {
  return DefineClass(env, "NativeChanges",
                     {
                         InstanceMethod<&ChangesWrap::Read>("read"),
                         InstanceMethod<&ChangesWrap::Wait>("wait"),
                         InstanceMethod<&ChangesWrap::Position>("position"),
                         InstanceMethod<&ChangesWrap::Close>("close"),
                     });
}

void ChangesWrap::Export(Napi::Env env, Napi::Object exports) {
  exports.Set("openChanges", Napi::Function::New<OpenChanges>(env, "openChanges"));
}

ChangesWrap::~ChangesWrap() {
  if (reader_) reader_->Close();
}

Napi::Value ChangesWrap::OpenChanges(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Environment* environment = Environment::Of(env);
  const DatabaseWrap* const database = DatabaseWrap::Unwrap(info[0].As<Napi::Object>());
  if (database == nullptr) return env.Undefined();  // the worker is being terminated
  const std::shared_ptr<Session> session = database->session();
  const double since = info[1].As<Napi::Number>().DoubleValue();
  std::shared_ptr<ChangeReader> reader;
  Status status = session->Begin();
  if (status.ok()) {
    status = session->CheckWritable();
    if (status.ok()) {
      status =
          session->engine().ReadChanges(since >= 0, since >= 0 ? static_cast<uint64_t>(since) : 0,
                                        info[2].As<Napi::Boolean>().Value(), &reader);
    }
    session->End();
  }
  napi_value object = nullptr;
  auto* self = status.ok()
                   ? environment->Construct<ChangesWrap>(environment->changes_class(), &object)
                   : nullptr;
  if (self == nullptr) {
    if (reader) reader->Close();
    environment->SetError(std::move(status));
    return env.Undefined();
  }
  self->session_ = session;
  self->reader_ = std::move(reader);
  return Napi::Value(env, object);
}

void ChangesWrap::Read(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<ChangeChunk>>(TicketOf(info));
  const auto bytes = static_cast<size_t>(info[1].As<Napi::Number>().DoubleValue());
  op->session = session_;
  op->execute = [reader = reader_, bytes](ChangeChunk* out) { return reader->Read(bytes, out); };
  op->to_js = ChunkToJs;
  StartAsync(Environment::Of(info.Env()), session_->engine().read_pool(), std::move(op));
}

void ChangesWrap::Wait(const Napi::CallbackInfo& info) {
  Environment* environment = Environment::Of(info.Env());
  auto completion = std::make_shared<Completion>(TicketOf(info));
  environment->Began();
  reader_->WaitFor(std::make_shared<Waiter>(
      [completion, queue = environment->queue()] { queue->Post(completion); }));
}

Napi::Value ChangesWrap::Position(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(reader_->position()));
}

void ChangesWrap::Close(const Napi::CallbackInfo&) { reader_->Close(); }

}  // namespace thermocline
