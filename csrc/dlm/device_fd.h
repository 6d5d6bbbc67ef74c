// Owner of one DLM device descriptor.
#pragma once

#include <utility>

#include "sys/file_ops.h"

namespace clusterlock::dlm {

class DeviceFd {
 public:
  DeviceFd() = default;
  DeviceFd(sys::FileOps& ops, int fd) : ops_(&ops), fd_(fd) {}
  DeviceFd(DeviceFd&& other) noexcept : ops_(other.ops_), fd_(std::exchange(other.fd_, -1)) {}
  DeviceFd& operator=(DeviceFd&& other) noexcept {
    if (this != &other) {
      Close();
      ops_ = other.ops_;
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~DeviceFd() { Close(); }

  sys::FileOps& ops() const { return *ops_; }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

  // Drops every lock of this handle and sleeps for as long as the lockspace is in recovery
  // (fs/dlm/lock.c:dlm_clear_proc_locks()): only for threads of our own.
  void Close() {
    if (valid()) ops_->Close(std::exchange(fd_, -1));
  }

 private:
  sys::FileOps* ops_ = nullptr;
  int fd_ = -1;
};

}  // namespace clusterlock::dlm
