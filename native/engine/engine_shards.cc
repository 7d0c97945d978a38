// The engine's parts that take shards to folders and into the archive, and back.
#include <memory>
#include <mutex>
#include <utility>

#include "engine/engine.h"

namespace thermocline {

void Engine::OpenSnapshots() {
  const auto at_boundary = [this](const std::function<void()>& fn, bool durable) {
    return AtBoundary(fn, durable);
  };
  const auto wait_for_turn = [this](const std::function<bool()>& stopped,
                                    std::unique_lock<std::timed_mutex>* turn) {
    return resharder_->WaitForTurn(stopped, turn);
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
      .archives = ArchivesFolder(),
      .wait_for_turn = wait_for_turn,
      .at_boundary = at_boundary,
      .conflict_all =
          [this] {
            committer_->ConflictAll();
            if (feed_) feed_->Replaced();
          },
      .fail = [this](const Status& cause) { committer_->Fail(cause); },
  });
  freezer_ = std::make_unique<ShardFreezer>(ShardFreezer::Dependencies{
      .archives = ArchivesFolder(),
      .hot = &store_,
      .tiers = tiers_.get(),
      .stepper = stepper_.get(),
      .notes = &change_notes_,
      .cache = cache_.get(),
      .clock = &clock_,
      .catalogue = &archives_,
      .restorer = restorer_.get(),
      .wait_for_turn = wait_for_turn,
      .at_boundary = at_boundary,
      .fail = [this](const Status& cause) { committer_->Fail(cause); },
  });
  if (!options_.freeze.automatic) return;
  auto_freezer_ = std::make_unique<AutoFreezer>(AutoFreezer::Dependencies{
      .look_ms = AutoFreezer::LookMs(options_.temperature_ages),
      .shards = [this] { return ShardReports(); },
      .freezer = freezer_.get(),
  });
}

std::string Engine::ArchivesFolder() const { return location_ + "/" + kArchiveDirectory; }

void Engine::OpenArchives() {
  const ShardTable table = shards_.Load()->table;
  if (!options_.read_only) CleanArchives(ArchivesFolder(), table);
  archives_.Load(ArchivesFolder(), table);
}

// On the committer's thread. What it waits for is told to it even if nothing was to be done.
void Engine::ThawForWrites(const std::vector<uint32_t>& ids) {
  for (const uint32_t id : ids) {
    {
      std::lock_guard lock(thawing_mutex_);
      if (!thawing_.insert(id).second) continue;
    }
    shard_pool_->Post([this, id] {
      SnapshotControl control;
      const Status thawed = freezer_->Thaw(id, &control);
      {
        std::lock_guard lock(thawing_mutex_);
        thawing_.erase(id);
      }
      // If there is no committer any more, its stopping has told the writes.
      (void)AtBoundary([&] { committer_->SettleFrozen(id, thawed); }, /*durable=*/false);
    });
  }
}

void Engine::ThawForReads(std::vector<uint32_t> ids, std::function<void(const Status&)> done) {
  shard_pool_->Post([this, ids = std::move(ids), done = std::move(done)] {
    Status status;
    for (const uint32_t id : ids) {
      SnapshotControl control;
      if (status.ok()) status = freezer_->Thaw(id, &control);
    }
    done(status);
  });
}

Status Engine::Verify(VerifyReport* report, SnapshotControl* control) {
  SnapshotControl unwatched;
  return VerifyStore(VerifySource{
                         .hot = &store_,
                         .new_view = [this] { return NewView(); },
                         .now_ms = [this] { return clock_.NowMs(); },
                         .archives = ArchivesFolder(),
                         .shards = shards_,
                     },
                     control != nullptr ? control : &unwatched, report);
}

}  // namespace thermocline
