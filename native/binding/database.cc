#include "binding/database.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "binding/async_op.h"
#include "binding/cursor.h"
#include "binding/job.h"
#include "binding/reshard.h"
#include "binding/shards.h"
#include "binding/snapshot.h"
#include "binding/stats.h"
#include "binding/tiers.h"
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

KeyRange RangeOf(const Napi::Value& start, const Napi::Value& end) {
  KeyRange range;
  if (auto bytes = OptionalBytes(start)) {
    range.has_start = true;
    range.start = std::move(*bytes);
  }
  if (auto bytes = OptionalBytes(end)) {
    range.has_end = true;
    range.end = std::move(*bytes);
  }
  return range;
}

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

// The view of a snapshot argument; null for undefined (and in a worker that is being terminated).
std::shared_ptr<const ReadView> ViewOf(const Napi::Value& value) {
  if (!value.IsObject()) return nullptr;
  const SnapshotWrap* wrap = SnapshotWrap::Unwrap(value.As<Napi::Object>());
  return wrap ? wrap->view() : nullptr;
}

double TicketOf(const Napi::CallbackInfo& info) { return info[0].As<Napi::Number>().DoubleValue(); }

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
                         InstanceMethod<&DatabaseWrap::Submit>("submit"),
                         InstanceMethod<&DatabaseWrap::SubmitChecked>("submitChecked"),
                         InstanceMethod<&DatabaseWrap::BeginTransaction>("beginTransaction"),
                         InstanceMethod<&DatabaseWrap::Resume>("resume"),
                         InstanceMethod<&DatabaseWrap::GetMany>("getMany"),
                         InstanceMethod<&DatabaseWrap::Snapshot>("snapshot"),
                         InstanceMethod<&DatabaseWrap::Cursor>("cursor"),
                         InstanceMethod<&DatabaseWrap::Flush>("flush"),
                         InstanceMethod<&DatabaseWrap::Compact>("compact"),
                         InstanceMethod<&DatabaseWrap::ApproximateSize>("approximateSize"),
                         InstanceMethod<&DatabaseWrap::Shards>("shards"),
                         InstanceMethod<&DatabaseWrap::SnapshotShards>("snapshotShards"),
                         InstanceMethod<&DatabaseWrap::RestoreShards>("restoreShards"),
                         InstanceMethod<&DatabaseWrap::FreezeShard>("freezeShard"),
                         InstanceMethod<&DatabaseWrap::ThawShard>("thawShard"),
                         InstanceMethod<&DatabaseWrap::Backup>("backup"),
                         InstanceMethod<&DatabaseWrap::Verify>("verify"),
                         InstanceMethod<&DatabaseWrap::Stats>("stats"),
                         InstanceMethod<&DatabaseWrap::SlowOperations>("slowOperations"),
                         InstanceMethod<&DatabaseWrap::RocksDb>("rocksdb"),
                         InstanceMethod<&DatabaseWrap::Tiers>("tiers"),
                         InstanceMethod<&DatabaseWrap::Reshard>("reshard"),
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

