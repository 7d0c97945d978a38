// What a crash tears, what a disk changes, and random bytes: found, named, never served.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <set>
#include <vector>

#include "engine/record/coding.h"
#include "engine/record/crc32c.h"
#include "engine/topic/codec.h"
#include "engine/topic/walker.h"
#include "topic_fixture.h"

namespace thermocline::topic {
namespace {

using test::HasCode;
using test::IsOk;
using test::Message;
using test::PartitionTest;

class TopicDamage : public PartitionTest {
 protected:
  // Three segments of 30 messages and an active one of 20, synced or not.
  void Fill(bool synced = true) {
    options_.segment_records = 30;
    Open();
    for (int i = 0; i < 11; i++) Append(10);
    if (synced) {
      ASSERT_THAT(partition()->Sync(), IsOk());
    }
  }
  void Flip(const std::string& path, size_t bit) {
    std::string bytes = test::ReadFile(path);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    test::WriteFile(path, bytes);
  }
  // Where the batches of a segment begin, and its end.
  std::vector<size_t> Boundaries(uint64_t base_offset) {
    const std::string bytes = test::ReadFile(LogPath(base_offset));
    std::vector<size_t> boundaries;
    BatchWalker walker(bytes, seed_, base_offset);
    while (walker.Next() == BatchWalker::Step::kBatch) boundaries.push_back(walker.position());
    boundaries.push_back(bytes.size());
    return boundaries;
  }
};

TEST_F(TopicDamage, ATornEndIsCutAtTheLastGoodBatchWhereverItIsTorn) {
  Open();
  Append(10);
  Append(7);
  const std::string whole = test::ReadFile(LogPath(0));
  const std::vector<size_t> boundaries = Boundaries(0);
  ASSERT_EQ(boundaries.size(), 3u);
  for (size_t size = boundaries[0]; size <= whole.size(); size++) {
    partition_.reset();
    test::WriteFile(LogPath(0), std::string_view(whole).substr(0, size));
    ASSERT_THAT(TryOpen(), IsOk()) << size;
    const uint64_t end = size == whole.size() ? 17 : size >= boundaries[1] ? 10 : 0;
    ASSERT_EQ(partition()->end_offset(), end) << size;
    ASSERT_EQ(partition()->cut_bytes(), size - (end == 17 ? size : end == 10 ? boundaries[1] : 0));
    ExpectRun(ReadFrom(0), 0, end);
    ASSERT_EQ(Append(3).base_offset, end);
    ExpectRun(ReadFrom(0), 0, end + 3);
  }
}

TEST_F(TopicDamage, EveryFlippedBitOfTheLastSegmentIsFound) {
  Open();
  Append(3);
  Append(2);
  Append(4);
  const std::string whole = test::ReadFile(LogPath(0));
  const std::vector<size_t> boundaries = Boundaries(0);
  const std::vector<uint64_t> ends = {0, 3, 5, 9};
  for (size_t bit = 0; bit < 8 * whole.size(); bit++) {
    partition_.reset();
    test::WriteFile(LogPath(0), whole);
    Flip(LogPath(0), bit);
    ASSERT_THAT(TryOpen(), IsOk()) << "bit " << bit;
    size_t batch = 0;
    while (boundaries[batch + 1] <= bit / 8) batch++;
    // Nothing is cut and nothing more is taken.
    const Status refused = Append().status;
    ASSERT_THAT(refused, HasCode(Code::kCorruption)) << "bit " << bit;
    ASSERT_THAT(
        std::string(refused.message()),
        testing::HasSubstr("0.log is damaged at byte " + std::to_string(boundaries[batch]) +
                           ", where offset " + std::to_string(ends[batch]) + " should begin"));
    ASSERT_EQ(test::ReadFile(LogPath(0)).size(), whole.size());
    Status status;
    ExpectRun(ReadFrom(0, &status), 0, ends[batch]);
    ASSERT_THAT(status, HasCode(Code::kCorruption)) << "bit " << bit;
    const std::vector<Message> after =
        ReadFrom(0, nullptr, {.max_bytes = 1 << 20, .past_damage = true});
    std::set<uint64_t> offsets;
    for (const Message& message : after) {
      ASSERT_EQ(message.payload, test::PayloadOf(message.offset));
      offsets.insert(message.offset);
    }
    std::set<uint64_t> expected;
    for (uint64_t i = 0; i < 9; i++) {
      if (i < ends[batch] || i >= ends[batch + 1]) expected.insert(i);
    }
    ASSERT_EQ(offsets, expected) << "bit " << bit;
  }
}

TEST_F(TopicDamage, EveryFlippedBitOfASealedSegmentIsFoundWithAndWithoutItsIndex) {
  options_.segment_records = 9;
  Open();
  for (const uint32_t count : {3u, 2u, 4u, 5u}) Append(count);
  ASSERT_THAT(partition()->Sync(), IsOk());
  const std::string whole = test::ReadFile(LogPath(0));
  const std::string active = test::ReadFile(LogPath(9));
  const std::vector<size_t> boundaries = Boundaries(0);
  const std::vector<uint64_t> ends = {0, 3, 5, 9};
  for (size_t bit = 0; bit < 8 * whole.size(); bit++) {
    partition_.reset();
    test::WriteFile(LogPath(0), whole);
    test::WriteFile(LogPath(9), active);
    Flip(LogPath(0), bit);
    if (bit % 2 == 0) {
      std::filesystem::remove(path_ + "/00000000000000000000.index");
    }
    ASSERT_THAT(TryOpen(), IsOk()) << "bit " << bit;
    size_t batch = 0;
    while (boundaries[batch + 1] <= bit / 8) batch++;
    Status status;
    ExpectRun(ReadFrom(0, &status), 0, ends[batch]);
    ASSERT_THAT(status, HasCode(Code::kCorruption)) << "bit " << bit;
    ASSERT_THAT(std::string(status.message()),
                testing::HasSubstr("00000000000000000000.log is damaged at byte " +
                                   std::to_string(boundaries[batch])));
    std::vector<LostRange> lost;
    const std::vector<Message> after =
        ReadFrom(0, nullptr, {.max_bytes = 1 << 20, .past_damage = true}, &lost);
    ASSERT_EQ(lost.size(), 1u);
    ASSERT_EQ(lost[0].position, boundaries[batch]);
    ASSERT_EQ(lost[0].from_offset, ends[batch]);
    ASSERT_EQ(lost[0].to_offset, ends[batch + 1]);
    ASSERT_EQ(after.size(), 14 - (ends[batch + 1] - ends[batch]));
    for (const Message& message : after) {
      ASSERT_EQ(message.payload, test::PayloadOf(message.offset));
    }
    ASSERT_THAT(Append().status, IsOk()) << "the end of the log is whole";
  }
}

TEST_F(TopicDamage, EveryFlippedBitOfAnIndexIsHarmless) {
  Fill();
  const std::string offset_path = path_ + "/00000000000000000030.index";
  for (const std::string& path : {offset_path, path_ + "/00000000000000000030.timeindex"}) {
    const std::string whole = test::ReadFile(path);
    for (size_t bit = 0; bit < 8 * whole.size(); bit += 3) {
      partition_.reset();
      Flip(path, bit);
      ASSERT_THAT(TryOpen(), IsOk());
      ASSERT_EQ(metrics_->rebuilt_indexes.Total(), 1u);
      ExpectRun(ReadFrom(0), 0, 110);
      test::WriteFile(path, whole);
      metrics_ = std::make_shared<TopicMetrics>();
    }
  }
}

TEST_F(TopicDamage, AMissingSegmentIsNamedAndCanBePassed) {
  Fill();
  partition_.reset();
  std::filesystem::remove(LogPath(30));
  Open();
  Status status;
  ExpectRun(ReadFrom(0, &status), 0, 30);
  EXPECT_THAT(status, HasCode(Code::kCorruption));
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("where offset 30 should begin"));
  std::vector<LostRange> lost;
  const std::vector<Message> all =
      ReadFrom(0, nullptr, {.max_bytes = 1 << 20, .past_damage = true}, &lost);
  EXPECT_EQ(all.size(), 80u);
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].from_offset, 30u);
  EXPECT_EQ(lost[0].to_offset, 60u);
  ExpectRun(ReadFrom(60), 60, 110);
}

