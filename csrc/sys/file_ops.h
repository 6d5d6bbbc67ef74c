// The seam between the system ring and the kernel: every file operation on a DLM device goes through it, so that a
// double can stand in for the devices, inject errors and run under sanitizers on any machine.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <string>
#include <vector>

#include "sys/holders.h"

namespace clusterlock::sys {

// Every call returns what the system call returns, with -errno in place of -1: errno itself does not survive a
// hand-over between threads.
class FileOps {
 public:
  virtual ~FileOps() = default;
  virtual int Open(const char* path, int flags) = 0;
  virtual ssize_t Read(int fd, void* buffer, size_t size) = 0;
  virtual ssize_t Readv(int fd, const iovec* segments, int count) = 0;
  virtual ssize_t Write(int fd, const void* buffer, size_t size) = 0;
  virtual int Close(int fd) = 0;
  virtual int DeviceNumber(int fd, dev_t* out) = 0;
  virtual Holders HoldersOf(const std::string& device) = 0;
  virtual bool Exists(const char* path) = 0;
  virtual int Chmod(int fd, mode_t mode) = 0;
  // The calling thread's id as the kernel itself counts, or 0 when it cannot be told: a PID namespace counts its own.
  virtual unsigned KernelThreadId() = 0;
  // Gives the calling thread a table of descriptors of its own with nothing but `keep` in it. A thread that the kernel
  // will not let go then pins nobody else's files: the process can end, and its devices close. False: the thread goes
  // on with the table that it shares with the process.
  virtual bool Isolate(std::vector<int> keep) = 0;
};

// The kernel's devices in the addon, the double in the test build: decided by which file is linked in.
FileOps& DefaultFileOps();

}  // namespace clusterlock::sys
