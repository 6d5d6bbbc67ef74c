#include "dlmfs/acquire.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "sys/range_lock.h"

namespace clusterlock::dlmfs {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kFirstPause{1};
constexpr milliseconds kLongestPause{20};
constexpr uint32_t kDefaultMode = 0664;

int Lock(Task& task, int fd, RangeKind kind, int16_t type) {
  const int64_t byte = ByteOf(task.request().name, kind);
  return task.WaitLocally([&] { return sys::LockRange(fd, byte, 1, type, sys::RangeWait::kYes); });
}

bool IsSame(int one, int other) {
  struct stat first {};
  struct stat second {};
  return ::fstat(one, &first) == 0 && ::fstat(other, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

// Sleeps for as long as the kernel likes.
Outcome Open(const std::string& path, int flags, uint32_t mode, const std::function<bool()>& gives_up) {
  for (auto pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    Outcome out;
    out.file = sys::UniqueFd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (out.file.valid()) return out;
    const int error = errno;
    // EAGAIN: it is being unlinked (fs/ocfs2/dlmfs/userdlm.c:user_dlm_cluster_lock()), which can take its time.
    if ((error != EINTR && error != EAGAIN) || gives_up()) return Outcome::Failed(error, "open");
    if (error == EAGAIN) std::this_thread::sleep_for(pause);
  }
}

}  // namespace

Outcome Acquire(Task& task, sys::UniqueFd sidecar, const std::function<void()>& phase,
                const std::function<bool()>& gives_up) {
  const Request& request = task.request();
  if (request.range != RangeType::kNone) {
    const int16_t type = request.range == RangeType::kShared ? F_RDLCK : F_WRLCK;
    const int error = Lock(task, sidecar.get(), RangeKind::kExclusion, type);
    if (error != 0) return Outcome::Failed(-error, "fcntl");
  }
  if (request.path.empty()) return {};
  // A failure leaves the range taken: it is one with that of others of the same owner who have the lock shared, and
  // only the owner knows whether there are any.

  // Of this thread alone: it stays for as long as the kernel keeps the thread, even when the process is being killed.
  sys::UniqueFd pending;
  if (!request.sidecar_path.empty()) {
    pending = sys::UniqueFd(::open(request.sidecar_path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!pending.valid() && errno != ENOENT) return Outcome::Failed(errno, "open");
    // Whoever has come since would exclude others by another file.
    if (!pending.valid() || (sidecar.valid() && !IsSame(pending.get(), sidecar.get()))) {
      return Outcome::Failed(ESTALE, "fstat");
    }
    // Waits for one who is unlinking the name.
    const int error = Lock(task, pending.get(), RangeKind::kPending, F_RDLCK);
    if (error != 0) return Outcome::Failed(-error, "fcntl");
  }
  if (!task.EnterKernel()) return Outcome::Failed(ECANCELED, "fcntl");
  phase();
  sidecar.Close();

  const uint32_t mode = request.mode == kLeave ? kDefaultMode : request.mode;
  // Held until the lock itself is granted, and then given back, whatever becomes of whoever asked: as long as this
  // thread is in the kernel with the one request, no other node is with another.
  Outcome gate;
  if (!request.gate_path.empty()) {
    gate = Open(request.gate_path, O_RDWR | O_CREAT, mode, gives_up);
    if (gate.error != 0) return gate;
  }
  return Open(request.path, request.flags, mode, gives_up);
}

}  // namespace clusterlock::dlmfs
