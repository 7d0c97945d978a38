// The formats of batches, records and indexes, the codecs, and the table of producers.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "engine/record/coding.h"
#include "engine/record/crc32c.h"
#include "engine/topic/batch_format.h"
#include "engine/topic/codec.h"
#include "engine/topic/index.h"
#include "engine/topic/producer_table.h"
#include "engine/topic/record_format.h"
#include "support.h"

namespace thermocline::topic {
namespace {

using test::HasCode;
using test::IsOk;
using test::TempFolder;

BatchHeader SomeHeader() {
  return {.codec = Codec::kZstd,
          .base_offset = 0x0102030405060708,
          .body_bytes = 100,
          .raw_bytes = 200,
          .count = 3,
          .last_offset_delta = 2,
          .first_timestamp = 1'700'000'000'000,
          .max_timestamp = 1'700'000'000'005,
          .producer_id = 42,
          .sequence = 7,
          .body_crc = 0xdeadbeef};
}

TEST(TopicBatchFormat, HeadersComeBackAsTheyWere) {
  char bytes[kBatchHeaderBytes];
  EncodeHeader(SomeHeader(), 5, bytes);
  BatchHeader header;
  ASSERT_EQ(DecodeHeader(bytes, 5, &header), HeaderVerdict::kGood);
  EXPECT_EQ(header, SomeHeader());
  EXPECT_EQ(header.next_offset(), 0x0102030405060708u + 3);
  EXPECT_EQ(header.total_bytes(), kBatchHeaderBytes + 100);
}

TEST(TopicBatchFormat, BytesAreWhereTheyAreDocumented) {
  char bytes[kBatchHeaderBytes];
  EncodeHeader(SomeHeader(), 5, bytes);
  EXPECT_EQ(std::string_view(bytes, 4), "TCLB");
  EXPECT_EQ(bytes[4], 1);
  EXPECT_EQ(bytes[5], 4);
  EXPECT_EQ(DecodeFixed64(bytes + 8), 0x0102030405060708u);
  EXPECT_EQ(DecodeFixed32(bytes + 16), 100u);
  EXPECT_EQ(DecodeFixed32(bytes + 64), 0xdeadbeefu);
  EXPECT_EQ(DecodeFixed32(bytes + 68), Crc32cExtend(5, {bytes, 68}));
}

TEST(TopicBatchFormat, EveryFlippedBitOfAHeaderIsFound) {
  char bytes[kBatchHeaderBytes];
  EncodeHeader(SomeHeader(), 5, bytes);
  for (size_t bit = 0; bit < 8 * kBatchHeaderBytes; bit++) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    BatchHeader header;
    EXPECT_EQ(DecodeHeader(bytes, 5, &header), HeaderVerdict::kDamaged) << "bit " << bit;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  }
}

TEST(TopicBatchFormat, ABatchOfAnotherLogIsNoBatchOfThisOne) {
  char bytes[kBatchHeaderBytes];
  EncodeHeader(SomeHeader(), SeedOf("topic", 0), bytes);
  BatchHeader header;
  EXPECT_EQ(DecodeHeader(bytes, SeedOf("topic", 1), &header), HeaderVerdict::kDamaged);
  EXPECT_EQ(DecodeHeader(bytes, SeedOf("other", 0), &header), HeaderVerdict::kDamaged);
  EXPECT_EQ(DecodeHeader(bytes, SeedOf("topic", 0), &header), HeaderVerdict::kGood);
}

// Changes a byte and puts the checksum right again.
HeaderVerdict VerdictWith(size_t at, char value) {
  char bytes[kBatchHeaderBytes];
  EncodeHeader(SomeHeader(), 5, bytes);
  bytes[at] = value;
  EncodeFixed32(bytes + 68, Crc32cExtend(5, {bytes, 68}));
  BatchHeader header;
  return DecodeHeader(bytes, 5, &header);
}

TEST(TopicBatchFormat, WhatNoWriterWritesIsDamage) {
  EXPECT_EQ(VerdictWith(4, 2), HeaderVerdict::kNewer);
  EXPECT_EQ(VerdictWith(4, 0), HeaderVerdict::kDamaged);
  EXPECT_EQ(VerdictWith(5, 5), HeaderVerdict::kDamaged) << "a codec there is not";
  EXPECT_EQ(VerdictWith(5, 0x10), HeaderVerdict::kDamaged) << "an attribute there is not";
  EXPECT_EQ(VerdictWith(6, 1), HeaderVerdict::kDamaged);
  EXPECT_EQ(VerdictWith(19, 0x7f), HeaderVerdict::kDamaged) << "a body that is too large";
  EXPECT_EQ(VerdictWith(24, 9), HeaderVerdict::kDamaged) << "a count that does not fit";
  EXPECT_EQ(VerdictWith(5, 0), HeaderVerdict::kDamaged) << "not compressed, yet of two sizes";
  EXPECT_EQ(VerdictWith(5, 0x08), HeaderVerdict::kDamaged) << "a gap with records";
}

TEST(TopicBatchFormat, AGapHasNoRecords) {
  char bytes[kBatchHeaderBytes];
  const BatchHeader gap = {.gap = true, .base_offset = 10, .last_offset_delta = 4};
  EncodeHeader(gap, 5, bytes);
  BatchHeader header;
  ASSERT_EQ(DecodeHeader(bytes, 5, &header), HeaderVerdict::kGood);
  EXPECT_EQ(header.next_offset(), 15u);
}

TEST(TopicRecordFormat, RecordsComeBackAsTheyWere) {
  BodyBuilder body(1000);
  const std::string_view id = "id-1";
  const std::string_view key = "key";
  const uint64_t earlier = 900;
  const uint64_t later = 1000 + (uint64_t{1} << 40);
  const std::vector<BodyBuilder::Header> headers = {{"a", "1"}, {"", ""}, {"b", "two"}};
  body.Add("plain");
  body.Add("", {.id = &id, .key = &key, .timestamp = &earlier, .headers = &headers});
  body.Add(std::string(1000, 'x'), {.timestamp = &later});
  EXPECT_EQ(body.bytes().substr(0, 7), std::string("\0\5plain", 7));

  const char* p = body.bytes().data();
  const char* const limit = p + body.bytes().size();
  RecordView record;
  ASSERT_NE(p = DecodeRecord(p, limit, 1000, &record), nullptr);
  EXPECT_EQ(record.payload, "plain");
  EXPECT_EQ(record.timestamp, 1000u);
  EXPECT_FALSE(record.has_key);
  EXPECT_FALSE(record.has_id);
  ASSERT_NE(p = DecodeRecord(p, limit, 1000, &record), nullptr);
  EXPECT_EQ(record.payload, "");
  EXPECT_EQ(record.id, "id-1");
  EXPECT_EQ(record.key, "key");
  EXPECT_EQ(record.timestamp, 900u);
  EXPECT_EQ(record.header_count, 3u);
  EXPECT_EQ(record.headers, std::string_view("\1a\0011\0\0\1b\3two", 12));
  ASSERT_NE(p = DecodeRecord(p, limit, 1000, &record), nullptr);
  EXPECT_EQ(record.payload.size(), 1000u);
  EXPECT_EQ(record.timestamp, later);
  EXPECT_FALSE(record.has_key);
  EXPECT_EQ(p, limit);

  BodyFacts facts;
  EXPECT_TRUE(CheckBody(body.bytes(), 3, 1000, &facts));
  EXPECT_EQ(facts.max_timestamp, later);
}

TEST(TopicRecordFormat, ABodyIsExactlyItsRecords) {
  BodyBuilder body;
  body.Add("one");
  body.AddWithKey("k", "two");
  BodyFacts facts;
  EXPECT_TRUE(CheckBody(body.bytes(), 2, 0, &facts));
  EXPECT_FALSE(CheckBody(body.bytes(), 1, 0, &facts));
  EXPECT_FALSE(CheckBody(body.bytes(), 3, 0, &facts));
  for (size_t size = 0; size < body.bytes().size(); size++) {
    EXPECT_FALSE(CheckBody(std::string_view(body.bytes()).substr(0, size), 2, 0, &facts)) << size;
  }
}

// Plain records are passed over without being decoded.
TEST(TopicRecordFormat, ABodyIsJudgedAsItsRecordsAreDecodedOneByOne) {
  const auto decoded = [](std::string_view body, uint32_t count, uint64_t* max) {
    const char* p = body.data();
    const char* const limit = p + body.size();
    *max = 0;
    for (uint32_t i = 0; i < count; i++) {
      RecordView record;
      p = DecodeRecord(p, limit, 1000, &record);
      if (p == nullptr) return false;
      *max = i == 0 ? record.timestamp : std::max(*max, record.timestamp);
    }
    return p == limit;
  };
  std::mt19937 random(20'261);
  int good = 0;
  for (int round = 0; round < 3000; round++) {
    BodyBuilder builder(1000);
    for (auto left = 1 + random() % 6; left > 0; left--) {
      constexpr size_t kSizes[] = {0, 1, 2, 126, 127, 128, 129, 300};
      const std::string payload(kSizes[random() % std::size(kSizes)], static_cast<char>(random()));
      const uint64_t time = 990 + random() % 20;
      const std::string_view key = "k";
      builder.Add(payload, {.key = random() % 4 == 0 ? &key : nullptr,
                            .timestamp = random() % 4 == 0 ? &time : nullptr});
    }
    std::string body = builder.bytes();
    if (round % 3 > 0) body[random() % body.size()] = static_cast<char>(random());
    if (round % 5 == 0) body.resize(body.size() - random() % std::min<size_t>(body.size(), 4));
    const auto count = static_cast<uint32_t>(builder.count() - (round % 7 == 0 ? 1 : 0));
    uint64_t max = 0;
    const bool expected = decoded(body, count, &max) && count <= body.size() / 2;
    BodyFacts facts;
    ASSERT_EQ(CheckBody(body, count, 1000, &facts), expected) << round;
    if (!expected || count == 0) continue;
    good++;
    ASSERT_EQ(facts.max_timestamp, max) << round;
  }
  EXPECT_GT(good, 1000);
}

TEST(TopicRecordFormat, PayloadsOfEveryLengthArePassedOver) {
  for (const size_t size : {0u, 127u, 128u, 16'383u, 16'384u, 100'000u}) {
    BodyBuilder body;
    for (int i = 0; i < 3; i++) body.Add(std::string(size, 'x'));
    BodyFacts facts;
    EXPECT_TRUE(CheckBody(body.bytes(), 3, 0, &facts)) << size;
    const std::string_view cut = std::string_view(body.bytes()).substr(0, body.bytes().size() - 1);
    EXPECT_FALSE(CheckBody(cut, 3, 0, &facts)) << size;
  }
}

TEST(TopicRecordFormat, WhatNoWriterWritesIsMalformed) {
  RecordView record;
  const auto decodes = [&](std::string_view bytes) {
    return DecodeRecord(bytes.data(), bytes.data() + bytes.size(), 0, &record) != nullptr;
  };
  EXPECT_TRUE(decodes(std::string_view("\0\1x", 3)));
  EXPECT_FALSE(decodes(std::string_view("\x10\1x", 3))) << "an unknown flag";
  EXPECT_FALSE(decodes(std::string_view("\x08\0\1x", 4))) << "headers without one";
  EXPECT_FALSE(decodes(std::string_view("\x08\xff\xff\xff\xff\x0f\1x", 8))) << "too many headers";
  EXPECT_FALSE(decodes(std::string_view("\0\2x", 3))) << "a payload that is cut";
  EXPECT_FALSE(decodes(std::string_view("\0\xff\xff\xff\xff\xff", 6))) << "a number too long";
}

class TopicCodec : public testing::TestWithParam<Codec> {};

TEST_P(TopicCodec, BodiesComeBackAsTheyWere) {
  std::mt19937 random(1);
  for (const size_t size : {1u, 10u, 1000u, 100'000u, 3'000'000u}) {
    std::string body;
    while (body.size() < size) body += "word " + std::to_string(random() % 100) + " ";
    body.resize(size);
    std::string stored;
    if (!Compress({.codec = GetParam()}, body, &stored)) {
      EXPECT_LE(size, 10u) << "what repeats gets smaller";
      continue;
    }
    EXPECT_LT(stored.size(), body.size());
    std::string raw(size, '\0');
    ASSERT_TRUE(Decompress(GetParam(), stored, raw.data(), raw.size()));
    EXPECT_EQ(raw, body);
    // Neither more nor less, and not from a part.
    std::string other(size + 1, '\0');
    EXPECT_FALSE(Decompress(GetParam(), stored, other.data(), size + 1));
    EXPECT_FALSE(Decompress(GetParam(), stored, other.data(), size - 1));
    EXPECT_FALSE(Decompress(GetParam(), std::string_view(stored).substr(0, stored.size() / 2),
                            raw.data(), raw.size()));
  }
}

TEST_P(TopicCodec, WhatDoesNotGetSmallerIsNotCompressed) {
  std::mt19937 random(1);
  std::string noise(10'000, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  std::string stored;
  EXPECT_FALSE(Compress({.codec = GetParam()}, noise, &stored));
}

INSTANTIATE_TEST_SUITE_P(All, TopicCodec,
                         testing::Values(Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd),
                         [](const auto& info) { return std::string(CodecName(info.param)); });

TEST(TopicIndex, FindsTheLastEntryAtOrBefore) {
  std::vector<OffsetEntry> offsets;
  std::vector<TimeEntry> times;
  for (uint32_t i = 0; i < 1000; i++) {
    offsets.push_back({10 * i, 5000 * i});
    times.push_back({i == 0 ? 0 : 100 + 10 * i, 10 * i, 5000 * i});
  }
  uint64_t probes = 0;
  for (uint64_t offset = 1000; offset < 11'000; offset++) {
    const IndexPoint point = FindOffset(offsets, 1000, offset, &probes);
    ASSERT_EQ(point.offset, offset / 10 * 10);
    ASSERT_EQ(point.position, (offset - 1000) / 10 * 5000);
  }
  EXPECT_LE(probes, 10'000u * 10) << "a binary search over 1,000 entries";
  EXPECT_EQ(FindTime(times, 1000, 0, &probes).position, 0u);
  EXPECT_EQ(FindTime(times, 1000, 110, &probes).position, 0u);
  EXPECT_EQ(FindTime(times, 1000, 111, &probes).position, 5000u);
  EXPECT_EQ(FindTime(times, 1000, 1'000'000, &probes).position, 999u * 5000);
  EXPECT_EQ(FindOffset({}, 1000, 1005, &probes).offset, 1000u);
}

TEST(TopicIndex, HasAnEntryEveryFourKibibytes) {
  IndexBuilder builder(100);
  uint64_t position = 0;
  for (uint32_t i = 0; i < 100; i++) {
    const BatchHeader header = {.base_offset = 100 + i,
                                .body_bytes = 928,
                                .raw_bytes = 928,
                                .count = 1,
                                .last_offset_delta = 0,
                                .max_timestamp = 1000 - i};
    builder.Add(header, position);
    position += header.total_bytes();
  }
  EXPECT_EQ(builder.summary().bytes, 100'000u);
  EXPECT_EQ(builder.summary().end_offset, 200u);
  EXPECT_EQ(builder.summary().records, 100u);
  EXPECT_EQ(builder.summary().max_timestamp, 1000u);
  ASSERT_EQ(builder.offsets().size(), 20u);
  EXPECT_EQ(builder.offsets()[1].delta, 5u);
  EXPECT_EQ(builder.offsets()[1].position, 5000u);
  EXPECT_EQ(builder.times()[0].max_before, 0u);
  EXPECT_EQ(builder.times()[1].max_before, 1000u);
}

TEST(TopicIndex, AFileIsTakenOnlyWholeAndForItsLog) {
  TempFolder folder;
  const std::string offset_path = folder / "a.index";
  const std::string time_path = folder / "a.timeindex";
  IndexBuilder builder(7);
  for (uint32_t i = 0; i < 10; i++) {
    builder.Add({.base_offset = 7 + i, .body_bytes = 5000, .count = 1}, 5072 * i);
  }
  ASSERT_THAT(builder.Finish()->Save(offset_path, time_path), IsOk());
  std::shared_ptr<const SegmentIndex> index;
  ASSERT_THAT(SegmentIndex::Load(offset_path, time_path, 7, 50'720, &index), IsOk());
  EXPECT_EQ(index->summary().end_offset, 17u);
  EXPECT_EQ(index->offsets().size(), 10u);
  EXPECT_EQ(index->times().size(), 10u);
  EXPECT_THAT(SegmentIndex::Load(offset_path, time_path, 7, 50'721, &index),
              HasCode(Code::kCorruption));
  EXPECT_THAT(SegmentIndex::Load(offset_path, time_path, 8, 50'720, &index),
              HasCode(Code::kCorruption));
  for (const std::string& path : {offset_path, time_path}) {
    const std::string good = test::ReadFile(path);
    for (size_t bit = 0; bit < 8 * good.size(); bit++) {
      std::string bad = good;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
      test::WriteFile(path, bad);
      ASSERT_THAT(SegmentIndex::Load(offset_path, time_path, 7, 50'720, &index),
                  HasCode(Code::kCorruption))
          << path << " bit " << bit;
    }
    for (size_t size = 0; size < good.size(); size++) {
      test::WriteFile(path, std::string_view(good).substr(0, size));
      ASSERT_THAT(SegmentIndex::Load(offset_path, time_path, 7, 50'720, &index),
                  HasCode(Code::kCorruption));
    }
    test::WriteFile(path, good);
  }
}

TEST(TopicProducerTable, KnowsWhatIsNewRepeatedAndTooOld) {
  ProducerTable table;
  uint64_t offset = 0;
  EXPECT_EQ(table.Judge(1, 5, &offset), ProducerTable::Verdict::kNew);
  for (uint64_t sequence = 5; sequence < 25; sequence += 2) {
    table.Record(1, sequence, 100 * sequence);
  }
  EXPECT_EQ(table.Judge(1, 25, &offset), ProducerTable::Verdict::kNew);
  EXPECT_EQ(table.Judge(2, 5, &offset), ProducerTable::Verdict::kNew);
  EXPECT_EQ(table.Judge(1, 23, &offset), ProducerTable::Verdict::kRepeated);
  EXPECT_EQ(offset, 2300u);
  EXPECT_EQ(table.Judge(1, 9, &offset), ProducerTable::Verdict::kRepeated) << "the eighth last";
  EXPECT_EQ(table.Judge(1, 7, &offset), ProducerTable::Verdict::kTooOld);
  EXPECT_EQ(table.Judge(1, 22, &offset), ProducerTable::Verdict::kTooOld) << "never sent";
  uint64_t sequence = 0;
  EXPECT_TRUE(table.Last(1, &sequence));
  EXPECT_EQ(sequence, 23u);
  EXPECT_FALSE(table.Last(3, &sequence));
}

TEST(TopicProducerTable, ComesBackAsItWasOrNotAtAll) {
  ProducerTable table;
  for (uint64_t id = 1; id <= 20; id++) {
    for (uint64_t sequence = 0; sequence < id; sequence++)
      table.Record(id, sequence, id * sequence);
  }
  const std::string encoded = table.Encode();
  ProducerTable copy;
  ASSERT_TRUE(copy.Decode(encoded));
  EXPECT_EQ(copy.Encode(), encoded);
  uint64_t offset = 0;
  EXPECT_EQ(copy.Judge(20, 15, &offset), ProducerTable::Verdict::kRepeated);
  EXPECT_EQ(offset, 300u);
  for (size_t bit = 0; bit < 8 * encoded.size(); bit++) {
    std::string bad = encoded;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(copy.Decode(bad)) << "bit " << bit;
  }
}

TEST(TopicProducerTable, ForgetsTheLeastRecentlyUsed) {
  ProducerTable table;
  for (uint64_t id = 1; id <= ProducerTable::kMaxProducers; id++) table.Record(id, 1, id);
  table.Record(1, 2, 0);
  table.Record(99'999, 1, 0);
  EXPECT_EQ(table.size(), ProducerTable::kMaxProducers);
  uint64_t sequence = 0;
  EXPECT_TRUE(table.Last(1, &sequence));
  EXPECT_FALSE(table.Last(2, &sequence));
}

}  // namespace
}  // namespace thermocline::topic
