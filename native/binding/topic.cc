#include "binding/topic.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "binding/async_op.h"
#include "binding/database.h"
#include "binding/environment.h"
#include "binding/topic_consumer.h"
#include "binding/topic_values.h"
#include "binding/values.h"
#include "engine/platform/file.h"
#include "engine/topic/assignment.h"
#include "engine/topic/partition_reader.h"

namespace thermocline {

namespace {

using TopicPtr = std::shared_ptr<topic::Topic>;

double NumberAt(const Napi::CallbackInfo& info, size_t i) {
  return info[i].As<Napi::Number>().DoubleValue();
}

std::string TextAt(const Napi::CallbackInfo& info, size_t i) {
  return info[i].As<Napi::String>().Utf8Value();
}

// A duplicate of a descriptor of the caller's.
class Descriptor {
 public:
  explicit Descriptor(int of) : fd_(fcntl(of, F_DUPFD_CLOEXEC, 0)) {
    if (fd_ < 0) status_ = ErrnoStatus(errno, "duplicating", "descriptor " + std::to_string(of));
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int fd() const { return fd_; }
  const Status& status() const { return status_; }

 private:
  const int fd_;
  Status status_;
};

// The session of the first argument, a NativeDatabase. Null: the worker is being terminated.
std::shared_ptr<Session> SessionOf(const Napi::CallbackInfo& info) {
  const DatabaseWrap* const database = DatabaseWrap::Unwrap(info[0].As<Napi::Object>());
  return database == nullptr ? nullptr : database->session();
}

// Runs what may wait for the disk, on the task pool.
template <class Result>
Napi::Value StartTask(const Napi::CallbackInfo& info, const std::shared_ptr<Session>& session,
                      std::shared_ptr<AsyncOp<Result>> op) {
  // What was to be done may be half read: nobody waits for it any more.
  if (!session || !IsReadable(info.Env())) return info.Env().Undefined();
  op->session = session;
  StartAsync(Environment::Of(info.Env()), session->engine().task_pool(), std::move(op));
  return info.Env().Undefined();
}

std::shared_ptr<AsyncOp<TopicPtr>> TopicOp(double ticket, const std::shared_ptr<Session>& session) {
  auto op = std::make_shared<AsyncOp<TopicPtr>>(ticket);
  op->to_js = [session](napi_env env, TopicPtr& result) {
    return TopicWrap::New(env, session, result);
  };
  return op;
}

// createTopic(database, ticket, name, settings) -> a NativeTopic
Napi::Value CreateTopic(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Session> session = SessionOf(info);
  auto op = TopicOp(NumberAt(info, 1), session);
  topic::TopicOptions options;
  ReadTopicOptions(info[3].As<Napi::Object>(), &options);
  op->execute = [session, name = TextAt(info, 2), options](TopicPtr* out) {
    Status status = session->CheckWritable();
    return status.ok() ? session->engine().topics().Create(name, options, out) : status;
  };
  return StartTask(info, session, std::move(op));
}

// openTopic(database, ticket, name) -> a NativeTopic
Napi::Value OpenTopic(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Session> session = SessionOf(info);
  auto op = TopicOp(NumberAt(info, 1), session);
  op->execute = [session, name = TextAt(info, 2)](TopicPtr* out) {
    return session->engine().topics().Open(name, out);
  };
  return StartTask(info, session, std::move(op));
}

// listTopics(database, ticket) -> names
Napi::Value ListTopics(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Session> session = SessionOf(info);
  auto op = std::make_shared<AsyncOp<std::vector<std::string>>>(NumberAt(info, 1));
  op->execute = [session](std::vector<std::string>* out) {
    return session->engine().topics().List(out);
  };
  op->to_js = [](napi_env env, std::vector<std::string>& names) -> napi_value {
    Napi::Array array = Napi::Array::New(env, names.size());
    for (uint32_t i = 0; i < names.size(); i++) array.Set(i, names[i]);
    return array;
  };
  return StartTask(info, session, std::move(op));
}

// deleteTopic(database, ticket, name)
Napi::Value DeleteTopic(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Session> session = SessionOf(info);
  auto op = std::make_shared<AsyncOp<>>(NumberAt(info, 1));
  op->execute = [session, name = TextAt(info, 2)](NoResult*) {
    Status status = session->CheckWritable();
    return status.ok() ? session->engine().topics().Delete(name) : status;
  };
  return StartTask(info, session, std::move(op));
}

// keepTopics(database, ticket): rolls, syncs and deletes what is due, now
Napi::Value KeepTopics(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Session> session = SessionOf(info);
  auto op = std::make_shared<AsyncOp<>>(NumberAt(info, 1));
  op->execute = [session](NoResult*) {
    Status status = session->CheckWritable();
    return status.ok() ? session->engine().topics().Upkeep() : status;
  };
  return StartTask(info, session, std::move(op));
}

// topicMetrics(database) -> what was counted since the database was opened, or undefined
// (takeError)
Napi::Value TopicMetricsOf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::shared_ptr<Session> session = SessionOf(info);
  if (!session) return env.Undefined();
  Status status = session->Begin();
  if (!status.ok()) {
    Environment::Of(env)->SetError(std::move(status));
    return env.Undefined();
  }
  const topic::TopicMetrics& metrics = session->engine().topics().metrics();
  Napi::Object object = Napi::Object::New(env);
  const auto set = [&](const char* name, const Counter& counter) {
    object.Set(name, Napi::Number::New(env, static_cast<double>(counter.Total())));
  };
  set("appendedMessages", metrics.appended_records);
  set("appendedBatches", metrics.appended_batches);
  set("appendedBytes", metrics.appended_bytes);
  set("storedBytes", metrics.stored_bytes);
  set("repeatedBatches", metrics.repeated_batches);
  set("groupWrites", metrics.group_writes);
  set("fsyncs", metrics.syncs);
  set("readMessages", metrics.read_records);
  set("readBytes", metrics.read_bytes);
  set("rolledSegments", metrics.rolled_segments);
  set("deletedSegments", metrics.deleted_segments);
  set("lookups", metrics.lookups);
  set("indexProbes", metrics.index_probes);
  set("walkedBytes", metrics.walked_bytes);
  set("rebuiltIndexes", metrics.rebuilt_indexes);
  const topic::Outbox* const outbox = session->engine().outbox();
  object.Set("waitingCommits",
             Napi::Number::New(env, static_cast<double>(outbox ? outbox->pending() : 0)));
  session->End();
  return object;
}

// checkTopic(database, ticket, name) -> figures and problems
Napi::Value CheckOneTopic(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Session> session = SessionOf(info);
  auto op = std::make_shared<AsyncOp<topic::TopicReport>>(NumberAt(info, 1));
  op->execute = [session, name = TextAt(info, 2)](topic::TopicReport* out) {
    return session->engine().topics().Check(name, out);
  };
  op->to_js = TopicReportToJs;
  return StartTask(info, session, std::move(op));
}

// repairTopic(database, ticket, name, rewrite, codec, level) -> figures
Napi::Value RepairOneTopic(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Session> session = SessionOf(info);
  auto op = std::make_shared<AsyncOp<topic::TopicRepair>>(NumberAt(info, 1));
  const topic::RepairOptions options = {
      .rewrite = info[3].As<Napi::Boolean>().Value(),
      .compression = {.codec = static_cast<topic::Codec>(NumberAt(info, 4)),
                      .level = info[5].As<Napi::Number>().Int32Value()}};
  op->execute = [session, name = TextAt(info, 2), options](topic::TopicRepair* out) {
    Status status = session->CheckWritable();
    return status.ok() ? session->engine().topics().Repair(name, options, out) : status;
  };
  op->to_js = TopicRepairToJs;
  return StartTask(info, session, std::move(op));
}

// assign(members, partitions, previous as [member, partitions, ...]) -> likewise
Napi::Value AssignPartitions(const Napi::CallbackInfo& info) {
  const auto numbers = [](const Napi::Array& array) {
    std::vector<uint32_t> values;
    for (uint32_t i = 0; i < array.Length(); i++) {
      values.push_back(static_cast<uint32_t>(NumberIn(array.Get(i))));
    }
    return values;
  };
  std::vector<std::string> members;
  const Napi::Array names = info[0].As<Napi::Array>();
  for (uint32_t i = 0; i < names.Length(); i++) {
    members.push_back(TextIn(names.Get(i)));
  }
  topic::Assignment previous;
  const Napi::Array pairs = info[2].As<Napi::Array>();
  for (uint32_t i = 0; i + 1 < pairs.Length(); i += 2) {
    const Napi::Value owned = pairs.Get(i + 1);
    if (!owned.IsArray()) continue;
    previous[TextIn(pairs.Get(i))] = numbers(owned.As<Napi::Array>());
  }
  const topic::Assignment assignment =
      topic::Assign(members, numbers(info[1].As<Napi::Array>()), previous);
  Napi::Array result = Napi::Array::New(info.Env());
  uint32_t index = 0;
  for (const auto& [member, partitions] : assignment) {
    result.Set(index++, member);
    Napi::Array owned = Napi::Array::New(info.Env(), partitions.size());
    for (uint32_t i = 0; i < partitions.size(); i++) {
      owned.Set(i, Napi::Number::New(info.Env(), partitions[i]));
    }
    result.Set(index++, owned);
  }
  return result;
}

}  // namespace

void TopicWrap::Export(Napi::Env env, Napi::Object exports) {
  exports.Set("createTopic", Napi::Function::New<CreateTopic>(env, "createTopic"));
  exports.Set("openTopic", Napi::Function::New<OpenTopic>(env, "openTopic"));
  exports.Set("listTopics", Napi::Function::New<ListTopics>(env, "listTopics"));
  exports.Set("deleteTopic", Napi::Function::New<DeleteTopic>(env, "deleteTopic"));
  exports.Set("keepTopics", Napi::Function::New<KeepTopics>(env, "keepTopics"));
  exports.Set("topicMetrics", Napi::Function::New<TopicMetricsOf>(env, "topicMetrics"));
  exports.Set("checkTopic", Napi::Function::New<CheckOneTopic>(env, "checkTopic"));
  exports.Set("repairTopic", Napi::Function::New<RepairOneTopic>(env, "repairTopic"));
  exports.Set("assign", Napi::Function::New<AssignPartitions>(env, "assign"));
}

Napi::Function TopicWrap::Define(Napi::Env env) {
  return DefineClass(env, "NativeTopic",
                     {
                         InstanceMethod<&TopicWrap::Append>("append"),
                         InstanceMethod<&TopicWrap::Consumer>("consumer"),
                         InstanceMethod<&TopicWrap::Info>("info"),
                         InstanceMethod<&TopicWrap::Configure>("configure"),
                         InstanceMethod<&TopicWrap::DeleteBefore>("deleteBefore"),
                         InstanceMethod<&TopicWrap::LastSequence>("lastSequence"),
                         InstanceMethod<&TopicWrap::Send>("send"),
                     });
}

napi_value TopicWrap::New(napi_env env, std::shared_ptr<Session> session, TopicPtr topic) {
  Environment* environment = Environment::Of(env);
  napi_value object = nullptr;
  auto* self = environment->Construct<TopicWrap>(environment->topic_class(), &object);
  if (self == nullptr) return nullptr;
  self->session_ = std::move(session);
  self->topic_ = std::move(topic);
  return object;
}

Status TopicWrap::AddMessages(const Napi::Array& groups, Engine* engine, Submission* submission) {
  constexpr uint32_t kFields = 6;
  const Napi::Env env = groups.Env();
  topic::Outbox* const outbox = engine->outbox();
  if (outbox == nullptr && groups.Length() > 0) {
    return {Code::kInvalidArgument,
            "messages cannot be committed with records in a database with durability 'none'"};
  }
  for (uint32_t i = 0; i + kFields <= groups.Length(); i += kFields) {
    const Napi::Value topic = groups.Get(i);
    const TopicWrap* wrap = topic.IsObject() ? Unwrap(topic.As<Napi::Object>()) : nullptr;
    if (wrap == nullptr || !wrap->topic_) return {Code::kInvalidArgument, "this is no topic"};
    if (&wrap->session_->engine() != engine) {
      return {Code::kInvalidArgument,
              "the topic '" + wrap->topic_->name() + "' is of another database"};
    }
    const Bytes packed = BytesOf(env, groups.Get(i + 1));
    const auto number = [&](uint32_t field) { return NumberIn(groups.Get(i + field)); };
    const size_t size = std::min<size_t>(static_cast<size_t>(number(2)), packed.size);
    const auto count = static_cast<uint32_t>(number(3));
    const auto first_timestamp = static_cast<uint64_t>(number(4));
    const auto partition = static_cast<int64_t>(number(5));
    if (!IsReadable(env)) return {Code::kClosed, "the worker thread is being terminated"};
    Status status = outbox->Address(*wrap->topic_, {packed.data, size}, count, first_timestamp,
                                    partition, submission);
    if (!status.ok()) return status;
  }
  return {};
}

Napi::Value TopicWrap::Append(const Napi::CallbackInfo& info) {
  struct Appended : Completion {
    using Completion::Completion;
    topic::AppendOutcome outcome;
    napi_value ToJs(napi_env env) override { return AppendOutcomeToJs(env, outcome); }
  };
  const Napi::Env env = info.Env();
  Environment* environment = Environment::Of(env);
  auto appended = std::make_shared<Appended>(NumberAt(info, 0));
  const Bytes packed = BytesOf(env, info[1]);
  auto submission = std::make_unique<topic::AppendSubmission>();
  submission->topic = topic_;
  submission->size = std::min<size_t>(static_cast<size_t>(NumberAt(info, 2)), packed.size);
  submission->count = info[3].As<Napi::Number>().Uint32Value();
  submission->first_timestamp = static_cast<uint64_t>(NumberAt(info, 4));
  submission->partition = static_cast<int64_t>(NumberAt(info, 5));
  submission->durability =
      info[6].As<Napi::Boolean>().Value() ? Durability::kFsync : Durability::kWal;
  submission->producer_id = static_cast<uint64_t>(NumberAt(info, 7));
  submission->sequence = static_cast<uint64_t>(NumberAt(info, 8));

  Status status = session_->CheckWritable();
  if (status.ok()) status = session_->Begin();
  if (status.ok()) {
    submission->body = session_->engine().topics().NewBody(submission->size);
    std::memcpy(submission->body.get(), packed.data, submission->size);
    submission->done = [appended, queue = environment->queue(), session = session_](
                           const Status& result, const topic::AppendOutcome& outcome) {
      appended->status = result;
      appended->outcome = outcome;
      queue->Post(appended);
      session->End();
    };
    environment->Began();
    status = session_->engine().topics().Append(std::move(submission));
    if (!status.ok()) {
      environment->Unbegan();
      session_->End();
    }
  }
  const int code = static_cast<int>(status.code());
  if (!status.ok()) environment->SetError(std::move(status));
  return Napi::Number::New(env, code);
}

Napi::Value TopicWrap::Consumer(const Napi::CallbackInfo& info) {
  const std::string group = info[0].IsString() ? TextAt(info, 0) : std::string();
  Status status = session_->Begin();
  if (!status.ok()) {
    Environment::Of(info.Env())->SetError(std::move(status));
    return info.Env().Undefined();
  }
  const Napi::Value consumer(info.Env(),
                             TopicConsumerWrap::New(info.Env(), session_, topic_, group));
  session_->End();
  return consumer;
}

Napi::Value TopicWrap::Info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object object = TopicOptionsToJs(env, topic_->options());
  object.Set("name", topic_->name());
  const auto partitions = topic_->partitions();
  Napi::Array figures = Napi::Array::New(env, partitions.size());
  for (uint32_t i = 0; i < partitions.size(); i++) {
    const std::vector<topic::SegmentFacts> segments = partitions[i]->Segments();
    uint64_t bytes = 0;
    for (const topic::SegmentFacts& segment : segments) bytes += segment.bytes;
    Napi::Object one = Napi::Object::New(env);
    const auto set = [&](const char* name, uint64_t value) {
      one.Set(name, Napi::Number::New(env, static_cast<double>(value)));
    };
    set("startOffset", partitions[i]->start_offset());
    set("endOffset", partitions[i]->end_offset());
    set("bytes", bytes);
    set("segments", segments.size());
    set("cutBytes", partitions[i]->cut_bytes());
    figures.Set(i, one);
  }
  object.Set("figures", figures);
  return object;
}

