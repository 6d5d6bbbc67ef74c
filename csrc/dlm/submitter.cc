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

Event Refused(const Op& op, int error) {
  Event event = Local(EventKind::kWriteFailed, op.cookie, error);
  event.refused = op.kind;
  return event;
}

bool Cancels(const Op& op) {
  return op.kind == OpKind::kCancel || op.kind == OpKind::kDeadlock;
}

}  // namespace

void SubmitQueue::Push(const Op* ops, size_t count) {
  bool sleeps = false;
  {
    const std::lock_guard lock(mutex_);
    waiting_.insert(waiting_.end(), ops, ops + count);
    sleeps = asleep_;
  }
  if (sleeps) wake_.notify_one();
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
  asleep_ = true;
  if (until != nullptr) {
    wake_.wait_until(lock, *until, ready);
  } else {
    wake_.wait(lock, ready);
  }
  asleep_ = false;
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
  switch (op.kind) {
    case OpKind::kPurge:
      return Purge(op);
    case OpKind::kDropAll:
      return DropAll(op);
    case OpKind::kFind:
      return Find(op);
    case OpKind::kCancel:
    case OpKind::kDeadlock:
      if (TakeBack(op)) return;
      break;
    default:
      ++KnownOf(op.cookie.slot).operation;
      break;
  }
  Write(op, kFirstRetry);
}

// A convert that still waits for its retry has not reached the kernel: it is cancelled by forgetting it.
bool Submitter::TakeBack(const Op& cancel) {
  const auto retry = std::find_if(retries_.begin(), retries_.end(), [&](const Retry& r) {
    return r.op.kind == OpKind::kConvert && SameLock(r.op.cookie, cancel.cookie);
  });
  if (retry == retries_.end()) return false;
  const bool deadlock = cancel.kind == OpKind::kDeadlock;
  events_.Push(deadlock ? Refused(retry->op, EDEADLK) : Local(EventKind::kCancelledHere, cancel.cookie, 0));
  retries_.erase(retry);
  return true;
}

// The lock is gone: what still waits to be tried again is not for whoever gets its slot next.
void Submitter::Forget(Cookie cookie) {
  retries_.remove_if([&](const Retry& retry) { return SameLock(retry.op.cookie, cookie); });
}

void Submitter::Write(const Op& op, microseconds retry_delay) {
  Known& known = KnownOf(op.cookie.slot);
  const bool makes_lock = op.kind == OpKind::kLock || op.kind == OpKind::kAdopt;
  if (makes_lock) known = {0, op.cookie.generation, known.operation};
  // Its lock has ended, and everything of it with it.
  if (known.generation != op.cookie.generation) return;
  if (!makes_lock && known.lkid == 0) {
    // The request that would have made the lock failed, which has been reported.
    if (!Cancels(op)) events_.Push(Refused(op, ENOENT));
    return;
  }
  const Request request = EncodeOp(op, known.lkid);
  const ssize_t result = device_.ops().Write(device_.get(), request.bytes.data(), request.size);
  if (result >= 0) {
    if (makes_lock) known.lkid = static_cast<uint32_t>(result);
    if (op.kind == OpKind::kUnlock) {
      known.lkid = 0;
      Forget(op.cookie);
    }
    if (op.kind == OpKind::kAdopt) {
      Event done = Local(EventKind::kDone, op.cookie, 0);
      done.result.lkid = known.lkid;
      events_.Push(done);
    }
    return;
  }
  Fail(op, static_cast<int>(-result), retry_delay);
}

void Submitter::Fail(const Op& op, int error, microseconds retry_delay) {
  const bool makes_lock = op.kind == OpKind::kLock || op.kind == OpKind::kAdopt;
  // The kernel's answer to an earlier cancel of this lock is still on its way from the master node; until then it
  // takes nothing else for the lock (fs/dlm/lock.c:validate_lock_args(), validate_unlock_args()).
  const bool busy = error == EBUSY && !makes_lock;
  // A cancel has no outcome of its own: the operation it aims at reports, whatever became of it. So it must get there,
  // unless there is nothing to cancel, or the kernel warns that it was there already.
  const bool lost_cancel = Cancels(op) && error != ENOENT && error != EINVAL;
  if (busy || lost_cancel) {
    const uint32_t operation = KnownOf(op.cookie.slot).operation;
    retries_.push_back({op, operation, Clock::now() + retry_delay, std::min(retry_delay * 2, kLongestRetry)});
  } else if (!Cancels(op)) {
    events_.Push(Refused(op, error));
  }
}

void Submitter::Purge(const Op& op) {
  // The kernel would take this thread's id for a wish to drop the handle's own locks. It can be an orphan's too, whose
  // owner has ended and left its number to be used again.
  const unsigned own = device_.ops().KernelThreadId();
  int error = EBUSY;
  if (own == 0 && op.purge.pid != 0) {
    error = EOPNOTSUPP;  // inside a PID namespace nobody knows whether it is this thread's
  } else if (op.purge.pid == 0 || op.purge.pid != own) {
    const Request request = EncodePurge(op.purge.nodeid, op.purge.pid);
    const ssize_t result = device_.ops().Write(device_.get(), request.bytes.data(), request.size);
    error = result < 0 ? static_cast<int>(-result) : 0;
  }
  events_.Push(error != 0 ? Refused(op, error) : Local(EventKind::kDone, op.cookie, 0));
}

void Submitter::DropAll(const Op& op) {
  const unsigned own = device_.ops().KernelThreadId();
  const Request request = EncodePurge(0, own);
  // Under a number that is not this thread's to the kernel, it would drop a stranger's orphans.
  const ssize_t result =
      own == 0 ? -EOPNOTSUPP : device_.ops().Write(device_.get(), request.bytes.data(), request.size);
  if (result < 0) {
    events_.Push(Refused(op, static_cast<int>(-result)));
    return;
  }
  for (Known& known : known_) known.lkid = 0;
  retries_.clear();
  events_.Push(Local(EventKind::kDone, op.cookie, 0));
}

// An id that was refused or has ended may be another lock's by now, and stand here twice: the loop's side knows which
// of the slots is in use.
void Submitter::Find(const Op& op) {
  Event found = Local(EventKind::kDone, op.cookie, 0);
  for (uint32_t slot = op.from; slot < known_.size() && op.lkid != 0; ++slot) {
    if (known_[slot].lkid != op.lkid) continue;
    found.result.lkid = slot;
    found.result.status = static_cast<int32_t>(known_[slot].generation);
    break;
  }
  events_.Push(found);
}

void Submitter::RunRetries() {
  if (retries_.empty()) return;
  const auto now = Clock::now();
  std::list<Retry> due;
  for (auto it = retries_.begin(); it != retries_.end();) {
    const auto here = it++;
    if (here->due <= now) due.splice(due.end(), retries_, here);
  }
  for (const Retry& retry : due) {
    // a cancel whose operation has been followed by another is too late for its own, and not meant for that one
    if (Cancels(retry.op) && KnownOf(retry.op.cookie.slot).operation != retry.operation) continue;
    Write(retry.op, retry.delay);
  }
}

Submitter::Known& Submitter::KnownOf(uint32_t slot) {
  if (slot >= known_.size()) known_.resize(std::max<size_t>(slot + 1, known_.size() * 2));
  return known_[slot];
}

}  // namespace clusterlock::dlm
