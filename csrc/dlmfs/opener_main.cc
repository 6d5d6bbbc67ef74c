// clusterlock_opener: opens lock files for a Node process, which then can end at any time. A thread that waits for a
// cluster lock cannot be killed, and would keep the process that it belongs to from ending.
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>

#include "dlmfs/opener.h"
#include "dlmfs/opener_process.h"
#include "sys/own_table.h"

namespace {

bool IsOurs() {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(clusterlock::dlmfs::kSocketFd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

int Refuse() {
  constexpr char kWhy[] = "clusterlock_opener: started by clusterlock when a program needs it, and of no other use\n";
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, kWhy, sizeof kWhy - 1);
  return 64;
}

}  // namespace

int main() {
  using namespace clusterlock;  // NOLINT: the whole program
  if (!IsOurs()) return Refuse();
  std::array<int, 6> keep{0, 1, 2, dlmfs::kSocketFd, dlmfs::kPulseReadsFd, dlmfs::kPulseWritesFd};
  sys::CloseOthers(keep.data(), keep.size());
  // Nobody's child, so that nobody waits for it: it may have to outlive its owner in the kernel.
  const pid_t child = ::fork();
  if (child != 0) ::_exit(child < 0 ? 71 : 0);
  if (::chdir("/") != 0) ::_exit(71);
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  // SIGTERM too: who stops a service signals all its processes, and the owner may yet want to release and leave.
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);

  dlmfs::Ends ends{sys::UniqueFd(dlmfs::kSocketFd), sys::UniqueFd(dlmfs::kPulseReadsFd),
                   sys::UniqueFd(dlmfs::kPulseWritesFd)};
  std::make_shared<dlmfs::Opener>(std::move(ends), dlmfs::Isolation::kProcess)->Serve();
  ::_exit(0);  // threads may be asleep in the kernel for ever
}
