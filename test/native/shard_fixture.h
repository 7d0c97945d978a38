// An engine whose shards are split, merged, frozen, thawed and killed, and the map that it must
// agree with.
#pragma once

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/shard/resharder.h"
#include "engine/snapshot/shard_freezer.h"
#include "raw_store.h"
#include "tier_fixture.h"

namespace thermocline::test {

using Model = std::map<std::string, std::string>;

inline std::vector<Record> RecordsOf(const Model& model) { return {model.begin(), model.end()}; }

// The shard families of a store, as its files say.
inline std::set<std::string> ShardFamiliesOf(const std::string& directory) {
  std::vector<std::string> names = FamiliesOf(directory);
  std::erase_if(names, [](const std::string& name) { return !name.starts_with("shard_"); });
  return {names.begin(), names.end()};
}

class ShardTest : public TierTest {
 protected:
  void Fill(int records, const std::string& prefix = "key") {
    PackedWrites writes;
    for (int i = 0; i < records; i++) {
      const std::string key = prefix + std::to_string(i);
      model_[key] = "value of " + key;
      writes.Put(key, model_[key]);
    }
    ASSERT_THAT(Write(engine(), writes), IsOk());
  }
  std::future<Status> Submit(const PackedWrites& writes, bool atomic = true) {
    auto done = std::make_shared<std::promise<Status>>();
    std::unique_ptr<Submission> submission = writes.ToSubmission(atomic);
    submission->done = [done](const Status& status) { done->set_value(status); };
    EXPECT_THAT(engine()->Submit(std::move(submission)), IsOk());
    return done->get_future();
  }

  Status Split(uint32_t id, std::optional<uint16_t> at = std::nullopt,
               ReshardControl* control = nullptr) {
    return Reshard({.split = true, .id = id, .other = 0, .at = at}, control);
  }
  Status Merge(uint32_t a, uint32_t b, ReshardControl* control = nullptr) {
    return Reshard({.split = false, .id = a, .other = b, .at = std::nullopt}, control);
  }
  Status Reshard(const ReshardRequest& request, ReshardControl* control = nullptr) {
    ReshardControl own;
    ids_.clear();
    return engine()->resharder()->Run(request, control ? control : &own, &ids_);
  }
  Status Freeze(uint32_t id) {
    SnapshotControl control;
    return engine()->freezer()->Freeze(id, &control);
  }
  Status Thaw(uint32_t id) {
    SnapshotControl control;
    return engine()->freezer()->Thaw(id, &control);
  }

  std::vector<ShardInfo> ShardsNow() { return engine()->NewView()->shards()->table.shards(); }
  ShardInfo InfoOf(uint32_t id) {
    const ShardTable table = engine()->NewView()->shards()->table;
    return table.shards().at(static_cast<size_t>(table.IndexOfId(id)));
  }
  // The n-th of the keys "key0", "key1" and so on that a shard has.
  std::string KeyIn(uint32_t id, int n = 0) {
    const ShardTable table = engine()->NewView()->shards()->table;
    for (int i = 0;; i++) {
      std::string key = "key" + std::to_string(i);
      if (table.shards()[static_cast<size_t>(table.IndexOfKey(key))].id == id && n-- == 0) {
        return key;
      }
    }
  }
  std::set<std::string> NamedFamilies() {
    std::set<std::string> names;
    for (const ShardInfo& shard : ShardsNow()) {
      names.insert(ShardColumnFamilyName(shard.id, shard.generation));
    }
    return names;
  }
  std::set<std::string> Archives() const {
    std::set<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(archives_, error)) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }

  void ExpectSound() {
    VerifyReport report;
    ASSERT_THAT(engine()->Verify(&report), IsOk());
    EXPECT_EQ(report.problem_count, 0u) << (report.problems.empty() ? "" : report.problems[0]);
  }
  void ExpectModel() {
    EXPECT_EQ(Scan(engine()), RecordsOf(model_));
    ExpectSound();
  }

  // Does `work` on the closed database in a process of its own, in which another thread puts "1",
  // "2" and so on as `beside`, from before `work` begins. `work` has to end the process by SIGKILL.
  // Returns the last number that was acknowledged.
  int RunUntilKilled(const std::string& beside, const std::function<void(Engine*)>& work) {
    void* const shared = mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(shared, MAP_FAILED);
    auto* const written = new (shared) std::atomic<int>(0);
    const pid_t child = fork();
    if (child == 0) {
      EngineOptions options = SmallOptions(0);
      options.tiers.automatic = false;
      std::shared_ptr<Engine> engine;
      if (!Engine::Open(location_, options, &engine).ok()) _exit(1);
      std::thread([&] {
        for (int i = 1;; i++) {
          if (!Put(engine.get(), beside, std::to_string(i)).ok()) _exit(2);
          written->store(i);
        }
      }).detach();
      while (written->load() == 0) std::this_thread::yield();
      work(engine.get());
      _exit(3);
    }
    int result = 0;
    EXPECT_EQ(waitpid(child, &result, 0), child);
    EXPECT_TRUE(WIFSIGNALED(result)) << "ended by itself with " << WEXITSTATUS(result);
    EXPECT_TRUE(!WIFSIGNALED(result) || WTERMSIG(result) == SIGKILL) << WTERMSIG(result);
    const int last = written->load();
    munmap(shared, sizeof(std::atomic<int>));
    return last;
  }
  // The model takes over what there is of `beside`: the write after the last acknowledged one may
  // be there or not.
  void ExpectWritten(const std::string& beside, int last) {
    model_[beside] = Get(engine(), beside).value_or("nothing");
    EXPECT_TRUE(model_[beside] == std::to_string(last) ||
                model_[beside] == std::to_string(last + 1))
        << model_[beside] << " instead of " << last;
  }

  const std::string archives_ = location_ + "/archive";
  Model model_;
  std::vector<uint32_t> ids_;  // what the last split or merge left
};

}  // namespace thermocline::test