void TopicWrap::Configure(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<>>(NumberAt(info, 0));
  topic::TopicOptions options = topic_->options();
  ReadTopicOptions(info[1].As<Napi::Object>(), &options);
  op->execute = [session = session_, topic = topic_, options](NoResult*) {
    Status status = session->CheckWritable();
    return status.ok() ? session->engine().topics().Configure(topic, options) : status;
  };
  StartTask(info, session_, std::move(op));
}

void TopicWrap::DeleteBefore(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<size_t>>(NumberAt(info, 0));
  const auto partition = topic_->partition(info[1].As<Napi::Number>().Uint32Value());
  const auto offset = static_cast<uint64_t>(NumberAt(info, 2));
  op->execute = [session = session_, partition, offset](size_t* deleted) -> Status {
    Status status = session->CheckWritable();
    if (!status.ok()) return status;
    if (!partition) return {Code::kInvalidArgument, "the topic has no such partition"};
    return partition->DeleteExpired(topic::RetainFromOffset(offset), deleted);
  };
  op->to_js = [](napi_env env, size_t& deleted) -> napi_value {
    return Napi::Number::New(env, static_cast<double>(deleted));
  };
  StartTask(info, session_, std::move(op));
}

Napi::Value TopicWrap::LastSequence(const Napi::CallbackInfo& info) {
  const auto partition = topic_->partition(info[0].As<Napi::Number>().Uint32Value());
  uint64_t sequence = 0;
  if (!partition || !partition->LastSequence(static_cast<uint64_t>(NumberAt(info, 1)), &sequence)) {
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), static_cast<double>(sequence));
}

