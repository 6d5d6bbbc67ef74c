// Ends a system call of one of our threads that waits interruptibly, by a signal that nobody else uses.
#pragma once

namespace clusterlock::sys {

// While it lives the calling thread takes the signal: calls that wait return EINTR.
class Interruptible {
 public:
  Interruptible();
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;
};

// Sends the signal to a thread of this process that is known to live. It is lost on one that is not yet waiting.
void Interrupt(int tid);

}  // namespace clusterlock::sys
