// The topics of one database: creating, opening, listing and deleting them, and what they share.
//
//   TopicStore      which topics there are                        <folder>/<topic>/
//   Appender        the threads that write and sync               appender.h
//   Topic           settings, partitions                          topic.h
//   Partition       one log                                       partition.h, partition_reader.h
//   ConsumerGroups  who reads what, and how far they have come    consumer_groups.h
//
// A database whose topics nobody opens has no threads and no files for them. Topics are opened when
// somebody asks for them and stay open until the database closes.
//
// Thread safety: all methods from any thread; they may block on the disk.
// Ownership: one per engine. REQUIRES: Close is called before the storage of the groups closes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/status.h"
#include "engine/topic/appender.h"
#include "engine/topic/check.h"
#include "engine/topic/consumer_groups.h"
#include "engine/topic/topic.h"
#include "engine/topic/topic_metrics.h"

namespace thermocline::topic {

class TopicStore {
 public:
  struct Options {
    std::string folder;  // need not exist
    bool read_only = false;
    bool after_power_loss = false;
    Appender::Options appender;
  };
  struct Dependencies {
    std::function<uint64_t()> now_ms;
    std::function<Status(File*)> sync;  // null: File::Sync
    ConsumerGroups::Storage offsets;
  };

  TopicStore(Options options, Dependencies dependencies);
  ~TopicStore() { Close(); }
  TopicStore(const TopicStore&) = delete;
  TopicStore& operator=(const TopicStore&) = delete;

  // A topic's name: 1 to 200 of A-Z a-z 0-9 . _ -, and not a dot at the beginning.
  static Status CheckName(const std::string& name);

  // ERR_INVALID_ARGUMENT: a name or setting that cannot be, or a topic that exists. ERR_READ_ONLY.
  Status Create(const std::string& name, const TopicOptions& options, std::shared_ptr<Topic>* out);
  // ERR_NOT_FOUND, ERR_CORRUPTION, ERR_FORMAT_VERSION.
  Status Open(const std::string& name, std::shared_ptr<Topic>* out);
  // Opens every topic, so that what a loss of power did to them is put right. One that cannot be
  // opened says so to whoever asks for it.
  void OpenAll();
  // Closes the topics that are open, so that they can be checked and repaired. REQUIRES: nobody
  // holds one; the engine's opening.
  void CloseOpened();
  // In alphabetical order.
  Status List(std::vector<std::string>* names) const;
  // Its messages go; who still holds some keeps those. ERR_NOT_FOUND, ERR_READ_ONLY.
  Status Delete(const std::string& name);
  // Reads every byte of a topic that nobody has opened here (check.h). ERR_LOCKED, ERR_NOT_FOUND.
  Status Check(const std::string& name, TopicReport* report);
  // Rewrites what is damaged, or everything. ERR_LOCKED, ERR_NOT_FOUND, ERR_READ_ONLY.
  Status Repair(const std::string& name, const RepairOptions& options, TopicRepair* repair);
  // New settings for an open topic, partitions included.
  Status Configure(const std::shared_ptr<Topic>& topic, const TopicOptions& options);

  // Memory for the body of an append.
  BodyPool::Body NewBody(size_t size) { return bodies_->Take(size); }
  // See Appender. ERR_READ_ONLY.
  Status Append(std::unique_ptr<AppendSubmission> submission);
  // Rolls, syncs and deletes what is due, now.
  Status Upkeep();

  ConsumerGroups& groups() { return groups_; }
  TopicMetrics& metrics() { return *metrics_; }
  const std::string& folder() const { return options_.folder; }

  // Finishes what was accepted, syncs every partition, wakes everyone who waits. Idempotent.
  void Close();

  // Deletes the topics in a folder, and the folder if nothing else is in it.
  static Status Destroy(const std::string& folder);

 private:
  std::string PathOf(const std::string& name) const { return options_.folder + "/" + name; }
  Status OpenLocked(const std::string& name, std::shared_ptr<Topic>* out);
  Status CheckWritable() const;
  Status CheckClosed(const std::string& name) const;
  std::shared_ptr<Appender> StartAppender();
  std::vector<std::shared_ptr<Topic>> OpenTopics() const;

  const Options options_;
  const Dependencies deps_;
  // Shared with partitions that outlive the store in the hands of readers.
  const std::shared_ptr<TopicMetrics> metrics_ = std::make_shared<TopicMetrics>();
  const std::shared_ptr<BodyPool> bodies_ = std::make_shared<BodyPool>();
  ConsumerGroups groups_;

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Topic>> topics_;  // GUARDED_BY(mutex_)
  std::shared_ptr<Appender> appender_;                    // GUARDED_BY(mutex_)
  bool closed_ = false;                                   // GUARDED_BY(mutex_)
};

}  // namespace thermocline::topic
