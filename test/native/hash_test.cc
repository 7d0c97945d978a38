#include "engine/hash.h"

#include <gtest/gtest.h>

#include <bit>
#include <set>
#include <string>
#include <unordered_set>

namespace thermocline {
namespace {

TEST(HashTest, EqualKeysHashAlikeWhereverTheyLie) {
  for (size_t length = 0; length <= 100; ++length) {
    const std::string key(length, 'k');
    const std::string padded = "###" + key + "###";
    EXPECT_EQ(HashKey(key), HashKey(std::string_view(padded).substr(3, length))) << length;
  }
}

TEST(HashTest, EveryByteAndTheLengthCount) {
  for (size_t length = 0; length <= 100; ++length) {
    const std::string key(length, '\0');
    std::set<uint64_t> hashes = {HashKey(key), HashKey(key + '\0')};
    for (size_t i = 0; i < length; ++i) {
      std::string changed = key;
      changed[i] = 1;
      hashes.insert(HashKey(changed));
    }
    EXPECT_EQ(hashes.size(), length + 2) << length;
  }
}

TEST(HashTest, MillionSimilarKeysDoNotCollide) {
  std::unordered_set<uint64_t> hashes;
  std::unordered_set<uint64_t> tops;
  for (int i = 0; i < 1000000; ++i) {
    const uint64_t hash = HashKey("user:" + std::to_string(i));
    hashes.insert(hash);
    tops.insert(hash >> 44);
  }
  EXPECT_EQ(hashes.size(), 1000000u);  // chance of a collision: 3e-8
  // A million balls leave 2^20 * (1 - 1/e^0.954) = 644,600 of 2^20 bins filled.
  EXPECT_NEAR(static_cast<double>(tops.size()), 644600, 5000);
}

TEST(HashTest, FlippingOneBitFlipsHalfOfTheHash) {
  for (const size_t length : {1, 4, 8, 16, 24, 40}) {
    double flipped = 0;
    int trials = 0;
    for (int n = 0; n < 200; ++n) {
      std::string key(length, static_cast<char>(n));
      const uint64_t before = HashKey(key);
      for (size_t bit = 0; bit < 8 * length; ++bit, ++trials) {
        key[bit / 8] = static_cast<char>(key[bit / 8] ^ (1 << (bit % 8)));
        flipped += std::popcount(before ^ HashKey(key));
        key[bit / 8] = static_cast<char>(key[bit / 8] ^ (1 << (bit % 8)));
      }
    }
    EXPECT_NEAR(flipped / trials, 32, 0.7) << length;
  }
}

}  // namespace
}  // namespace thermocline
