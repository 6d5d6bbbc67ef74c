// Starts an opener, in a process or on a thread of this one.
#pragma once

#include <string>

#include "sys/unique_fd.h"

namespace clusterlock::dlmfs {

// Where opener_main finds its ends.
constexpr int kSocketFd = 3;
constexpr int kPulseReadsFd = 4;
constexpr int kPulseWritesFd = 5;

struct StartedOpener {
  int error = 0;  // errno
  const char* syscall = "";
  int64_t pid = 0;
  sys::UniqueFd socket;
  sys::UniqueFd pulse;  // readable once the opener is gone
};

// Both wait until it runs: for threads of our own.
StartedOpener StartOpenerProcess(const std::string& executable);
StartedOpener StartOpenerThread();

}  // namespace clusterlock::dlmfs
