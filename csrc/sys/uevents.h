// The kernel's announcements about lockspaces, as it sends them to everyone who listens. Needs no privilege.
#pragma once

#include <vector>

#include "dlm/uevent.h"

namespace clusterlock::sys {

class Uevents {
 public:
  struct Batch {
    std::vector<dlm::Uevent> events;
    bool overflowed = false;  // some were lost: who keeps a picture of the lockspaces has to look again
    int error = 0;            // errno; there will be no more
  };

  Uevents();  // throws std::system_error
  ~Uevents();
  Uevents(const Uevents&) = delete;
  Uevents& operator=(const Uevents&) = delete;

  int fd() const { return fd_; }
  // What has come, up to a bound. Never waits.
  Batch Read();

 private:
  int fd_;
};

}  // namespace clusterlock::sys
