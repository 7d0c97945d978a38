#include "binding/database.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "binding/async_op.h"
#include "binding/snapshot.h"
#include "binding/topic.h"
#include "binding/transaction.h"
#include "binding/values.h"
#include "engine/hash.h"
#include "engine/platform/time.h"
#include "engine/record/coding.h"
#include "engine/registry.h"

namespace thermocline {

namespace {

// Results of lookup below zero. Anything at or under kNeedsRoom is -(length needed) + kNeedsRoom.
constexpr double kAbsent = -1;
constexpr double kMiss = -2;
constexpr double kFailed = -3;
constexpr double kNeedsRoom = -16;

// Latency of cached reads is sampled: two clock reads cost as much as the read itself.
constexpr uint32_t kLatencySample = 64;

constexpr napi_type_tag kDatabaseTag = {0x7468657264623031, 0x9d2c4c1e5f3a4b61};

void CountRead(Metrics& metrics, const ReadBatch& batch, bool single_gets) {
  uint64_t bytes = batch.key_bytes;
  for (const ResultRef& result : batch.results) {
    if (result.length < ResultRef::kFailed) bytes += result.length;
  }
  OperationCounters& counters = single_gets ? metrics.get : metrics.get_many;
  counters.operations.Add(single_gets ? batch.count : 1);
  counters.records.Add(batch.count);
  counters.bytes.Add(bytes);
}

// The packed operations of (ticket, packed, size, operations, flags).
std::unique_ptr<Submission> SubmissionOf(const Napi::CallbackInfo& info) {
  const Bytes packed = BytesOf(info.Env(), info[1]);
  const uint32_t flags = info[4].As<Napi::Number>().Uint32Value();
  auto submission = std::make_unique<Submission>();
  submission->size = std::min<size_t>(info[2].As<Napi::Number>().Uint32Value(), packed.size);
  submission->operations = info[3].As<Napi::Number>().Uint32Value();
  submission->atomic = (flags & 1) != 0;
  submission->durability = (flags & 2) != 0 ? Durability::kFsync : Durability::kWal;
  submission->data = TakeBlock(submission->size);
  std::memcpy(submission->data.get(), packed.data, submission->size);
  return submission;
}

}  // namespace

Napi::Function DatabaseWrap::Define(Napi::Env env) {
  return DefineClass(env, "NativeDatabase",
                     {
                         InstanceMethod<&DatabaseWrap::LookupLarge>("lookupLarge"),
                         InstanceMethod<&DatabaseWrap::GetMany>("getMany"),
                         InstanceMethod<&DatabaseWrap::Submit>("submit"),
                         InstanceMethod<&DatabaseWrap::SubmitChecked>("submitChecked"),
                         InstanceMethod<&DatabaseWrap::Snapshot>("snapshot"),
                         InstanceMethod<&DatabaseWrap::Cursor>("cursor"),
                         InstanceMethod<&DatabaseWrap::BeginTransaction>("beginTransaction"),
                         InstanceMethod<&DatabaseWrap::Reshard>("reshard"),
                         InstanceMethod<&DatabaseWrap::Tiers>("tiers"),
                         InstanceMethod<&DatabaseWrap::Flush>("flush"),
                         InstanceMethod<&DatabaseWrap::Compact>("compact"),
                         InstanceMethod<&DatabaseWrap::Resume>("resume"),
                         InstanceMethod<&DatabaseWrap::Shards>("shards"),
                         InstanceMethod<&DatabaseWrap::SnapshotShards>("snapshotShards"),
                         InstanceMethod<&DatabaseWrap::RestoreShards>("restoreShards"),
                         InstanceMethod<&DatabaseWrap::FreezeShard>("freezeShard"),
                         InstanceMethod<&DatabaseWrap::ThawShard>("thawShard"),
                         InstanceMethod<&DatabaseWrap::Backup>("backup"),
                         InstanceMethod<&DatabaseWrap::Verify>("verify"),
                         InstanceMethod<&DatabaseWrap::ApproximateSize>("approximateSize"),
                         InstanceMethod<&DatabaseWrap::Stats>("stats"),
                         InstanceMethod<&DatabaseWrap::SlowOperations>("slowOperations"),
                         InstanceMethod<&DatabaseWrap::RocksDb>("rocksdb"),
                         InstanceMethod<&DatabaseWrap::Close>("close"),
                     });
}

napi_value DatabaseWrap::New(napi_env env, const std::shared_ptr<Session>& session) {
  Environment* environment = Environment::Of(env);
  napi_value constructed = nullptr;
  auto* self = environment->Construct<DatabaseWrap>(environment->database_class(), &constructed);
  if (self == nullptr) return nullptr;
  Napi::Object object(env, constructed);
  object.TypeTag(&kDatabaseTag);
  environment->Adopt(session);
  State& state = *self->state_;
  state.environment = environment;
  state.queue = environment->queue();
  state.engine = &session->engine();
  state.session = session;

  auto* shared = new std::shared_ptr<State>(self->state_);
  napi_value lookup;
  napi_create_function(env, "lookup", NAPI_AUTO_LENGTH, Lookup, shared->get(), &lookup);
  napi_add_finalizer(
      env, lookup, shared,
      [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<State>*>(data); },
      nullptr, nullptr);
  object.Set("lookup", Napi::Value(env, lookup));
  object.Set("hasLog", Napi::Boolean::New(env, !state.engine->options().without_log));
  return object;
}

DatabaseWrap::DatabaseWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<DatabaseWrap>(info), state_(std::make_shared<State>()) {}

DatabaseWrap::~DatabaseWrap() {
  if (state_->engine == nullptr || state_->queue->shut()) return;
  state_->engine = nullptr;
  state_->environment->Forget(state_->session);
  state_->queue->TaskBegan();
  Registry::Get().pool().Post([session = state_->session, queue = state_->queue] {
    session->Close();
    queue->TaskEnded();
  });
}

double DatabaseWrap::LookupInto(State* state, std::string_view key, char* out, size_t room,
                                bool cache_only, const ReadView* view) {
  Engine& engine = *state->engine;
  const uint64_t hash = HashKey(key);
  double result = kAbsent;
  const auto copy = [&](std::string_view value) {
    if (value.size() > room) {
      result = kNeedsRoom - static_cast<double>(value.size());
      return;
    }
    std::memcpy(out, value.data(), value.size());
    result = static_cast<double>(value.size());
  };
  // Views neither ask nor fill the cache.
  if (view != nullptr || engine.reader().GetCached(key, hash, copy) == PointReader::Cached::kMiss) {
    if (cache_only) return kMiss;
    bool found = false;
    Status status = engine.reader().Get(key, hash, view, &found, copy);
    if (!status.ok()) {
      state->environment->SetError(std::move(status));
      return kFailed;
    }
  }
  return result;
}

napi_value DatabaseWrap::Lookup(napi_env env, napi_callback_info info) {
  size_t count = 3;
  napi_value args[3];
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, args, nullptr, &data);
  auto* state = static_cast<State*>(data);
  uint32_t key_size = 0;
  uint32_t offset = 0;
  bool cache_only = false;
  napi_get_value_uint32(env, args[0], &key_size);
  napi_get_value_uint32(env, args[1], &offset);
  napi_get_value_bool(env, args[2], &cache_only);

