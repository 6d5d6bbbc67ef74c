#include "dlmfs/cluster_name.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "sys/own_table.h"

namespace clusterlock::dlmfs {
namespace {

// Everything in here also runs in the guardian, which is a fork of one thread of many: system calls only, no memory.

constexpr size_t kNameRoom = 128;  // DLM_LOCKSPACE_LEN is 64

struct Name {
  std::array<char, kNameRoom> bytes{};
  size_t size = 0;

  std::string_view text() const { return {bytes.data(), size}; }
};

// 0 or an errno. A line's end is none of the name.
int ReadName(int fd, Name* out) {
  const ssize_t size = ::pread(fd, out->bytes.data(), out->bytes.size(), 0);
  if (size < 0) return errno;
  out->size = static_cast<size_t>(size);
  while (out->size > 0 && (out->bytes[out->size - 1] == '\n' || out->bytes[out->size - 1] == '\0')) --out->size;
  return 0;
}

struct Failure {
  int error = 0;
  const char* syscall = "";
};

Failure ReadNameAt(const char* path, Name* out) {
  const sys::UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return {errno, "open"};
  return {ReadName(file.get(), out), "read"};
}

// configfs takes the bytes of one write() as they are, with a zero after them (fs/dlm/config.c). So an empty name is a
// zero; "\n" would be a name.
Failure WriteNameAt(const char* path, std::string_view name) {
  constexpr char kZero = '\0';
  if (name.empty()) name = {&kZero, 1};
  const sys::UniqueFd file(::open(path, O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (!file.valid()) return {errno, "open"};
  const ssize_t size = ::write(file.get(), name.data(), name.size());
  if (size < 0) return {errno, "write"};
  return {static_cast<size_t>(size) == name.size() ? 0 : EIO, "write"};
}

Restored Forget(int lock_file, bool did) {
  if (::ftruncate(lock_file, 0) != 0) return {errno, "ftruncate", did};
  return {0, "", did};
}

// In a child of the thread that has blanked the name, until it is told that the name is back, or the parent is gone.
[[noreturn]] void Watch(int lock_file, const char* name_path, int pipe, int pulse) {
  ::prctl(PR_SET_NAME, "clusterlock_name");
  std::array<pollfd, 2> ends{{{pipe, POLLIN, 0}, {pulse, 0, 0}}};
  while (::poll(ends.data(), ends.size(), -1) < 0 && errno == EINTR) continue;
  char told = 0;
  if ((ends[0].revents & POLLIN) == 0 || ::read(pipe, &told, 1) != 1) RestoreName(lock_file, name_path);
  ::_exit(0);
}

}  // namespace

Restored RestoreName(int lock_file, const char* name_path) {
  Name saved;
  int error = ReadName(lock_file, &saved);
  if (error != 0) return {error, "read", false};
  if (saved.size == 0) return {};
  Name present;
  const Failure reading = ReadNameAt(name_path, &present);
  // The cluster has ended since: the next one brings its own name.
  if (reading.error == ENOENT) return Forget(lock_file, false);
  if (reading.error != 0) return {reading.error, reading.syscall, false};
  if (present.size != 0) return Forget(lock_file, false);
  const Failure writing = WriteNameAt(name_path, saved.text());
  if (writing.error != 0) return {writing.error, writing.syscall, false};
  return Forget(lock_file, true);
}

BlankedName::BlankedName(int lock_file, std::string name_path, int pulse)
    : lock_file_(lock_file), name_path_(std::move(name_path)) {
  Blank(pulse);
}

void BlankedName::Blank(int pulse) {
  const Restored left = RestoreName(lock_file_, name_path_.c_str());
  if (left.error != 0) return Fail(left.error, left.syscall);
  Name name;
  const Failure reading = ReadNameAt(name_path_.c_str(), &name);
  if (reading.error != 0) return Fail(reading.error, reading.syscall);
  if (name.size == 0) return;  // there is none to hide
  // First: what is saved is then put back, or found not to be needed, whenever this process is killed.
  if (!Guard(pulse)) return Fail(errno, "fork");
  guarded_ = true;
  const ssize_t saved = ::pwrite(lock_file_, name.bytes.data(), name.size, 0);
  if (saved != static_cast<ssize_t>(name.size)) {
    const int error = saved < 0 ? errno : EIO;
    PutBack();
    return Fail(error, "pwrite");
  }
  const Failure writing = WriteNameAt(name_path_.c_str(), "");
  if (writing.error != 0) {
    PutBack();
    Fail(writing.error, writing.syscall);
  }
}

BlankedName::~BlankedName() {
  PutBack();
}

void BlankedName::Fail(int error, const char* syscall) {
  error_ = error;
  syscall_ = syscall;
}

bool BlankedName::Guard(int pulse) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
  const sys::UniqueFd reads(ends[0]);
  sys::UniqueFd writes(ends[1]);
  guardian_ = ::fork();
  if (guardian_ < 0) return false;
  if (guardian_ == 0) {
    // Not the pipe's other end, nor the socket: this process must keep nothing of its parent open but the lock, which
    // it then has after the parent's death too.
    std::array<int, 3> keep{lock_file_, reads.get(), pulse};
    sys::CloseOthers(keep.data(), keep.size());
    Watch(lock_file_, name_path_.c_str(), reads.get(), pulse);
  }
  guardian_pipe_ = std::move(writes);
  return true;
}

void BlankedName::PutBack() {
  if (!std::exchange(guarded_, false)) return;
  const Restored restored = RestoreName(lock_file_, name_path_.c_str());
  if (restored.error != 0) Fail(restored.error, restored.syscall);
  const char told = 1;
  // If that fails the guardian sees the end of the pipe, and that nothing is left to restore.
  [[maybe_unused]] const ssize_t ignored = ::write(guardian_pipe_.get(), &told, 1);
  guardian_pipe_.Close();
  while (::waitpid(guardian_, nullptr, 0) < 0 && errno == EINTR) continue;
}

}  // namespace clusterlock::dlmfs
