#include <rocksdb/db.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "../subjects/subject.h"
#include "engine/options.h"
#include "engine/rocks_options.h"
#include "engine/shard/slot.h"

namespace thermocline::bench {

namespace {

constexpr int kFamilies = kDefaultShards;
constexpr size_t kMultiGetChunk = 128;

void Check(const rocksdb::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "plain RocksDB: %s\n", status.ToString().c_str());
  std::exit(1);
}

rocksdb::Slice AsSlice(std::string_view text) { return {text.data(), text.size()}; }

class PlainSubject : public Subject {
 public:
  explicit PlainSubject(const SubjectOptions& options) {
    EngineOptions engine;
    if (!Finish(&engine).ok()) std::exit(1);
    const RocksShared shared = MakeRocksShared(engine);
    rocksdb::DBOptions db_options = HotDbOptions(engine, shared);
    db_options.create_if_missing = true;
    const rocksdb::ColumnFamilyOptions family = HotShardOptions(engine, shared, kFamilies);
    std::vector<rocksdb::ColumnFamilyDescriptor> families = {{"default", MetaOptions(shared)}};
    for (int i = 0; i < kFamilies; i++) families.push_back({"shard_" + std::to_string(i), family});
    rocksdb::DB* db = nullptr;
    Check(rocksdb::DB::Open(db_options, options.dir, families, &handles_, &db));
    db_.reset(db);
  }
  ~PlainSubject() override {
    for (rocksdb::ColumnFamilyHandle* handle : handles_) {
      Check(db_->DestroyColumnFamilyHandle(handle));
    }
    Check(db_->Close());
  }

  void WriteBatch(const Workload& work, size_t from, size_t to) override {
    rocksdb::WriteBatch batch;
    for (size_t i = from; i < to; i++) {
      Check(batch.Put(Family(work.Key(i)), AsSlice(work.Key(i)), AsSlice(work.Value(i))));
    }
    Check(db_->Write(rocksdb::WriteOptions(), &batch));
  }
  void WriteEach(const Workload& work, size_t from, size_t to) override {
    for (size_t i = from; i < to; i++) {
      Check(db_->Put(rocksdb::WriteOptions(), Family(work.Key(i)), AsSlice(work.Key(i)),
                     AsSlice(work.Value(i))));
    }
  }

  size_t Get(std::string_view key) override {
    thread_local rocksdb::PinnableSlice value;
    const rocksdb::Status status =
        db_->Get(rocksdb::ReadOptions(), Family(key), AsSlice(key), &value);
    if (status.IsNotFound()) return kAbsent;
    Check(status);
    const size_t size = value.size();
    value.Reset();  // what it pins may not outlive the database
    return size;
  }

  size_t MultiGet(const std::vector<std::string_view>& keys) override {
    for (const std::string_view key : keys) by_family_[Shard(key)].push_back(AsSlice(key));
    size_t found = 0;
    for (int family = 0; family < kFamilies; family++) {
      std::vector<rocksdb::Slice>& of_family = by_family_[family];
      for (size_t at = 0; at < of_family.size(); at += kMultiGetChunk) {
        const size_t n = std::min(kMultiGetChunk, of_family.size() - at);
        db_->MultiGet(rocksdb::ReadOptions(), handles_[family + 1], n, of_family.data() + at,
                      values_.data(), statuses_.data());
        for (size_t i = 0; i < n; i++) {
          found += statuses_[i].ok();
          if (!statuses_[i].IsNotFound()) Check(statuses_[i]);
          values_[i].Reset();
        }
      }
      of_family.clear();
    }
    return found;
  }

  size_t Scan(size_t* records) override {
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    size_t bytes = 0;
    *records = 0;
    for (int family = 0; family < kFamilies; family++) {
      const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options, handles_[family + 1]));
      for (it->SeekToFirst(); it->Valid(); it->Next()) {
        ++*records;
        bytes += it->key().size() + it->value().size();
      }
      Check(it->status());
    }
    return bytes;
  }

  void Settle() override {
    for (size_t i = 1; i < handles_.size(); i++) {
      Check(db_->Flush(rocksdb::FlushOptions(), handles_[i]));
      Check(db_->CompactRange(rocksdb::CompactRangeOptions(), handles_[i], nullptr, nullptr));
    }
    Check(db_->WaitForCompact(rocksdb::WaitForCompactOptions()));
  }

 private:
  static int Shard(std::string_view key) { return SlotOf(key) * kFamilies / kSlotCount; }
  rocksdb::ColumnFamilyHandle* Family(std::string_view key) const {
    return handles_[Shard(key) + 1];
  }

  std::vector<rocksdb::ColumnFamilyHandle*> handles_;  // default, then one per shard
  std::unique_ptr<rocksdb::DB> db_;
  // Of MultiGet, kept so that their construction is not measured.
  std::array<std::vector<rocksdb::Slice>, kFamilies> by_family_;
  std::array<rocksdb::PinnableSlice, kMultiGetChunk> values_;
  std::array<rocksdb::Status, kMultiGetChunk> statuses_;
};

}  // namespace

std::unique_ptr<Subject> OpenPlain(const SubjectOptions& options) {
  return std::make_unique<PlainSubject>(options);
}

}  // namespace thermocline::bench
