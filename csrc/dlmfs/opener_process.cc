#include "dlmfs/opener_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <future>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "dlmfs/opener.h"
#include "dlmfs/packet.h"
#include "sys/own_table.h"
#include "sys/packets.h"
#include "sys/thread.h"

namespace clusterlock::dlmfs {
namespace {

StartedOpener Failed(int error, const char* syscall) {
  StartedOpener out;
  out.error = error;
  out.syscall = syscall;
  return out;
}

// `near` is Node's, `far` the opener's.
struct Connection {
  StartedOpener near;
  Ends far;
};

Connection Connect() {
  std::array<int, 2> sockets{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
    return {Failed(errno, "socketpair"), {}};
  }
  Connection out;
  out.near.socket = sys::UniqueFd(sockets[0]);
  out.far.socket = sys::UniqueFd(sockets[1]);
  std::array<int, 2> pulse{};
  if (::pipe2(pulse.data(), O_CLOEXEC) != 0) return {Failed(errno, "pipe2"), {}};
  out.far.pulse_reads = sys::UniqueFd(pulse[0]);
  out.far.pulse_writes = sys::UniqueFd(pulse[1]);
  out.near.pulse = sys::UniqueFd(::fcntl(pulse[0], F_DUPFD_CLOEXEC, 0));
  if (!out.near.pulse.valid()) return {Failed(errno, "fcntl"), {}};
  return out;
}

// Its first packet.
StartedOpener Greet(StartedOpener opener) {
  std::array<uint8_t, 256> bytes{};
  const sys::Received received = sys::ReceivePacket(opener.socket.get(), bytes.data(), bytes.size(), sys::Wait::kYes);
  if (received.error != 0) return Failed(received.error, "recvmsg");
  if (received.size == 0) return Failed(EPIPE, "recvmsg");  // it could not start, or not even be loaded
  const auto hello = DecodeReply(bytes.data(), received.size);
  if (!hello || hello->kind != ReplyKind::kHello || hello->id != kProtocol) return Failed(EPROTO, "recvmsg");
  opener.pid = hello->value;
  return opener;
}

class Spawn {
 public:
  Spawn() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    // Its own session: what the terminal sends to the foreground is not for it, its end is that of the socket.
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF);
    sigset_t all;
    sigfillset(&all);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    for (int fd = 0; fd <= 2; ++fd) ::posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null", O_RDWR, 0);
  }
  ~Spawn() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  Spawn(const Spawn&) = delete;
  Spawn& operator=(const Spawn&) = delete;

  void Give(int fd, int as) { ::posix_spawn_file_actions_adddup2(&actions_, fd, as); }
  // 0 or an errno
  int Run(const std::string& executable, pid_t* pid) {
    // who looks for the opener's owner finds it here
    std::string name = "clusterlock_opener", of = std::to_string(::getpid());
    std::array<char*, 3> arguments{name.data(), of.data(), nullptr};
    std::array<char*, 1> environment{nullptr};
    return ::posix_spawn(pid, executable.c_str(), &actions_, &attributes_, arguments.data(), environment.data());
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

// Out of the way of the numbers that the opener gets them under.
bool MoveUp(sys::UniqueFd& fd) {
  fd = sys::UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kPulseWritesFd + 1));
  return fd.valid();
}

}  // namespace

StartedOpener StartOpenerProcess(const std::string& executable) {
  Connection ends = Connect();
  if (ends.near.error != 0) return std::move(ends.near);
  for (sys::UniqueFd* fd : {&ends.far.socket, &ends.far.pulse_reads, &ends.far.pulse_writes}) {
    if (!MoveUp(*fd)) return Failed(errno, "fcntl");
  }
  Spawn spawn;
  spawn.Give(ends.far.socket.get(), kSocketFd);
  spawn.Give(ends.far.pulse_reads.get(), kPulseReadsFd);
  spawn.Give(ends.far.pulse_writes.get(), kPulseWritesFd);
  pid_t pid = 0;
  const int error = spawn.Run(executable, &pid);
  if (error != 0) return Failed(error, "posix_spawn");
  // What we started has started the opener and ends. ECHILD: the user ignores SIGCHLD.
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
  ends.far = {};
  return Greet(std::move(ends.near));
}

StartedOpener StartOpenerThread() {
  Connection ends = Connect();
  if (ends.near.error != 0) return std::move(ends.near);
  const std::vector<int> fds{ends.far.socket.get(), ends.far.pulse_reads.get(), ends.far.pulse_writes.get()};
  const auto isolated = std::make_shared<std::promise<bool>>();
  std::future<bool> ready = isolated->get_future();
  try {
    sys::Detach([fds, isolated] {
      isolated->set_value(sys::OwnTable(fds));
      std::make_shared<Opener>(Ends{sys::UniqueFd(fds[0]), sys::UniqueFd(fds[1]), sys::UniqueFd(fds[2])},
                               Isolation::kThread)
          ->Serve();
    });
  } catch (const std::system_error& error) {
    return Failed(error.code().value(), "pthread_create");
  }
  // With a table of its own it has its own copies, else these.
  if (!ready.get()) {
    for (sys::UniqueFd* fd : {&ends.far.socket, &ends.far.pulse_reads, &ends.far.pulse_writes}) fd->Release();
  }
  ends.far = {};
  return Greet(std::move(ends.near));
}

}  // namespace clusterlock::dlmfs
