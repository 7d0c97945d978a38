// The engine's topics against plain C++ writing and reading of the same bytes, in one run.
//
//   topic_log <dir> <append MB> <read MB> <seek MB>
//
// append: 100-byte messages in batches of 1,000, eight outstanding, acknowledged from the page
// cache.
//   plain: pwrite of segments of the same sizes in pieces of the same size, out of eight buffers.
// read: 1 KB messages, uncompressed, 1 MB at a time, every checksum verified, every payload's
//   last byte looked at. plain: read(2) of the same files into a buffer of 1 MB, a byte of each KB
//   looked at.
// seek: by offset and by time, in logs of a hundredth, a tenth and all of <seek MB>: entries of the
//   index compared, bytes of log walked, time.
// Rounds take turns, after one that does not count; each figure is the median. One line of JSON on
// stdout.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/platform/time.h"
#include "engine/topic/partition_reader.h"
#include "engine/topic/record_format.h"
#include "engine/topic/topic_store.h"

namespace thermocline::bench {
namespace {

using topic::PartitionReader;
using topic::ReadResult;
using topic::Topic;
using topic::TopicStore;

constexpr int kRounds = 5;
constexpr size_t kBatch = 1000;
constexpr size_t kOutstanding = 8;

void Check(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::exit(1);
}
void Check(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "topic_log: %s\n", std::string(status.message()).c_str());
  std::exit(1);
}

double Seconds(const std::function<void()>& work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::unique_ptr<TopicStore> OpenStore(const std::string& folder) {
  return std::make_unique<TopicStore>(
      TopicStore::Options{
          .folder = folder, .read_only = false, .after_power_loss = false, .appender = {}},
      TopicStore::Dependencies{
          .now_ms = SystemMillis,
          .sync = nullptr,
          .offsets = {.get = [](std::string_view, std::string*, bool*) { return Status(); },
                      .put = [](std::string_view, std::string, bool) { return Status(); }}});
}

// A batch's body, as JavaScript packs it.
std::string BodyOf(size_t payload_bytes, size_t count) {
  topic::BodyBuilder body;
  for (size_t i = 0; i < count; i++) {
    body.Add(std::string(payload_bytes, static_cast<char>('a' + i % 26)));
  }
  return body.bytes();
}

// Appends whole batches through the store's threads and waits for all of them.
void Append(TopicStore* store, const std::shared_ptr<Topic>& topic, const std::string& body,
            size_t messages, size_t batches, uint64_t first_timestamp = 0) {
  std::mutex mutex;
  std::condition_variable changed;
  size_t outstanding = 0;
  for (size_t i = 0; i < batches; i++) {
    auto append = std::make_unique<topic::AppendSubmission>();
    append->topic = topic;
    append->size = body.size();
    append->body = store->NewBody(body.size());
    std::memcpy(append->body.get(), body.data(), body.size());
    append->count = static_cast<uint32_t>(messages);
    append->first_timestamp = first_timestamp == 0 ? 0 : first_timestamp + i;
    append->done = [&](const Status& status, const topic::AppendOutcome&) {
      Check(status);
      std::lock_guard lock(mutex);
      outstanding--;
      changed.notify_one();
    };
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return outstanding < kOutstanding; });
      outstanding++;
    }
    Check(store->Append(std::move(append)));
  }
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return outstanding == 0; });
}

std::vector<std::string> LogFiles(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".log") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The bytes of a batch as they reach a file, in as many buffers as appends are outstanding: as a
// program would hold them that has messages to write and does nothing but write.
class PlainBatches {
 public:
  explicit PlainBatches(const std::string& body)
      : buffers_(kOutstanding, std::string(topic::kBatchHeaderBytes, 'h') + body) {}

  // As many batches as each segment had.
  void Write(const std::string& folder, const std::vector<uint64_t>& sizes) const {
    size_t turn = 0;
    for (size_t i = 0; i < sizes.size(); i++) {
      const std::string path = folder + "/plain" + std::to_string(i);
      const int fd = open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
      Check(fd >= 0, "open");
      for (uint64_t at = 0; at < sizes[i];) {
        const std::string& batch = buffers_[turn++ % kOutstanding];
        Check(pwrite(fd, batch.data(), batch.size(), static_cast<off_t>(at)) ==
                  static_cast<ssize_t>(batch.size()),
              "pwrite");
        at += batch.size();
      }
      close(fd);
    }
  }

