// An eventfd that other threads ring and the event loop polls.
#pragma once

namespace clusterlock::sys {

class EventFd {
 public:
  EventFd();  // throws std::system_error
  ~EventFd();
  EventFd(const EventFd&) = delete;
  EventFd& operator=(const EventFd&) = delete;

  int fd() const { return fd_; }
  void Ring() const;
  void Silence() const;

 private:
  int fd_;
};

}  // namespace clusterlock::sys
