// Reads of a database whose colder part lies on a slower disk, beside what else could be done with
// the same disks and the same memory. bench/tiers/reads.mjs runs it and writes the table.
//
//   tier_reads prepare <dir> <records>
//       Loads the data four times: all hot; with a warm and with a cold tier, hot capacity 10% of
//       the data; in RocksDB alone with cf_paths, 10% of the data on the first one. Then reads by a
//       Zipfian choice until the tiers have settled. Disks are as fast as they are meanwhile.
//   tier_reads read <dir> <setup> <none|sata|hdd> <records> <seconds> <threads> <batch>
//       Each thread reads <batch> keys at a time: 1 is get, more are one getMany (for RocksDB
//       alone: one MultiGet).
//       Setups: hot    everything on the fast disk
//               empty  likewise, with a warm and a cold tier that hold nothing
//               tiers  the coldest 90% in a warm (none, sata) or cold (hdd) tier on the slow disk
//               slow   everything on the slow disk
//               paths  RocksDB alone: what is old lies on the slow disk
//   tier_reads migrate <dir> <records> <seconds>
//       Reads and writes of one thread, first alone, then while records move down and up as fast as
//       they can.
//
// Work: 16-byte keys, half-compressible values of 100 bytes, Zipfian (0.99) over all records.
// Memory: 18 MiB in all for caches and the sketch of heat, however many stores there are. (Empty
// tiers have theirs beside it: what they cost is asked there, not what they take away.) The slow
// disk is simulated (engine/platform/slow_disk.h): no page cache stands before it. The fast one is
// the machine's own, and its page cache holds everything. One line of JSON on stdout.

#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/cache/heat_sketch.h"
#include "engine/metrics/histogram.h"
#include "engine/platform/slow_disk.h"
#include "engine/platform/thread_pool.h"
#include "engine/platform/time.h"
#include "engine/rocks_options.h"
#include "engine/tier/policy.h"
#include "engine_calls.h"
#include "workload.h"
#include "zipfian.h"

namespace thermocline::bench {
namespace {

namespace fs = std::filesystem;

constexpr size_t kValueSize = 100;
constexpr size_t kHotCache = 6 * kMiB;
constexpr size_t kBlocks = 12 * kMiB;
// What tiers have of it, beside the sketch of heat.
constexpr size_t kHotBlocks = 2 * kMiB;
constexpr size_t kColdBlocks = 6 * kMiB;
static_assert(kHotBlocks + kColdBlocks + HeatSketch::kMaxCounters == kBlocks);
constexpr size_t kAbsent = ~size_t{0};
constexpr double kHotShare = 0.1;
constexpr uint64_t kSecond = 1'000'000'000;

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "tier_reads: %s\n", what);
  std::exit(1);
}
void CheckRocks(const rocksdb::Status& s) {
  if (!s.ok()) Die(s.ToString().c_str());
}

struct Disk {
  explicit Disk(std::string_view name, std::string folder = {}) {
    DiskSpeed speed{0, uint64_t{1} << 50, false};
    if (name == "sata") speed = kSataSsd;
    if (name == "hdd") speed = kHardDisk;
    device = std::make_shared<SlowDisk>(speed);
    env = NewSlowEnv(rocksdb::Env::Default(), device, std::move(folder));
  }
  std::shared_ptr<SlowDisk> device;
  std::unique_ptr<rocksdb::Env> env;
};

EngineOptions Options(bool tiered) {
  EngineOptions options;
  options.memory = {.hot_cache = kHotCache,
                    .block_cache = tiered ? kHotBlocks : kBlocks,
                    .write_buffer = 16 * kMiB};
  return options;
}

void Want(EngineOptions* options, Tier tier, rocksdb::Env* env, size_t blocks) {
  TierOptions& colder = options->tiers.at(tier);
  colder.presence = TierOptions::Presence::kWanted;
  colder.env = env;
  colder.block_cache_bytes = blocks;
}

std::shared_ptr<Engine> OpenEngine(const std::string& dir, const EngineOptions& options) {
  std::shared_ptr<Engine> engine;
  Check(Engine::Open(dir, options, &engine));
  return engine;
}

// ---- what is read from --------------------------------------------------------------------------