 private:
  const std::vector<std::string> buffers_;
};

// A byte of each message's length is looked at, as the other side does.
uint64_t PlainRead(const std::vector<std::string>& files, std::vector<char>* buffer) {
  uint64_t sum = 0;
  for (const std::string& file : files) {
    const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    Check(fd >= 0, "open");
    for (ssize_t got = 0; (got = read(fd, buffer->data(), buffer->size())) > 0;) {
      for (ssize_t at = 0; at < got; at += 1024)
        sum += static_cast<uint8_t>((*buffer)[static_cast<size_t>(at)]);
    }
    close(fd);
  }
  return sum;
}

uint64_t ReadAll(const std::shared_ptr<topic::Partition>& partition) {
  PartitionReader reader(partition);
  uint64_t messages = 0;
  uint64_t sum = 0;
  for (;;) {
    ReadResult result;
    Check(reader.Read({.max_bytes = 1 << 20}, &result));
    if (result.batches.empty()) break;
    for (const topic::BatchView& batch : result.batches) {
      const char* p = result.block->data() + batch.begin;
      const char* const limit = p + batch.size;
      topic::RecordView record;
      for (uint32_t i = 0; i < batch.count; i++) {
        p = topic::DecodeRecord(p, limit, batch.first_timestamp, &record);
        sum += static_cast<uint8_t>(record.payload.back());
      }
      messages += batch.count;
    }
  }
  Check(sum > 0, "nothing was read");
  return messages;
}

// Two ways to do the same, in turns: one round of each to warm up, then kRounds in which each goes
// first as often as the other (but for one). Both return the seconds it took.
class Duel {
 public:
  template <class Ours, class Plain>
  Duel(Ours&& ours, Plain&& plain) {
    ours();
    plain();
    for (int round = 0; round < kRounds; round++) {
      const bool ours_first = round % 2 == 0;
      if (ours_first) ours_.push_back(ours());
      plain_.push_back(plain());
      if (!ours_first) ours_.push_back(ours());
      ratios_.push_back(plain_.back() / ours_.back());
    }
    std::sort(ratios_.begin(), ratios_.end());
  }

  // The ratio is the median of those of the rounds, whose two halves stand next to each other.
  void Print(double messages, double bytes) const {
    std::printf(
        "{\"messages\":%.0f,\"perSecond\":%.0f,\"gbPerSecond\":%.3f,\"plainGbPerSecond\":%.3f,"
        "\"ratio\":%.3f,\"lowestRatio\":%.3f,\"highestRatio\":%.3f}",
        messages, messages / Median(ours_), bytes / Median(ours_) / 1e9,
        bytes / Median(plain_) / 1e9, Median(ratios_), ratios_.front(), ratios_.back());
  }

 private:
  std::vector<double> ours_;
  std::vector<double> plain_;
  std::vector<double> ratios_;
};

void AppendTrial(const std::string& dir, uint64_t megabytes) {
  const std::string body = BodyOf(100, kBatch);
  const size_t batches = static_cast<size_t>((megabytes << 20) / body.size());
  const PlainBatches plain_batches(body);
  const std::string folder = dir + "/append";
  std::vector<uint64_t> sizes;
  const auto ours = [&] {
    auto store = OpenStore(folder);
    std::shared_ptr<Topic> topic;
    Check(store->Create("t", {}, &topic));
    const double seconds = Seconds([&] { Append(store.get(), topic, body, kBatch, batches); });
    sizes.clear();
    for (const auto& segment : topic->partition(0)->Segments()) sizes.push_back(segment.bytes);
    topic.reset();
    store.reset();
    std::filesystem::remove_all(folder);
    return seconds;
  };
  const auto plain = [&] {
    std::filesystem::create_directories(folder);
    const double seconds = Seconds([&] { plain_batches.Write(folder, sizes); });
    std::filesystem::remove_all(folder);
    return seconds;
  };
  const Duel duel(ours, plain);
  std::printf("\"append\":");
  duel.Print(static_cast<double>(batches) * kBatch,
             static_cast<double>(batches) * static_cast<double>(body.size()));
}

