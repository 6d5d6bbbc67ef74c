#include "sys/file_ops.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace clusterlock::sys {
namespace {

template <typename T>
T OrErrno(T result) {
  return result < 0 ? static_cast<T>(-errno) : result;
}

class KernelFileOps final : public FileOps {
 public:
  int Open(const char* path, int flags) override { return OrErrno(::open(path, flags)); }
  ssize_t Read(int fd, void* buffer, size_t size) override { return OrErrno(::read(fd, buffer, size)); }
  ssize_t Readv(int fd, const iovec* segments, int count) override { return OrErrno(::readv(fd, segments, count)); }
  ssize_t Write(int fd, const void* buffer, size_t size) override { return OrErrno(::write(fd, buffer, size)); }
  int Close(int fd) override { return OrErrno(::close(fd)); }
  int DeviceNumber(int fd, dev_t* out) override {
    struct stat info {};
    const int result = OrErrno(::fstat(fd, &info));
    if (result == 0) *out = info.st_rdev;
    return result;
  }
  Holders HoldersOf(const std::string& device) override { return FindHolders(device); }
  void Isolate(int keep) override {
    // by number: the C library of a supported system may be older than the wrapper
    const auto from = static_cast<unsigned>(keep) + 1;
    if (::syscall(kCloseRange, from, ~0U, kUnshare) == 0 && keep > 0) ::syscall(kCloseRange, 0U, from - 2, 0U);
  }

 private:
  static constexpr long kCloseRange = 436;
  static constexpr unsigned kUnshare = 2;  // CLOSE_RANGE_UNSHARE; without it (before Linux 5.9) nothing is closed
};

}  // namespace

FileOps& DefaultFileOps() {
  static auto* const ops = new KernelFileOps;  // never destroyed: a detached thread may use it during process exit
  return *ops;
}

}  // namespace clusterlock::sys
