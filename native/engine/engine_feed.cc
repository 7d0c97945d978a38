// The engine's part in the change feed and the outbox: opening, closing, and what they need.
#include <filesystem>
#include <unordered_map>
#include <utility>

#include "engine/engine.h"
#include "engine/feed/retention.h"
#include "engine/record/coding.h"

namespace thermocline {

Status Engine::OpenFeed() {
  std::string payload;
  bool found = false;
  Status status = store_.GetMeta(meta_key::kChanges, &payload, &found);
  if (!status.ok()) return status;
  if (found && payload.size() != 8) return {Code::kCorruption, "the record 'changes' is damaged"};
  // This run writes more, and may end by a crash.
  if (found) status = store_.DeleteMeta({meta_key::kChanges}, /*sync=*/false);
  std::string replaced;
  bool was_replaced = false;
  if (status.ok()) status = store_.GetMeta(meta_key::kReplaced, &replaced, &was_replaced);
  if (!status.ok()) return status;
  if (was_replaced && replaced.size() != 8) {
    return {Code::kCorruption, "the record 'replaced' is damaged"};
  }
  if (!options_.changes.on()) {
    DropArchive((std::filesystem::path(location_) / "hot").string());
    return {};
  }
  if (!store_.has_log()) {
    return {Code::kInvalidArgument,
            "changes: the database was created with durability 'none' and has no log to read "
            "changes from"};
  }
  rocksdb::DB* const db = store_.db();
  // A new database has no changes before its first. Else, unless the last run has said how far
  // users have written, it may have been up to here.
  uint64_t quiet_from = store_.created() ? 0 : db->GetLatestSequenceNumber();
  if (found) quiet_from = DecodeFixed64(payload.data());
  std::unordered_map<uint32_t, int> families;
  const std::shared_ptr<const Shards> now = store_.shards();
  for (size_t i = 0; i < now->handles.size(); i++) {
    families[now->handles[i]->GetID()] = static_cast<int>(now->table.shards()[i].id);
  }
  const auto shard_of = [families = std::move(families), meta = store_.meta()->GetID(),
                         current = store_.current_shards()](uint32_t family, std::string_view key) {
    if (family == 0 || family == meta) return kNotAShard;
    const auto known = families.find(family);
    if (known != families.end()) return known->second;
    // Of a generation that is gone, or was made since: the shard that has the key today.
    const std::shared_ptr<const Shards> shards = current.Load();
    return static_cast<int>(shards->table.shards()[static_cast<size_t>(shards->IndexOf(key))].id);
  };
  feed_ = std::make_unique<ChangeFeed>(
      ChangeFeed::Dependencies{
          .db = db,
          .shard_of = shard_of,
          .sync = [db] { return Status::From(db->SyncWAL(), "syncing the log"); }},
      quiet_from, was_replaced ? DecodeFixed64(replaced.data()) : 0);
  return {};
}

Status Engine::ReadChanges(bool has_since, uint64_t since, bool durable,
                           std::shared_ptr<ChangeReader>* out) {
  if (options_.read_only) {
    return {Code::kReadOnly, "changes are read from a database that is open for writing"};
  }
  if (!feed_) {
    return {Code::kInvalidArgument,
            "the database keeps no changes: open it with the option changes"};
  }
  *out = feed_->NewReader(has_since ? since : feed_->latest(), durable);
  return {};
}

Status Engine::OpenOutbox() {
  if (!store_.has_log()) return {};
  outbox_ = std::make_unique<topic::Outbox>(topic::Outbox::Dependencies{
      .topics = topics_.get(),
      .put = [this](rocksdb::WriteBatch* batch, std::string_view key,
                    std::string_view payload) -> Status {
        return Status::From(
            batch->Put(store_.meta(), {key.data(), key.size()}, SealMeta(key, payload)),
            "building a batch");
      },
      .sync = [db = store_.db()] { return Status::From(db->SyncWAL(), "syncing the log"); },
      .erase =
          [this](const std::vector<std::string>& keys) {
            return store_.DeleteMeta({keys.begin(), keys.end()}, /*sync=*/false);
          },
      .scan =
          [this](std::string_view prefix,
                 const std::function<Status(std::string_view, std::string_view)>& fn) {
            return store_.ScanMeta(prefix, fn);
          },
  });
  return outbox_->Recover();
}

Status Engine::CheckMessages(const Submission& submission) const {
  if (!outbox_) {
    return {Code::kInvalidArgument,
            "messages cannot be committed with records in a database with durability 'none'"};
  }
  if (!submission.atomic || submission.messages.size() > topic::kMaxOutboxParts) {
    return {Code::kInvalidArgument, "a commit has messages for at most " +
                                        std::to_string(topic::kMaxOutboxParts) + " partitions"};
  }
  return outbox_->Admit(submission.message_bytes);
}

void Engine::CloseFeed() {
  if (!feed_) return;
  feed_->Close();
  std::string payload;
  PutFixed64(&payload, feed_->last_user_sequence());
  // Without it a reader that is far behind may find a gap where there is none.
  (void)store_.PutMeta({{meta_key::kChanges, payload}}, /*sync=*/false);
}

}  // namespace thermocline
