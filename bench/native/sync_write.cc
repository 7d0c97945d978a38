// Plain C++ RocksDB doing one synced write per operation: what the commit benchmark's durable
// writes are measured against.
//
//   sync_write <dir> <seconds> <records> <value size> <threads>
//
// The RocksDB options are those of Thermocline's hot store and the keys and values those of
// bench/commit; every thread awaits its write before the next (WriteOptions::sync), so with one
// thread each operation pays a sync of its own. One line of JSON on stdout.

#include <rocksdb/db.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/options.h"
#include "engine/rocks_options.h"
#include "workload.h"

namespace thermocline::bench {
namespace {

using Clock = std::chrono::steady_clock;

void Check(const rocksdb::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "sync_write: %s\n", status.ToString().c_str());
  std::exit(1);
}

rocksdb::Slice AsSlice(std::string_view text) { return {text.data(), text.size()}; }

std::unique_ptr<rocksdb::DB> Create(const std::string& dir) {
  EngineOptions engine;
  if (!Finish(&engine).ok()) std::exit(1);
  const RocksShared shared = MakeRocksShared(engine);
  const rocksdb::Options options(HotDbOptions(engine, shared),
                                 HotShardOptions(engine, shared, /*shards=*/1));
  rocksdb::Options creating = options;
  creating.create_if_missing = true;
  rocksdb::DB* db = nullptr;
  Check(rocksdb::DB::Open(creating, dir, &db));
  return std::unique_ptr<rocksdb::DB>(db);
}

// Milliseconds of each write of one thread.
std::vector<double> Write(rocksdb::DB* db, const Workload& work, size_t first, size_t step,
                          Clock::time_point end) {
  rocksdb::WriteOptions options;
  options.sync = true;
  std::vector<double> latencies;
  for (auto began = Clock::now(); began < end;) {
    const size_t index = (first + latencies.size() * step) % work.records();
    Check(db->Put(options, AsSlice(work.Key(index)), AsSlice(work.Value(index))));
    const auto now = Clock::now();
    latencies.push_back(std::chrono::duration<double, std::milli>(now - began).count());
    began = now;
  }
  return latencies;
}

int Main(const char* dir, double seconds, size_t records, size_t value_size, size_t threads) {
  const Workload work(records, value_size);
  const std::unique_ptr<rocksdb::DB> db = Create(dir);
  Write(db.get(), work, 0, 1, Clock::now() + std::chrono::milliseconds(400));

  const auto began = Clock::now();
  const auto end =
      began + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  std::vector<std::vector<double>> latencies(threads);
  {
    std::vector<std::jthread> running;
    for (size_t t = 0; t < threads; t++) {
      running.emplace_back([&, t] { latencies[t] = Write(db.get(), work, t, threads, end); });
    }
  }
  const std::chrono::duration<double> took = Clock::now() - began;
  std::vector<double> all;
  for (const std::vector<double>& each : latencies) all.insert(all.end(), each.begin(), each.end());
  std::sort(all.begin(), all.end());
  const auto quantile = [&](double share) {
    return all[std::min(all.size() - 1,
                        static_cast<size_t>(share * static_cast<double>(all.size())))];
  };
  Check(db->Close());
  std::printf("{\"perSecond\":%.1f,\"p50\":%.4f,\"p95\":%.4f,\"p99\":%.4f}\n",
              static_cast<double>(all.size()) / took.count(), quantile(0.5), quantile(0.95),
              quantile(0.99));
  return 0;
}

}  // namespace
}  // namespace thermocline::bench

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: sync_write <dir> <seconds> <records> <value size> <threads>\n");
    return 2;
  }
  return thermocline::bench::Main(
      argv[1], std::strtod(argv[2], nullptr), std::strtoul(argv[3], nullptr, 10),
      std::strtoul(argv[4], nullptr, 10), std::strtoul(argv[5], nullptr, 10));
}
