// What became of a request.
#pragma once

#include <cerrno>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dlmfs/packet.h"
#include "sys/unique_fd.h"

namespace clusterlock::dlmfs {

struct Outcome {
  int error = 0;  // errno
  const char* syscall = "";
  sys::UniqueFd file;
  std::optional<FileStat> stat;
  std::vector<std::string> names;
  int64_t value = 0;
  // Takes back what was done, when nobody is left to be told of it.
  std::function<void()> undo;

  static Outcome Failed(int error, const char* syscall) {
    Outcome out;
    out.error = error;
    out.syscall = syscall;
    return out;
  }
};

// 0 or -errno of a system call that returns -1 when it fails.
template <typename T>
T OrErrno(T result) {
  return result < 0 ? static_cast<T>(-errno) : result;
}

}  // namespace clusterlock::dlmfs
