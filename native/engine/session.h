// A session: one opened handle on a shared engine, as one JavaScript Database object holds it.
//
// Purpose: what belongs to a handle and must end with it: its operations in flight, its cursors and
// its snapshots. Closing a session leaves other sessions on the same engine alone.
//
// Invariants: between a successful Begin and its End the engine stays open. After Close has
// returned, no cursor or view of this session touches the store.
//
// Thread safety: all methods from any thread. Close blocks until operations have ended.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/engine.h"
#include "engine/status.h"

namespace thermocline {

class Session {
 public:
  Session(std::shared_ptr<Engine> engine, bool read_only)
      : engine_(std::move(engine)), read_only_(read_only) {}
  // REQUIRES: Close has been called.
  ~Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Brackets every operation. Begin returns ERR_CLOSED once Close has been called.
  Status Begin();
  void End();

  // REQUIRES: inside Begin and End.
  Engine& engine() { return *engine_; }
  Status CheckWritable() const;
  std::shared_ptr<const ReadView> NewView();
  std::shared_ptr<Cursor> NewCursor(std::shared_ptr<const ReadView> view, CursorOptions options);

  // Refuses new operations, waits for those in flight, ends cursors and views, and gives the engine
  // back. Idempotent; a second caller waits for the first.
  void Close();

 private:
  std::shared_ptr<Engine> engine_;
  const bool read_only_;

  std::mutex mutex_;
  std::condition_variable changed_;
  int operations_ = 0;                             // GUARDED_BY(mutex_)
  bool closing_ = false;                           // GUARDED_BY(mutex_)
  bool closed_ = false;                            // GUARDED_BY(mutex_)
  std::vector<std::weak_ptr<Cursor>> cursors_;     // GUARDED_BY(mutex_)
  std::vector<std::weak_ptr<const ReadView>> views_;  // GUARDED_BY(mutex_)
};

}  // namespace thermocline
