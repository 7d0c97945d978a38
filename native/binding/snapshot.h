// The native half of a Snapshot: a shared read view. Thread safety: the environment's thread.
#pragma once

#include <napi.h>

#include <memory>

#include "engine/read/read_view.h"

namespace thermocline {

class SnapshotWrap : public Napi::ObjectWrap<SnapshotWrap> {
 public:
  static Napi::Function Define(Napi::Env env);
  static napi_value New(napi_env env, std::shared_ptr<const ReadView> view);

  explicit SnapshotWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SnapshotWrap>(info) {}

  // Null once closed.
  const std::shared_ptr<const ReadView>& view() const { return view_; }

 private:
  // Reads and cursors that still use the view keep it.
  void Close(const Napi::CallbackInfo&) { view_.reset(); }

  std::shared_ptr<const ReadView> view_;
};

}  // namespace thermocline
