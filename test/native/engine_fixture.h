// An engine in a temporary folder, and the few calls by which the suites write to it and read from
// it, each in the way the binding does.
#pragma once

#include <rocksdb/db.h>

#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/hash.h"
#include "support.h"

namespace thermocline::test {

using Record = std::pair<std::string, std::string>;

// Little memory and few threads, so that a suite may open many.
inline EngineOptions SmallOptions(int shards = 4) {
  EngineOptions options;
  options.shards = shards;
  options.memory = {.hot_cache = kMiB, .block_cache = 4 * kMiB, .write_buffer = 8 * kMiB};
  options.threads = {.read = 2, .background = 2};
  return options;
}

// Submits and waits for the acknowledgement.
inline Status Write(Engine* engine, const PackedWrites& writes, bool atomic = true) {
  auto done = std::make_shared<std::promise<Status>>();
  std::unique_ptr<Submission> submission = writes.ToSubmission(atomic);
  submission->done = [done](const Status& status) { done->set_value(status); };
  std::future<Status> result = done->get_future();
  Status status = engine->Submit(std::move(submission));
  return status.ok() ? Await(std::move(result)) : status;
}
inline Status Put(Engine* engine, std::string_view key, std::string_view value,
                  uint64_t expiry_ms = 0) {
  return Write(engine, PackedWrites().Put(key, value, expiry_ms), /*atomic=*/false);
}
inline Status Delete(Engine* engine, std::string_view key) {
  return Write(engine, PackedWrites().Delete(key), /*atomic=*/false);
}

// What the hot cache alone says: a value, "absent" or "miss".
inline std::string Cached(Engine* engine, std::string_view key) {
  std::string result;
  switch (engine->reader().GetCached(
      key, HashKey(key), [&](std::string_view value) { result = "value " + std::string(value); })) {
    case PointReader::Cached::kValue:
      return result;
    case PointReader::Cached::kAbsent:
      return "absent";
    case PointReader::Cached::kMiss:
      return "miss";
  }
  return "?";
}

// One key, through the cache if there is no view. An error shows as a failure.
inline std::optional<std::string> Get(Engine* engine, std::string_view key,
                                      const ReadView* view = nullptr) {
  std::optional<std::string> result;
  const uint64_t hash = HashKey(key);
  const auto keep = [&](std::string_view value) { result = std::string(value); };
  if (view == nullptr) {
    const PointReader::Cached cached = engine->reader().GetCached(key, hash, keep);
    if (cached != PointReader::Cached::kMiss) return result;
  }
  bool found = false;
  EXPECT_THAT(engine->reader().Get(key, hash, view, &found, keep), IsOk());
  EXPECT_EQ(found, result.has_value());
  return result;
}

inline std::shared_ptr<ReadBatch> BatchOf(const std::vector<std::string>& keys,
                                          std::shared_ptr<const ReadView> view = nullptr) {
  std::string packed;
  for (const std::string& key : keys) {
    PutVarint32(&packed, static_cast<uint32_t>(key.size()));
    packed += key;
  }
  auto batch = std::make_shared<ReadBatch>();
  batch->packed = TakeBlock(packed.size());
  std::copy(packed.begin(), packed.end(), batch->packed.get());
  batch->packed_size = packed.size();
  batch->count = static_cast<uint32_t>(keys.size());
  batch->view = std::move(view);
  return batch;
}

// Runs a batch to its end; returns whether it needed the read pool.
inline bool RunBatch(Engine* engine, const std::shared_ptr<ReadBatch>& batch) {
  auto done = std::make_shared<std::promise<void>>();
  batch->done = [done] { done->set_value(); };
  if (engine->reader().Start(batch)) return false;
  Await(done->get_future());
  return true;
}

inline std::vector<std::optional<std::string>> ResultsOf(ReadBatch* batch) {
  std::vector<std::optional<std::string>> results;
  for (const ResultRef& ref : batch->results) {
    if (ref.length == ResultRef::kAbsent) {
      results.emplace_back();
      continue;
    }
    const Arena& arena = batch->arenas.arenas().at(ref.location >> 16);
    const size_t offset = ref.location & 0xffff;
    EXPECT_LE(offset + ref.length, arena.size());
    results.emplace_back(std::string(arena.data() + offset, ref.length));
  }
  return results;
}

inline std::vector<std::optional<std::string>> GetMany(
    Engine* engine, const std::vector<std::string>& keys,
    std::shared_ptr<const ReadView> view = nullptr) {
  const auto batch = BatchOf(keys, std::move(view));
  RunBatch(engine, batch);
  EXPECT_THAT(batch->status, IsOk());
  return ResultsOf(batch.get());
}

// Takes the next chunk, waiting for it if need be.
inline Chunk TakeChunk(Cursor* cursor, uint32_t wanted = 1) {
  Chunk chunk;
  for (;;) {
    auto ready = std::make_shared<std::promise<void>>();
    if (cursor->Take(wanted, &chunk, [ready] { ready->set_value(); })) return chunk;
    Await(ready->get_future());
  }
}

// Cuts a chunk into its records, checking its layout on the way.
inline std::vector<Record> Decode(const Chunk& chunk) {
  std::vector<Record> records;
  const char* const base = chunk.block.data();
  EXPECT_EQ(chunk.index_offset % sizeof(uint32_t), 0u);
  EXPECT_LE(chunk.keys_offset, chunk.index_offset);
  EXPECT_EQ(chunk.index_offset + chunk.count * 2 * sizeof(uint32_t), chunk.block.size());
  size_t key_at = chunk.keys_offset;
  size_t value_at = 0;
  bool ascii = true;
  for (uint32_t i = 0; i < chunk.count; i++) {
    uint32_t sizes[2];
    std::memcpy(sizes, base + chunk.index_offset + i * sizeof sizes, sizeof sizes);
    if (key_at + sizes[0] > chunk.index_offset || value_at + sizes[1] > chunk.keys_offset) {
      ADD_FAILURE() << "record " << i << " lies outside its chunk";
      return records;
    }
    records.emplace_back(std::string(base + key_at, sizes[0]),
                         std::string(base + value_at, sizes[1]));
    for (const char c : records.back().first) ascii &= static_cast<uint8_t>(c) < 0x80;
    key_at += sizes[0];
    value_at += sizes[1];
  }
  EXPECT_EQ(value_at, chunk.keys_offset);
  EXPECT_LT(chunk.index_offset - key_at, sizeof(uint32_t)) << "padding to four bytes alone";
  EXPECT_EQ(chunk.ascii_keys, ascii);
  return records;
}

// Everything from here on; the walk's end in *status.
inline std::vector<Record> TakeAll(Cursor* cursor, Status* status = nullptr) {
  std::vector<Record> all;
  for (;;) {
    const Chunk chunk = TakeChunk(cursor, 1000);
    for (Record& record : Decode(chunk)) all.push_back(std::move(record));
    if (status != nullptr) {
      *status = chunk.status;
    } else {
      EXPECT_THAT(chunk.status, IsOk());
    }
    if (chunk.last) return all;
  }
}

inline std::vector<Record> Scan(Engine* engine, CursorOptions options = {}) {
  const auto cursor = engine->NewCursor(engine->NewView(), std::move(options));
  std::vector<Record> records = TakeAll(cursor.get());
  cursor->Close();
  return records;
}

class EngineTest : public testing::Test {
 protected:
  // Throws if it fails, which ends the test: nothing could be done without an engine.
  void Open(EngineOptions options = SmallOptions()) {
    const Status status = Engine::Open(location_, options, &engine_);
    if (!status.ok()) throw std::runtime_error("cannot open: " + std::string(status.message()));
  }
  void Close() {
    if (engine_) engine_->Close();
    engine_.reset();
  }
  void Reopen(EngineOptions options = SmallOptions(0)) {
    Close();
    Open(options);
  }
  // Opens and closes.
  Status TryOpen(const EngineOptions& options = SmallOptions(0)) {
    std::shared_ptr<Engine> engine;
    const Status status = Engine::Open(location_, options, &engine);
    EXPECT_EQ(engine != nullptr, status.ok());
    if (engine) engine->Close();
    return status;
  }
  Engine* engine() { return engine_.get(); }

  TempFolder folder_;
  const std::string location_ = folder_ / "db";
  const std::string hot_ = location_ + "/hot";
  std::shared_ptr<Engine> engine_;
};

}  // namespace thermocline::test
