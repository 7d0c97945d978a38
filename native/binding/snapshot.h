// The native half of a Snapshot: a shared read view. Thread safety: the environment's thread.
#pragma once

#include <napi.h>

#include <memory>
#include <utility>

#include "engine/read/read_view.h"
#include "engine/session.h"

namespace thermocline {

class SnapshotWrap : public Napi::ObjectWrap<SnapshotWrap> {
 public:
  static Napi::Function Define(Napi::Env env);
  // REQUIRES: the session keeps the view.
  static napi_value New(napi_env env, std::shared_ptr<Session> session,
                        std::shared_ptr<const ReadView> view);

  explicit SnapshotWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SnapshotWrap>(info) {}
  ~SnapshotWrap() override { Drop(); }

  // Null once closed.
  const std::shared_ptr<const ReadView>& view() const { return view_; }

 private:
  // Reads and cursors that still use the view keep it.
  void Close(const Napi::CallbackInfo&) { Drop(); }
  void Drop() {
    if (view_) session_->Drop(std::move(view_));
    view_.reset();
  }

  std::shared_ptr<Session> session_;
  std::shared_ptr<const ReadView> view_;
};

// The view of a snapshot argument; null for undefined (and in a worker that is being terminated).
std::shared_ptr<const ReadView> ViewOf(const Napi::Value& value);

}  // namespace thermocline