void ReadTrial(const std::string& dir, uint64_t megabytes) {
  const std::string folder = dir + "/read";
  auto store = OpenStore(folder);
  std::shared_ptr<Topic> topic;
  Check(store->Create("t", {}, &topic));
  const std::string body = BodyOf(1024, 100);
  const size_t batches = static_cast<size_t>((megabytes << 20) / body.size());
  Append(store.get(), topic, body, 100, batches);
  Check(topic->partition(0)->Sync());
  const std::vector<std::string> files = LogFiles(folder + "/t/0");
  double bytes = 0;
  for (const auto& segment : topic->partition(0)->Segments()) {
    bytes += static_cast<double>(segment.bytes);
  }
  std::vector<char> buffer(1 << 20);
  uint64_t messages = 0;
  uint64_t sum = 0;
  const Duel duel([&] { return Seconds([&] { messages = ReadAll(topic->partition(0)); }); },
                  [&] { return Seconds([&] { sum += PlainRead(files, &buffer); }); });
  Check(messages == batches * 100, "messages are missing");
  Check(sum > 0, "nothing was read");
  std::printf(",\"read\":");
  duel.Print(static_cast<double>(messages), bytes);
  topic.reset();
  store.reset();
  std::filesystem::remove_all(folder);
}

void SeekTrial(const std::string& dir, uint64_t megabytes) {
  const std::string folder = dir + "/seek";
  auto store = OpenStore(folder);
  std::shared_ptr<Topic> topic;
  Check(store->Create("t", {}, &topic));
  const std::string body = BodyOf(1024, 100);
  constexpr uint64_t kFirstMs = 1'700'000'000'000;
  uint64_t appended = 0;
  std::printf(",\"seek\":[");
  const char* separator = "";
  for (const uint64_t part : {uint64_t{100}, uint64_t{10}, uint64_t{1}}) {
    const uint64_t batches = (megabytes << 20) / part / body.size();
    Append(store.get(), topic, body, 100, static_cast<size_t>(batches - appended),
           kFirstMs + appended);
    appended = batches;
    for (const bool by_time : {false, true}) {
      constexpr int kSeeks = 2000;
      const uint64_t probes = store->metrics().index_probes.Total();
      const uint64_t walked = store->metrics().walked_bytes.Total();
      std::vector<double> micros;
      uint64_t seed = 88172645463325252;
      for (int i = 0; i < kSeeks; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        const uint64_t batch = seed % appended;
        micros.push_back(1e6 * Seconds([&] {
                           PartitionReader reader(topic->partition(0));
                           if (by_time) {
                             Check(reader.SeekTime(kFirstMs + batch));
                           } else {
                             reader.Seek(batch * 100);
                           }
                           ReadResult result;
                           Check(reader.Read({.max_bytes = 1}, &result));
                           Check(result.batches.front().base_offset == batch * 100,
                                 "the wrong place");
                         }));
      }
      std::printf(
          "%s{\"logBytes\":%llu,\"by\":\"%s\",\"indexProbes\":%.2f,\"walkedBytes\":%.0f,"
          "\"microseconds\":%.2f}",
          separator, static_cast<unsigned long long>(topic->partition(0)->bytes()),
          by_time ? "time" : "offset",
          static_cast<double>(store->metrics().index_probes.Total() - probes) / kSeeks,
          static_cast<double>(store->metrics().walked_bytes.Total() - walked) / kSeeks,
          Median(micros));
      separator = ",";
    }
  }
  std::printf("]");
  topic.reset();
  store.reset();
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace thermocline::bench

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "topic_log <dir> <append MB> <read MB> <seek MB>\n");
    return 2;
  }
  const auto megabytes = [&](int i) { return std::strtoull(argv[i], nullptr, 10); };
  std::filesystem::create_directories(argv[1]);
  std::printf("{");
  thermocline::bench::AppendTrial(argv[1], megabytes(2));
  if (megabytes(3) > 0) thermocline::bench::ReadTrial(argv[1], megabytes(3));
  if (megabytes(4) > 0) thermocline::bench::SeekTrial(argv[1], megabytes(4));
  std::printf("}\n");
  return 0;
}
