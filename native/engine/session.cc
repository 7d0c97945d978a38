#include "engine/session.h"

#include <utility>

#include "engine/registry.h"

namespace thermocline {

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

bool Session::closing() {
  std::lock_guard lock(mutex_);
  return closing_;
}

std::shared_ptr<const ReadView> Session::NewView() {
  std::shared_ptr<const ReadView> view = engine_->NewView();
  Keep(view);
  return view;
}

std::shared_ptr<Cursor> Session::NewCursor(std::shared_ptr<const ReadView> view,
                                           CursorOptions options) {
  if (!view) view = engine_->NewView();
  std::shared_ptr<Cursor> cursor = engine_->NewCursor(std::move(view), std::move(options));
  std::lock_guard lock(mutex_);
  cursors_.insert(cursor);
  return cursor;
}

void Session::Keep(std::shared_ptr<const ReadView> view) {
  std::lock_guard lock(mutex_);
  views_.insert(std::move(view));
}

void Session::Keep(std::shared_ptr<Transaction> transaction) {
  std::lock_guard lock(mutex_);
  transactions_.insert(std::move(transaction));
}

template <class T>
void Session::DropFrom(Owned<T>& owned, std::shared_ptr<T> item) {
  {
    std::lock_guard lock(mutex_);
    // When closing, Close owns it and ends it.
    if (closing_ || owned.erase(item) == 0) return;
    operations_++;  // the store stays open while the last reference goes
  }
  item.reset();
  End();
}

void Session::Drop(std::shared_ptr<Cursor> cursor) { DropFrom(cursors_, std::move(cursor)); }

void Session::Drop(std::shared_ptr<const ReadView> view) { DropFrom(views_, std::move(view)); }

void Session::Drop(std::shared_ptr<Transaction> transaction) {
  DropFrom(transactions_, std::move(transaction));
}

void Session::EndAll(Owned<Cursor>& cursors) {
  for (const auto& cursor : cursors) cursor->Close();
}

Status Session::close_status() {
  std::lock_guard lock(mutex_);
  return close_status_;
}

void Session::Close() {
  Owned<Cursor> cursors;
  Owned<const ReadView> views;
  Owned<Transaction> transactions;
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
    EndAll(cursors);
    cursors.clear();
    lock.lock();
    changed_.wait(lock, [this] { return operations_ == 0; });
    cursors.swap(cursors_);  // made by an operation that had begun before
    views.swap(views_);
    transactions.swap(transactions_);
  }
  EndAll(cursors);
  for (const auto& transaction : transactions) {
    transaction->End();
    transaction->view()->Release();
  }
  for (const auto& view : views) view->Release();
  Status status;
  Registry::Get().Release(engine_, &status);
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    close_status_ = status;
  }
  changed_.notify_all();
}

}  // namespace thermocline