void DatabaseWrap::Resume(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<>>(TicketOf(info));
  op->session = state_->session;
  op->execute = [session = state_->session](NoResult*) {
    Status status = session->CheckWritable();
    return status.ok() ? session->engine().Resume() : status;
  };
  StartAsync(state_->environment, state_->session->engine().task_pool(), std::move(op));
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

void DatabaseWrap::Flush(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<>>(TicketOf(info));
  op->session = state_->session;
  op->execute = [session = state_->session](NoResult*) {
    Status status = session->CheckWritable();
    return status.ok() ? session->engine().Flush() : status;
  };
  StartAsync(state_->environment, state_->session->engine().task_pool(), std::move(op));
}

void DatabaseWrap::Compact(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<>>(TicketOf(info));
  op->session = state_->session;
  op->execute = [session = state_->session, range = RangeOf(info[1], info[2])](NoResult*) {
    Status status = session->CheckWritable();
    return status.ok() ? session->engine().Compact(range) : status;
  };
  StartAsync(state_->environment, state_->session->engine().background_pool(), std::move(op));
}

void DatabaseWrap::ApproximateSize(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<uint64_t>>(TicketOf(info));
  op->session = state_->session;
  op->execute = [session = state_->session, range = RangeOf(info[1], info[2])](uint64_t* bytes) {
    return session->engine().ApproximateSize(range, bytes);
  };
  op->to_js = [](napi_env env, uint64_t& bytes) -> napi_value {
    return Napi::Number::New(env, static_cast<double>(bytes));
  };
  StartAsync(state_->environment, state_->session->engine().task_pool(), std::move(op));
}

// shards(ticket) -> one object per shard
void DatabaseWrap::Shards(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<std::vector<ShardReport>>>(TicketOf(info));
  op->session = state_->session;
  op->execute = [session = state_->session](std::vector<ShardReport>* reports) -> Status {
    *reports = session->engine().ShardReports();
    return {};
  };
  op->to_js = [](napi_env env, std::vector<ShardReport>& reports) {
    return ShardsToJs(env, reports);
  };
  StartAsync(state_->environment, state_->session->engine().task_pool(), std::move(op));
}

void DatabaseWrap::SnapshotShards(const Napi::CallbackInfo& info) {
  thermocline::SnapshotShards(info, state_->session);
}

void DatabaseWrap::FreezeShard(const Napi::CallbackInfo& info) {
  thermocline::FreezeShard(info, state_->session);
}

void DatabaseWrap::ThawShard(const Napi::CallbackInfo& info) {
  thermocline::ThawShard(info, state_->session);
}

void DatabaseWrap::RestoreShards(const Napi::CallbackInfo& info) {
  thermocline::RestoreShards(info, state_->session);
}

// backup(ticket, dir, keep, job) -> {id, created, bytes, files, warning?}
void DatabaseWrap::Backup(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<thermocline::Backup>>(TicketOf(info));
  op->session = state_->session;
  const Job job = JobOf(info[3]);  // closing waits for it
  op->execute = [session = state_->session, dir = info[1].As<Napi::String>().Utf8Value(),
                 keep = info[2].As<Napi::Number>().Uint32Value(),
                 job](thermocline::Backup* backup) {
    Status status = Begin(job);
    if (status.ok()) status = session->CheckWritable();
    return status.ok() ? session->engine().CreateBackup(dir, keep, backup, job.get()) : status;
  };
  op->to_js = [](napi_env env, thermocline::Backup& backup) { return BackupToJs(env, backup); };
  StartAsync(state_->environment, state_->session->engine().background_pool(), std::move(op));
}

// verify(ticket, job) -> VerifyReportToJs
void DatabaseWrap::Verify(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<VerifyReport>>(TicketOf(info));
  op->session = state_->session;
  const Job job = JobOf(info[1]);
  job->closing = [session = state_->session] { return session->closing(); };
  op->execute = [session = state_->session, job](VerifyReport* report) {
    Status status = Begin(job);
    return status.ok() ? session->engine().Verify(report, job.get()) : status;
  };
  op->to_js = [](napi_env env, VerifyReport& report) { return VerifyReportToJs(env, report); };
  StartAsync(state_->environment, state_->session->engine().background_pool(), std::move(op));
}

// stats(bounds?) -> one object; with bounds in nanoseconds every latency has its buckets
Napi::Value DatabaseWrap::Stats(const Napi::CallbackInfo& info) {
  Status status = state_->session->Begin();
  if (!status.ok()) {
    state_->environment->SetError(std::move(status));
    return info.Env().Undefined();
  }
  Bounds bounds;
  if (info[0].IsArray()) {
    const Napi::Array given = info[0].As<Napi::Array>();
    for (uint32_t i = 0; i < given.Length(); i++) {
      bounds.push_back(static_cast<uint64_t>(NumberIn(given.Get(i))));
    }
  }
  const Napi::Value stats(info.Env(), StatsToJs(info.Env(), state_->session->engine(), bounds));
  state_->session->End();
  return stats;
}

// slowOperations(clear) -> one object each, slowest first; undefined if they are not traced
Napi::Value DatabaseWrap::SlowOperations(const Napi::CallbackInfo& info) {
  Status status = state_->session->Begin();
  if (!status.ok()) {
    state_->environment->SetError(std::move(status));
    return info.Env().Null();
  }
  SlowLog* const slow = state_->session->engine().metrics().slow.get();
  Napi::Value operations = info.Env().Undefined();
  if (slow != nullptr) {
    operations = Napi::Value(info.Env(), SlowToJs(info.Env(), slow->Snapshot()));
    if (FlagIn(info[0])) slow->Clear();
  }
  state_->session->End();
  return operations;
}

// rocksdb(ticket, tier, property or undefined) -> tickers by name, or the property as a number or
// text; undefined if there is no such thing
void DatabaseWrap::RocksDb(const Napi::CallbackInfo& info) {
  struct Result {
    bool found = false;
    bool tickers = false;
    std::map<std::string, uint64_t> by_name;
    std::optional<uint64_t> number;
    std::string text;
  };
  auto op = std::make_shared<AsyncOp<Result>>(TicketOf(info));
  op->session = state_->session;
  const auto tier = static_cast<Tier>(info[1].As<Napi::Number>().Uint32Value());
  std::optional<std::string> property;
  if (info[2].IsString()) property = info[2].As<Napi::String>().Utf8Value();
  op->execute = [session = state_->session, tier, property](Result* result) -> Status {
    Engine& engine = session->engine();
    result->tickers = !property;
    result->found = property ? engine.Property(tier, *property, &result->number, &result->text)
                             : engine.Tickers(tier, &result->by_name);
    return {};
  };
  op->to_js = [](napi_env env, Result& result) -> napi_value {
    if (!result.found) return Napi::Env(env).Undefined();
    if (result.tickers) {
      Napi::Object object = Napi::Object::New(env);
      for (const auto& [name, value] : result.by_name) {
        object.Set(name, Napi::Number::New(env, static_cast<double>(value)));
      }
      return object;
    }
    if (result.number) return Napi::Number::New(env, static_cast<double>(*result.number));
    return Napi::String::New(env, result.text);
  };
  StartAsync(state_->environment, state_->session->engine().task_pool(), std::move(op));
}

// reshard() -> a NativeReshard, for one split or merge
Napi::Value DatabaseWrap::Reshard(const Napi::CallbackInfo& info) {
  return Napi::Value(info.Env(), ReshardWrap::New(info.Env(), state_->session));
}

// tiers() -> a NativeTiers
Napi::Value DatabaseWrap::Tiers(const Napi::CallbackInfo& info) {
  return Napi::Value(info.Env(), TiersWrap::New(info.Env(), state_->session));
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
