#include "sys/interrupt.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

namespace clusterlock::sys {
namespace {

// A real-time signal that this process has no other use for: in isolation "thread" the process is the user's.
int Choose() {
  for (int number = SIGRTMAX; number > SIGRTMIN; --number) {
    struct sigaction now {};
    if (::sigaction(number, nullptr, &now) != 0 || (now.sa_flags & SA_SIGINFO) != 0) continue;
    if (now.sa_handler != SIG_DFL) continue;
    struct sigaction ours {};
    ours.sa_handler = [](int) {};
    ours.sa_flags = SA_ONSTACK;  // and no SA_RESTART: the call is to return
    if (::sigaction(number, &ours, nullptr) == 0) return number;
  }
  return SIGRTMIN;  // all are taken: a handler of somebody else will do
}

int Number() {
  static const int number = Choose();
  return number;
}

void Mask(int how) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, Number());
  pthread_sigmask(how, &set, nullptr);
}

}  // namespace

Interruptible::Interruptible() {
  Mask(SIG_UNBLOCK);
}

Interruptible::~Interruptible() {
  Mask(SIG_BLOCK);
}

void Interrupt(int tid) {
  ::syscall(SYS_tgkill, ::getpid(), tid, Number());
}

}  // namespace clusterlock::sys
