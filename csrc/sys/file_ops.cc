#include "sys/file_ops.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "sys/own_table.h"

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
  bool Exists(const char* path) override { return ::access(path, F_OK) == 0; }
  int Chmod(int fd, mode_t mode) override { return OrErrno(::fchmod(fd, mode)); }
  unsigned KernelThreadId() override {
    // PROC_PID_INIT_INO of include/linux/proc_ns.h, the same since Linux 3.8
    constexpr std::string_view kInitial = "pid:[4026531836]";
    std::array<char, 64> name{};
    const ssize_t size = ::readlink("/proc/self/ns/pid", name.data(), name.size());
    if (size < 0 || std::string_view(name.data(), static_cast<size_t>(size)) != kInitial) return 0;
    return static_cast<unsigned>(::syscall(SYS_gettid));
  }
  bool Isolate(std::vector<int> keep) override { return OwnTable(std::move(keep)); }
};

}  // namespace

FileOps& DefaultFileOps() {
  static auto* const ops = new KernelFileOps;  // never destroyed: a detached thread may use it during process exit
  return *ops;
}

}  // namespace clusterlock::sys
