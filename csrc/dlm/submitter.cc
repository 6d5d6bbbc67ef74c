#include "dlm/submitter.h"

#include <algorithm>
#include <cerrno>

namespace clusterlock::dlm {
namespace {

using std::chrono::microseconds;
constexpr microseconds kFirstRetry{200};
constexpr microseconds kLongestRetry{20'000};

bool SameLock(Cookie a, Cookie b) {
  return a.slot == b.slot && a.generation == b.generation;
}

Event Local(EventKind kind, Cookie cookie, int error) {
  Event event;
  event.kind = kind;
  event.error = error;
  event.result.cookie = cookie;
  return event;
}

}  // namespace

void SubmitQueue::Push(const Op& op) {
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    was_empty = waiting_.empty();
    waiting_.push_back(op);
  }
  if (was_empty) wake_.notify_one();
}

void SubmitQueue::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_one();
}

bool SubmitQueue::Take(std::vector<Op>* out, const std::chrono::steady_clock::time_point* until) {
  out->clear();
  std::unique_lock lock(mutex_);
  const auto ready = [this] { return stopped_ || !waiting_.empty(); };
  if (until != nullptr) {
    wake_.wait_until(lock, *until, ready);
  } else {
    wake_.wait(lock, ready);
  }
  out->swap(waiting_);
  return !(stopped_ && out->empty());
}

void LocalEvents::Push(const Event& event) {
  {
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
  }
  bell_.Ring();
}

void LocalEvents::PushClosed() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  bell_.Ring();
}

size_t LocalEvents::Take(Event* out, size_t capacity, bool* closed) {
  bell_.Silence();
  const std::lock_guard lock(mutex_);
  const size_t count = std::min(capacity, events_.size() - taken_);
  std::copy_n(events_.begin() + static_cast<ptrdiff_t>(taken_), count, out);
  taken_ += count;
  if (taken_ == events_.size()) {
    events_.clear();
    taken_ = 0;
    *closed = closed_;
  } else {
    *closed = false;
    bell_.Ring();  // the rest waits for the next wake-up
  }
  return count;
}

void Submitter::Run() {
  for (;;) {
    const bool waits = !retries_.empty();
    Clock::time_point due = Clock::time_point::max();
    for (const Retry& retry : retries_) due = std::min(due, retry.due);
    // A stopped channel does not retry: closing the device ends every lock anyway.
    if (!queue_.Take(&batch_, waits ? &due : nullptr)) break;
    for (const Op& op : batch_) Handle(op);
    RunRetries();
  }
  device_.Close();
  events_.PushClosed();
}

void Submitter::Handle(const Op& op) {
  if (op.kind == OpKind::kCancel && TakeBack(op.cookie)) return;
  Write(op, kFirstRetry);
}

// A convert that still waits for its retry has not reached the kernel: it is cancelled by forgetting it.
bool Submitter::TakeBack(Cookie cookie) {
  const auto retry = std::find_if(retries_.begin(), retries_.end(), [&](const Retry& r) {
    return r.op.kind == OpKind::kConvert && SameLock(r.op.cookie, cookie);
  });
  if (retry == retries_.end()) return false;
  retries_.erase(retry);
  events_.Push(Local(EventKind::kCancelledHere, cookie, 0));
  return true;
}

void Submitter::Write(const Op& op, microseconds retry_delay) {
  uint32_t& lkid = LkidOf(op.cookie.slot);
  if (op.kind == OpKind::kLock) lkid = 0;
  if (op.kind != OpKind::kLock && lkid == 0) {
    // The request that would have made the lock failed, which has been reported.
    if (op.kind != OpKind::kCancel) events_.Push(Local(EventKind::kWriteFailed, op.cookie, ENOENT));
    return;
  }
  const Request request = EncodeOp(op, lkid);
  const ssize_t result = device_.ops().Write(device_.get(), request.bytes.data(), request.size);
  if (result >= 0) {
    if (op.kind == OpKind::kLock) lkid = static_cast<uint32_t>(result);
    return;
  }
  const int error = static_cast<int>(-result);
  // A cancel has no outcome of its own: the operation it aims at reports, whatever became of it.
  if (op.kind == OpKind::kCancel) return;
  // The kernel's answer to an earlier cancel of this lock is still on its way from the master node; until then it
  // takes nothing else for the lock (fs/dlm/lock.c:validate_lock_args(), validate_unlock_args()).
  if (error == EBUSY && op.kind != OpKind::kLock) {
    retries_.push_back({op, Clock::now() + retry_delay, std::min(retry_delay * 2, kLongestRetry)});
    return;
  }
  events_.Push(Local(EventKind::kWriteFailed, op.cookie, error));
}

void Submitter::RunRetries() {
  const auto now = Clock::now();
  std::list<Retry> due;
  for (auto it = retries_.begin(); it != retries_.end();) {
    const auto here = it++;
    if (here->due <= now) due.splice(due.end(), retries_, here);
  }
  for (const Retry& retry : due) Write(retry.op, retry.delay);
}

uint32_t& Submitter::LkidOf(uint32_t slot) {
  if (slot >= lkids_.size()) lkids_.resize(std::max<size_t>(slot + 1, lkids_.size() * 2));
  return lkids_[slot];
}

}  // namespace clusterlock::dlm