TEST_F(TopicDamage, ATornSegmentThatIsNotTheLastIsDamage) {
  Fill(/*synced=*/false);
  partition_.reset();
  std::string bytes = test::ReadFile(LogPath(30));
  bytes.resize(bytes.size() - 5);
  test::WriteFile(LogPath(30), bytes);
  Open();
  Status status;
  ExpectRun(ReadFrom(0, &status), 0, 50);
  EXPECT_THAT(status, HasCode(Code::kCorruption));
  EXPECT_THAT(Append().status, IsOk());
}

TEST_F(TopicDamage, AfterALossOfPowerTheLogEndsWhereItsUnsyncedPartIsBroken) {
  Fill(/*synced=*/false);
  partition_.reset();
  std::string bytes = test::ReadFile(LogPath(60));
  const std::vector<size_t> boundaries = Boundaries(60);
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(boundaries[1]) + 30, bytes.end(), '\0');
  test::WriteFile(LogPath(60), bytes);
  ASSERT_THAT(TryOpen(false, /*after_power_loss=*/true), IsOk());
  EXPECT_EQ(partition()->end_offset(), 70u);
  ExpectRun(ReadFrom(0), 0, 70);
  EXPECT_EQ(Append().base_offset, 70u);
  EXPECT_EQ(Files(".log").back(), "00000000000000000060.log");
}

