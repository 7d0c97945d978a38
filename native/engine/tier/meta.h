// The records of the meta column family of the hot store (docs/on-disk-format.md).
//
// Every record is its payload followed by a CRC-32C of key and payload, so that damage is told from
// a newer format. Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/status.h"

namespace thermocline {

inline constexpr std::string_view kMetaColumnFamily = "meta";

// What this code writes, and the newest it reads.
inline constexpr uint32_t kFormatVersion = 1;

namespace meta_key {
inline constexpr std::string_view kFormat = "format";           // fixed32 format version
inline constexpr std::string_view kState = "state";             // u8: see CreationState
inline constexpr std::string_view kShards = "shards";           // ShardTable::Encode
inline constexpr std::string_view kClock = "clock";             // fixed64 high-water mark, Unix ms
inline constexpr std::string_view kHotTier = "tier/hot";        // TierIdentity
inline constexpr std::string_view kShardTimes = "shard-times";  // ShardActivity::Encode
inline constexpr std::string_view kWarmTier = "tier/warm";      // ColderTierRecord
inline constexpr std::string_view kColdTier = "tier/cold";      // ColderTierRecord
inline constexpr std::string_view kHeat = "heat";               // HeatSketch::Encode
inline constexpr std::string_view kRecency = "recency/";        // prefix: RecencySketch::EncodePage
inline constexpr std::string_view kHashSeed = "hash-seed";      // fixed64 a, fixed64 b: HashSeed
inline constexpr std::string_view kMoves = "moves";             // MoveLedger::Encode
inline constexpr std::string_view kIntents = "intent/";         // prefix: RangeIntent, by commit id
inline constexpr std::string_view kChanges = "changes";         // fixed64: see ChangeFeed, Gaps
inline constexpr std::string_view kReplaced = "replaced";       // fixed64: see ChangeFeed, Gaps
inline constexpr std::string_view kOutbox = "outbox/";          // prefix: see topic/outbox.h
inline constexpr std::string_view kTierIdentity = "identity";   // in a colder store: TierOwnRecord
inline constexpr std::string_view kLog = "log";  // u8: 1 with a write-ahead log, 0 without
}  // namespace meta_key

// A database is created in steps; a crash between them must be told from damage.
enum class CreationState : uint8_t {
  kCreating = 0,  // the shard column families may not all exist yet, and hold nothing
  kReady = 1,
};

// Which directory a tier is, and how far its migration has come. A directory whose identity does
// not match what the meta column family says is foreign or old, and is refused.
struct TierIdentity {
  std::string uuid;        // 16 random bytes
  uint64_t last_step = 0;  // of the migrator
};

// What hot's meta says about a colder tier.
struct ColderTierRecord {
  TierIdentity identity;
  std::string path;  // as given; relative ones are relative to the database's folder
};

// What a colder store says about itself.
struct TierOwnRecord {
  TierIdentity identity;
  std::string owner;  // the UUID of the hot store it belongs to
};

// A range delete that the colder stores have not seen yet (I8).
struct RangeIntentRecord {
  std::string start;  // inclusive
  std::string end;    // exclusive
  bool has_end = false;
};

// Why a database created without a log cannot be opened with one, or the other way round.
Status LogMismatch(bool created_without_log);

std::string SealMeta(std::string_view key, std::string_view payload);
// ERR_CORRUPTION if the checksum does not match. *payload points into `sealed`.
Status OpenMeta(std::string_view key, std::string_view sealed, std::string_view* payload);

std::string EncodeTierIdentity(const TierIdentity& identity);
Status DecodeTierIdentity(std::string_view payload, TierIdentity* identity);

std::string EncodeColderTier(const ColderTierRecord& record);
Status DecodeColderTier(std::string_view payload, ColderTierRecord* record);
std::string EncodeTierOwn(const TierOwnRecord& record);
Status DecodeTierOwn(std::string_view payload, TierOwnRecord* record);
std::string EncodeRangeIntent(const RangeIntentRecord& record);
Status DecodeRangeIntent(std::string_view payload, RangeIntentRecord* record);
// The meta key of an intent: by commit, and by its number within the group that wrote it, since a
// commit may delete several ranges. Ordered like the commits.
std::string IntentKey(uint64_t commit_id, uint32_t index);

// 16 bytes from the operating system's random source.
std::string NewUuid();

}  // namespace thermocline
