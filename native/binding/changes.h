// The native half of a ChangeFeed: a place in the log, and waiting. Thread safety: the
// environment's thread.
#pragma once

#include <napi.h>

#include <memory>

#include "engine/feed/change_feed.h"
#include "engine/session.h"

namespace thermocline {

class ChangesWrap : public Napi::ObjectWrap<ChangesWrap> {
 public:
  static Napi::Function Define(Napi::Env env);
  // Adds openChanges.
  static void Export(Napi::Env env, Napi::Object exports);

  explicit ChangesWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ChangesWrap>(info) {}
  ~ChangesWrap() override;

 private:
  // openChanges(database, since or -1, durable) -> a NativeChanges, or undefined (takeError)
  static Napi::Value OpenChanges(const Napi::CallbackInfo& info);
  // read(ticket, bytes) -> [block, numbers], or undefined if there is nothing (change_feed.h)
  void Read(const Napi::CallbackInfo& info);
  // wait(ticket): answered when there is more to read, or the feed has ended
  void Wait(const Napi::CallbackInfo& info);
  Napi::Value Position(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  std::shared_ptr<Session> session_;
  std::shared_ptr<ChangeReader> reader_;
};

}  // namespace thermocline
