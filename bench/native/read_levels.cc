// Where lookups are answered, counted by RocksDB's tickers and the hot cache's own counters.
//
//   read_levels <dir> <records> <value size> absent
//       Each lookup is of another absent key: how many needed a block from the disk.
//   read_levels <dir> <records> <value size> zipfian|scrambled <hot cache, share of the data>
//       Lookups under a zipfian choice (0.99) of the records, or YCSB's scrambled one, which folds
//       a far longer tail into them: shares answered by the hot cache, the block cache and the
//       disk. The block cache has 5% of the data, at least 4 MiB.
//
// A disk read here is a block that the store had to ask its files for; whether the system had it in
// memory is not the store's doing. One line of JSON on stdout.

#include <rocksdb/statistics.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "engine_calls.h"
#include "workload.h"
#include "zipfian.h"

namespace thermocline::bench {
namespace {

constexpr double kBlockCacheShare = 0.05;

void Require(bool right, const char* what) {
  if (right) return;
  std::fprintf(stderr, "read_levels: wrong %s\n", what);
  std::exit(1);
}

void Load(Engine* engine, const Workload& work) {
  for (size_t from = 0; from < work.records(); from += kBatch) {
    Write(engine, work, from, std::min(from + kBatch, work.records()), /*atomic=*/false);
  }
  Check(engine->Flush());
  Check(engine->Compact({}));
}

constexpr size_t kAbsent = ~size_t{0};

class Counting {
 public:
  Counting(Engine* engine, rocksdb::Statistics* tickers) : engine_(engine), tickers_(tickers) {}

  void Begin() {
    tickers_->Reset();
    hits_ = engine_->Snapshot().hot_cache_hits + engine_->Snapshot().hot_cache_negative_hits;
  }
  uint64_t Ticker(rocksdb::Tickers ticker) const { return tickers_->getTickerCount(ticker); }
  uint64_t HotHits() const {
    const MetricsSnapshot now = engine_->Snapshot();
    return now.hot_cache_hits + now.hot_cache_negative_hits - hits_;
  }

 private:
  Engine* const engine_;
  rocksdb::Statistics* const tickers_;
  uint64_t hits_ = 0;
};

int Absent(Engine* engine, Counting* counting, const Workload& work) {
  // Every key is asked for once; first those in even places, so that indexes and filters are read.
  const auto pass = [&](size_t first) {
    std::string key;
    for (size_t i = first; i < work.records(); i += 2) {
      key = work.Key(work.every_key()[i]);
      key.push_back('\x7f');
      Require(Lookup(engine, key, kAbsent) == kAbsent, "lookup: an absent key was found");
    }
  };
  pass(0);
  counting->Begin();
  pass(1);
  const uint64_t lookups = work.records() / 2;
  const uint64_t reads = counting->Ticker(rocksdb::BLOCK_CACHE_MISS);
  std::printf("{\"lookups\":%llu,\"filtered\":%llu,\"diskReads\":%llu,\"withoutDiskShare\":%.6f}\n",
              static_cast<unsigned long long>(lookups),
              static_cast<unsigned long long>(counting->Ticker(rocksdb::BLOOM_FILTER_USEFUL)),
              static_cast<unsigned long long>(reads),
              1 - static_cast<double>(reads) / static_cast<double>(lookups));
  return 0;
}

int Popular(Engine* engine, Counting* counting, const Workload& work, bool scrambled) {
  const uint64_t records = work.records();
  Zipfian ranks(records, Zeta(records), 1);
  ScrambledZipfian strewn(records, 1);
  const auto lookups = [&](uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
      const size_t index = scrambled ? strewn.Next() : work.every_key()[ranks.Next()];
      Require(Lookup(engine, work.Key(index), kAbsent) == work.value_size(),
              "lookup: a key is missing");
    }
  };
  lookups(3 * records);
  counting->Begin();
  const uint64_t count = 2 * records;
  lookups(count);
  const auto share = [&](uint64_t n) {
    return static_cast<double>(n) / static_cast<double>(count);
  };
  const double hot = share(counting->HotHits());
  const double memtable = share(counting->Ticker(rocksdb::MEMTABLE_HIT));
  const double disk = share(counting->Ticker(rocksdb::BLOCK_CACHE_DATA_MISS));
  const EngineGauges gauges = engine->Gauges();
  std::printf(
      "{\"lookups\":%llu,\"hotCacheShare\":%.6f,\"memtableShare\":%.6f,\"blockCacheShare\":%.6f,"
      "\"diskShare\":%.6f,\"hotCacheBytes\":%llu,\"hotCacheEntries\":%llu,"
      "\"blockCacheBytes\":%llu}\n",
      static_cast<unsigned long long>(count), hot, memtable, 1 - hot - memtable - disk, disk,
      static_cast<unsigned long long>(gauges.hot_cache_capacity_bytes),
      static_cast<unsigned long long>(gauges.hot_cache_entries),
      static_cast<unsigned long long>(gauges.block_cache_capacity_bytes));
  return 0;
}

int Main(const std::string& dir, size_t records, size_t value_size, std::string_view mode,
         double hot_share) {
  const Workload work(records, value_size);
  const double data = static_cast<double>(records * (kKeySize + value_size));
  EngineOptions options;
  options.statistics = rocksdb::CreateDBStatistics();
  options.memory.hot_cache = static_cast<size_t>(data * hot_share);
  options.memory.block_cache = std::max(static_cast<size_t>(data * kBlockCacheShare), 4 * kMiB);
  const bool load = !std::filesystem::exists(dir + "/hot");
  std::shared_ptr<Engine> engine;
  Check(Engine::Open(dir, options, &engine));
  if (load) Load(engine.get(), work);
  Counting counting(engine.get(), options.statistics.get());
  const int code = mode == "absent" ? Absent(engine.get(), &counting, work)
                                    : Popular(engine.get(), &counting, work, mode == "scrambled");
  engine->Close();
  return code;
}

}  // namespace
}  // namespace thermocline::bench

int main(int argc, char** argv) {
  const std::string_view mode = argc > 4 ? argv[4] : "";
  const bool popular = mode == "zipfian" || mode == "scrambled";
  if (!(mode == "absent" && argc == 5) && !(popular && argc == 6)) {
    std::fprintf(
        stderr,
        "usage: read_levels <dir> <records> <value size> absent\n"
        "       read_levels <dir> <records> <value size> zipfian|scrambled <hot cache's share>\n");
    return 2;
  }
  return thermocline::bench::Main(argv[1], std::strtoul(argv[2], nullptr, 10),
                                  std::strtoul(argv[3], nullptr, 10), mode,
                                  argc > 5 ? std::strtod(argv[5], nullptr) : 0);
}
