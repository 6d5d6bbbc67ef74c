#include "sys/reclaim.h"

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace clusterlock::sys {
namespace {

constexpr int kSetIoFlusher = 57;  // PR_SET_IO_FLUSHER, Linux 5.6
constexpr int kLockOnFault = 4;    // MCL_ONFAULT

// Whether a mapping can fail because too much is locked. V8 does not survive that.
bool MayLockAll() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY) return true;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return false;
  return (sets[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK)) != 0;
}

}  // namespace

int LockMemory() {
  if (!MayLockAll()) return -EPERM;
  // What is mapped is brought in: the text of Node and of its libraries above all, which may lie on the very device
  // that waits for this process. What will be mapped is only kept once it was touched: V8 reserves address space of
  // which it never uses a hundredth, and MCL_FUTURE alone would fill each such mapping.
  if (::mlockall(MCL_CURRENT) != 0) return -errno;
  if (::mlockall(MCL_CURRENT | MCL_FUTURE | kLockOnFault) == 0) return 0;
  const int error = -errno;
  ::munlockall();
  return error;
}

int SetIoFlusher() {
  return ::prctl(kSetIoFlusher, 1, 0, 0, 0) == 0 ? 0 : -errno;
}

}  // namespace clusterlock::sys
