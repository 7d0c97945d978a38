#include "engine/record/commit_header.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace thermocline {
namespace {

constexpr uint64_t kMaxId = std::numeric_limits<uint64_t>::max();

TEST(CommitHeaderTest, BytesAreAsTheFormatSays) {
  const CommitHeader header{CommitOrigin::kInternal, CommitKind::kRun, 300, 2};
  EXPECT_EQ(EncodeCommitHeader(header).view(), std::string("\x01\x01\x01\xac\x02\x02", 6));
}

TEST(CommitHeaderTest, RoundTrip) {
  for (const auto origin : {CommitOrigin::kUser, CommitOrigin::kInternal}) {
    for (const auto kind : {CommitKind::kAtomic, CommitKind::kRun}) {
      for (const uint64_t id : {uint64_t{0}, uint64_t{127}, uint64_t{128}, uint64_t{1} << 40}) {
        for (const uint32_t count : {0u, 1u, 1000u, 0xffffffffu}) {
          const CommitHeader header{origin, kind, id, count};
          CommitHeader decoded;
          ASSERT_TRUE(DecodeCommitHeader(EncodeCommitHeader(header).view(), &decoded));
          EXPECT_EQ(decoded, header);
        }
      }
    }
  }
}

TEST(CommitHeaderTest, LargestHeaderFits) {
  const CommitHeader header{CommitOrigin::kUser, CommitKind::kAtomic, kMaxId, 0xffffffffu};
  const EncodedCommitHeader encoded = EncodeCommitHeader(header);
  EXPECT_EQ(encoded.size, kMaxCommitHeader);
  CommitHeader decoded;
  ASSERT_TRUE(DecodeCommitHeader(encoded.view(), &decoded));
  EXPECT_EQ(decoded, header);
}

TEST(CommitHeaderTest, TruncationAndTrailingBytesAreErrors) {
  const CommitHeader header{CommitOrigin::kUser, CommitKind::kAtomic, 123456, 789};
  const std::string encoded(EncodeCommitHeader(header).view());
  CommitHeader decoded;
  for (size_t n = 0; n < encoded.size(); ++n) {
    EXPECT_FALSE(DecodeCommitHeader(encoded.substr(0, n), &decoded)) << n;
  }
  EXPECT_FALSE(DecodeCommitHeader(encoded + '\0', &decoded));
}

TEST(CommitHeaderTest, UnknownVersionOriginAndKindAreErrors) {
  const std::string good(EncodeCommitHeader({}).view());
  for (const size_t position : {0, 1, 2}) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = good;
      changed[position] = static_cast<char>(value);
      CommitHeader decoded;
      const bool known = position == 0 ? value == 1 : value <= 1;
      EXPECT_EQ(DecodeCommitHeader(changed, &decoded), known) << position << " " << value;
    }
  }
}

TEST(CommitHeaderTest, RunWhoseIdsOverflowIsAnError) {
  CommitHeader decoded;
  CommitHeader header{CommitOrigin::kUser, CommitKind::kRun, kMaxId, 1};
  EXPECT_TRUE(DecodeCommitHeader(EncodeCommitHeader(header).view(), &decoded));
  header.operation_count = 2;
  EXPECT_FALSE(DecodeCommitHeader(EncodeCommitHeader(header).view(), &decoded));
}

}  // namespace
}  // namespace thermocline
