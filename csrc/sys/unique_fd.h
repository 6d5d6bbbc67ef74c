// Owner of one descriptor.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace clusterlock::sys {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      Close();
      fd_ = other.Release();
    }
    return *this;
  }
  ~UniqueFd() { Close(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  // 0 or -errno; the descriptor is gone either way.
  int Close() { return valid() && ::close(Release()) != 0 ? -errno : 0; }

 private:
  int fd_ = -1;
};

}  // namespace clusterlock::sys
