#include "sys/event_fd.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace clusterlock::sys {

EventFd::EventFd() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

EventFd::~EventFd() {
  if (!left_) ::close(fd_);
}

void EventFd::CloseHere() {
  if (!left_.exchange(true)) ::close(fd_);
}

void EventFd::Ring() const {
  const uint64_t one = 1;
  // EAGAIN would mean 2^64-1 unseen rings: the loop is awake anyway.
  [[maybe_unused]] const ssize_t ignored = ::write(fd_, &one, sizeof one);
}

void EventFd::Silence() const {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t ignored = ::read(fd_, &count, sizeof count);
}

}  // namespace clusterlock::sys
