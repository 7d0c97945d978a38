#include "binding/topic_consumer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "binding/async_op.h"
#include "binding/environment.h"
#include "binding/topic_values.h"
#include "binding/values.h"

namespace thermocline {

namespace {

double NumberAt(const Napi::CallbackInfo& info, size_t i) {
  return info[i].As<Napi::Number>().DoubleValue();
}

topic::Offsets OffsetsAt(const Napi::CallbackInfo& info, size_t i) {
  topic::Offsets offsets;
  const Napi::Array array = info[i].As<Napi::Array>();
  for (uint32_t j = 0; j + 1 < array.Length(); j += 2) {
    offsets[static_cast<uint32_t>(NumberIn(array.Get(j)))] =
        static_cast<uint64_t>(NumberIn(array.Get(j + 1)));
  }
  return offsets;
}

}  // namespace

Napi::Function TopicConsumerWrap::Define(Napi::Env env) {
  return DefineClass(env, "NativeConsumer",
                     {
                         InstanceMethod<&TopicConsumerWrap::Sync>("sync"),
                         InstanceMethod<&TopicConsumerWrap::Read>("read"),
                         InstanceMethod<&TopicConsumerWrap::Wait>("wait"),
                         InstanceMethod<&TopicConsumerWrap::Wake>("wake"),
                         InstanceMethod<&TopicConsumerWrap::Committed>("committed"),
                         InstanceMethod<&TopicConsumerWrap::Commit>("commit"),
                         InstanceMethod<&TopicConsumerWrap::Close>("close"),
                     });
}

napi_value TopicConsumerWrap::New(napi_env env, std::shared_ptr<Session> session,
                                  std::shared_ptr<topic::Topic> topic, const std::string& group) {
  Environment* environment = Environment::Of(env);
  napi_value object = nullptr;
  auto* self =
      environment->Construct<TopicConsumerWrap>(environment->topic_consumer_class(), &object);
  if (self == nullptr) return nullptr;
  self->session_ = std::move(session);
  self->topic_ = std::move(topic);
  self->group_ = group;
  self->shared_ = std::make_shared<Shared>();
  if (!group.empty()) {
    self->member_ = self->session_->engine().topics().groups().Join(
        self->topic_->id(), group, self->topic_->partition_count(),
        [shared = self->shared_] { shared->Wake(/*because_changed=*/true); });
  }
  return object;
}

void TopicConsumerWrap::Shared::Wake(bool because_changed) {
  std::shared_ptr<topic::Waiter> pending;
  {
    std::lock_guard lock(mutex);
    changed |= because_changed;
    pending = std::exchange(waiter, nullptr);
  }
  if (pending) pending->Fire();
}

Napi::Value TopicConsumerWrap::Sync(const Napi::CallbackInfo& info) {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->changed = false;
  }
  std::vector<uint32_t> partitions;
  if (member_) {
    partitions = member_->Sync();
    std::erase_if(readers_, [&](const auto& reader) {
      return std::find(partitions.begin(), partitions.end(), reader.first) == partitions.end();
    });
  } else {
    for (uint32_t i = 0; i < topic_->partition_count(); i++) partitions.push_back(i);
  }
  Napi::Array array = Napi::Array::New(info.Env());
  uint32_t index = 0;
  for (const uint32_t partition : partitions) {
    const auto log = topic_->partition(partition);
    if (!log) continue;
    array.Set(index++, Napi::Number::New(info.Env(), partition));
    array.Set(index++, Napi::Number::New(info.Env(), static_cast<double>(log->end_offset())));
  }
  return array;
}

