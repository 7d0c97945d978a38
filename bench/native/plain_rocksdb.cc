// Plain C++ RocksDB at the work of the peer benchmark: the limit that bench/peers measures against.
//
//   plain_rocksdb <dir> <records> <value size> <column families, or 0: Thermocline's default>
//
// Keys are routed to column families as Thermocline routes them to shards, and the RocksDB options
// are those of its hot store. Load, close, open again, read, scan; one line of JSON on stdout.
// What Thermocline adds (envelope, commit headers, meta, JavaScript) is left out.

#include <rocksdb/db.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/options.h"
#include "engine/rocks_options.h"
#include "engine/shard/slot.h"
#include "workload.h"

namespace thermocline::bench {
namespace {

constexpr size_t kMultiGetChunk = 128;
constexpr size_t kCheckEvery = 997;

void Check(const rocksdb::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "plain_rocksdb: %s\n", status.ToString().c_str());
  std::exit(1);
}

void Require(bool right, const char* what) {
  if (right) return;
  std::fprintf(stderr, "plain_rocksdb: wrong %s\n", what);
  std::exit(1);
}

rocksdb::Slice AsSlice(std::string_view text) { return {text.data(), text.size()}; }

double PerSecond(size_t operations, const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  return static_cast<double>(operations) / took.count();
}

class Driver {
 public:
  Driver(std::string dir, const Workload& work, int families)
      : dir_(std::move(dir)), work_(work), families_(families) {}

  void Open(bool create) {
    EngineOptions engine;
    Require(Finish(&engine).ok(), "options");
    const RocksShared shared = MakeRocksShared(engine);
    rocksdb::DBOptions options = HotDbOptions(engine, shared);
    options.create_if_missing = create;
    const rocksdb::ColumnFamilyOptions family = HotShardOptions(engine, shared, families_);
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors = {{"default", MetaOptions(shared)}};
    for (int i = 0; i < families_; i++)
      descriptors.push_back({"shard_" + std::to_string(i), family});
    rocksdb::DB* db = nullptr;
    Check(rocksdb::DB::Open(options, dir_, descriptors, &handles_, &db));
    db_.reset(db);
  }

  void Close() {
    for (rocksdb::ColumnFamilyHandle* handle : handles_)
      Check(db_->DestroyColumnFamilyHandle(handle));
    handles_.clear();
    Check(db_->Close());
    db_.reset();
  }

  void Settle() { Check(db_->WaitForCompact(rocksdb::WaitForCompactOptions())); }

  double Load() {
    return PerSecond(work_.records(), [this] {
      for (size_t from = 0; from < work_.records(); from += kBatch) {
        rocksdb::WriteBatch batch;
        const size_t to = std::min(from + kBatch, work_.records());
        for (size_t i = from; i < to; i++) {
          Check(batch.Put(Family(work_.Key(i)), AsSlice(work_.Key(i)), AsSlice(work_.Value(i))));
        }
        Check(db_->Write(rocksdb::WriteOptions(), &batch));
      }
    });
  }

  // `threads` share the order among them in contiguous parts.
  double Get(const std::vector<uint32_t>& order, size_t threads) {
    return PerSecond(order.size(), [&] {
      std::vector<std::jthread> running;
      for (size_t t = 1; t < threads; t++) {
        running.emplace_back([&, t] {
          GetPart(order, order.size() * t / threads, order.size() * (t + 1) / threads);
        });
      }
      GetPart(order, 0, order.size() / threads);
    });
  }

  // 1,000 keys at a time, by column family, as a getMany would be.
  double MultiGet(const std::vector<uint32_t>& order) {
    return PerSecond(order.size(), [&] {
      std::vector<std::vector<uint32_t>> by_family(families_);
      for (size_t from = 0; from < order.size(); from += kBatch) {
        const size_t to = std::min(from + kBatch, order.size());
        for (size_t i = from; i < to; i++)
          by_family[Shard(work_.Key(order[i]))].push_back(order[i]);
        for (int f = 0; f < families_; f++) {
          for (size_t at = 0; at < by_family[f].size(); at += kMultiGetChunk) {
            const size_t n = std::min(kMultiGetChunk, by_family[f].size() - at);
            MultiGetChunk(handles_[f + 1], by_family[f].data() + at, n);
          }
          by_family[f].clear();
        }
      }
    });
  }

