#include "engine/options.h"

#include <rocksdb/advanced_cache.h>

#include <string>
#include <vector>

#include "engine/rocks_options.h"
#include "support.h"

namespace thermocline {
namespace {

using test::HasCode;
using test::IsOk;

TEST(OptionsTest, DefaultsAreTheBalancedPreset) {
  EngineOptions options;
  options.memory = {1, 2, 3};
  ASSERT_THAT(ApplyPreset("balanced", &options), IsOk());
  const MemoryBudget defaults;
  EXPECT_EQ(options.memory.hot_cache, defaults.hot_cache);
  EXPECT_EQ(options.memory.block_cache, defaults.block_cache);
  EXPECT_EQ(options.memory.write_buffer, defaults.write_buffer);
  EXPECT_EQ(defaults.hot_cache, 64 * kMiB);
  EXPECT_EQ(defaults.block_cache, 128 * kMiB);
  EXPECT_EQ(defaults.write_buffer, 128 * kMiB);
}

TEST(OptionsTest, PresetsSetTheDocumentedBudgets) {
  struct Case {
    const char* name;
    size_t hot_cache;
    size_t block_cache;
    size_t write_buffer;
  };
  for (const Case& c : {Case{"production", 512 * kMiB, kGiB, 256 * kMiB},
                        Case{"bulk-load", 0, 64 * kMiB, 512 * kMiB},
                        Case{"low-memory", 4 * kMiB, 8 * kMiB, 8 * kMiB}}) {
    EngineOptions options;
    options.shards = 7;
    ASSERT_THAT(ApplyPreset(c.name, &options), IsOk()) << c.name;
    EXPECT_EQ(options.memory.hot_cache, c.hot_cache) << c.name;
    EXPECT_EQ(options.memory.block_cache, c.block_cache) << c.name;
    EXPECT_EQ(options.memory.write_buffer, c.write_buffer) << c.name;
    EXPECT_EQ(options.shards, 7) << "a preset leaves the rest alone";
    EXPECT_THAT(Finish(&options), IsOk()) << c.name;
  }
}

TEST(OptionsTest, AnUnknownPresetIsRefusedByName) {
  for (const char* name : {"", "Balanced", "fast", "balanced "}) {
    EngineOptions options;
    options.memory.hot_cache = 12345;
    const Status status = ApplyPreset(name, &options);
    EXPECT_THAT(status, HasCode(Code::kInvalidArgument));
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("'" + std::string(name) + "'"));
    EXPECT_EQ(options.memory.hot_cache, 12345u);
  }
}

TEST(OptionsTest, FinishFillsTheThreads) {
  EngineOptions options;
  ASSERT_THAT(Finish(&options), IsOk());
  EXPECT_GE(options.threads.read, 1);
  EXPECT_LE(options.threads.read, 8);
  EXPECT_GE(options.threads.background, 2);
  EXPECT_LE(options.threads.background, 8);
  options.threads = {3, 5};
  ASSERT_THAT(Finish(&options), IsOk());
  EXPECT_EQ(options.threads.read, 3);
  EXPECT_EQ(options.threads.background, 5);
}

TEST(OptionsTest, RangesAreChecked) {
  const auto finish = [](auto&& change) {
    EngineOptions options;
    change(options);
    return Finish(&options).code();
  };
  for (const int shards : {0, 1, 256}) {
    EXPECT_EQ(finish([=](EngineOptions& o) { o.shards = shards; }), Code::kOk) << shards;
  }
  for (const int shards : {-1, 257}) {
    EXPECT_EQ(finish([=](EngineOptions& o) { o.shards = shards; }), Code::kInvalidArgument)
        << shards;
  }
  for (const int threads : {1, 256}) {
    EXPECT_EQ(finish([=](EngineOptions& o) { o.threads.read = threads; }), Code::kOk);
    EXPECT_EQ(finish([=](EngineOptions& o) { o.threads.background = threads; }), Code::kOk);
  }
  for (const int threads : {-1, 257}) {
    EXPECT_EQ(finish([=](EngineOptions& o) { o.threads.read = threads; }), Code::kInvalidArgument);
    EXPECT_EQ(finish([=](EngineOptions& o) { o.threads.background = threads; }),
              Code::kInvalidArgument);
  }
  EXPECT_EQ(finish([](EngineOptions& o) { o.memory.write_buffer = kMiB; }), Code::kOk);
  EXPECT_EQ(finish([](EngineOptions& o) { o.memory.write_buffer = kMiB - 1; }),
            Code::kInvalidArgument);
  EXPECT_EQ(finish([](EngineOptions& o) { o.memory.hot_cache = o.memory.block_cache = 0; }),
            Code::kOk);
  for (const size_t bytes : {64 * kGiB, size_t{1} << 50, SIZE_MAX}) {
    // Beyond any machine, and beyond what RocksDB survives being asked for.
    const Code code = bytes == 64 * kGiB ? Code::kOk : Code::kInvalidArgument;
    EXPECT_EQ(finish([=](EngineOptions& o) { o.memory.hot_cache = bytes; }), code) << bytes;
    EXPECT_EQ(finish([=](EngineOptions& o) { o.memory.block_cache = bytes; }), code) << bytes;
    EXPECT_EQ(finish([=](EngineOptions& o) { o.memory.write_buffer = bytes; }), code) << bytes;
  }
  EXPECT_EQ(finish([](EngineOptions& o) { o.min_group_bytes = o.max_group_bytes; }), Code::kOk);
  EXPECT_EQ(finish([](EngineOptions& o) { o.min_group_bytes = o.max_group_bytes + 1; }),
            Code::kInvalidArgument);
}

TEST(OptionsTest, IdleShardsSinkOnlyWhereAUseKeepsThemHotForASecond) {
  for (const bool sinks : {true, false}) {
    for (const uint64_t hot : {0, 999, 1000}) {
      EngineOptions options;
      options.tiers.sink_idle_shards = sinks;
      options.temperature_ages.hot_ms = hot;
      const Status status = Finish(&options);
      if (sinks && hot < 1000) {
        EXPECT_THAT(status, HasCode(Code::kInvalidArgument)) << hot;
      } else {
        EXPECT_THAT(status, IsOk()) << hot;
      }
    }
  }
}

TEST(RocksOptionsTest, TheBudgetIsOneCacheAndOneWriteBufferManager) {
  EngineOptions options;
  options.memory = {0, 5 * kMiB, 7 * kMiB};
  const RocksShared shared = MakeRocksShared(options);
  EXPECT_EQ(shared.block_cache->GetCapacity(), 5 * kMiB);
  EXPECT_EQ(shared.write_buffer_manager->buffer_size(), 7 * kMiB);
  EXPECT_EQ(HotDbOptions(options, shared).write_buffer_manager, shared.write_buffer_manager);

  options.memory.block_cache = 0;  // the least RocksDB can work with
  EXPECT_EQ(MakeRocksShared(options).block_cache->GetCapacity(), kMiB);
}

TEST(RocksOptionsTest, NothingThatBreaksAPromiseIsOn) {
  EngineOptions options;
  const rocksdb::DBOptions db = HotDbOptions(options, MakeRocksShared(options));
  EXPECT_FALSE(db.unordered_write);  // breaks snapshots
  EXPECT_FALSE(db.two_write_queues);
  EXPECT_FALSE(db.manual_wal_flush);  // loses acknowledged writes with the process
  EXPECT_FALSE(db.enable_pipelined_write);
  EXPECT_NE(db.wal_recovery_mode, rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords);
  EXPECT_NE(db.wal_recovery_mode, rocksdb::WALRecoveryMode::kPointInTimeRecovery);
  EXPECT_GT(db.max_total_wal_size, 0u);
  EXPECT_TRUE(db.paranoid_checks);
}

// Otherwise a crash could keep one shard's half of a commit.
TEST(RocksOptionsTest, WithoutALogColumnFamiliesAreFlushedTogether) {
  EngineOptions options;
  EXPECT_FALSE(HotDbOptions(options, MakeRocksShared(options)).atomic_flush);
  options.without_log = true;
  EXPECT_TRUE(HotDbOptions(options, MakeRocksShared(options)).atomic_flush);
}

TEST(RocksOptionsTest, ShardsShareTheWriteBuffer) {
  EngineOptions options;
  options.memory.write_buffer = 128 * kMiB;
  const RocksShared shared = MakeRocksShared(options);
  const auto memtable = [&](int shards) {
    return HotShardOptions(options, shared, shards).write_buffer_size;
  };
  EXPECT_EQ(memtable(1), 64 * kMiB);
  EXPECT_EQ(memtable(4), 16 * kMiB);
  EXPECT_EQ(memtable(256), kMiB) << "never below a mebibyte";
  options.memory.write_buffer = 8 * kGiB;
  EXPECT_EQ(memtable(1), 256 * kMiB) << "never above 256";
}

TEST(RocksOptionsTest, TheMetaColumnFamilyIsSmallAndPlain) {
  const RocksShared shared = MakeRocksShared(EngineOptions{});
  EXPECT_EQ(MetaOptions(shared).compression, rocksdb::kNoCompression);
  EXPECT_EQ(MetaOptions(shared).write_buffer_size, kMiB);
}

}  // namespace
}  // namespace thermocline