void TopicConsumerWrap::Read(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<topic::ReadResult>>(NumberAt(info, 0));
  const uint32_t index = info[1].As<Napi::Number>().Uint32Value();
  const auto offset = static_cast<uint64_t>(NumberAt(info, 2));
  const double timestamp = NumberAt(info, 3);
  const topic::PartitionReader::Limits limits = {
      .max_bytes = static_cast<size_t>(NumberAt(info, 4)),
      .past_damage = info[5].As<Napi::Boolean>().Value()};
  std::shared_ptr<topic::PartitionReader>& reader = readers_[index];
  if (!reader) {
    if (auto partition = topic_->partition(index)) {
      reader = std::make_shared<topic::PartitionReader>(std::move(partition));
    }
  }
  op->session = session_;
  // One read of a partition at a time: the caller awaits it.
  op->execute = [reader, offset, timestamp, limits](topic::ReadResult* out) -> Status {
    if (!reader) return {Code::kInvalidArgument, "the topic has no such partition"};
    if (timestamp >= 0) {
      Status status = reader->SeekTime(static_cast<uint64_t>(timestamp));
      if (!status.ok()) return status;
    } else if (reader->next_offset() != offset) {
      reader->Seek(offset);
    }
    return reader->Read(limits, out);
  };
  op->to_js = TopicChunkToJs;
  StartAsync(Environment::Of(info.Env()), session_->engine().read_pool(), std::move(op));
}

void TopicConsumerWrap::Wait(const Napi::CallbackInfo& info) {
  Environment* environment = Environment::Of(info.Env());
  auto completion = std::make_shared<Completion>(NumberAt(info, 0));
  environment->Began();
  auto waiter = std::make_shared<topic::Waiter>(
      [completion, queue = environment->queue()] { queue->Post(completion); });
  bool changed = false;
  {
    std::lock_guard lock(shared_->mutex);
    shared_->waiter = waiter;
    changed = shared_->changed;
  }
  // The topic was deleted, or the database closed: there will be nothing to wait for.
  completion->status = topic_->partition(0)->retired();
  if (changed || !completion->status.ok()) return waiter->Fire();
  const topic::Offsets offsets = OffsetsAt(info, 1);
  for (const auto& [partition, offset] : offsets) {
    const auto log = topic_->partition(partition);
    if (!log || info[2].As<Napi::Boolean>().Value() || log->end_damage().ok()) continue;
    completion->status = log->end_damage();
    return waiter->Fire();
  }
  for (const auto& [partition, offset] : offsets) {
    if (const auto log = topic_->partition(partition)) log->WaitFor(offset, waiter);
  }
}

void TopicConsumerWrap::Wake(const Napi::CallbackInfo&) { shared_->Wake(false); }

void TopicConsumerWrap::Committed(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<topic::Offsets>>(NumberAt(info, 0));
  op->session = session_;
  op->execute = [session = session_, id = topic_->id(), group = group_](topic::Offsets* offsets) {
    return session->engine().topics().groups().LoadOffsets(id, group, offsets);
  };
  op->to_js = [](napi_env env, topic::Offsets& offsets) -> napi_value {
    Napi::Array array = Napi::Array::New(env, offsets.size() * 2);
    uint32_t index = 0;
    for (const auto& [partition, offset] : offsets) {
      array.Set(index++, Napi::Number::New(env, partition));
      array.Set(index++, Napi::Number::New(env, static_cast<double>(offset)));
    }
    return array;
  };
  StartAsync(Environment::Of(info.Env()), session_->engine().task_pool(), std::move(op));
}

void TopicConsumerWrap::Commit(const Napi::CallbackInfo& info) {
  auto op = std::make_shared<AsyncOp<>>(NumberAt(info, 0));
  op->session = session_;
  topic::Offsets offsets = OffsetsAt(info, 1);
  if (!IsReadable(info.Env())) return;
  op->execute = [session = session_, id = topic_->id(), group = group_,
                 offsets = std::move(offsets),
                 sync = info[2].As<Napi::Boolean>().Value()](NoResult*) {
    Status status = session->CheckWritable();
    if (!status.ok()) return status;
    return session->engine().topics().groups().CommitOffsets(id, group, offsets, sync);
  };
  StartAsync(Environment::Of(info.Env()), session_->engine().task_pool(), std::move(op));
}

void TopicConsumerWrap::Close(const Napi::CallbackInfo&) { End(); }

void TopicConsumerWrap::End() {
  if (!shared_) return;
  if (member_) member_->Leave();
  shared_->Wake(/*because_changed=*/true);  // a wait that comes after this ends at once
  readers_.clear();
}

}  // namespace thermocline