  double result = kFailed;
  const auto& request = state->environment->request();
  const auto& slab = state->environment->slab();
  if (state->engine == nullptr) {
    state->environment->SetError({Code::kClosed, "the database is closed"});
  } else if (key_size > request.second || offset > slab.second) {
    state->environment->SetError({Code::kInvalidArgument, "a lookup outside its buffers"});
  } else {
    Metrics& metrics = state->engine->metrics();
    thread_local uint32_t tick = 0;
    const bool sampled = (++tick % kLatencySample) == 0;
    SlowLog* const slow = metrics.slow.get();
    const uint64_t began = sampled || slow != nullptr ? NowNanos() : 0;
    result = LookupInto(state, {request.first, key_size}, slab.first + offset, slab.second - offset,
                        cache_only, /*view=*/nullptr);
    // "Needs room" is followed by another look, which counts.
    if (result >= kAbsent) {
      metrics.get.Add(1, key_size + (result > 0 ? static_cast<uint64_t>(result) : 0));
      if (sampled) metrics.get_nanos.Record(NowNanos() - began, kLatencySample);
      if (slow != nullptr) {
        const uint64_t took = NowNanos() - began;
        if (slow->Wants(took)) {
          slow->Add({.kind = SlowKind::kGet,
                     .key_prefix = slow->PrefixOf({request.first, key_size}),
                     .records = 1,
                     .total_nanos = took,
                     .store_nanos = took});
        }
      }
    }
  }
  napi_value value;
  napi_create_double(env, result, &value);
  return value;
}

