// An engine full of random records, the map that it must agree with, and random walks over both.
//
// Thread safety: the functions from any thread, each with a generator of its own; the fixture on
// the test's thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/read/cursor.h"
#include "engine_fixture.h"

namespace thermocline::test {

using Model = std::map<std::string, std::string>;

inline constexpr uint64_t kPast = 1'000'000'000'000;
inline constexpr uint64_t kFarFuture = 100'000'000'000'000;

// Short keys over few letters: many are prefixes of each other, and random bounds often hit one.
inline std::string RandomKey(std::minstd_rand& random) {
  std::string key(random() % 5, '\0');
  static const std::string letters("ab\0\xff{", 5);
  for (char& c : key) c = letters[random() % letters.size()];
  return key;
}

inline std::vector<Record> Expected(const Model& model, const CursorOptions& options) {
  std::vector<Record> records;
  for (const auto& [key, value] : model) {
    if (options.has_lower && key < options.lower) continue;
    if (options.has_upper && key >= options.upper) continue;
    records.emplace_back(options.keys ? key : "", options.values ? value : "");
  }
  if (options.reverse) std::reverse(records.begin(), records.end());
  if (records.size() > options.limit) records.resize(options.limit);
  return records;
}

inline CursorOptions RandomOptions(std::minstd_rand& random) {
  CursorOptions options;
  if (random() % 2 == 0) {
    options.has_lower = true;
    options.lower = RandomKey(random);
  }
  if (random() % 2 == 0) {
    options.has_upper = true;
    options.upper = RandomKey(random);
  }
  options.reverse = random() % 2 == 0;
  options.keys = random() % 8 != 0;
  options.values = random() % 4 != 0;
  options.fill_cache = random() % 2 == 0;
  if (random() % 3 == 0) options.limit = random() % 60;
  return options;
}

class CursorTest : public EngineTest {
 protected:
  // Random records, some overwritten, deleted or expired; partly in tables, partly in memtables.
  void Fill(uint32_t seed, int records, Model* model) {
    std::minstd_rand random(seed);
    for (int i = 0; i < records; i++) {
      PackedWrites writes;
      const std::string key = RandomKey(random);
      switch (random() % 8) {
        case 0:
          writes.Delete(key);
          model->erase(key);
          break;
        case 1:
          writes.Put(key, "expired", kPast);
          model->erase(key);
          break;
        default: {
          const std::string value(random() % 50, static_cast<char>('a' + i % 26));
          writes.Put(key, value, random() % 4 == 0 ? kFarFuture : 0);
          (*model)[key] = value;
        }
      }
      ASSERT_THAT(Write(engine(), writes), IsOk());
      if (i == records / 3 || i == records / 2) {
        ASSERT_THAT(engine()->Flush(), IsOk());
      }
    }
  }

  std::shared_ptr<Cursor> NewCursor(CursorOptions options = {}) {
    return engine()->NewCursor(engine()->NewView(), std::move(options));
  }
};

}  // namespace thermocline::test
