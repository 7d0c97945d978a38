#include "engine/cache/sequence_table.h"

#include <algorithm>

namespace thermocline {

namespace {

// How many takings in its set a node outlives: at first as many as there are ways, so that what is
// seen once goes in the order of its coming.
constexpr uint32_t kAtFirst = SequenceTable::kWays;
constexpr uint32_t kAnew = 6;  // more, each time it is seen again
constexpr uint32_t kMostUse = 31;

}  // namespace

SequenceTable::SequenceTable(size_t bytes)
    : sets_(std::max<size_t>(bytes / sizeof(Set), 1)), table_(std::make_unique<Set[]>(sets_)) {}

SequenceTable::Node* SequenceTable::Find(Set* set, uint64_t name) {
  for (size_t i = 0; i < kWays; i++) {
    if (NameOf(set->names[i]) == name && set->names[i] != 0) return &set->nodes[i];
  }
  return nullptr;
}

SequenceTable::Node* SequenceTable::FindOrTake(Set* set, uint64_t name, std::string_view key) {
  size_t least = 0;
  for (size_t i = 0; i < kWays; i++) {
    const uint64_t word = set->names[i];
    if (word != 0 && NameOf(word) == name) {
      set->names[i] = name | std::min(CountOf(word) + kAnew, kMostUse);
      return &set->nodes[i];
    }
    if (CountOf(word) < CountOf(set->names[least])) least = i;
  }
  for (uint64_t& word : set->names) {
    if (CountOf(word) > 0) word--;
  }
  set->names[least] = name | kAtFirst;
  Node& node = set->nodes[least];
  node.links.fill(0);
  node.seen = 0;
  node.key.Set(key);
  return &node;
}

// *touched: the links that this round has confirmed or made, by bit.
void SequenceTable::Confirm(Node* node, uint64_t name, uint32_t* touched) {
  size_t least = kLinks;
  for (size_t i = 0; i < kLinks; i++) {
    uint64_t& link = node->links[i];
    if (link != 0 && NameOf(link) == name) {
      if (CountOf(link) < node->seen) link++;
      *touched |= 1u << i;
      return;
    }
    if ((*touched >> i & 1) != 0) continue;
    if (least == kLinks || CountOf(link) < CountOf(node->links[least])) least = i;
  }
  if (least == kLinks) return;
  uint64_t& link = node->links[least];
  if (CountOf(link) > 1) {
    link--;
    return;
  }
  link = name | 1;
  *touched |= 1u << least;
}

void SequenceTable::Learn(std::string_view key, uint64_t hash, const uint64_t* followers,
                          size_t count) {
  const uint64_t name = NameOf(hash);
  const size_t index = IndexOf(name);
  std::lock_guard lock(stripes_[index % kStripes]);
  Node* node = FindOrTake(&table_[index], name, key);
  if (node->seen == kSeenMost) {
    node->seen /= 2;
    for (uint64_t& link : node->links) {
      link = CountOf(link) < 2 ? 0 : NameOf(link) | CountOf(link) / 2;
    }
  }
  node->seen++;
  uint32_t touched = 0;
  for (size_t i = 0; i < count; i++) {
    const uint64_t follower = NameOf(followers[i]);
    if (follower == name) break;  // from there on it is the key's next time
    const bool again = std::any_of(followers, followers + i,
                                   [&](uint64_t before) { return NameOf(before) == follower; });
    if (!again) Confirm(node, follower, &touched);
  }
}

size_t SequenceTable::Likely(uint64_t hash, std::array<uint64_t, kLinks>* followers) {
  const uint64_t name = NameOf(hash);
  const size_t index = IndexOf(name);
  std::lock_guard lock(stripes_[index % kStripes]);
  const Node* node = Find(&table_[index], name);
  if (node == nullptr) return 0;
  size_t found = 0;
  for (const uint64_t link : node->links) {
    // One more than it was seen: this time is still open, so that two of two are no certainty.
    const uint32_t count = CountOf(link);
    if (count < kConfident || 2 * count < node->seen + 1u) continue;
    (*followers)[found++] = NameOf(link);
  }
  return found;
}

bool SequenceTable::KeyOf(uint64_t follower, SequenceKey* key) {
  const size_t index = IndexOf(follower);
  std::lock_guard lock(stripes_[index % kStripes]);
  const Node* node = Find(&table_[index], follower);
  if (node == nullptr) return false;
  *key = node->key;
  return true;
}

}  // namespace thermocline
