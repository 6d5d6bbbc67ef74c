#include "dlmfs/task.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "sys/interrupt.h"

namespace clusterlock::dlmfs {

Task::Task(Request request) : request_(std::move(request)), since_(Clock::now()) {}

void Task::Begin() {
  const std::lock_guard lock(mutex_);
  tid_ = ::gettid();
}

int Task::WaitLocally(const std::function<int()>& call) {
  {
    const std::lock_guard lock(mutex_);
    if (cancelled_) return -ECANCELED;
    waits_ = true;
  }
  int result = 0;
  {
    const sys::Interruptible here;
    do {
      result = call();
    } while (result == -EINTR && !cancelled());
  }
  const std::lock_guard lock(mutex_);
  waits_ = false;
  return result == -EINTR ? -ECANCELED : result;
}

bool Task::EnterKernel() {
  const std::lock_guard lock(mutex_);
  if (cancelled_) return false;
  phase_ = Phase::kKernel;
  since_ = Clock::now();
  return true;
}

void Task::End() {
  const std::lock_guard lock(mutex_);
  tid_ = 0;
}

bool Task::Cancel() {
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
  }
  return Nudge();
}

bool Task::Nudge() {
  const std::lock_guard lock(mutex_);
  const bool due = cancelled_ && waits_;
  if (due) sys::Interrupt(tid_);
  return due;
}

bool Task::cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

Phase Task::phase() const {
  const std::lock_guard lock(mutex_);
  return phase_;
}

std::optional<TaskStatus> Task::Status() const {
  const std::lock_guard lock(mutex_);
  if (tid_ == 0) return std::nullopt;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - since_).count();
  return TaskStatus{request_.id, phase_, tid_, static_cast<uint64_t>(ms)};
}

}  // namespace clusterlock::dlmfs