// lookupLarge(key size, target, snapshot or undefined): like lookup, into a buffer of the caller's;
// with a snapshot, as of its moment.
Napi::Value DatabaseWrap::LookupLarge(const Napi::CallbackInfo& info) {
  if (state_->engine == nullptr) {
    state_->environment->SetError({Code::kClosed, "the database is closed"});
    return Napi::Number::New(info.Env(), kFailed);
  }
  const size_t key_size = info[0].As<Napi::Number>().Uint32Value();
  const Bytes target = BytesOf(info.Env(), info[1]);
  const auto& request = state_->environment->request();
  const std::shared_ptr<const ReadView> view = ViewOf(info[2]);
  const double result =
      LookupInto(state_.get(), {request.first, std::min(key_size, request.second)},
                 const_cast<char*>(target.data), target.size, /*cache_only=*/false, view.get());
  if (result >= kAbsent) {
    state_->engine->metrics().get.Add(1, key_size + static_cast<uint64_t>(std::max(result, 0.0)));
  }
  return Napi::Number::New(info.Env(), result);
}

// getMany(ticket, packed keys, size, count, flags, snapshot?) -> results if all were cached, else
// undefined and the dispatcher is called. Flags: 1 ask the hot cache, 2 presence only
Napi::Value DatabaseWrap::GetMany(const Napi::CallbackInfo& info) {
  struct Read : Completion {
    using Completion::Completion;
    std::shared_ptr<ReadBatch> batch;
    napi_value ToJs(napi_env env) override { return ResultsToJs(env, batch.get()); }
    // The gets of one turn share a batch, but not each other's failures: those are in the results.
    void Judge(bool single_gets) {
      if (!single_gets) status = batch->status;
    }
  };
  const Napi::Env env = info.Env();
  Environment* environment = state_->environment;
  auto read = std::make_shared<Read>(TicketOf(info));
  Status status = state_->session->Begin();
  if (!status.ok()) {
    read->status = std::move(status);
    environment->Began();
    environment->queue()->Post(std::move(read));
    return env.Undefined();
  }
  const Bytes packed = BytesOf(env, info[1]);
  auto batch = std::make_shared<ReadBatch>();
  batch->packed_size = std::min<size_t>(info[2].As<Napi::Number>().Uint32Value(), packed.size);
  batch->packed = TakeBlock(batch->packed_size);
  std::memcpy(batch->packed.get(), packed.data, batch->packed_size);
  batch->count = info[3].As<Napi::Number>().Uint32Value();
  const uint32_t flags = info[4].As<Napi::Number>().Uint32Value();
  batch->ask_cache = (flags & 1) != 0;
  batch->presence_only = (flags & 2) != 0;
  batch->view = ViewOf(info[5]);
  read->batch = batch;
  const std::shared_ptr<Session> session = state_->session;
  ReadBatch* const raw =
      batch.get();  // `read` owns the batch, so done() may not own `read`'s owner
  const bool single_gets = flags == 0;  // the misses of one turn, each a get of its own
  batch->done = [read, queue = environment->queue(), session, raw, single_gets] {
    read->Judge(single_gets);
    CountRead(session->engine().metrics(), *raw, single_gets);
    raw->view.reset();  // before the operation ends: the store may close right after
    auto finished = std::move(raw->done);  // breaks the cycle batch -> done -> read -> batch
    queue->Post(read);
    session->End();
  };
  environment->Began();
  if (!session->engine().reader().Start(batch)) return env.Undefined();
  batch->done = nullptr;
  batch->view.reset();
  CountRead(session->engine().metrics(), *batch, single_gets);
  session->End();
  if (!batch->status.ok()) {
    read->status = batch->status;
    environment->queue()->Post(std::move(read));
    return env.Undefined();
  }
  environment->Unbegan();
  return Napi::Value(env, ResultsToJs(env, batch.get()));
}

