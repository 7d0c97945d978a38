// Which member of a consumer group reads which partitions: balanced, and as before as far as that
// allows.
//
// Every partition goes to exactly one member, and any two members differ by one partition at most.
// Among all such assignments this is one that moves the fewest partitions: a member keeps its
// previous ones up to its quota, and those who had most get the larger quotas.
//
// Thread safety: a pure function.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace thermocline::topic {

// By member; partitions ascend.
using Assignment = std::map<std::string, std::vector<uint32_t>>;

// Members and partitions are taken once each, whatever their order. What `previous` says of others
// is ignored, and of a partition that it gives to two members the first keeps it.
Assignment Assign(const std::vector<std::string>& members, const std::vector<uint32_t>& partitions,
                  const Assignment& previous);

}  // namespace thermocline::topic
