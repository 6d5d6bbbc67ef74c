#include "dlmfs/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "sys/range_lock.h"

namespace clusterlock::dlmfs {
namespace {

constexpr mode_t kPermissions = 07777;
constexpr uint32_t kDefaultMode = 0664;
constexpr uint32_t kSidecarMode = 0600;
constexpr int kReplacements = 100;  // of a sidecar while it is being opened: nobody does that but to do harm

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool IsTrusted(uid_t owner) {
  return owner == 0 || owner == ::geteuid();
}

mode_t ModeOf(const Request& request) {
  return (request.mode == kLeave ? kSidecarMode : request.mode) & kPermissions;
}

// With its final mode and owner before anyone can see it: who opened it earlier would be refused by a mode that is
// about to change.
Outcome CreateSidecar(const Request& request) {
  const std::string parent = ParentOf(request.path);
  const mode_t mode = ModeOf(request);
  Outcome out;
  out.file = sys::UniqueFd(::open(parent.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
  const bool hidden = out.file.valid();
  if (!hidden) {
    // a file system without nameless files
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) return Outcome::Failed(errno, "open");
    out.file = sys::UniqueFd(::open(request.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!out.file.valid()) return Outcome::Failed(errno, "open");
  }
  const bool gives = ::geteuid() == 0 && (request.uid != kLeave || request.gid != kLeave);
  if (gives && ::fchown(out.file.get(), request.uid, request.gid) != 0) return Outcome::Failed(errno, "fchown");
  if (::fchmod(out.file.get(), mode) != 0) return Outcome::Failed(errno, "fchmod");
  const std::string link = "/proc/thread-self/fd/" + std::to_string(out.file.get());
  if (hidden && ::linkat(AT_FDCWD, link.c_str(), AT_FDCWD, request.path.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    return Outcome::Failed(errno, "linkat");
  }
  return out;
}

Outcome OpenExisting(const std::string& path) {
  Outcome out;
  constexpr int kFlags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;  // O_NONBLOCK: what lies there may be a FIFO
  out.file = sys::UniqueFd(::open(path.c_str(), O_RDWR | kFlags));
  if (!out.file.valid() && (errno == EACCES || errno == EROFS)) {
    out.file = sys::UniqueFd(::open(path.c_str(), O_RDONLY | kFlags));
  }
  return out.file.valid() ? std::move(out) : Outcome::Failed(errno, "open");
}

Outcome OpenOrCreateSidecar(const Request& request) {
  for (;;) {
    Outcome out = OpenExisting(request.path);
    if (out.error != ENOENT) return out;
    out = CreateSidecar(request);
    if (out.error != EEXIST) return out;  // else somebody else was faster
  }
}

// Whether a file of this owner is in the hands of those whom the domain belongs to, as far as is known.
bool IsOfDomain(uid_t owner, const Request& request) {
  return IsTrusted(owner) || request.uid == kLeave || owner == request.uid;
}

}  // namespace

int MakeParent(const std::string& path) {
  const std::string parent = ParentOf(path);
  for (size_t end = parent.find('/', 1);; end = parent.find('/', end + 1)) {
    const std::string part = parent.substr(0, end);
    const bool last = end == std::string::npos;
    if (::mkdir(part.c_str(), 0755) != 0) {
      if (errno != EEXIST) return errno;
    } else if (last && ::geteuid() == 0 && ::chmod(part.c_str(), 01777) != 0) {
      return errno;
    }
    if (last) return 0;
  }
}

Outcome OpenSidecar(const Request& request) {
  const int error = MakeParent(request.path);
  if (error != 0) return Outcome::Failed(error, "mkdir");
  struct stat info {};
  // Whoever owns the directory, or a link that leads to it, could put another file in its place, and two processes
  // would lock two files.
  const std::string parent = ParentOf(request.path);
  for (const auto look : {::lstat, ::stat}) {
    if (look(parent.c_str(), &info) != 0) return Outcome::Failed(errno, "stat");
    if (!IsTrusted(info.st_uid)) return Outcome::Failed(EPERM, "fstat");
  }
  for (int tries = 0; tries < kReplacements; ++tries) {
    Outcome out = OpenOrCreateSidecar(request);
    if (out.error != 0) return out;
    if (::fstat(out.file.get(), &info) != 0) return Outcome::Failed(errno, "fstat");
    if (!S_ISREG(info.st_mode)) return Outcome::Failed(EPERM, "fstat");
    if (IsOfDomain(info.st_uid, request) || ::geteuid() != 0) return out;
    // So could whoever owns the file: somebody who came before those whom the domain belongs to. It goes over to them
    // as it is, with who holds ranges of it; but not a file that lies elsewhere, and was only linked here.
    if (info.st_nlink != 1) return Outcome::Failed(EPERM, "fstat");
    if (::fchown(out.file.get(), request.uid, request.gid) != 0) return Outcome::Failed(errno, "fchown");
    if (::fchmod(out.file.get(), ModeOf(request)) != 0) return Outcome::Failed(errno, "fchmod");
    struct stat named {};
    const bool there = ::lstat(request.path.c_str(), &named) == 0;
    if (there && named.st_dev == info.st_dev && named.st_ino == info.st_ino) return out;
  }
  return Outcome::Failed(EPERM, "fstat");
}

Outcome OpenPrivate(const std::string& path, bool create) {
  const int error = create ? MakeParent(path) : 0;
  if (error != 0) return Outcome::Failed(error, "mkdir");
  Outcome out;
  const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  out.file = sys::UniqueFd(::open(path.c_str(), flags | (create ? O_CREAT : 0), 0600));
  if (!out.file.valid()) return Outcome::Failed(errno, "open");
  struct stat info {};
  if (::fstat(out.file.get(), &info) != 0) return Outcome::Failed(errno, "fstat");
  const bool ours = S_ISREG(info.st_mode) && IsTrusted(info.st_uid) && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
  return ours ? std::move(out) : Outcome::Failed(EPERM, "fstat");
}

Outcome Create(const Request& request) {
  const char* path = request.path.c_str();
  const mode_t mode = (request.mode == kLeave ? kDefaultMode : request.mode) & kPermissions;
  Outcome out;
  if (::mknod(path, S_IFREG | mode, 0) != 0) {
    // whose it is has a say in who may open it, and nobody else
    return errno == EEXIST ? std::move(out) : Outcome::Failed(errno, "mknod");
  }
  out.value = 1;
  const bool owner = request.uid != kLeave || request.gid != kLeave;
  if (owner && ::lchown(path, request.uid, request.gid) != 0) return Outcome::Failed(errno, "chown");
  if (request.mode != kLeave && ::chmod(path, mode) != 0) return Outcome::Failed(errno, "chmod");
  return out;
}

Outcome Unlink(const Request& request) {
  sys::UniqueFd sidecar;
  if (!request.sidecar_path.empty()) {
    sidecar = sys::UniqueFd(::open(request.sidecar_path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    // ENOENT would be taken for that of the lock file
    if (!sidecar.valid()) return errno == ENOENT ? Outcome::Failed(ESTALE, "fstat") : Outcome::Failed(errno, "open");
    // All bytes of the name at once. An unlink() while an open() of the name is under way would wait for that, and keep
    // everybody out of the directory meanwhile (fs/ocfs2/dlmfs/userdlm.c:user_dlm_destroy_lock()).
    // Whoever has the exclusion already asks for it to be dropped for all of the node.
    const bool excluded = request.range != RangeType::kNone;
    const int64_t first = ByteOf(request.name, excluded ? RangeKind::kPending : RangeKind::kExclusion);
    const int error = sys::LockRange(sidecar.get(), first, excluded ? 1 : kRangeKinds, F_WRLCK, sys::RangeWait::kNo);
    if (error != 0) return Outcome::Failed(error == -EAGAIN ? EBUSY : -error, "fcntl");
  }
  if (::unlink(request.path.c_str()) != 0) return Outcome::Failed(errno, "unlink");
  return {};
}

Outcome Rmdir(const Request& request) {
  if (::rmdir(request.path.c_str()) != 0) return Outcome::Failed(errno, "rmdir");
  return {};
}

Outcome List(const Request& request) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(request.path.c_str()), [](DIR* d) { return ::closedir(d); });
  if (!dir) return Outcome::Failed(errno, "opendir");
  Outcome out;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir.get());
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name != "." && name != "..") out.names.push_back(name);
  }
  if (errno != 0) return Outcome::Failed(errno, "readdir");
  return out;
}

Outcome Stat(const Request& request) {
  struct stat info {};
  if (::stat(request.path.c_str(), &info) != 0) return Outcome::Failed(errno, "stat");
  Outcome out;
  out.stat = FileStat{info.st_dev, info.st_ino, info.st_mode, info.st_uid, info.st_gid};
  return out;
}

}  // namespace clusterlock::dlmfs
