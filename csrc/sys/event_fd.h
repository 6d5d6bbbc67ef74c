// An eventfd that other threads ring and the event loop polls.
#pragma once

#include <atomic>

namespace clusterlock::sys {

class EventFd {
 public:
  EventFd();  // throws std::system_error
  ~EventFd();
  EventFd(const EventFd&) = delete;
  EventFd& operator=(const EventFd&) = delete;

  int fd() const { return fd_; }
  // For a bell that stands in several tables of descriptors under one number: closes it in the calling thread's, and
  // leaves the others to the end of their threads.
  void CloseHere();
  void Ring() const;
  void Silence() const;

 private:
  int fd_;
  std::atomic<bool> left_{false};
};

}  // namespace clusterlock::sys
