#include "engine/tier/tier_set.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "engine/location.h"
#include "engine/platform/file.h"
#include "engine/snapshot/archive.h"

namespace thermocline {

namespace {

namespace fs = std::filesystem;

constexpr Tier kColderTiers[] = {Tier::kWarm, Tier::kCold};

std::string_view KeyOf(Tier tier) {
  return tier == Tier::kWarm ? meta_key::kWarmTier : meta_key::kColdTier;
}

// Relative paths stay valid when the database's folder is moved as a whole.
std::string Absolute(const std::string& location, const std::string& path) {
  return (fs::path(location) / path).lexically_normal().string();
}

// Corrects hot's record of a tier by what a restore says. What hot's record has taken over already
// is taken out of *moved: the file may come back after a loss of power, and the tier may have been
// put elsewhere since.
Status ApplyMove(const std::string& location, Tier tier, rocksdb::Env* env, MovedTiers* moved,
                 ColderTierRecord* record) {
  const auto found = moved->find(tier);
  if (found == moved->end()) return {};
  const MovedTier& to = found->second;
  if (record->identity.uuid == to.uuid) {
    moved->erase(found);
    return {};
  }
  record->path = to.path;
  // A crash may have come between the store's new UUID and the record of it in hot.
  std::string uuid;
  const Status status = TierStore::UuidOf(Absolute(location, to.path), env, &uuid);
  if (status.ok() && uuid == to.uuid) record->identity.uuid = uuid;
  return status.code() == Code::kNotFound ? Status() : status;
}

}  // namespace

int TierSet::LevelOf(Tier tier) const {
  if (tier == Tier::kHot) return 0;
  for (size_t i = 0; i < stores_.size(); i++) {
    if (stores_[i]->tier() == tier) return static_cast<int>(i) + 1;
  }
  return -1;
}

Tier TierSet::TierOf(int level) const {
  return level == 0 ? Tier::kHot : stores_[static_cast<size_t>(level) - 1]->tier();
}

std::pair<std::string_view, std::string> TierSet::RecordOf(int level) const {
  const size_t index = static_cast<size_t>(level) - 1;
  return {KeyOf(stores_[index]->tier()),
          EncodeColderTier({stores_[index]->identity(), paths_[index]})};
}

Status TierSet::Open(const EngineOptions& options, const RocksShared& shared) {
  Status status = ReadTierPaths(deps_.location, &moved_);
  const bool moved = !moved_.empty();
  if (status.ok()) status = CheckFolders(options);
  for (const Tier tier : kColderTiers) {
    if (status.ok()) status = OpenTier(tier, options, shared);
  }
  if (!status.ok()) return status;
  // The records say so by now.
  if (moved && !options.read_only) {
    std::error_code ignored;
    for (const auto& store : stores_)
      fs::remove(store->directory() + "/" + kRestoringMark, ignored);
    DeleteTierPaths(deps_.location);
  }
  for (size_t i = 0; i < filters_.size(); i++) {
    filters_[i]->SetMode(i + 1 < filters_.size() ? ExpiryMode::kMark : ExpiryMode::kDrop);
  }
  deps_.hot_filter->SetMode(empty() ? ExpiryMode::kDrop : ExpiryMode::kMark);
  return empty() ? DropIntents(options) : LoadIntents();
}

Status TierSet::CheckFolders(const EngineOptions& options) {
  const std::string& location = deps_.location;
  std::vector<std::string> taken;
  for (const char* const name : {kHotDirectory, kArchiveDirectory, kTopicsDirectory}) {
    taken.push_back(Absolute(location, name));
  }
  for (const Tier tier : kColderTiers) {
    ColderTierRecord record;
    std::string payload;
    bool recorded = false;
    const Status status = ReadRecord(tier, options, &record, &payload, &recorded);
    if (!status.ok()) return status;
    const TierOptions::Presence presence = options.tiers.at(tier).presence;
    using enum TierOptions::Presence;
    if (presence == kRemoved || (!recorded && presence != kWanted)) continue;
    const std::string folder = Absolute(location, PathOf(tier, options, record, recorded));
    bool free = !IsWithin(location, folder);
    for (const std::string& other : taken) {
      free &= !IsWithin(folder, other) && !IsWithin(other, folder);
    }
    if (!free) {
      return {Code::kInvalidArgument, "the " + std::string(TierName(tier)) + " tier cannot be in " +
                                          folder + ": it needs a folder of its own"};
    }
    taken.push_back(folder);
  }
  return {};
}

Status TierSet::ReadRecord(Tier tier, const EngineOptions& options, ColderTierRecord* record,
                           std::string* payload, bool* recorded) {
  Status status = deps_.hot->GetMeta(KeyOf(tier), payload, recorded);
  if (!status.ok() || !*recorded) return status;
  status = DecodeColderTier(*payload, record);
  rocksdb::Env* const env = options.tiers.at(tier).env;
  return status.ok()
             ? ApplyMove(deps_.location, tier, env != nullptr ? env : options.env, &moved_, record)
             : status;
}

Status TierSet::CheckNotRecorded(Tier tier, const std::string& folder,
                                 const EngineOptions& options) {
  rocksdb::Env* const env = options.tiers.at(tier).env;
  std::string uuid;
  // What cannot be read is for whoever creates the store to judge.
  if (!TierStore::UuidOf(folder, env != nullptr ? env : options.env, &uuid).ok()) return {};
  for (const Tier other : kColderTiers) {
    ColderTierRecord record;
    std::string payload;
    bool recorded = false;
    const Status status = ReadRecord(other, options, &record, &payload, &recorded);
    if (!status.ok()) return status;
    if (!recorded || record.identity.uuid != uuid) continue;
    return {Code::kInvalidArgument, folder + " holds the " + std::string(TierName(other)) +
                                        " tier of this database: a new " +
                                        std::string(TierName(tier)) +
                                        " tier needs a folder of its own"};
  }
  return {};
}

std::string TierSet::PathOf(Tier tier, const EngineOptions& options, const ColderTierRecord& record,
                            bool recorded) const {
  const std::string& given = options.tiers.at(tier).path;
  if (!given.empty()) return given;
  return recorded ? record.path : std::string(TierName(tier));
}

Status TierSet::OpenTier(Tier tier, const EngineOptions& options, const RocksShared& shared) {
  const TierOptions& wanted = options.tiers.at(tier);
  ColderTierRecord record;
  std::string payload;
  bool recorded = false;
  Status status = ReadRecord(tier, options, &record, &payload, &recorded);
  if (status.ok() && recorded) status = CheckMoved(tier, wanted, record);
  if (!status.ok()) return status;
  using enum TierOptions::Presence;
  if (wanted.presence == kRemoved) {
    return recorded ? RemoveTier(tier, record, options, shared) : Status();
  }
  if (!recorded && wanted.presence != kWanted) return {};
  if (!recorded && options.read_only) {
    return {Code::kReadOnly, "the database has no " + std::string(TierName(tier)) +
                                 " tier yet: open it for writing"};
  }
  const std::string path = PathOf(tier, options, record, recorded);
  const TierStore::Place place{tier, Absolute(deps_.location, path), deps_.hot->identity().uuid};
  if (!recorded) status = CheckNotRecorded(tier, place.directory, options);
  if (!status.ok()) return status;
  auto filter = std::make_shared<ExpiryFilterFactory>(deps_.filter_clock, ExpiryMode::kKeep);
  auto store = std::make_unique<TierStore>(place, wanted, &latch_);
  const ShardTable& table = deps_.hot->shards()->table;
  status = recorded ? store->Open(options, shared, table, record.identity, filter)
                    : store->Create(options, shared, table, filter);
  const auto moved = moved_.find(tier);
  if (status.ok() && recorded && moved != moved_.end() && !options.read_only &&
      store->identity().uuid != moved->second.uuid) {
    status = store->SetUuid(moved->second.uuid);
  }
  if (!status.ok()) return status;
  stores_.push_back(std::move(store));
  paths_.push_back(path);
  filters_.push_back(std::move(filter));
  if (options.read_only) return {};
  const auto now = RecordOf(levels() - 1);
  if (recorded && now.second == payload) return {};
  return deps_.hot->PutMeta({now}, /*sync=*/true);
}

Status TierSet::CheckMoved(Tier tier, const TierOptions& wanted,
                           const ColderTierRecord& record) const {
  const std::string directory = Absolute(deps_.location, record.path);
  if (!moved_.contains(tier) || wanted.path.empty() ||
      Absolute(deps_.location, wanted.path) == directory) {
    return {};
  }
  return {Code::kInvalidArgument, "the restored " + std::string(TierName(tier)) + " tier is at " +
                                      directory +
                                      ": open the database once with that path, or without one"};
}

Status TierSet::RemoveTier(Tier tier, const ColderTierRecord& record, const EngineOptions& options,
                           const RocksShared& shared) {
  const std::string name(TierName(tier));
  if (options.read_only) {
    return {Code::kReadOnly, "removing the " + name + " tier needs the database open for writing"};
  }
  const std::string directory = Absolute(deps_.location, record.path);
  {
    TierOptions defaults;
    defaults.env = options.tiers.at(tier).env;
    TierStore store({tier, directory, deps_.hot->identity().uuid}, defaults, &latch_);
    const auto filter =
        std::make_shared<ExpiryFilterFactory>(deps_.filter_clock, ExpiryMode::kKeep);
    Status status =
        store.Open(options, shared, deps_.hot->shards()->table, record.identity, filter);
    if (!status.ok()) return status;
    if (!store.IsEmpty()) {
      return {Code::kInvalidArgument,
              "the " + name + " tier still holds records: open the database with it and move " +
                  "them, db.tiers.migrate({ from: '" + name + "', to: 'hot' })"};
    }
  }
  // The record first: a folder that hot does not name is only a leftover.
  Status status = deps_.hot->DeleteMeta({KeyOf(tier)}, /*sync=*/true);
  rocksdb::Env* const env = options.tiers.at(tier).env;
  if (status.ok()) {
    status = TierStore::Destroy(directory, record.identity.uuid, env ? env : options.env);
  }
  return status;
}

Status TierSet::LoadIntents() {
  return deps_.hot->ScanMeta(meta_key::kIntents,
                             [this](std::string_view key, std::string_view payload) {
                               RangeIntentRecord range;
                               Status status = DecodeRangeIntent(payload, &range);
                               if (status.ok())
                                 intents_.Recover(std::string(key), std::move(range));
                               return status;
                             });
}

// Without colder stores there is nothing that an intent could still be about, but a tier that is
// added later must not meet it.
Status TierSet::DropIntents(const EngineOptions& options) {
  if (options.read_only) return {};
  std::vector<std::string> keys;
  Status status = deps_.hot->ScanMeta(meta_key::kIntents, [&](std::string_view key, auto) {
    keys.emplace_back(key);
    return Status();
  });
  for (const std::string& key : keys) {
    if (status.ok()) status = deps_.hot->DeleteMeta({key}, /*sync=*/false);
  }
  return status;
}

void TierSet::Close() {
  stores_.clear();
  paths_.clear();
  filters_.clear();
}

std::shared_ptr<const Shards> TierSet::Extend(const std::shared_ptr<const Shards>& hot) const {
  if (empty()) return hot;
  auto shards = std::make_shared<Shards>(*hot);
  for (const auto& store : stores_) {
    ColderShards& colder = shards->colder.emplace_back();
    colder.tier = store->tier();
    colder.db = store->db();
    colder.owned = store->shards();
    colder.uncertain = &store->uncertain();
    for (const FamilyPtr& family : colder.owned) colder.handles.push_back(family.get());
  }
  return shards;
}

Status TierSet::Find(const std::string& location, const std::string& hot_directory,
                     std::vector<Found>* found) {
  rocksdb::DBOptions options;
  options.info_log_level = rocksdb::InfoLogLevel::FATAL_LEVEL;
  std::vector<std::string> names;
  rocksdb::Status s = rocksdb::DB::ListColumnFamilies(options, hot_directory, &names);
  if (!s.ok() || std::find(names.begin(), names.end(), kMetaColumnFamily) == names.end()) return {};
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, {}}, {std::string(kMetaColumnFamily), {}}};
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  s = rocksdb::DB::OpenForReadOnly(options, hot_directory, families, &handles, &opened);
  if (!s.ok()) return Status::From(s, "opening the hot store");
  const std::unique_ptr<rocksdb::DB> db(opened);
  MovedTiers moved;
  Status status = ReadTierPaths(location, &moved);
  for (const Tier tier : kColderTiers) {
    const std::string_view key = KeyOf(tier);
    std::string sealed;
    if (!status.ok() || !db->Get({}, handles[1], {key.data(), key.size()}, &sealed).ok()) continue;
    std::string_view payload;
    ColderTierRecord record;
    status = OpenMeta(key, sealed, &payload);
    if (status.ok()) status = DecodeColderTier(payload, &record);
    if (!status.ok()) continue;
    status = ApplyMove(location, tier, nullptr, &moved, &record);
    if (!status.ok()) continue;
    found->push_back({Absolute(location, record.path), record.identity.uuid});
  }
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    db->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  return status;
}

}  // namespace thermocline
