#include "engine/engine.h"

#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "../engine_calls.h"
#include "../subjects/subject.h"

namespace thermocline::bench {

namespace {

class EngineSubject : public Subject {
 public:
  explicit EngineSubject(const SubjectOptions& options) {
    EngineOptions engine;
    engine.memory.hot_cache = options.hot_cache;
    Check(Engine::Open(options.dir, engine, &engine_));
  }
  ~EngineSubject() override { engine_->Close(); }

  void WriteBatch(const Workload& work, size_t from, size_t to) override {
    Write(engine_.get(), work, from, to, /*atomic=*/true);
  }
  void WriteEach(const Workload& work, size_t from, size_t to) override {
    Write(engine_.get(), work, from, to, /*atomic=*/false);
  }

  size_t Get(std::string_view key) override { return Lookup(engine_.get(), key, kAbsent); }

  size_t MultiGet(const std::vector<std::string_view>& keys) override {
    return LookupMany(engine_.get(), keys);
  }

  size_t Scan(size_t* records) override {
    CursorOptions options;
    options.fill_cache = false;
    const auto cursor = engine_->NewCursor(engine_->NewView(), options);
    size_t bytes = 0;
    *records = 0;
    for (bool last = false; !last;) {
      Chunk chunk;
      std::promise<void> ready;
      if (!cursor->Take(1000, &chunk, [&ready] { ready.set_value(); })) {
        ready.get_future().wait();
        continue;
      }
      Check(chunk.status);
      *records += chunk.count;
      bytes += Bytes(chunk);
      last = chunk.last;
    }
    cursor->Close();
    return bytes;
  }

  void Settle() override {
    Check(engine_->Flush());
    Check(engine_->Compact({}));
  }

 private:
  static size_t Bytes(const Chunk& chunk) {
    const char* const lengths = chunk.block.data() + chunk.index_offset;
    size_t bytes = 0;
    for (uint32_t i = 0; i < 2 * chunk.count; i++) {
      uint32_t length = 0;
      std::memcpy(&length, lengths + i * sizeof length, sizeof length);
      bytes += length;
    }
    return bytes;
  }

  std::shared_ptr<Engine> engine_;
};

}  // namespace

std::unique_ptr<Subject> OpenEngine(const SubjectOptions& options) {
  return std::make_unique<EngineSubject>(options);
}

}  // namespace thermocline::bench
