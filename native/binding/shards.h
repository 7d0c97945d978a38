// Snapshots and restores of shards. Thread safety: the environment's thread.
#pragma once

#include <napi.h>

#include <memory>

#include "engine/session.h"

namespace thermocline {

// job() -> what progress and abort are asked of; snapshot and restore take it.
// jobProgress(job) -> [bytes, total]
// jobAbort(job) -> whether it will never begin
void ExportShardJobs(Napi::Env env, Napi::Object exports);

// snapshotShards(ticket, ids, dir, job) -> {shards, files, linked, bytes, keys}
void SnapshotShards(const Napi::CallbackInfo& info, const std::shared_ptr<Session>& session);
// restoreShards(ticket, dir, as or -1, job) -> ids
void RestoreShards(const Napi::CallbackInfo& info, const std::shared_ptr<Session>& session);

// freezeShard(ticket, id, job) and thawShard(ticket, id, job)
void FreezeShard(const Napi::CallbackInfo& info, const std::shared_ptr<Session>& session);
void ThawShard(const Napi::CallbackInfo& info, const std::shared_ptr<Session>& session);

}  // namespace thermocline