void TopicWrap::Send(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<std::pair<size_t, uint64_t>>>(NumberAt(info, 0));
  const auto partition = topic_->partition(info[1].As<Napi::Number>().Uint32Value());
  const auto offset = static_cast<uint64_t>(NumberAt(info, 2));
  const auto bytes = static_cast<size_t>(NumberAt(info, 3));
  // One of its own: the caller may close his while this runs, and its number may by then mean
  // another file.
  const auto socket = std::make_shared<const Descriptor>(info[4].As<Napi::Number>().Int32Value());
  const int timeout_ms = info[5].As<Napi::Number>().Int32Value();
  op->execute = [=](std::pair<size_t, uint64_t>* out) -> Status {
    if (!partition) return {Code::kInvalidArgument, "the topic has no such partition"};
    if (!socket->status().ok()) return socket->status();
    return topic::SendBatches(*partition, offset, bytes, socket->fd(), timeout_ms, &out->first,
                              &out->second);
  };
  op->to_js = [](napi_env env, std::pair<size_t, uint64_t>& sent) -> napi_value {
    Napi::Array array = Napi::Array::New(env, 2);
    array.Set(0u, Napi::Number::New(env, static_cast<double>(sent.first)));
    array.Set(1u, Napi::Number::New(env, static_cast<double>(sent.second)));
    return array;
  };
  StartTask(info, session_, std::move(op));
}

}  // namespace thermocline
