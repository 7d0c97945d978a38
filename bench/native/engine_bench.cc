// The engine without Node beside plain RocksDB with the same options, by Google Benchmark.
//
//   engine_bench --dir=<folder> [--records=<n>] [Google Benchmark's own flags]
//
// Work: random 16-byte keys, half-compressible values of 100 bytes (scans: 1,024), the same data
// and orders as bench/peers. Reads find a settled database, made in <folder> by the first program
// that needs it; writes begin with an empty one. bench/run.mjs runs each benchmark in a process of
// its own (--benchmark_filter).

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/metrics/histogram.h"
#include "engine/options.h"
#include "engine/platform/time.h"
#include "subjects/subject.h"
#include "workload.h"

namespace thermocline::bench {
namespace {

namespace fs = std::filesystem;

constexpr size_t kValue = 100;
constexpr size_t kScanValue = 1024;
constexpr size_t kEach = 256;  // writes under way at once

struct Settings {
  std::string dir;
  size_t records = 200'000;
};
Settings settings;

enum class Who { kEngine, kPlain };

std::unique_ptr<Subject> Open(Who who, const std::string& dir, size_t hot_cache) {
  return who == Who::kEngine ? OpenEngine({dir, hot_cache}) : OpenPlain({dir, 0});
}

const Workload& Work(size_t value_size) {
  static std::map<size_t, Workload> made;  // never from two threads at once
  const auto found = made.find(value_size);
  if (found != made.end()) return found->second;
  return made.try_emplace(value_size, settings.records, value_size).first->second;
}

// A settled database with all records, made if it is not there yet.
std::string Loaded(Who who, size_t value_size) {
  const std::string dir =
      settings.dir + (who == Who::kEngine ? "/engine-" : "/plain-") + std::to_string(value_size);
  const std::string mark = dir + ".complete";
  if (fs::exists(mark)) return dir;
  fs::remove_all(dir);
  const Workload& work = Work(value_size);
  const std::unique_ptr<Subject> subject = Open(who, dir, 0);
  for (size_t from = 0; from < work.records(); from += kBatch) {
    subject->WriteBatch(work, from, std::min(from + kBatch, work.records()));
  }
  subject->Settle();
  fs::create_directory(mark);
  return dir;
}

void Wrong(benchmark::State& state, const char* what) { state.SkipWithError(what); }

// ---- writes -------------------------------------------------------------------------------------

void Write(benchmark::State& state, Who who, bool atomic, size_t count) {
  const Workload& work = Work(kValue);
  const std::string dir = settings.dir + "/writing";
  fs::remove_all(dir);
  {
    const std::unique_ptr<Subject> subject = Open(who, dir, 64 * kMiB);
    size_t from = 0;
    for (auto _ : state) {
      if (from + count > work.records()) from = 0;
      if (atomic) {
        subject->WriteBatch(work, from, from + count);
      } else {
        subject->WriteEach(work, from, from + count);
      }
      from += count;
    }
  }
  fs::remove_all(dir);
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * count));
}

// ---- reads --------------------------------------------------------------------------------------

enum class Keys { kAll, kWorkingSet, kAbsent };

std::vector<std::string> KeysOf(Keys which) {
  const Workload& work = Work(kValue);
  const auto& order = which == Keys::kWorkingSet ? work.working_set() : work.every_key();
  std::vector<std::string> keys;
  keys.reserve(order.size());
  for (const uint32_t index : order) {
    keys.emplace_back(work.Key(index));
    // Beside a key that exists: nothing tells that it is absent but a filter.
    if (which == Keys::kAbsent) keys.back().push_back('\x7f');
  }
  return keys;
}

// What the threads of one benchmark share.
struct Shared {
  std::unique_ptr<Subject> subject;
  std::vector<std::string> keys;
};
Shared shared;

void Prepare(Who who, Keys which, size_t hot_cache) {
  const std::string dir = Loaded(who, kValue);
  shared.keys = KeysOf(which);
  shared.subject = Open(who, dir, hot_cache);
  for (const std::string& key : shared.keys) shared.subject->Get(key);
}

void Get(benchmark::State& state, Who who, Keys which, size_t hot_cache) {
  if (state.thread_index() == 0) Prepare(who, which, hot_cache);
  const size_t expected = which == Keys::kAbsent ? Subject::kAbsent : kValue;
  size_t i = 0;
  bool started = false;
  for (auto _ : state) {
    if (!started) {  // only now has the first thread prepared everything
      i = shared.keys.size() / static_cast<size_t>(state.threads()) *
          static_cast<size_t>(state.thread_index());
      started = true;
    }
    if (shared.subject->Get(shared.keys[i]) != expected) return Wrong(state, "wrong read");
    if (++i == shared.keys.size()) i = 0;
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
  if (state.thread_index() == 0) shared = {};
}

void MultiGet(benchmark::State& state, Who who, Keys which) {
  Prepare(who, which, 0);
  std::vector<std::string_view> keys(kBatch);
  size_t from = 0;
  for (auto _ : state) {
    if (from + kBatch > shared.keys.size()) from = 0;
    for (size_t i = 0; i < kBatch; i++) keys[i] = shared.keys[from + i];
    if (shared.subject->MultiGet(keys) != kBatch) return Wrong(state, "wrong read");
    from += kBatch;
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kBatch));
  shared = {};
}

