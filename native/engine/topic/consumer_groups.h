// Consumer groups: which member reads which partitions, and how far each group has come.
//
// Partitions are handed over in two steps, so that no message is read by two members at once: when
// members or partitions change, a new assignment is made (assignment.h) and everyone is told. A
// member gives up what it shall lose at its next Sync, that is, when it is done with what it read
// before; only then the new owner's Sync takes it.
//
// Offsets are records of the meta column family, one per group and topic. They name the topic by
// its identity, so a topic that is created anew under an old name begins anew.
//
// Thread safety: all methods from any thread. Callbacks run without a lock held, on the thread of
// whoever caused the change.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/status.h"
#include "engine/topic/assignment.h"

namespace thermocline::topic {

using Offsets = std::map<uint32_t, uint64_t>;  // by partition: of the next message

class ConsumerGroups {
 public:
  // Where offsets are kept.
  struct Storage {
    std::function<Status(std::string_view key, std::string* payload, bool* found)> get;
    std::function<Status(std::string_view key, std::string payload, bool sync)> put;
  };
  explicit ConsumerGroups(Storage storage) : storage_(std::move(storage)) {}

  Status LoadOffsets(std::string_view topic_id, const std::string& group, Offsets* offsets) const;
  // Sets those given, keeps the others.
  Status CommitOffsets(std::string_view topic_id, const std::string& group, const Offsets& offsets,
                       bool sync);

  class Member;
  // `changed` is called whenever Sync would answer something else than before.
  std::shared_ptr<Member> Join(const std::string& topic_id, const std::string& group,
                               uint32_t partitions, std::function<void()> changed);
  // The topic has more partitions now.
  void SetPartitions(const std::string& topic_id, uint32_t partitions);

 private:
  struct Group {
    uint32_t partitions = 0;
    uint64_t joined = 0;
    std::map<std::string, Member*> members;  // by a name that says when it joined
    Assignment target;
    std::map<uint32_t, std::string> owners;  // who reads what at this moment
  };
  using Key = std::pair<std::string, std::string>;  // topic id, group

  std::vector<uint32_t> Sync(Member* member);
  void Leave(Member* member);
  void Reassign(Group* group);
  static std::vector<std::function<void()>> CallsOf(const Group& group, const Member* but);

  const Storage storage_;
  mutable std::mutex mutex_;
  std::map<Key, Group> groups_;  // GUARDED_BY(mutex_)
  std::mutex commit_mutex_;      // one read-modify-write at a time
};

class ConsumerGroups::Member {
 public:
  ~Member() { Leave(); }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  // Gives up what is to be given up, takes what is free, and says what the member may read now.
  // REQUIRES: the member is done with what it has read.
  std::vector<uint32_t> Sync() { return groups_->Sync(this); }
  // Gives everything up. Idempotent.
  void Leave() { groups_->Leave(this); }

 private:
  friend class ConsumerGroups;
  Member(ConsumerGroups* groups, Key key, std::string name, std::function<void()> changed)
      : groups_(groups),
        key_(std::move(key)),
        name_(std::move(name)),
        changed_(std::move(changed)) {}

  ConsumerGroups* const groups_;
  const Key key_;
  const std::string name_;
  const std::function<void()> changed_;
};

}  // namespace thermocline::topic
