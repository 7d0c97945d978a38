// The native half of a Topic, and the functions that make one. Thread safety: the environment's
// thread.
#pragma once

#include <napi.h>

#include <memory>
#include <utility>

#include "engine/session.h"
#include "engine/topic/topic.h"

namespace thermocline {

class TopicWrap : public Napi::ObjectWrap<TopicWrap> {
 public:
  static Napi::Function Define(Napi::Env env);
  // Adds createTopic, openTopic, listTopics, deleteTopic, keepTopics, topicMetrics, checkTopic,
  // repairTopic and assign.
  static void Export(Napi::Env env, Napi::Object exports);
  static napi_value New(napi_env env, std::shared_ptr<Session> session,
                        std::shared_ptr<topic::Topic> topic);

  // Adds messages to a submission: [NativeTopic, packed, size, count, first timestamp, partition or
  // -1, ...]. ERR_INVALID_ARGUMENT.
  static Status AddMessages(const Napi::Array& groups, Engine* engine, Submission* submission);

  explicit TopicWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TopicWrap>(info) {}

 private:
  // append(ticket, packed, size, count, first timestamp, partition, fsync, producer, sequence) ->
  // 0, or the code of a refusal (takeError). The ticket is answered with [partition, count, base
  // offset, repeated, ...] and, for several parts, a last element: the partition of each message.
  Napi::Value Append(const Napi::CallbackInfo& info);
  // consumer(group?) -> a NativeConsumer
  Napi::Value Consumer(const Napi::CallbackInfo& info);
  // info() -> settings and figures
  Napi::Value Info(const Napi::CallbackInfo& info);
  // configure(ticket, settings)
  void Configure(const Napi::CallbackInfo& info);
  // deleteBefore(ticket, partition, offset) -> how many segments went
  void DeleteBefore(const Napi::CallbackInfo& info);
  // lastSequence(partition, producer) -> a number or undefined
  Napi::Value LastSequence(const Napi::CallbackInfo& info);
  // send(ticket, partition, offset, bytes, descriptor, timeout ms) -> [bytes sent, next offset]
  void Send(const Napi::CallbackInfo& info);

  std::shared_ptr<Session> session_;
  std::shared_ptr<topic::Topic> topic_;
};

}  // namespace thermocline