TEST_F(TopicDamage, AfterALossOfPowerWhatWasSyncedIsNotGivenUp) {
  Fill(/*synced=*/true);
  partition_.reset();
  Flip(LogPath(30), 8 * 200);
  ASSERT_THAT(TryOpen(false, /*after_power_loss=*/true), IsOk());
  EXPECT_EQ(partition()->end_offset(), 110u);
  Status status;
  ReadFrom(0, &status);
  EXPECT_THAT(status, HasCode(Code::kCorruption));
}

TEST_F(TopicDamage, WithoutALossOfPowerAZeroedEndIsDamage) {
  Fill();
  partition_.reset();
  test::WriteFile(LogPath(90), test::ReadFile(LogPath(90)) + std::string(500, '\0'));
  Open();
  EXPECT_THAT(Append().status, HasCode(Code::kCorruption));
  Status status;
  ExpectRun(ReadFrom(0, &status), 0, 110);
  EXPECT_THAT(status, HasCode(Code::kCorruption));
  ASSERT_THAT(TryOpen(false, /*after_power_loss=*/true), IsOk());
  EXPECT_EQ(Append().base_offset, 110u);
}

TEST_F(TopicDamage, ABatchOfANewerFormatIsRefusedByName) {
  Open();
  Append(3);
  std::string bytes = test::ReadFile(LogPath(0));
  bytes[4] = 2;
  EncodeFixed32(bytes.data() + 68, Crc32cExtend(seed_, {bytes.data(), 68}));
  partition_.reset();
  test::WriteFile(LogPath(0), bytes);
  Open();
  EXPECT_THAT(Append().status, HasCode(Code::kFormatVersion));
  EXPECT_EQ(test::ReadFile(LogPath(0)), bytes);
}

TEST_F(TopicDamage, ABatchThatSomebodyStoredAsAMessageIsNotTakenForOne) {
  Open();
  Append(3);
  const std::string earlier = test::ReadFile(LogPath(0));
  BodyBuilder body;
  body.Add("before " + earlier + earlier + " after");
  AppendBody(body);
  Append(1);
  // The header of the batch with the copies is damaged, so that the next one is searched for.
  Flip(LogPath(0), 8 * earlier.size() + 8 * 20);
  Open();
  const std::vector<Message> all =
      ReadFrom(0, nullptr, {.max_bytes = 1 << 20, .past_damage = true});
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[3].offset, 4u);
  EXPECT_EQ(all[3].payload, test::PayloadOf(4));
}

// Random changes to segments with every codec. Half of them get their checksums put right, so that
// what lies behind the checksums is reached as well. THERMOCLINE_FUZZ_INPUTS: how many.
class TopicFuzz : public testing::Test {
 protected:
  static constexpr uint32_t kSeed = 77;

  static std::string Segment(std::mt19937* random, Codec codec) {
    std::string segment;
    uint64_t offset = 0;
    for (int i = 0; i < 3; i++) {
      BodyBuilder body(1000);
      const uint32_t count = 1 + (*random)() % 5;
      for (uint32_t j = 0; j < count; j++) {
        const std::string text(1 + (*random)() % 40, static_cast<char>('a' + (*random)() % 26));
        const std::string_view view(text);
        const uint64_t time = 900 + (*random)() % 200;
        const std::vector<BodyBuilder::Header> headers = {{"name", view}};
        BodyBuilder::Fields fields;
        if ((*random)() % 2) fields.key = &view;
        if ((*random)() % 2) fields.id = &view;
        if ((*random)() % 2) fields.timestamp = &time;
        if ((*random)() % 2) fields.headers = &headers;
        body.Add(text, fields);
      }
      std::string stored;
      const bool compressed = codec != Codec::kNone && Compress({codec, 0}, body.bytes(), &stored);
      if (!compressed) stored = body.bytes();
      BodyFacts facts;
      CheckBody(body.bytes(), count, 1000, &facts);
      char header[kBatchHeaderBytes];
      EncodeHeader({.codec = compressed ? codec : Codec::kNone,
                    .base_offset = offset,
                    .body_bytes = static_cast<uint32_t>(stored.size()),
                    .raw_bytes = static_cast<uint32_t>(body.bytes().size()),
                    .count = count,
                    .last_offset_delta = count - 1,
                    .first_timestamp = 1000,
                    .max_timestamp = facts.max_timestamp,
                    .body_crc = Crc32c(stored)},
                   kSeed, header);
      segment.append(header, sizeof header).append(stored);
      offset += count;
    }
    return segment;
  }

