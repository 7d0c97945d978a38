#include "engine/topic/topic_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/platform/file.h"

namespace thermocline::topic {

namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxNameBytes = 200;

bool IsPartitionName(const std::string& name) {
  uint32_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  return error == std::errc() && end == name.data() + name.size() && index < kMaxPartitions;
}

bool IsPartitionFile(const std::string& name) {
  uint64_t base = 0;
  return name.ends_with(".tmp") || ParseSegmentFileName(name, kLogSuffix, &base) ||
         ParseSegmentFileName(name, kIndexSuffix, &base) ||
         ParseSegmentFileName(name, kTimeIndexSuffix, &base) ||
         ParseSegmentFileName(name, kProducersSuffix, &base);
}

std::vector<std::string> NamesIn(const std::string& folder, std::error_code* error) {
  std::vector<std::string> names;
  for (fs::directory_iterator entry(folder, *error), end; !*error && entry != end;
       entry.increment(*error)) {
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Deletes what a topic's folder holds, after its file `topic`, so that what a crash leaves is known
// to be no topic. Files of others stay, and their folders.
Status RemoveTopic(const std::string& folder) {
  const std::string config = folder + "/" + std::string(kTopicFile);
  if (unlink(config.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "deleting", config);
  Status status = SyncFolder(folder);
  if (!status.ok()) return status;
  unlink((config + ".tmp").c_str());
  std::error_code error;
  for (const std::string& partition : NamesIn(folder, &error)) {
    if (!IsPartitionName(partition)) continue;
    const std::string path = folder + "/" + partition;
    for (const std::string& name : NamesIn(path, &error)) {
      if (IsPartitionFile(name)) fs::remove(path + "/" + name, error);
    }
    fs::remove(path, error);
  }
  fs::remove(folder, error);
  return {};
}

bool IsTopic(const std::string& folder) {
  std::error_code error;
  return fs::exists(folder + "/" + std::string(kTopicFile), error);
}

}  // namespace

TopicStore::TopicStore(Options options, Dependencies dependencies)
    : options_(std::move(options)), deps_(std::move(dependencies)), groups_(deps_.offsets) {}

Status TopicStore::CheckName(const std::string& name) {
  const bool good = !name.empty() && name.size() <= kMaxNameBytes && name[0] != '.' &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
                    });
  if (good) return {};
  return {Code::kInvalidArgument,
          "a topic's name has 1 to 200 of the characters A-Z a-z 0-9 . _ - and does not begin with "
          "a dot"};
}

Status TopicStore::CheckWritable() const {
  if (options_.read_only) return {Code::kReadOnly, "the database is open read-only"};
  return {};
}

Status TopicStore::Create(const std::string& name, const TopicOptions& options,
                          std::shared_ptr<Topic>* out) {
  Status status = CheckName(name);
  if (status.ok()) status = CheckTopicOptions(options);
  if (status.ok()) status = CheckWritable();
  if (!status.ok()) return status;
  std::lock_guard lock(mutex_);
  if (closed_) return {Code::kClosed, "the database is closed"};
  if (IsTopic(PathOf(name))) {
    return {Code::kInvalidArgument, "the topic '" + name + "' exists already"};
  }
  if (mkdir(options_.folder.c_str(), 0755) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, "creating the folder", options_.folder);
  }
  // What a crash has left of an earlier creation or deletion.
  std::error_code error;
  if (fs::exists(PathOf(name), error)) status = RemoveTopic(PathOf(name));
  if (status.ok()) status = Topic::Create(PathOf(name), options);
  if (status.ok()) status = SyncFolder(options_.folder);
  if (status.ok()) status = SyncFolder(fs::path(options_.folder).parent_path().string());
  return status.ok() ? OpenLocked(name, out) : status;
}

Status TopicStore::Open(const std::string& name, std::shared_ptr<Topic>* out) {
  Status status = CheckName(name);
  if (!status.ok()) return status;
  std::lock_guard lock(mutex_);
  if (closed_) return {Code::kClosed, "the database is closed"};
  return OpenLocked(name, out);
}

// REQUIRES: mutex_.
Status TopicStore::OpenLocked(const std::string& name, std::shared_ptr<Topic>* out) {
  const auto known = topics_.find(name);
  if (known != topics_.end()) {
    *out = known->second;
    return {};
  }
  Topic::Environment environment;
  environment.partitions = {.now_ms = deps_.now_ms, .sync = deps_.sync, .metrics = metrics_};
  environment.read_only = options_.read_only;
  environment.after_power_loss = options_.after_power_loss;
  Status status = Topic::Open(PathOf(name), name, std::move(environment), out);
  if (status.ok()) topics_[name] = *out;
  return status;
}

void TopicStore::OpenAll() {
  std::vector<std::string> names;
  if (!List(&names).ok()) return;
  for (const std::string& name : names) {
    std::shared_ptr<Topic> topic;
    (void)Open(name, &topic);
  }
}

