#include "engine/tier/meta.h"

#include <set>
#include <string>
#include <string_view>

#include "support.h"

namespace thermocline {
namespace {

using test::HasCode;
using test::IsOk;

TEST(MetaTest, SealedRecordsOpenUnderTheirKey) {
  for (const std::string& payload : {std::string(), std::string(1, '\0'), std::string(1000, 'x')}) {
    const std::string sealed = SealMeta("key", payload);
    EXPECT_EQ(sealed.size(), payload.size() + 4);
    std::string_view opened;
    ASSERT_THAT(OpenMeta("key", sealed, &opened), IsOk());
    EXPECT_EQ(opened, payload);
  }
}

TEST(MetaTest, ARecordUnderAnotherKeyIsDamage) {
  const std::string sealed = SealMeta("clock", "payload");
  std::string_view opened;
  EXPECT_THAT(OpenMeta("cloc", sealed, &opened), HasCode(Code::kCorruption));
  EXPECT_THAT(OpenMeta("state", sealed, &opened), HasCode(Code::kCorruption));
}

TEST(MetaTest, EveryChangedBitAndEveryTruncationIsDamage) {
  const std::string good = SealMeta("state", "ab");
  std::string_view opened;
  for (size_t bit = 0; bit < good.size() * 8; bit++) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    const Status status = OpenMeta("state", bad, &opened);
    EXPECT_THAT(status, HasCode(Code::kCorruption)) << bit;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("'state'"));
  }
  for (size_t n = 0; n < good.size(); n++) {
    EXPECT_THAT(OpenMeta("state", good.substr(0, n), &opened), HasCode(Code::kCorruption)) << n;
  }
}

TEST(MetaTest, TierIdentitiesRoundTrip) {
  for (const uint64_t step : {uint64_t{0}, uint64_t{300}, UINT64_MAX}) {
    const TierIdentity identity{NewUuid(), step};
    TierIdentity decoded;
    ASSERT_THAT(DecodeTierIdentity(EncodeTierIdentity(identity), &decoded), IsOk());
    EXPECT_EQ(decoded.uuid, identity.uuid);
    EXPECT_EQ(decoded.last_step, step);
  }
}

TEST(MetaTest, MalformedTierIdentitiesAreDamage) {
  const std::string good = EncodeTierIdentity({std::string(16, 'u'), 300});
  TierIdentity decoded;
  for (size_t n = 0; n < good.size(); n++) {
    EXPECT_THAT(DecodeTierIdentity(good.substr(0, n), &decoded), HasCode(Code::kCorruption)) << n;
  }
  EXPECT_THAT(DecodeTierIdentity(good + "x", &decoded), HasCode(Code::kCorruption));
}

TEST(MetaTest, UuidsAreSixteenBytesAndDiffer) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; i++) {
    const std::string uuid = NewUuid();
    EXPECT_EQ(uuid.size(), 16u);
    EXPECT_TRUE(seen.insert(uuid).second);
  }
}

}  // namespace
}  // namespace thermocline
