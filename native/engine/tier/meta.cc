#include "engine/tier/meta.h"

#include <random>

#include "engine/record/coding.h"
#include "engine/record/crc32c.h"

namespace thermocline {

namespace {

constexpr size_t kUuidBytes = 16;

uint32_t Checksum(std::string_view key, std::string_view payload) {
  return Crc32cExtend(Crc32c(key), payload);
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
  if (payload.size() > kUuidBytes) {
    const char* const limit = payload.data() + payload.size();
    if (GetVarint64(payload.data() + kUuidBytes, limit, &identity->last_step) == limit) {
      identity->uuid.assign(payload.substr(0, kUuidBytes));
      return {};
    }
  }
  return {Code::kCorruption, "a tier's identity record is damaged"};
}

std::string NewUuid() {
  std::random_device device;
  std::string uuid;
  while (uuid.size() < kUuidBytes) PutFixed32(&uuid, device());
  return uuid;
}

}  // namespace thermocline
