// The native half of a DatabaseIterator. Thread safety: the environment's thread.
#pragma once

#include <napi.h>

#include <memory>
#include <utility>

#include "engine/read/cursor.h"
#include "engine/session.h"

namespace thermocline {

class CursorWrap : public Napi::ObjectWrap<CursorWrap> {
 public:
  static Napi::Function Define(Napi::Env env);
  static napi_value New(napi_env env, std::shared_ptr<Session> session,
                        std::shared_ptr<Cursor> cursor);

  explicit CursorWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<CursorWrap>(info) {}
  ~CursorWrap() override {
    if (cursor_) session_->Drop(std::move(cursor_));
  }

 private:
  // take(ticket, wanted) -> a chunk if one is ready; else undefined, and the ticket is answered
  // (with nothing) when it pays to call again.
  Napi::Value Take(const Napi::CallbackInfo& info);
  // seek(target, unread records in hand)
  void Seek(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  std::shared_ptr<Session> session_;
  std::shared_ptr<Cursor> cursor_;
};

}  // namespace thermocline