void TopicStore::CloseOpened() {
  for (const auto& topic : OpenTopics()) {
    for (const auto& partition : topic->partitions()) (void)partition->Sync();
  }
  std::lock_guard lock(mutex_);
  topics_.clear();
}

Status TopicStore::List(std::vector<std::string>* names) const {
  names->clear();
  std::error_code error;
  for (std::string& name : NamesIn(options_.folder, &error)) {
    if (CheckName(name).ok() && IsTopic(PathOf(name))) names->push_back(std::move(name));
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return ErrnoStatus(error.value(), "reading the folder", options_.folder);
  }
  return {};
}

Status TopicStore::Delete(const std::string& name) {
  Status status = CheckName(name);
  if (status.ok()) status = CheckWritable();
  if (!status.ok()) return status;
  std::shared_ptr<Topic> topic;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return {Code::kClosed, "the database is closed"};
    if (!IsTopic(PathOf(name))) return {Code::kNotFound, "there is no topic '" + name + "'"};
    const auto known = topics_.find(name);
    if (known != topics_.end()) {
      topic = std::move(known->second);
      topics_.erase(known);
    }
    status = RemoveTopic(PathOf(name));
  }
  if (topic) topic->Retire({Code::kNotFound, "the topic '" + name + "' was deleted"});
  return status;
}

// REQUIRES: mutex_.
Status TopicStore::CheckClosed(const std::string& name) const {
  Status status = CheckName(name);
  if (!status.ok()) return status;
  if (closed_) return {Code::kClosed, "the database is closed"};
  if (topics_.contains(name)) {
    return {Code::kLocked, "the topic '" + name +
                               "' is open: check and repair it before anybody opens it, or close "
                               "the database first"};
  }
  if (!IsTopic(PathOf(name))) return {Code::kNotFound, "there is no topic '" + name + "'"};
  return {};
}

// Both hold the lock, so that nobody opens the topic meanwhile.
Status TopicStore::Check(const std::string& name, TopicReport* report) {
  std::lock_guard lock(mutex_);
  Status status = CheckClosed(name);
  return status.ok() ? CheckTopic(PathOf(name), report) : status;
}

Status TopicStore::Repair(const std::string& name, const RepairOptions& options,
                          TopicRepair* repair) {
  std::lock_guard lock(mutex_);
  Status status = CheckWritable();
  if (status.ok()) status = CheckClosed(name);
  return status.ok() ? RepairTopic(PathOf(name), options, repair) : status;
}

Status TopicStore::Configure(const std::shared_ptr<Topic>& topic, const TopicOptions& options) {
  Status status = CheckWritable();
  if (status.ok()) status = topic->Configure(options);
  if (status.ok()) groups_.SetPartitions(topic->id(), options.partitions);
  return status;
}

std::shared_ptr<Appender> TopicStore::StartAppender() {
  std::lock_guard lock(mutex_);
  if (!appender_ && !closed_) {
    appender_ = std::make_shared<Appender>(options_.appender, [this] {
      bodies_->Tidy();
      return OpenTopics();
    });
  }
  return closed_ ? nullptr : appender_;
}

std::vector<std::shared_ptr<Topic>> TopicStore::OpenTopics() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Topic>> topics;
  for (const auto& [name, topic] : topics_) topics.push_back(topic);
  return topics;
}

Status TopicStore::Append(std::unique_ptr<AppendSubmission> submission) {
  Status status = CheckWritable();
  if (!status.ok()) return status;
  const std::shared_ptr<Appender> appender = StartAppender();
  if (!appender) return {Code::kClosed, "the database is closed"};
  return appender->Submit(std::move(submission));
}

Status TopicStore::Upkeep() {
  Status status = CheckWritable();
  if (!status.ok()) return status;
  const std::shared_ptr<Appender> appender = StartAppender();
  if (!appender) return {Code::kClosed, "the database is closed"};
  return appender->Upkeep();
}

void TopicStore::Close() {
  std::shared_ptr<Appender> appender;
  std::map<std::string, std::shared_ptr<Topic>> topics;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    appender = std::move(appender_);
    topics.swap(topics_);
  }
  if (appender) appender->Stop();
  for (const auto& [name, topic] : topics) {
    // Appends asked for no more than 'wal', so nobody is owed this; but it writes the indexes.
    if (appender) {
      for (const auto& partition : topic->partitions()) (void)partition->Sync();
    }
    topic->Retire({Code::kClosed, "the database is closed"});
  }
}

Status TopicStore::Destroy(const std::string& folder) {
  std::error_code error;
  for (const std::string& name : NamesIn(folder, &error)) {
    const std::string path = folder + "/" + name;
    if (CheckName(name).ok() && fs::is_directory(path, error)) {
      Status status = RemoveTopic(path);
      if (!status.ok()) return status;
    }
  }
  fs::remove(folder, error);
  return {};
}

}  // namespace thermocline::topic
