#include "engine/topic/consumer_groups.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "engine/record/coding.h"

namespace thermocline::topic {

namespace {

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<uint8_t>(c) >> 4];
    text += kDigits[c & 15];
  }
  return text;
}

std::string OffsetsKey(std::string_view topic_id, const std::string& group) {
  return "topics/" + Hex(topic_id) + "/" + group;
}

// varint32 number of partitions; of each: varint32 partition, varint64 offset.
std::string EncodeOffsets(const Offsets& offsets) {
  std::string payload;
  PutVarint32(&payload, static_cast<uint32_t>(offsets.size()));
  for (const auto& [partition, offset] : offsets) {
    PutVarint32(&payload, partition);
    PutVarint64(&payload, offset);
  }
  return payload;
}

bool DecodeOffsets(std::string_view payload, Offsets* offsets) {
  const char* p = payload.data();
  const char* const limit = p + payload.size();
  uint32_t count = 0;
  p = GetVarint32(p, limit, &count);
  for (uint32_t i = 0; i < count && p != nullptr; i++) {
    uint32_t partition = 0;
    uint64_t offset = 0;
    p = GetVarint32(p, limit, &partition);
    if (p != nullptr) p = GetVarint64(p, limit, &offset);
    (*offsets)[partition] = offset;
  }
  return p == limit;
}

}  // namespace

Status ConsumerGroups::LoadOffsets(std::string_view topic_id, const std::string& group,
                                   Offsets* offsets) const {
  offsets->clear();
  std::string payload;
  bool found = false;
  Status status = storage_.get(OffsetsKey(topic_id, group), &payload, &found);
  if (!status.ok() || !found) return status;
  if (DecodeOffsets(payload, offsets)) return {};
  return {Code::kCorruption, "the offsets of the consumer group '" + group + "' are damaged"};
}

Status ConsumerGroups::CommitOffsets(std::string_view topic_id, const std::string& group,
                                     const Offsets& offsets, bool sync) {
  std::lock_guard lock(commit_mutex_);
  Offsets all;
  Status status = LoadOffsets(topic_id, group, &all);
  if (!status.ok()) return status;
  for (const auto& [partition, offset] : offsets) all[partition] = offset;
  return storage_.put(OffsetsKey(topic_id, group), EncodeOffsets(all), sync);
}

std::shared_ptr<ConsumerGroups::Member> ConsumerGroups::Join(const std::string& topic_id,
                                                             const std::string& group,
                                                             uint32_t partitions,
                                                             std::function<void()> changed) {
  std::shared_ptr<Member> member;
  std::vector<std::function<void()>> calls;
  {
    std::lock_guard lock(mutex_);
    const Key key(topic_id, group);
    Group& entry = groups_[key];
    entry.partitions = std::max(entry.partitions, partitions);
    char name[24];
    std::snprintf(name, sizeof name, "%020llu", static_cast<unsigned long long>(++entry.joined));
    member.reset(new Member(this, key, name, std::move(changed)));
    entry.members[name] = member.get();
    Reassign(&entry);
    calls = CallsOf(entry, member.get());
  }
  for (const auto& call : calls) call();
  return member;
}

void ConsumerGroups::Reassign(Group* group) {
  std::vector<std::string> members;
  for (const auto& [name, member] : group->members) members.push_back(name);
  std::vector<uint32_t> partitions(group->partitions);
  std::iota(partitions.begin(), partitions.end(), 0);
  group->target = Assign(members, partitions, group->target);
}

std::vector<std::function<void()>> ConsumerGroups::CallsOf(const Group& group, const Member* but) {
  std::vector<std::function<void()>> calls;
  for (const auto& [name, member] : group.members) {
    if (member != but && member->changed_) calls.push_back(member->changed_);
  }
  return calls;
}

std::vector<uint32_t> ConsumerGroups::Sync(Member* member) {
  std::vector<uint32_t> owned;
  std::vector<std::function<void()>> calls;
  {
    std::lock_guard lock(mutex_);
    const auto found = groups_.find(member->key_);
    if (found == groups_.end() || !found->second.members.contains(member->name_)) return {};
    Group& group = found->second;
    const std::vector<uint32_t>& target = group.target[member->name_];
    const size_t given_up = std::erase_if(group.owners, [&](const auto& owner) {
      return owner.second == member->name_ &&
             !std::binary_search(target.begin(), target.end(), owner.first);
    });
    for (const uint32_t partition : target) {
      if (group.owners.try_emplace(partition, member->name_).first->second == member->name_) {
        owned.push_back(partition);
      }
    }
    if (given_up > 0) calls = CallsOf(group, member);
  }
  for (const auto& call : calls) call();
  return owned;
}

void ConsumerGroups::Leave(Member* member) {
  std::vector<std::function<void()>> calls;
  {
    std::lock_guard lock(mutex_);
    const auto found = groups_.find(member->key_);
    if (found == groups_.end() || found->second.members.erase(member->name_) == 0) return;
    Group& group = found->second;
    std::erase_if(group.owners, [&](const auto& owner) { return owner.second == member->name_; });
    if (group.members.empty()) {
      groups_.erase(found);
      return;
    }
    Reassign(&group);
    calls = CallsOf(group, member);
  }
  for (const auto& call : calls) call();
}

void ConsumerGroups::SetPartitions(const std::string& topic_id, uint32_t partitions) {
  std::vector<std::function<void()>> calls;
  {
    std::lock_guard lock(mutex_);
    for (auto& [key, group] : groups_) {
      if (key.first != topic_id || group.partitions >= partitions) continue;
      group.partitions = partitions;
      Reassign(&group);
      for (auto& call : CallsOf(group, nullptr)) calls.push_back(std::move(call));
    }
  }
  for (const auto& call : calls) call();
}

}  // namespace thermocline::topic
