// Gives the space of expired records back during compaction (I7).
//
// The factory captures the time when a compaction starts: the engine clock, or the clock of the
// oldest open read view if that is older. What expires later is kept, so no view loses a record it
// still shows. A view opened after the capture has a later clock, since the engine clock never runs
// backwards. Expired records read as missing, so dropping one is invisible; RocksDB turns it into a
// tombstone, which keeps older versions below it covered.
//
// Thread safety: RocksDB calls the factory from several threads; each filter belongs to one.
#pragma once

#include <rocksdb/compaction_filter.h>

#include <functional>
#include <memory>
#include <string>

#include "engine/record/envelope.h"

namespace thermocline {

class ExpiryFilter : public rocksdb::CompactionFilter {
 public:
  explicit ExpiryFilter(uint64_t clock_ms) : clock_ms_(clock_ms) {}
  const char* Name() const override { return "thermocline.expiry"; }
  Decision FilterV2(int, const rocksdb::Slice&, ValueType type, const rocksdb::Slice& value,
                    std::string*, std::string*) const override {
    Envelope envelope;
    if (type != ValueType::kValue || !DecodeEnvelope({value.data(), value.size()}, &envelope)) {
      return Decision::kKeep;
    }
    return IsExpired(envelope, clock_ms_) ? Decision::kRemove : Decision::kKeep;
  }

 private:
  const uint64_t clock_ms_;
};

class ExpiryFilterFactory : public rocksdb::CompactionFilterFactory {
 public:
  explicit ExpiryFilterFactory(std::function<uint64_t()> clock) : clock_(std::move(clock)) {}
  const char* Name() const override { return "thermocline.expiry"; }
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    return std::make_unique<ExpiryFilter>(clock_());
  }

 private:
  const std::function<uint64_t()> clock_;
};

}  // namespace thermocline
