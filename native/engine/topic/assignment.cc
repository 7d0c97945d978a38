#include "engine/topic/assignment.h"

#include <algorithm>
#include <set>
#include <utility>

namespace thermocline::topic {

Assignment Assign(const std::vector<std::string>& members, const std::vector<uint32_t>& partitions,
                  const Assignment& previous) {
  Assignment result;
  for (const std::string& member : members) result[member];
  if (result.empty()) return result;

  std::set<uint32_t> unassigned(partitions.begin(), partitions.end());
  const size_t total = unassigned.size();
  for (auto& [member, kept] : result) {
    const auto before = previous.find(member);
    if (before == previous.end()) continue;
    for (const uint32_t partition : before->second) {
      if (unassigned.erase(partition) > 0) kept.push_back(partition);
    }
    std::sort(kept.begin(), kept.end());
  }

  // Those who have most first: the larger quotas let them keep one more.
  std::vector<std::vector<uint32_t>*> by_count;
  for (auto& [member, kept] : result) by_count.push_back(&kept);
  std::stable_sort(by_count.begin(), by_count.end(),
                   [](const auto* a, const auto* b) { return a->size() > b->size(); });
  const size_t low = total / by_count.size();
  const size_t larger = total % by_count.size();
  const auto quota = [&](size_t i) { return low + (i < larger ? 1 : 0); };
  for (size_t i = 0; i < by_count.size(); i++) {
    std::vector<uint32_t>& kept = *by_count[i];
    while (kept.size() > quota(i)) {
      unassigned.insert(kept.back());
      kept.pop_back();
    }
  }
  for (size_t i = 0; i < by_count.size(); i++) {
    std::vector<uint32_t>& kept = *by_count[i];
    while (kept.size() < quota(i)) {
      kept.push_back(*unassigned.begin());
      unassigned.erase(unassigned.begin());
    }
    std::sort(kept.begin(), kept.end());
  }
  return result;
}

}  // namespace thermocline::topic