// submit(ticket, packed, size, operations, flags, ticket for applied or 0, messages?) -> 0, or the
// code of a refusal (takeError). Flags: 1 atomic, 2 wait for fsync
Napi::Value DatabaseWrap::Submit(const Napi::CallbackInfo& info) {
  return Accept(info, SubmissionOf(info), info[5].As<Napi::Number>().DoubleValue(), info[6]);
}

// submitChecked(ticket, packed, size, operations, flags, transaction, read keys, size, count,
// read ranges as [start, end or undefined, ...], messages?) -> as submit
Napi::Value DatabaseWrap::SubmitChecked(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const TransactionWrap* wrap = TransactionWrap::Unwrap(info[5].As<Napi::Object>());
  const auto transaction = wrap ? wrap->transaction() : nullptr;
  if (!transaction) {
    state_->environment->SetError({Code::kClosed, "the transaction has ended"});
    return Napi::Number::New(env, static_cast<int>(Code::kClosed));
  }
  auto reads = std::make_unique<ReadSet>();
  reads->start_commit_id = transaction->start_commit_id();
  const Bytes packed = BytesOf(env, info[6]);
  const char* p = packed.data;
  const char* const limit =
      p + std::min<size_t>(info[7].As<Napi::Number>().Uint32Value(), packed.size);
  const uint32_t count = info[8].As<Napi::Number>().Uint32Value();
  for (uint32_t i = 0; i < count && p != nullptr; i++) {
    uint32_t size = 0;
    p = GetVarint32(p, limit, &size);
    if (p == nullptr || static_cast<size_t>(limit - p) < size) break;
    reads->keys.emplace_back(p, size);
    p += size;
  }
  const Napi::Array ranges = info[9].As<Napi::Array>();
  for (uint32_t i = 0; i + 1 < ranges.Length(); i += 2) {
    KeyRange range = RangeOf(ranges.Get(i), ranges.Get(i + 1));
    reads->ranges.push_back({std::move(range.start), std::move(range.end), range.has_end});
  }
  std::unique_ptr<Submission> submission = SubmissionOf(info);
  submission->reads = std::move(reads);
  return Accept(info, std::move(submission), 0, info[10]);
}

Napi::Value DatabaseWrap::Accept(const Napi::CallbackInfo& info,
                                 std::unique_ptr<Submission> submission, double applied_ticket,
                                 const Napi::Value& messages) {
  const std::shared_ptr<Session>& session = state_->session;
  Environment* environment = state_->environment;
  Status status = session->CheckWritable();
  if (status.ok()) status = session->Begin();
  if (status.ok() && messages.IsArray()) {
    status =
        TopicWrap::AddMessages(messages.As<Napi::Array>(), &session->engine(), submission.get());
    if (!status.ok()) session->End();
  }
  if (status.ok()) {
    // The operation stays in flight until the last of its answers has been posted.
    submission->done = [completion = std::make_shared<Completion>(TicketOf(info)),
                        queue = environment->queue(), session](const Status& result) {
      completion->status = result;
      queue->Post(completion);
      session->End();
    };
    if (applied_ticket != 0) {
      submission->applied = [completion = std::make_shared<Completion>(applied_ticket),
                             queue = environment->queue()](const Status& result) {
        completion->status = result;
        queue->Post(completion);
      };
      environment->Began();
    }
    // Before Submit: the committer may be done before it returns.
    environment->Began();
    status = session->engine().Submit(std::move(submission));
    if (!status.ok()) {
      environment->Unbegan();
      if (applied_ticket != 0) environment->Unbegan();
      session->End();
    }
  }
  const int code = static_cast<int>(status.code());
  if (!status.ok()) environment->SetError(std::move(status));
  return Napi::Number::New(info.Env(), code);
}

void DatabaseWrap::Close(const Napi::CallbackInfo& info) {
  state_->engine = nullptr;
  state_->environment->Forget(state_->session);
  auto op = std::make_shared<AsyncOp<>>(TicketOf(info));
  op->execute = [session = state_->session](NoResult*) {
    session->Close();
    return session->close_status();
  };
  StartAsync(state_->environment, Registry::Get().pool(), std::move(op));
}

}  // namespace thermocline
