// The engine's parts that take shards to folders and back.
#include <chrono>
#include <memory>
#include <mutex>
#include <utility>

#include "engine/engine.h"

namespace thermocline {

namespace {

constexpr std::chrono::milliseconds kTurnPause{20};

}  // namespace

void Engine::OpenSnapshots() {
  const auto at_boundary = [this](const std::function<void()>& fn, bool durable) {
    return AtBoundary(fn, durable);
  };
  snapshotter_ = std::make_unique<ShardSnapshotter>(ShardSnapshotter::Dependencies{
      .hot = &store_,
      .tiers = tiers_.get(),
      .stepper = stepper_.get(),
      .new_view = [this] { return NewView(); },
      .at_boundary = at_boundary,
  });
  restorer_ = std::make_unique<ShardRestorer>(ShardRestorer::Dependencies{
      .hot = &store_,
      .tiers = tiers_.get(),
      .stepper = stepper_.get(),
      .cache = cache_.get(),
      .clock = &clock_,
      .wait_for_turn =
          [this](const std::function<bool()>& stopped, std::unique_lock<std::timed_mutex>* turn) {
            *turn = std::unique_lock(resharder_->turn(), std::defer_lock);
            while (!turn->try_lock_for(kTurnPause)) {
              if (stopped()) return Status(Code::kAborted, "the operation was aborted");
            }
            return Status();
          },
      .at_boundary = at_boundary,
      .conflict_all =
          [this] {
            committer_->ConflictAll();
            if (feed_) feed_->Replaced();
          },
      .fail = [this](const Status& cause) { committer_->Fail(cause); },
  });
}

}  // namespace thermocline
