#include "engine/commit/recent_commits.h"

#include <algorithm>

namespace thermocline {

namespace {

// What a map node, a deque entry and a short string cost beside the key's bytes.
constexpr size_t kEntryOverhead = 112;

Status Conflict() {
  return {Code::kConflict, "another commit wrote what this transaction has read: try it again"};
}

}  // namespace

void RecentCommits::Begin(uint64_t start_commit_id) {
  std::lock_guard lock(mutex_);
  open_.insert(start_commit_id);
  active_count_.store(static_cast<int>(open_.size()), std::memory_order_release);
}

void RecentCommits::End(uint64_t start_commit_id) {
  std::lock_guard lock(mutex_);
  const auto found = open_.find(start_commit_id);
  if (found == open_.end()) return;
  open_.erase(found);
  active_count_.store(static_cast<int>(open_.size()), std::memory_order_release);
  ForgetLocked(open_.empty() ? UINT64_MAX : *open_.begin());
}

size_t RecentCommits::bytes() {
  std::lock_guard lock(mutex_);
  return bytes_;
}

bool RecentCommits::IsOpen(uint64_t start_commit_id) {
  std::lock_guard lock(mutex_);
  return open_.contains(start_commit_id);
}

void RecentCommits::RecordKey(std::string_view key, uint64_t commit_id) {
  std::lock_guard lock(mutex_);
  auto found = keys_.lower_bound(key);
  if (found == keys_.end() || found->first != key) {
    found = keys_.emplace_hint(found, std::string(key), commit_id);
    bytes_ += key.size();
  } else if (found->second == commit_id) {
    return;  // one entry per key and commit
  }
  found->second = commit_id;
  order_.push_back({commit_id, found});
  bytes_ += kEntryOverhead;
  BoundLocked();
}

void RecentCommits::RecordRange(std::string_view start, std::string_view end, bool has_end,
                                uint64_t commit_id) {
  std::lock_guard lock(mutex_);
  ranges_.push_back({std::string(start), std::string(end), has_end, commit_id});
  bytes_ += start.size() + end.size() + kEntryOverhead;
  BoundLocked();
}

Status RecentCommits::Check(const ReadSet& reads) {
  std::lock_guard lock(mutex_);
  const uint64_t since = reads.start_commit_id;
  if (since < forgotten_) {
    return {Code::kConflict, "the transaction was open for too long under too many writes"};
  }
  for (const std::string& key : reads.keys) {
    if (KeyWrittenLocked(key, since)) return Conflict();
  }
  for (const ReadSet::Range& read : reads.ranges) {
    for (auto key = keys_.lower_bound(read.start);
         key != keys_.end() && (!read.has_end || key->first < read.end); ++key) {
      if (key->second > since) return Conflict();
    }
    for (const WrittenRange& written : ranges_) {
      if (written.commit_id > since && (!read.has_end || written.start < read.end) &&
          (!written.has_end || read.start < written.end)) {
        return Conflict();
      }
    }
  }
  return {};
}

bool RecentCommits::KeyWrittenLocked(std::string_view key, uint64_t since) const {
  const auto found = keys_.find(key);
  if (found != keys_.end() && found->second > since) return true;
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const WrittenRange& written) {
    return written.commit_id > since && key >= written.start &&
           (!written.has_end || key < written.end);
  });
}

// Drops what no open transaction can conflict with any more.
void RecentCommits::ForgetLocked(uint64_t up_to_id) {
  while (!order_.empty() && order_.front().commit_id <= up_to_id) {
    const Entry& entry = order_.front();
    bytes_ -= kEntryOverhead;
    // A later commit of the same key has an entry of its own.
    if (entry.key->second == entry.commit_id) {
      bytes_ -= entry.key->first.size();
      keys_.erase(entry.key);
    }
    order_.pop_front();
  }
  while (!ranges_.empty() && ranges_.front().commit_id <= up_to_id) {
    bytes_ -= ranges_.front().start.size() + ranges_.front().end.size() + kEntryOverhead;
    ranges_.pop_front();
  }
}

void RecentCommits::BoundLocked() {
  if (bytes_ <= max_bytes_) return;
  // Half at once, so that the cost is shared by many records.
  while (bytes_ > max_bytes_ / 2 && !(order_.empty() && ranges_.empty())) {
    const uint64_t oldest_key = order_.empty() ? UINT64_MAX : order_.front().commit_id;
    const uint64_t oldest_range = ranges_.empty() ? UINT64_MAX : ranges_.front().commit_id;
    forgotten_ = std::min(oldest_key, oldest_range);
    ForgetLocked(forgotten_);
  }
}

}  // namespace thermocline
