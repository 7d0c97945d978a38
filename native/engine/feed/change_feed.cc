#include "engine/feed/change_feed.h"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/record/coding.h"

namespace thermocline {

namespace {

// How often a log file may be moved or end under a reader before that is taken for a failure.
constexpr int kAttempts = 5;

// In a chunk: a range delete without an end.
constexpr double kDeleteFrom = 3;

}  // namespace

void ChangeChunk::Add(const Change& change) {
  changes++;
  numbers.push_back(static_cast<double>(change.sequence));
  numbers.push_back(static_cast<double>(change.commit_id));
  numbers.push_back(static_cast<double>(change.operations.size()));
  for (const ChangeOperation& operation : change.operations) {
    const bool endless =
        operation.type == ChangeOperation::Type::kDeleteRange && !operation.has_end;
    numbers.push_back(endless ? kDeleteFrom : static_cast<double>(operation.type));
    numbers.push_back(operation.shard);
    numbers.push_back(static_cast<double>(operation.expiry_ms));
    numbers.push_back(static_cast<double>(operation.key.size()));
    numbers.push_back(static_cast<double>(operation.value.size()));
    block.append(operation.key);
    block.append(operation.value);
  }
}

ChangeFeed::ChangeFeed(Dependencies dependencies, uint64_t quiet_from, uint64_t replaced)
    : state_(std::make_shared<State>(std::move(dependencies), quiet_from, replaced)) {}

void ChangeFeed::Wrote(const rocksdb::WriteBatch& batch) {
  State& state = *state_;
  // RocksDB writes the number of a batch's first record at its beginning.
  const uint64_t first_sequence = DecodeFixed64(batch.Data().data());
  const uint64_t last_sequence = first_sequence + batch.Count() - 1;
  if (state.first_user.load(std::memory_order_relaxed) == UINT64_MAX) {
    state.first_user.store(first_sequence);
  }
  // Sequentially consistent, as in WaitFor: either this sees the waiter or the waiter sees this.
  state.last_user.store(last_sequence);
  if (!state.waited.load()) return;
  std::vector<std::shared_ptr<Waiter>> woken;
  {
    std::lock_guard lock(state.mutex);
    woken.swap(state.waiters);
    state.waited.store(false);
  }
  // Each waits for what is written next, whatever that is.
  for (const auto& waiter : woken) waiter->Fire();
}

void ChangeFeed::Replaced() {
  State& state = *state_;
  std::vector<std::shared_ptr<Waiter>> woken;
  {
    std::lock_guard lock(state.mutex);
    state.replaced.store(state.db->GetLatestSequenceNumber());
    for (const auto& reader : state.readers) reader->replaced_.store(true);
    woken.swap(state.waiters);
    state.waited.store(false);
  }
  for (const auto& waiter : woken) waiter->Fire();
}

std::shared_ptr<ChangeReader> ChangeFeed::NewReader(uint64_t since, bool durable) {
  auto reader = std::make_shared<ChangeReader>(state_, since, durable);
  std::lock_guard lock(state_->mutex);
  if (state_->closed)
    reader->closed_.store(true);
  else
    state_->readers.push_back(reader);
  return reader;
}

void ChangeFeed::Close() {
  std::vector<std::shared_ptr<ChangeReader>> readers;
  std::vector<std::shared_ptr<Waiter>> waiters;
  {
    std::lock_guard lock(state_->mutex);
    state_->closed = true;
    readers.swap(state_->readers);
    waiters.swap(state_->waiters);
  }
  for (const auto& reader : readers) {
    reader->End();
    std::lock_guard lock(reader->mutex_);
    reader->iterator_.reset();
  }
  for (const auto& waiter : waiters) waiter->Fire();
}

Status ChangeReader::Gap(const std::string& why) const {
  return {Code::kGap, "the changes behind sequence " + std::to_string(position_.load()) +
                          " are not to be had: " + why +
                          ". Copy the database anew and follow it from its present sequence"};
}

// Whether no user has written in between, both ends excluded.
bool ChangeReader::IsQuiet(uint64_t from, uint64_t to) const {
  if (from >= state_->last_user.load()) return true;
  return from >= state_->quiet_from && to <= state_->first_user.load();
}

Status ChangeReader::Open() {
  const uint64_t position = position_.load();
  rocksdb::Status s;
  for (int attempt = 0; attempt < kAttempts; attempt++) {
    // Listing the files can meet one that is being moved to the archive, or deleted there.
    s = state_->db->GetUpdatesSince(position + 1, &iterator_);
    if (s.ok()) {
      fresh_ = iterator_->Valid();
      return {};
    }
    iterator_.reset();
  }
  if (s.IsNotFound()) return {};  // not yet written
  return Status::From(s, "reading the log");
}

// Takes the next batch of the log. kNothing: there is none yet.
// REQUIRES: something lies behind the position.
Status ChangeReader::Advance(Step* step, rocksdb::BatchResult* batch) {
  *step = Step::kNothing;
  if (!iterator_) {
    Status status = Open();
    if (!status.ok() || !iterator_) return status;
  } else if (!fresh_) {
    iterator_->Next();
  }
  fresh_ = false;
  if (iterator_->Valid()) {
    *step = Step::kBatch;
    *batch = iterator_->GetBatch();
    return {};
  }
  // The log went on in another file, or holds numbers that no record has. An iterator that found
  // nothing cannot go on: it would pass over what it finds next.
  iterator_.reset();
  *step = Step::kAgain;
  return {};
}

Status ChangeReader::Take(const rocksdb::BatchResult& batch, ChangeChunk* out) {
  const uint64_t position = position_.load();
  const uint64_t base = batch.sequence;
  Status status;
  if (base > position + 1 && !IsQuiet(position, base)) {
    status = Gap("the log goes on at " + std::to_string(base));
  } else {
    status = DecodeChanges(*batch.writeBatchPtr, base, position, state_->deps.shard_of,
                           [&](const Change& change) {
                             out->Add(change);
                             position_.store(change.sequence);
                           });
  }
  if (!status.ok()) {
    iterator_.reset();  // so that the next read meets it again
    return status;
  }
  const auto count = static_cast<uint64_t>(batch.writeBatchPtr->Count());
  if (count > 0) position_.store(std::max(position_.load(), base + count - 1));
  return {};
}

Status ChangeReader::ReadMore(size_t max_bytes, ChangeChunk* out) {
  // Before the question whether shards were replaced: what is read then was written before they
  // were.
  const uint64_t latest = state_->db->GetLatestSequenceNumber();
  if (replaced_.load() || position_.load() < state_->replaced.load()) {
    return Gap("shards were restored from a snapshot, which is no change");
  }
  if (position_.load() > latest) {
    return Gap("the database is at " + std::to_string(latest) +
               ", so it is another, or an older state of it");
  }
  int attempts = 0;
  while (out->bytes() < max_bytes && position_.load() < latest) {
    Step step = Step::kNothing;
    rocksdb::BatchResult batch;
    Status status = Advance(&step, &batch);
    if (!status.ok()) return status;
    if (step == Step::kNothing) return {};
    if (step == Step::kAgain) {
      if (++attempts < kAttempts) continue;
      if (IsQuiet(position_.load(), latest + 1)) return {};
      return Gap("the log is damaged or incomplete there");
    }
    attempts = 0;
    status = Take(batch, out);
    if (!status.ok()) return status;
  }
  return {};
}

Status ChangeReader::Read(size_t max_bytes, ChangeChunk* out) {
  std::lock_guard lock(mutex_);
  Status status;
  if (closed_.load()) {
    status = {Code::kClosed, "the feed is closed"};
  } else {
    const uint64_t before = position_.load();
    status = ReadMore(max_bytes, out);
    // What came before the failure is good; the next read fails.
    if (out->changes > 0) status = durable_ ? state_->deps.sync() : Status();
    if (!status.ok() && out->changes > 0) {
      // Nobody gets these: they are read again.
      *out = {};
      position_.store(before);
      iterator_.reset();
    }
  }
  if (closed_.load()) iterator_.reset();
  return status;
}

void ChangeReader::WaitFor(std::shared_ptr<Waiter> waiter) {
  {
    std::lock_guard lock(wait_mutex_);
    waiter_ = waiter;
  }
  ChangeFeed::State& state = *state_;
  if (!closed_.load()) {
    const uint64_t position = position_.load();
    std::lock_guard lock(state.mutex);
    std::erase_if(state.waiters, [](const auto& each) { return each->fired(); });
    state.waiters.push_back(waiter);
    state.waited.store(true);
    if (state.last_user.load() <= position && !replaced_.load() && !state.closed &&
        !closed_.load()) {
      return;
    }
  }
  waiter->Fire();
}

void ChangeReader::End() {
  closed_.store(true);
  std::shared_ptr<Waiter> waiter;
  {
    std::lock_guard lock(wait_mutex_);
    waiter = std::move(waiter_);
  }
  if (waiter) waiter->Fire();
}

void ChangeReader::Close() {
  End();
  {
    // A read that runs lets go of the log itself.
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock.owns_lock()) iterator_.reset();
  }
  // Only now: the feed waits for who still holds the lock.
  std::lock_guard lock(state_->mutex);
  std::erase_if(state_->readers, [this](const auto& reader) { return reader.get() == this; });
}

}  // namespace thermocline