void Scan(benchmark::State& state, Who who) {
  const std::string dir = Loaded(who, kScanValue);
  const std::unique_ptr<Subject> subject = Open(who, dir, 0);
  const size_t expected = settings.records * (kKeySize + kScanValue);
  size_t records = 0;
  subject->Scan(&records);
  for (auto _ : state) {
    if (subject->Scan(&records) != expected) return Wrong(state, "wrong scan");
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * records));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * expected));
}

// ---- mixed --------------------------------------------------------------------------------------

// Every thread awaits each of its operations. Latencies of reads and writes in microseconds.
void Mixed(benchmark::State& state, Who who, int reads_percent) {
  static Histogram reads;
  static Histogram writes;
  if (state.thread_index() == 0) Prepare(who, Keys::kAll, 64 * kMiB);
  const Workload* work = nullptr;
  std::minstd_rand random(static_cast<uint32_t>(state.thread_index()) + 1);
  for (auto _ : state) {
    if (work == nullptr) work = &Work(kValue);  // made by the first thread
    const size_t index = random() % work->records();
    const bool read = static_cast<int>(random() % 100) < reads_percent;
    const uint64_t began = NowNanos();
    if (read) {
      if (shared.subject->Get(work->Key(index)) != kValue) return Wrong(state, "wrong read");
    } else {
      shared.subject->WriteEach(*work, index, index + 1);
    }
    (read ? reads : writes).Record(NowNanos() - began);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
  if (state.thread_index() != 0) return;
  shared = {};
  const auto micros = [](const Histogram& histogram, double percent) {
    return static_cast<double>(histogram.TakeSnapshot().Percentile(percent)) / 1e3;
  };
  state.counters["read_p50_us"] = micros(reads, 50);
  state.counters["read_p99_us"] = micros(reads, 99);
  state.counters["write_p50_us"] = micros(writes, 50);
  state.counters["write_p99_us"] = micros(writes, 99);
}

template <class Body, class... Arguments>
benchmark::internal::Benchmark* Register(const std::string& name, Body body,
                                         Arguments... arguments) {
  return benchmark::RegisterBenchmark(name.c_str(),
                                      [=](benchmark::State& state) { body(state, arguments...); })
      ->UseRealTime();
}

void RegisterAll() {
  for (const auto& [name, who] : {std::pair<std::string, Who>("engine", Who::kEngine),
                                  std::pair<std::string, Who>("plain", Who::kPlain)}) {
    Register(name + "/write/each", Write, who, false, kEach);
    for (const size_t count : {1000, 100'000}) {
      Register(name + "/write/batch:" + std::to_string(count), Write, who, true, count);
    }
    for (const int threads : {1, 2}) {
      Register(name + "/get/all", Get, who, Keys::kAll, size_t{0})->Threads(threads);
      Register(name + "/get/absent", Get, who, Keys::kAbsent, size_t{0})->Threads(threads);
      Register(name + "/get/working-set", Get, who, Keys::kWorkingSet, 64 * kMiB)->Threads(threads);
    }
    Register(name + "/multiget/all", MultiGet, who, Keys::kAll);
    Register(name + "/scan/full", Scan, who)->Unit(benchmark::kMillisecond);
    for (const int reads : {80, 50}) {
      Register(name + "/mixed:" + std::to_string(reads), Mixed, who, reads)->Threads(2);
    }
  }
}

}  // namespace
}  // namespace thermocline::bench

int main(int argc, char** argv) {
  using thermocline::bench::settings;
  std::vector<char*> rest;
  for (int i = 0; i < argc; i++) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("--dir=")) {
      settings.dir = argument.substr(6);
    } else if (argument.starts_with("--records=")) {
      settings.records = std::strtoul(argv[i] + 10, nullptr, 10);
    } else {
      rest.push_back(argv[i]);
    }
  }
  if (settings.dir.empty() || settings.records < 100'000) {
    std::fprintf(stderr, "usage: engine_bench --dir=<folder> [--records=<at least 100000>]\n");
    return 2;
  }
  int count = static_cast<int>(rest.size());
  thermocline::bench::RegisterAll();
  benchmark::Initialize(&count, rest.data());
  if (benchmark::ReportUnrecognizedArguments(count, rest.data())) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
