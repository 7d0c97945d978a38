// A session: one opened handle on a shared engine, as one JavaScript Database object holds it.
//
// Purpose: what belongs to a handle and must end with it: its operations in flight, its cursors,
// snapshots and transactions. Closing a session leaves other sessions on the same engine alone.
//
// Invariants: between a successful Begin and its End the engine stays open. After Close has
// returned, no cursor, view or transaction of this session touches the store.
//
// Ownership: the session owns what it hands out until it is dropped or the session closes. Weak
// references would not do: an object whose last reference goes on another thread is already out of
// Close's reach while its destructor still works on the store.
//
// Thread safety: all methods from any thread. Close blocks until operations have ended.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <unordered_set>

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

  // REQUIRES for all of these: inside Begin and End.
  Engine& engine() { return *engine_; }
  Status CheckWritable() const;
  // Whether Close waits for operations to end: long ones should ask now and then.
  bool closing();
  std::shared_ptr<const ReadView> NewView();
  // Without a view the cursor gets one of its own.
  std::shared_ptr<Cursor> NewCursor(std::shared_ptr<const ReadView> view, CursorOptions options);
  void Keep(std::shared_ptr<const ReadView> view);
  void Keep(std::shared_ptr<Transaction> transaction);

  // The owner on the other side is done with it. Any time, on any thread.
  void Drop(std::shared_ptr<Cursor> cursor);
  void Drop(std::shared_ptr<const ReadView> view);
  void Drop(std::shared_ptr<Transaction> transaction);

  // Refuses new operations, waits for those in flight, ends what is still out, and gives the engine
  // back. Idempotent; a second caller waits for the first.
  void Close();
  // What Engine::close_status said, if this session was the last. REQUIRES: after Close.
  Status close_status();

 private:
  template <class T>
  using Owned = std::unordered_set<std::shared_ptr<T>>;
  template <class T>
  void DropFrom(Owned<T>& owned, std::shared_ptr<T> item);
  void EndAll(Owned<Cursor>& cursors);

  std::shared_ptr<Engine> engine_;
  const bool read_only_;

  std::mutex mutex_;
  std::condition_variable changed_;
  int operations_ = 0;               // GUARDED_BY(mutex_)
  bool closing_ = false;             // GUARDED_BY(mutex_)
  bool closed_ = false;              // GUARDED_BY(mutex_)
  Status close_status_;              // GUARDED_BY(mutex_)
  Owned<Cursor> cursors_;            // GUARDED_BY(mutex_)
  Owned<const ReadView> views_;      // GUARDED_BY(mutex_)
  Owned<Transaction> transactions_;  // GUARDED_BY(mutex_)
};

}  // namespace thermocline
