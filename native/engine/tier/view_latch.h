// Makes a read view one moment although it consists of a snapshot for each tier (I6).
//
// A view takes its snapshots under the shared side, hot first, then warm, then cold. A change of a
// colder store passes through the exclusive side before it begins, and holds nothing while it runs:
// an ingestion may take a disk's time, and a view is taken on the thread that asks for it.
//
// Why that is enough. Say a change C of a colder store is visible in a view's snapshot of that
// store. Then C began before the view did, since none begins in between.
//   - C brings down records that it read in a snapshot of their source. That snapshot is older than
//     the view. They leave the source only after C has ended, so what C brought is either shadowed
//     in the view by the same or a newer record of the source, or the source had already let go of
//     it, and then C had ended, and the view's later snapshot shows all of it.
//   - C removes records from a store because a step has put them elsewhere. If they went down, the
//     lower store showed them before C began, and it is asked for its snapshot after C's store. If
//     they went up, the upper store showed them before C began, thus before the view.
//   - C applies a marker or a range delete. The hot store said so before C began, and says so in
//     the view, unless that was cleared. Clearing passes through the exclusive side too, after C
//     has ended.
// If C is not visible, the same cases show that the source still has what C is about, in the view.
//
// A switch of the shard table holds the exclusive side while it publishes the new one, which takes
// no time: so a view's table and snapshots are of one moment.
//
// Thread safety: all methods from any thread.
//
// Rejected: holding the exclusive side throughout a change. It makes the same argument simpler, and
// an iterator of the program wait for a disk's sync.
#pragma once

#include <mutex>
#include <shared_mutex>

namespace thermocline {

class ViewLatch {
 public:
  // Waits for the views that are being taken. Call before each change of a colder store.
  void ChangeBegins() { std::lock_guard lock(mutex_); }

  std::shared_lock<std::shared_mutex> TakingView() { return std::shared_lock(mutex_); }
  std::unique_lock<std::shared_mutex> Exclusive() { return std::unique_lock(mutex_); }

 private:
  std::shared_mutex mutex_;
};

}  // namespace thermocline
