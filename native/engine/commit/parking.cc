// Writes to frozen shards, set aside by the committer until these are thawed; and whatever comes
// later and writes to a shard that one of them also writes to, so that the order of writes stays.

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "engine/commit/committer.h"

namespace thermocline {

// True: the submission was taken, since it writes to a frozen shard, or to one that a submission
// parked before it writes to.
bool Committer::Park(std::unique_ptr<Submission>* submission, size_t begin) {
  const std::vector<ShardInfo>& infos = shards_->table.shards();
  std::vector<bool> written(infos.size());
  for (size_t i = begin; i < ops_.size(); i++) {
    if (ops_[i].packed.type != OpType::kDeleteRange) {
      written[ops_[i].shard] = true;
    } else if (!ops_[i].superseded) {
      written.assign(infos.size(), true);
    }
  }
  Parked parked;
  const bool has_messages = !(*submission)->messages.empty();
  bool behind = has_messages && messages_blocked_;
  blocked_.resize(infos.size());
  for (size_t i = 0; i < infos.size(); i++) {
    if (!written[i]) continue;
    if (infos[i].frozen) parked.frozen.push_back(infos[i].id);
    behind = behind || blocked_[i];
  }
  if (parked.frozen.empty() && !behind) return false;
  for (size_t i = 0; i < infos.size(); i++) blocked_[i] = blocked_[i] || written[i];
  messages_blocked_ = messages_blocked_ || has_messages;
  parked_under_ = shards_;
  parked.submission = std::move(*submission);
  parked_.push_back(std::move(parked));
  if (!parked_.back().frozen.empty()) deps_.thaw(parked_.back().frozen);
  return true;
}

// Parked submissions are looked at again before everything accepted after them. The table changes
// at boundaries alone.
void Committer::UnparkIfChanged() {
  if (parked_under_ != nullptr && parked_under_ == deps_.shards.Load()) return;
  std::vector<std::unique_ptr<Submission>> again;
  for (Parked& parked : parked_) again.push_back(std::move(parked.submission));
  deps_.metrics->Work(WorkClass::kCommit).queued.fetch_add(again.size(), std::memory_order_relaxed);
  taken_.insert(taken_.begin() + static_cast<std::ptrdiff_t>(taken_next_),
                std::make_move_iterator(again.begin()), std::make_move_iterator(again.end()));
  parked_.clear();
  blocked_.clear();
  messages_blocked_ = false;
  parked_under_.reset();
}

void Committer::SettleFrozen(uint32_t shard_id, const Status& status) {
  parked_under_.reset();
  if (status.ok()) return;
  std::vector<Parked> others;
  for (Parked& parked : parked_) {
    if (std::find(parked.frozen.begin(), parked.frozen.end(), shard_id) == parked.frozen.end()) {
      others.push_back(std::move(parked));
    } else {
      Report(std::move(parked.submission), status);
    }
  }
  parked_ = std::move(others);
}

}  // namespace thermocline
