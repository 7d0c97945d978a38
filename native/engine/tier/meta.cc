#include "engine/tier/meta.h"

#include <cstdio>
#include <random>

#include "engine/record/coding.h"
#include "engine/record/crc32c.h"

namespace thermocline {

namespace {

constexpr size_t kUuidBytes = 16;

uint32_t Checksum(std::string_view key, std::string_view payload) {
  return Crc32cExtend(Crc32c(key), payload);
}

Status DamagedIdentity() { return {Code::kCorruption, "a tier's identity record is damaged"}; }

// Takes the identity off the front of `payload`.
Status DecodeIdentityPrefix(std::string_view* payload, TierIdentity* identity) {
  if (payload->size() <= kUuidBytes) return DamagedIdentity();
  const char* const limit = payload->data() + payload->size();
  const char* const p = GetVarint64(payload->data() + kUuidBytes, limit, &identity->last_step);
  if (p == nullptr) return DamagedIdentity();
  identity->uuid.assign(payload->substr(0, kUuidBytes));
  payload->remove_prefix(static_cast<size_t>(p - payload->data()));
  return {};
}

}  // namespace

Status LogMismatch(bool created_without_log) {
  return {Code::kInvalidArgument,
          created_without_log
              ? "the database was created with durability 'none', for good: open it with that"
              : "durability 'none' is fixed when a database is created; this one has a log"};
}

std::string SealMeta(std::string_view key, std::string_view payload) {
  std::string sealed(payload);
  PutFixed32(&sealed, Checksum(key, payload));
  return sealed;
}

Status OpenMeta(std::string_view key, std::string_view sealed, std::string_view* payload) {
  if (sealed.size() >= 4) {
    const std::string_view body = sealed.substr(0, sealed.size() - 4);
    if (DecodeFixed32(sealed.data() + body.size()) == Checksum(key, body)) {
      *payload = body;
      return {};
    }
  }
  return {Code::kCorruption, "the database's own record '" + std::string(key) +
                                 "' is damaged: restore the database from a backup"};
}

std::string EncodeTierIdentity(const TierIdentity& identity) {
  std::string payload = identity.uuid;
  PutVarint64(&payload, identity.last_step);
  return payload;
}

Status DecodeTierIdentity(std::string_view payload, TierIdentity* identity) {
  Status status = DecodeIdentityPrefix(&payload, identity);
  if (status.ok() && !payload.empty()) return DamagedIdentity();
  return status;
}

std::string EncodeColderTier(const ColderTierRecord& record) {
  return EncodeTierIdentity(record.identity) + record.path;
}

Status DecodeColderTier(std::string_view payload, ColderTierRecord* record) {
  Status status = DecodeIdentityPrefix(&payload, &record->identity);
  if (status.ok()) record->path.assign(payload);
  return status;
}

std::string EncodeTierOwn(const TierOwnRecord& record) {
  return EncodeTierIdentity(record.identity) + record.owner;
}

Status DecodeTierOwn(std::string_view payload, TierOwnRecord* record) {
  Status status = DecodeIdentityPrefix(&payload, &record->identity);
  if (!status.ok()) return status;
  if (payload.size() != kUuidBytes) return DamagedIdentity();
  record->owner.assign(payload);
  return {};
}

std::string EncodeRangeIntent(const RangeIntentRecord& record) {
  std::string payload(1, record.has_end ? '\1' : '\0');
  PutVarint32(&payload, static_cast<uint32_t>(record.start.size()));
  return payload + record.start + record.end;
}

Status DecodeRangeIntent(std::string_view payload, RangeIntentRecord* record) {
  const Status damaged(Code::kCorruption, "the record of a range delete is damaged");
  if (payload.empty() || static_cast<uint8_t>(payload[0]) > 1) return damaged;
  record->has_end = payload[0] == '\1';
  const char* const limit = payload.data() + payload.size();
  uint32_t size = 0;
  const char* const p = GetVarint32(payload.data() + 1, limit, &size);
  if (p == nullptr || static_cast<size_t>(limit - p) < size) return damaged;
  record->start.assign(p, size);
  record->end.assign(p + size, limit);
  if (!record->has_end && !record->end.empty()) return damaged;
  return {};
}

std::string IntentKey(uint64_t commit_id, uint32_t index) {
  char digits[16 + 1 + 8 + 1];
  std::snprintf(digits, sizeof digits, "%016llx.%08x", static_cast<unsigned long long>(commit_id),
                index);
  return std::string(meta_key::kIntents) + digits;
}

std::string NewUuid() {
  std::random_device device;
  std::string uuid;
  while (uuid.size() < kUuidBytes) PutFixed32(&uuid, device());
  return uuid;
}

}  // namespace thermocline
