#include "engine/session.h"

#include <algorithm>

#include "engine/registry.h"

namespace thermocline {

namespace {

// Forgets what its JavaScript owner has already dropped, at amortised constant cost.
template <class T>
void Remember(std::vector<std::weak_ptr<T>>& list, const std::shared_ptr<T>& item) {
  if (list.size() == list.capacity()) {
    std::erase_if(list, [](const std::weak_ptr<T>& weak) { return weak.expired(); });
    list.reserve(std::max<size_t>(16, 2 * list.size()));
  }
  list.push_back(item);
}

}  // namespace

Status Session::Begin() {
  std::lock_guard lock(mutex_);
  if (closing_) return {Code::kClosed, "the database is closed"};
  operations_++;
  return {};
}

void Session::End() {
  std::lock_guard lock(mutex_);
  if (--operations_ == 0 && closing_) changed_.notify_all();
}

Status Session::CheckWritable() const {
  if (!read_only_) return {};
  return {Code::kReadOnly, "the database is open read-only"};
}

std::shared_ptr<const ReadView> Session::NewView() {
  std::shared_ptr<const ReadView> view = engine_->NewView();
  std::lock_guard lock(mutex_);
  Remember(views_, view);
  return view;
}

std::shared_ptr<Cursor> Session::NewCursor(std::shared_ptr<const ReadView> view,
                                           CursorOptions options) {
  std::shared_ptr<Cursor> cursor = engine_->NewCursor(std::move(view), std::move(options));
  std::lock_guard lock(mutex_);
  Remember(cursors_, cursor);
  return cursor;
}

void Session::Close() {
  std::vector<std::weak_ptr<Cursor>> cursors;
  std::vector<std::weak_ptr<const ReadView>> views;
  {
    std::unique_lock lock(mutex_);
    if (closing_) {
      changed_.wait(lock, [this] { return closed_; });
      return;
    }
    closing_ = true;
    cursors.swap(cursors_);
    // Cursors first: a consumer waiting for a chunk is an operation in flight.
    lock.unlock();
    for (const auto& weak : cursors) {
      if (const auto cursor = weak.lock()) cursor->Close();
    }
    lock.lock();
    changed_.wait(lock, [this] { return operations_ == 0; });
    cursors.swap(cursors_);  // made by an operation that had begun before
    views.swap(views_);
  }
  for (const auto& weak : cursors) {
    if (const auto cursor = weak.lock()) cursor->Close();
  }
  for (const auto& weak : views) {
    if (const auto view = weak.lock()) view->Release();
  }
  Registry::Get().Release(engine_);
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

}  // namespace thermocline
