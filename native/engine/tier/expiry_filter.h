// Gives the space of expired records back during compaction (I7).
//
// The factory captures the time when a compaction starts: the engine clock, or the clock of the
// oldest open read view if that is older. What expires later is kept, so no view loses a record it
// still shows. A view opened after the capture has a later clock, since the engine clock never runs
// backwards. Expired records read as missing, so dropping one is invisible; RocksDB turns it into a
// tombstone, which keeps older versions below it covered.
//
// Where a colder store may hold an older record of the key, an expired record becomes a marker
// instead, which keeps that one covered.
//
// Thread safety: RocksDB calls the factory from several threads; each filter belongs to one.
// SetMode from any thread.
#pragma once

#include <rocksdb/compaction_filter.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "engine/record/envelope.h"

namespace thermocline {

enum class ExpiryMode : uint8_t {
  kKeep,  // it is not known yet whether there are colder stores
  kMark,  // there are
  kDrop,  // there are none
};

class ExpiryFilter : public rocksdb::CompactionFilter {
 public:
  explicit ExpiryFilter(uint64_t clock_ms, ExpiryMode mode = ExpiryMode::kDrop)
      : clock_ms_(clock_ms), mode_(mode) {}
  const char* Name() const override { return "thermocline.expiry"; }
  Decision FilterV2(int, const rocksdb::Slice&, ValueType type, const rocksdb::Slice& value,
                    std::string* new_value, std::string*) const override {
    Envelope envelope;
    if (mode_ == ExpiryMode::kKeep || type != ValueType::kValue ||
        !DecodeEnvelope({value.data(), value.size()}, &envelope)) {
      return Decision::kKeep;
    }
    if (!IsExpired(envelope, clock_ms_)) return Decision::kKeep;
    if (mode_ == ExpiryMode::kDrop) return Decision::kRemove;
    new_value->assign(EncodeEnvelopeHeader(kEnvelopeTombstone, 0).view());
    return Decision::kChangeValue;
  }

 private:
  const uint64_t clock_ms_;
  const ExpiryMode mode_;
};

class ExpiryFilterFactory : public rocksdb::CompactionFilterFactory {
 public:
  explicit ExpiryFilterFactory(std::function<uint64_t()> clock, ExpiryMode mode = ExpiryMode::kDrop)
      : clock_(std::move(clock)), mode_(mode) {}
  const char* Name() const override { return "thermocline.expiry"; }
  // Counts for compactions that start afterwards.
  void SetMode(ExpiryMode mode) { mode_.store(mode, std::memory_order_relaxed); }
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    return std::make_unique<ExpiryFilter>(clock_(), mode_.load(std::memory_order_relaxed));
  }

 private:
  const std::function<uint64_t()> clock_;
  std::atomic<ExpiryMode> mode_;
};

}  // namespace thermocline