  static void Mutate(std::mt19937* random, std::string* bytes) {
    const auto at = [&] { return (*random)() % std::max<size_t>(bytes->size(), 1); };
    for (uint32_t n = 1 + (*random)() % 4; n > 0 && !bytes->empty(); n--) {
      switch ((*random)() % 6) {
        case 0:
          (*bytes)[at()] ^= static_cast<char>(1 << ((*random)() % 8));
          break;
        case 1:
          (*bytes)[at()] = static_cast<char>((*random)());
          break;
        case 2:
          bytes->resize(at());
          break;
        case 3:
          bytes->insert(at(), std::string((*random)() % 20, static_cast<char>((*random)())));
          break;
        case 4: {
          static constexpr char kExtremes[] = {'\0', '\1', '\x7f', '\x80', '\xff'};
          for (size_t i = at(), end = std::min(bytes->size(), i + 4); i < end; i++) {
            (*bytes)[i] = kExtremes[(*random)() % 5];
          }
          break;
        }
        case 5: {
          const size_t from = at();
          bytes->append(bytes->substr(from, (*random)() % 200));
          break;
        }
      }
    }
  }

  // Puts the checksums right of everything that looks like a batch.
  static void PutRight(std::string* bytes) {
    for (size_t i = 0; i + kBatchHeaderBytes <= bytes->size(); i++) {
      char* const p = bytes->data() + i;
      if (DecodeFixed32(p) != kBatchMagic) continue;
      const uint64_t size = DecodeFixed32(p + 16);
      if (size <= bytes->size() - i - kBatchHeaderBytes) {
        EncodeFixed32(p + 64, Crc32c({p + kBatchHeaderBytes, size}));
      }
      EncodeFixed32(p + 68, Crc32cExtend(kSeed, {p, 68}));
    }
  }
};

TEST_F(TopicFuzz, TheDecoderSurvivesWhateverItIsGiven) {
  const char* const asked = std::getenv("THERMOCLINE_FUZZ_INPUTS");
  const uint64_t inputs = asked ? std::strtoull(asked, nullptr, 10) : 20'000;
  std::mt19937 random(20'261'120);
  uint64_t batches = 0;
  uint64_t sound = 0;
  uint64_t records = 0;
  uint64_t damaged = 0;
  for (uint64_t i = 0; i < inputs; i++) {
    std::string bytes = Segment(&random, static_cast<Codec>(i % 5));
    const std::string original = bytes;
    Mutate(&random, &bytes);
    const bool put_right = i % 2 == 0;
    if (put_right) PutRight(&bytes);
    // On the heap and of exactly this size, so that reading beyond it is seen.
    const std::vector<char> exact(bytes.begin(), bytes.end());
    const std::string_view view(exact.data(), exact.size());
    BatchWalker walker(view, kSeed, 0);
    for (bool more = true; more;) {
      switch (walker.Next()) {
        case BatchWalker::Step::kBatch: {
          batches++;
          const BatchHeader& header = walker.header();
          if (!BatchIsSound(header, walker.body())) break;
          sound++;
          if (header.gap) break;
          // Without new checksums nothing but the original's batches may pass.
          if (!put_right) {
            ASSERT_NE(original.find(view.substr(walker.position(), header.total_bytes())),
                      std::string::npos);
          }
          std::string raw(walker.body());
          if (header.codec != Codec::kNone) {
            raw.assign(header.raw_bytes, '\0');
            ASSERT_TRUE(Decompress(header.codec, walker.body(), raw.data(), raw.size()));
          }
          const char* p = raw.data();
          for (uint32_t j = 0; j < header.count; j++) {
            RecordView record;
            p = DecodeRecord(p, raw.data() + raw.size(), header.first_timestamp, &record);
            ASSERT_NE(p, nullptr);
            records += 1 + (record.payload.empty() ? 0 : record.payload.back() & 0);
          }
          break;
        }
        case BatchWalker::Step::kEnd:
        case BatchWalker::Step::kNewer:
          more = false;
          break;
        case BatchWalker::Step::kTorn:
        case BatchWalker::Step::kDamaged:
          damaged++;
          more = walker.Resync();
          break;
      }
    }
  }
  // Both sides of every check were reached.
  EXPECT_GT(sound, inputs / 2);
  EXPECT_GT(batches, sound + inputs / 100);
  EXPECT_GT(damaged, inputs / 4);
  EXPECT_GT(records, inputs);
  RecordProperty("batches", std::to_string(batches));
}

}  // namespace
}  // namespace thermocline::topic