  // Every record of one column family after the other.
  double Scan() {
    return PerSecond(work_.records(), [this] {
      size_t records = 0;
      size_t bytes = 0;
      for (int f = 0; f < families_; f++) {
        const std::unique_ptr<rocksdb::Iterator> it(
            db_->NewIterator(rocksdb::ReadOptions(), handles_[f + 1]));
        for (it->SeekToFirst(); it->Valid(); it->Next()) {
          records++;
          bytes += it->key().size() + it->value().size();
        }
        Check(it->status());
      }
      Require(records == work_.records() && bytes == records * (kKeySize + work_.value_size()),
              "scan");
    });
  }

 private:
  int Shard(std::string_view key) const {
    return families_ == 1 ? 0 : SlotOf(key) * families_ / kSlotCount;
  }
  rocksdb::ColumnFamilyHandle* Family(std::string_view key) const {
    return handles_[Shard(key) + 1];
  }

  void CheckValue(uint32_t index, const rocksdb::Slice& value) const {
    Require(value.size() == work_.value_size(), "value size");
    if (index % kCheckEvery == 0) Require(value == AsSlice(work_.Value(index)), "value");
  }

  void GetPart(const std::vector<uint32_t>& order, size_t from, size_t to) {
    const rocksdb::ReadOptions options;
    rocksdb::PinnableSlice value;
    for (size_t i = from; i < to; i++) {
      const std::string_view key = work_.Key(order[i]);
      Check(db_->Get(options, Family(key), AsSlice(key), &value));
      CheckValue(order[i], value);
      value.Reset();
    }
  }

  void MultiGetChunk(rocksdb::ColumnFamilyHandle* family, const uint32_t* indices, size_t n) {
    for (size_t i = 0; i < n; i++) keys_[i] = AsSlice(work_.Key(indices[i]));
    db_->MultiGet(rocksdb::ReadOptions(), family, n, keys_.data(), values_.data(),
                  statuses_.data());
    for (size_t i = 0; i < n; i++) {
      Check(statuses_[i]);
      CheckValue(indices[i], values_[i]);
      values_[i].Reset();
    }
  }

  const std::string dir_;
  const Workload& work_;
  const int families_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;  // default, then one per shard
  std::unique_ptr<rocksdb::DB> db_;
  // Of MultiGetChunk, kept so that their construction is not measured.
  std::array<rocksdb::Slice, kMultiGetChunk> keys_;
  std::array<rocksdb::PinnableSlice, kMultiGetChunk> values_;
  std::array<rocksdb::Status, kMultiGetChunk> statuses_;
};

int Main(const char* dir, size_t records, size_t value_size, int families) {
  const Workload work(records, value_size);
  Driver driver(dir, work, families == 0 ? kDefaultShards : families);
  driver.Open(/*create=*/true);
  const double load = driver.Load();
  driver.Close();

  // Reads start as the other stores' do: from a reopened database whose background work is done
  // and whose keys have all been read once.
  driver.Open(/*create=*/false);
  driver.Settle();
  driver.MultiGet(work.every_key());
  const double get = driver.Get(work.working_set(), 1);
  const double get2 = driver.Get(work.working_set(), 2);
  const double many = driver.MultiGet(work.working_set());
  const double get_all = driver.Get(work.every_key(), 1);
  const double get2_all = driver.Get(work.every_key(), 2);
  const double many_all = driver.MultiGet(work.every_key());
  driver.Scan();
  const double scan = driver.Scan();
  driver.Close();

  std::printf(
      "{\"keyFingerprint\":%u,\"load\":%.0f,\"get\":%.0f,\"get2\":%.0f,\"getMany\":%.0f,"
      "\"getAll\":%.0f,\"get2All\":%.0f,\"getManyAll\":%.0f,\"scan\":%.0f}\n",
      work.KeyFingerprint(), load, get, get2, many, get_all, get2_all, many_all, scan);
  return 0;
}

}  // namespace
}  // namespace thermocline::bench

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: plain_rocksdb <dir> <records> <value size> <column families>\n");
    return 2;
  }
  return thermocline::bench::Main(argv[1], std::strtoul(argv[2], nullptr, 10),
                                  std::strtoul(argv[3], nullptr, 10), std::atoi(argv[4]));
}