class Store {
 public:
  virtual ~Store() = default;
  virtual size_t Get(std::string_view key) = 0;
  // How many exist.
  virtual size_t GetMany(const std::vector<std::string_view>& keys) = 0;
};

class EngineStore : public Store {
 public:
  explicit EngineStore(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}
  ~EngineStore() override { engine_->Close(); }
  size_t Get(std::string_view key) override { return Lookup(engine_.get(), key, kAbsent); }
  size_t GetMany(const std::vector<std::string_view>& keys) override {
    return LookupMany(engine_.get(), keys);
  }

 private:
  const std::shared_ptr<Engine> engine_;
};

class PathsStore : public Store {
 public:
  // All memory goes to the block cache.
  PathsStore(const std::string& dir, uint64_t fast_bytes, rocksdb::Env* env) {
    EngineOptions options = Options(false);
    options.memory.block_cache = kHotCache + kBlocks;
    options.env = env;
    Check(Finish(&options));
    const RocksShared shared = MakeRocksShared(options);
    rocksdb::Options all(HotDbOptions(options, shared), HotShardOptions(options, shared, 1));
    all.create_if_missing = true;
    all.cf_paths = {{dir + "/fast", fast_bytes}, {dir + "/slow", uint64_t{1} << 40}};
    fs::create_directories(dir + "/fast");
    fs::create_directories(dir + "/slow");
    rocksdb::DB* db = nullptr;
    CheckRocks(rocksdb::DB::Open(all, dir + "/fast", &db));
    db_.reset(db);
  }
  ~PathsStore() override { CheckRocks(db_->Close()); }
  size_t Get(std::string_view key) override {
    rocksdb::PinnableSlice value;
    const rocksdb::Status s = db_->Get(rocksdb::ReadOptions(), db_->DefaultColumnFamily(),
                                       {key.data(), key.size()}, &value);
    return s.ok() ? value.size() : kAbsent;
  }
  size_t GetMany(const std::vector<std::string_view>& keys) override {
    std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
    std::vector<rocksdb::PinnableSlice> values(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    db_->MultiGet(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), keys.size(), slices.data(),
                  values.data(), statuses.data());
    return static_cast<size_t>(std::count_if(statuses.begin(), statuses.end(),
                                             [](const auto& status) { return status.ok(); }));
  }
  void Load(const Workload& work) {
    for (size_t from = 0; from < work.records(); from += kBatch) {
      rocksdb::WriteBatch batch;
      for (size_t i = from; i < std::min(from + kBatch, work.records()); i++) {
        CheckRocks(batch.Put({work.Key(i).data(), kKeySize}, {work.Value(i).data(), kValueSize}));
      }
      CheckRocks(db_->Write(rocksdb::WriteOptions(), &batch));
    }
    CheckRocks(db_->Flush(rocksdb::FlushOptions()));
    CheckRocks(db_->WaitForCompact(rocksdb::WaitForCompactOptions()));
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
};

// ---- reading ------------------------------------------------------------------------------------

struct Reading {
  uint64_t reads = 0;
  double seconds = 0;
  std::unique_ptr<Histogram> nanos;
};

// Reads for so long, or so often, whichever comes first. `nanos` is of each call, of `batch` keys.
Reading ReadFor(Store* store, const Workload& work, double zeta, int threads, size_t batch,
                double seconds, uint64_t reads, uint64_t seed) {
  Reading reading;
  reading.nanos = std::make_unique<Histogram>();
  std::atomic<uint64_t> total{0};
  std::atomic<bool> wrong{false};
  const uint64_t began = NowNanos();
  const uint64_t end = began + static_cast<uint64_t>(seconds * static_cast<double>(kSecond));
  std::vector<std::thread> all;
  for (int t = 0; t < threads; t++) {
    all.emplace_back([&, t] {
      Zipfian ranks(work.records(), zeta, seed * 100 + static_cast<uint64_t>(t));
      const uint64_t most = reads / static_cast<uint64_t>(threads);
      uint64_t before = NowNanos();
      std::vector<std::string_view> keys(batch);
      uint64_t i = 0;
      for (; i < most && before < end; i += batch) {
        for (std::string_view& key : keys) key = work.Key(work.every_key()[ranks.Next()]);
        const bool all =
            batch == 1 ? store->Get(keys[0]) != kAbsent : store->GetMany(keys) == batch;
        if (!all) wrong = true;
        const uint64_t now = NowNanos();
        reading.nanos->Record(now - before);
        before = now;
      }
      total += i;
    });
  }
  for (std::thread& thread : all) thread.join();
  if (wrong) Die("a key is missing");
  reading.reads = total;
  reading.seconds = static_cast<double>(NowNanos() - began) / static_cast<double>(kSecond);
  return reading;
}

double Micros(const Reading& reading, double percentile) {
  return static_cast<double>(reading.nanos->TakeSnapshot().Percentile(percentile)) / 1000;
}

// ---- preparing ----------------------------------------------------------------------------------

void LoadInto(Engine* engine, const Workload& work) {
  for (size_t from = 0; from < work.records(); from += kBatch) {
    Write(engine, work, from, std::min(from + kBatch, work.records()), /*atomic=*/false);
  }
  Check(engine->Flush());
  Check(engine->Compact({}));
}

uint64_t TableBytes(const std::string& dir) {
  const auto engine = OpenEngine(dir, Options(false));
  const uint64_t bytes = engine->Gauges().sst_bytes;
  engine->Close();
  return bytes;
}

EngineOptions Tiered(Tier tier, uint64_t capacity, rocksdb::Env* env) {
  EngineOptions options = Options(true);
  Want(&options, tier, env, kColdBlocks);
  options.tiers.at(Tier::kHot).capacity_bytes = capacity;
  return options;
}

// Reads, then gives the hot tier time to sink to its mark: readers on all processors leave
// migration little to work with.
void ReadAndSink(Engine* engine, EngineStore* store, const Workload& work, double zeta,
                 uint64_t capacity, uint64_t seed) {
  (void)ReadFor(store, work, zeta, 2, 1, 1e9, 2 * work.records(), seed);
  const double mark = WaterMarks().high * static_cast<double>(capacity);
  while (static_cast<double>(engine->ReportTiers().tiers[0].LiveBytes()) > mark) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

// Reads until what is hot has come back up: some rounds after the tier had its size.
void PrepareTiers(const std::string& dir, const std::string& loaded, Tier tier,
                  const Workload& work, double zeta, uint64_t capacity) {
  constexpr int kSettledRounds = 6;
  fs::copy(loaded, dir, fs::copy_options::recursive);
  const auto engine = OpenEngine(dir, Tiered(tier, capacity, nullptr));
  EngineStore store(engine);
  for (int round = 0; round <= kSettledRounds; round++) {
    ReadAndSink(engine.get(), &store, work, zeta, capacity, 1000 + static_cast<uint64_t>(round));
    const TierReport report = engine->ReportTiers();
    std::fprintf(stderr, "%s, round %d: hot %.1f of %.1f MB, promoted %llu\n", dir.c_str(), round,
                 static_cast<double>(report.tiers[0].LiveBytes()) / 1e6,
                 static_cast<double>(capacity) / 1e6,
                 static_cast<unsigned long long>(report.promoted));
  }
  Check(engine->Flush());
  Check(engine->Compact({}));
}

int Prepare(const std::string& dir, size_t records) {
  const Workload work(records, kValueSize);
  const double zeta = Zeta(records);
  fs::remove_all(dir);
  fs::create_directories(dir);
  {
    const auto engine = OpenEngine(dir + "/hot", Options(false));
    LoadInto(engine.get(), work);
    engine->Close();
  }
  const uint64_t bytes = TableBytes(dir + "/hot");
  const auto capacity = static_cast<uint64_t>(static_cast<double>(bytes) * kHotShare);
  for (const Tier tier : {Tier::kWarm, Tier::kCold}) {
    PrepareTiers(dir + "/tiers-" + std::string(TierName(tier)), dir + "/hot", tier, work, zeta,
                 capacity);
  }
  {
    const auto fast = static_cast<uint64_t>(static_cast<double>(bytes) * kHotShare);
    PathsStore paths(dir + "/paths", fast, nullptr);
    paths.Load(work);
  }
  std::printf("{\"records\":%zu,\"tableBytes\":%llu,\"hotCapacityBytes\":%llu}\n", records,
              static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(capacity));
  return 0;
}

// ---- the two measurements -----------------------------------------------------------------------

int Read(const std::string& dir, std::string_view setup, const std::string& speed, size_t records,
         double seconds, int threads, size_t batch) {
  const Workload work(records, kValueSize);
  const double zeta = Zeta(records);
  const Disk everything(speed);
  const Disk slow_path(speed, dir + "/paths/slow");
  const SlowDisk* disk = everything.device.get();
  std::shared_ptr<Engine> engine;
  std::unique_ptr<Store> store;
  const uint64_t bytes = setup == "hot" ? 0 : TableBytes(dir + "/hot");
  const auto capacity = static_cast<uint64_t>(static_cast<double>(bytes) * kHotShare);
  if (setup == "hot") {
    engine = OpenEngine(dir + "/hot", Options(false));
  } else if (setup == "empty") {
    // With all the memory that the others have.
    EngineOptions options = Options(false);
    Want(&options, Tier::kWarm, nullptr, 1 * kMiB);
    Want(&options, Tier::kCold, nullptr, 1 * kMiB);
    if (!fs::exists(dir + "/empty"))
      fs::copy(dir + "/hot", dir + "/empty", fs::copy_options::recursive);
    options.tiers.at(Tier::kHot).capacity_bytes = 10 * bytes;
    engine = OpenEngine(dir + "/empty", options);
  } else if (setup == "tiers") {
    const Tier tier = speed == "hdd" ? Tier::kCold : Tier::kWarm;
    engine = OpenEngine(dir + "/tiers-" + std::string(TierName(tier)),
                        Tiered(tier, capacity, everything.env.get()));
  } else if (setup == "slow") {
    EngineOptions options = Options(false);
    options.env = everything.env.get();
    engine = OpenEngine(dir + "/hot", options);
  } else if (setup == "paths") {
    disk = slow_path.device.get();
    store = std::make_unique<PathsStore>(dir + "/paths", capacity, slow_path.env.get());
  } else {
    Die("no such setup");
  }
  if (engine) store = std::make_unique<EngineStore>(engine);
  // Another choice in each run: what one run read would be hot in the next one, if that read it
  // again.
  const uint64_t seed = NowNanos();
  // Caches fill.
  (void)ReadFor(store.get(), work, zeta, threads, batch, seconds, records, seed);
  const TierReport before = engine ? engine->ReportTiers() : TierReport();
  const uint64_t seeks = disk->seeks();
  const Reading reading =
      ReadFor(store.get(), work, zeta, threads, batch, seconds, ~uint64_t{0}, seed + 1);
  const double reads = static_cast<double>(reading.reads);
  const double slow_reads = static_cast<double>(disk->seeks() - seeks);
  double memory = 0;
  double hot = 0;
  uint64_t promoted = 0;
  if (engine) {
    const TierReport after = engine->ReportTiers();
    memory = static_cast<double>(after.from_memory - before.from_memory) / reads;
    hot = static_cast<double>(after.tiers[0].found - before.tiers[0].found) / reads;
    promoted = after.promoted - before.promoted;
  }
  std::printf(
      "{\"setup\":\"%s\",\"disk\":\"%s\",\"threads\":%d,\"batch\":%zu,\"reads\":%llu,"
      "\"readsPerSecond\":%.0f,"
      "\"p50Micros\":%.1f,\"p99Micros\":%.1f,\"hotCacheShare\":%.4f,\"hotTierShare\":%.4f,"
      "\"slowDiskReadsShare\":%.4f,\"promoted\":%llu}\n",
      std::string(setup).c_str(), speed.c_str(), threads, batch,
      static_cast<unsigned long long>(reading.reads), reads / reading.seconds, Micros(reading, 50),
      Micros(reading, 99), memory, hot, slow_reads / reads,
      static_cast<unsigned long long>(promoted));
  return 0;
}

// Reads and, one in ten, writes of one thread.
Reading Foreground(Engine* engine, const Workload& work, double zeta, double seconds, uint64_t seed,
                   Reading* writes) {
  Reading reading;
  reading.nanos = std::make_unique<Histogram>();
  writes->nanos = std::make_unique<Histogram>();
  Zipfian ranks(work.records(), zeta, seed);
  const uint64_t began = NowNanos();
  const uint64_t end = began + static_cast<uint64_t>(seconds * static_cast<double>(kSecond));
  for (uint64_t before = began; before < end;) {
    const size_t index = work.every_key()[ranks.Next()];
    const bool write = reading.reads++ % 10 == 9;
    if (write) {
      Write(engine, work, index, index + 1, /*atomic=*/false);
    } else if (Lookup(engine, work.Key(index), kAbsent) == kAbsent) {
      Die("a key is missing");
    }
    const uint64_t now = NowNanos();
    (write ? writes : &reading)->nanos->Record(now - before);
    before = now;
  }
  reading.seconds = static_cast<double>(NowNanos() - began) / static_cast<double>(kSecond);
  return reading;
}

int Migrate(const std::string& dir, size_t records, double seconds) {
  const Workload work(records, kValueSize);
  const double zeta = Zeta(records);
  const std::string place = dir + "/migrate";
  fs::remove_all(place);
  fs::copy(dir + "/hot", place, fs::copy_options::recursive);
  EngineOptions options = Options(true);
  // All of it may be in hot.
  options.memory.block_cache = kBlocks / 2;
  Want(&options, Tier::kWarm, nullptr, kBlocks / 2);
  options.tiers.automatic = false;
  const auto engine = OpenEngine(place, options);
  Reading writes[2];
  (void)Foreground(engine.get(), work, zeta, seconds / 2, 1, &writes[0]);
  const Reading alone = Foreground(engine.get(), work, zeta, seconds, 2, &writes[0]);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> moved{0};
  std::thread migration([&] {
    LowerThisThread(10);  // like every thread of the engine that migrates
    for (int from = 0; !stop; from = 1 - from) {
      for (int shard = 0; shard < engine->Gauges().shards && !stop; shard++) {
        StepPlan plan{.shard = shard, .from = from, .to = 1 - from};
        for (StepResult result; !result.done && !stop; plan.start = result.next) {
          Check(engine->stepper()->Run(plan, &result));
          moved += result.bytes;
        }
      }
    }
  });
  const Reading meanwhile = Foreground(engine.get(), work, zeta, seconds, 3, &writes[1]);
  stop = true;
  migration.join();
  engine->Close();
  fs::remove_all(place);
  std::printf(
      "{\"alone\":{\"operationsPerSecond\":%.0f,\"readP50Micros\":%.1f,\"readP99Micros\":%.1f,"
      "\"writeP99Micros\":%.1f},\"migrating\":{\"operationsPerSecond\":%.0f,\"readP50Micros\":%.1f,"
      "\"readP99Micros\":%.1f,\"writeP99Micros\":%.1f,\"movedMegabytesPerSecond\":%.1f}}\n",
      static_cast<double>(alone.reads) / alone.seconds, Micros(alone, 50), Micros(alone, 99),
      Micros(writes[0], 99), static_cast<double>(meanwhile.reads) / meanwhile.seconds,
      Micros(meanwhile, 50), Micros(meanwhile, 99), Micros(writes[1], 99),
      static_cast<double>(moved) / 1e6 / meanwhile.seconds);
  return 0;
}

}  // namespace
}  // namespace thermocline::bench

int main(int argc, char** argv) {
  using namespace thermocline::bench;
  const std::string_view mode = argc > 1 ? argv[1] : "";
  const auto number = [&](int i) { return std::strtoul(argv[i], nullptr, 10); };
  if (mode == "prepare" && argc == 4) return Prepare(argv[2], number(3));
  if (mode == "read" && argc == 9) {
    return Read(argv[2], argv[3], argv[4], number(5), std::strtod(argv[6], nullptr),
                static_cast<int>(number(7)), number(8));
  }
  if (mode == "migrate" && argc == 5) {
    return Migrate(argv[2], number(3), std::strtod(argv[4], nullptr));
  }
  std::fprintf(stderr,
               "usage: tier_reads prepare <dir> <records>\n"
               "       tier_reads read <dir> <setup> <disk> <records> <seconds> <threads> <batch>\n"
               "       tier_reads migrate <dir> <records> <seconds>\n");
  return 2;
}
