// The native half of a consumer: a place in each partition, membership of a group, and waiting.
//
// Thread safety: the environment's thread.
#pragma once

#include <napi.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/session.h"
#include "engine/topic/consumer_groups.h"
#include "engine/topic/partition_reader.h"
#include "engine/topic/topic.h"

namespace thermocline {

class TopicConsumerWrap : public Napi::ObjectWrap<TopicConsumerWrap> {
 public:
  static Napi::Function Define(Napi::Env env);
  // An empty group: none. REQUIRES: inside Begin and End of the session.
  static napi_value New(napi_env env, std::shared_ptr<Session> session,
                        std::shared_ptr<topic::Topic> topic, const std::string& group);

  explicit TopicConsumerWrap(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<TopicConsumerWrap>(info) {}
  ~TopicConsumerWrap() override { End(); }

 private:
  // What callbacks of other threads touch.
  struct Shared {
    std::mutex mutex;
    std::shared_ptr<topic::Waiter> waiter;  // GUARDED_BY(mutex): of the wait that is pending
    bool changed = false;                   // GUARDED_BY(mutex): membership, since the last sync
    void Wake(bool because_changed);
  };

  // sync() -> the partitions that this consumer may read now: [partition, end offset, ...]
  Napi::Value Sync(const Napi::CallbackInfo& info);
  // read(ticket, partition, offset, timestamp or -1, max bytes, past damage) -> a chunk
  void Read(const Napi::CallbackInfo& info);
  // wait(ticket, [partition, offset, ...], past damage): answered when one of them has more than
  // its offset, when sync() would answer something else, and by close()
  void Wait(const Napi::CallbackInfo& info);
  // wake(): ends the wait that is pending
  void Wake(const Napi::CallbackInfo& info);
  // committed(ticket) -> [partition, offset, ...]
  void Committed(const Napi::CallbackInfo& info);
  // commit(ticket, [partition, offset, ...], fsync)
  void Commit(const Napi::CallbackInfo& info);
  // close(): leaves the group and ends the wait
  void Close(const Napi::CallbackInfo& info);
  void End();

  std::shared_ptr<Session> session_;
  std::shared_ptr<topic::Topic> topic_;
  std::string group_;
  std::shared_ptr<Shared> shared_;
  std::shared_ptr<topic::ConsumerGroups::Member> member_;
  std::map<uint32_t, std::shared_ptr<topic::PartitionReader>> readers_;
};

}  // namespace thermocline
