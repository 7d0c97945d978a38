// An open transaction: the moment it reads from, and its place in the committer's memory.
//
// Thread safety: immutable; may be destroyed on any thread, which ends the transaction.
// Ownership: shares the read view; does not own the committer, which outlives it (Session::Close
// ends transactions before the engine closes).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "engine/commit/recent_commits.h"
#include "engine/read/read_view.h"

namespace thermocline {

class Transaction {
 public:
  Transaction(RecentCommits* recent, uint64_t start_commit_id, std::shared_ptr<const ReadView> view)
      : recent_(recent), start_commit_id_(start_commit_id), view_(std::move(view)) {}
  ~Transaction() { End(); }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  void End() const {
    std::call_once(ended_, [this] { recent_->End(start_commit_id_); });
  }

  // Everything up to this commit is in view(), nothing after it.
  uint64_t start_commit_id() const { return start_commit_id_; }
  const std::shared_ptr<const ReadView>& view() const { return view_; }

 private:
  RecentCommits* const recent_;
  const uint64_t start_commit_id_;
  const std::shared_ptr<const ReadView> view_;
  mutable std::once_flag ended_;
};

}  // namespace thermocline
