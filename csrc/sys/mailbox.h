// Hands finished work from threads of ours to the event loop. A thread may outlive the loop by far (asleep in the
// kernel), so what it posts to a closed mailbox simply comes back to it and is destroyed on its own stack.
#pragma once

#include <mutex>
#include <utility>
#include <vector>

#include "sys/event_fd.h"

namespace clusterlock::sys {

template <typename T>
class Mailbox {
 public:
  int fd() const { return bell_.fd(); }

  void Post(T item) {
    const std::lock_guard lock(mutex_);
    if (closed_) return;  // `item` dies here, on the poster's thread
    items_.push_back(std::move(item));
    bell_.Ring();  // under the lock: after Close() its number may be another's
  }

  std::vector<T> Take() {
    bell_.Silence();
    const std::lock_guard lock(mutex_);
    return std::exchange(items_, {});
  }

  // What nobody has fetched, and what comes later, is destroyed. A thread with a table of descriptors of its own may
  // sleep on with its copy of the bell; the caller's is closed.
  void Close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    items_.clear();
    bell_.CloseHere();
  }

 private:
  std::mutex mutex_;
  std::vector<T> items_;
  bool closed_ = false;
  EventFd bell_;
};

}  // namespace clusterlock::sys
