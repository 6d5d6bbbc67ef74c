#include "dlm/control.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <optional>
#include <system_error>
#include <thread>

#include "dlm/gate.h"
#include "dlm/lock_dump.h"
#include "dlm/lone_write.h"

namespace clusterlock::dlm {
namespace {

constexpr int kOpenFlags = O_RDWR | O_NONBLOCK | O_CLOEXEC;
constexpr unsigned kMiscMajor = 10;
constexpr std::chrono::milliseconds kPause{20};
constexpr int kTries = 500;  // ten seconds: as long as a cluster may take to let a node in

bool IsAbsent(int error) {
  return error == ENOENT || error == ENODEV || error == ENXIO;
}

struct OpenedDevice {
  DeviceFd fd;
  Version version;
  std::string path;
  Failure failure;
};

// udev may have moved nothing, added a link under /dev/misc, or (old rules) moved the node there.
OpenedDevice OpenDevice(sys::FileOps& ops, const std::string& node) {
  OpenedDevice out;
  for (const char* directory : {"/dev/", "/dev/misc/"}) {
    const std::string path = directory + node;
    const int fd = ops.Open(path.c_str(), kOpenFlags);
    if (fd >= 0) {
      out.fd = DeviceFd(ops, fd);
      out.path = path;
      out.failure = {};
      break;
    }
    if (out.failure.error == 0 || !IsAbsent(-fd)) out.failure = {-fd, "open", path};
    if (!IsAbsent(-fd)) break;
  }
  if (!out.fd.valid()) return out;

  std::array<uint8_t, kVersionSize> bytes{};
  const ssize_t size = ops.Read(out.fd.get(), bytes.data(), bytes.size());
  const auto version = size < 0 ? std::nullopt : DecodeVersion(bytes.data(), static_cast<size_t>(size));
  if (!version || !version->Compatible()) {
    const int error = size < 0 ? static_cast<int>(-size) : EBADE;
    out.failure = {error, "read", out.path};
    out.failure.version_mismatch = size >= 0;
    if (version) out.failure.version = *version;
    out.fd.Close();
    return out;
  }
  out.version = *version;
  return out;
}

// The minor number that the kernel has registered for the lockspace, or nothing when there is no such lockspace.
std::optional<uint32_t> RegisteredMinor(sys::FileOps& ops, const std::string& name) {
  const std::string path = "/sys/class/misc/dlm_" + name + "/dev";
  const int fd = ops.Open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::array<char, 32> text{};
  const ssize_t size = ops.Read(fd, text.data(), text.size() - 1);
  ops.Close(fd);
  unsigned major = 0, minor = 0;
  if (size <= 0 || std::sscanf(text.data(), "%u:%u", &major, &minor) != 2 || major != kMiscMajor) return std::nullopt;
  return minor;
}

// A node left over in a container's /dev may carry a minor number that belongs to another lockspace by now: locks
// taken through it would exclude nobody.
bool IsStale(sys::FileOps& ops, const DeviceFd& fd, std::optional<uint32_t> expected) {
  dev_t device = 0;
  if (!expected || ops.DeviceNumber(fd.get(), &device) != 0) return false;
  return major(device) != kMiscMajor || minor(device) != *expected;
}

Opened Adopt(OpenedDevice device, uint32_t minor_number, bool created) {
  Opened out;
  out.version = device.version;
  out.minor = minor_number;
  out.created = created;
  out.path = std::move(device.path);
  try {
    out.channel = std::make_unique<Channel>(std::move(device.fd));
  } catch (const std::system_error& error) {
    const std::string what = error.what();  // "eventfd: Too many open files"
    out.failure = {error.code().value(), what.substr(0, what.find(':')), out.path};
  }
  return out;
}

Opened Fail(Failure failure) {
  Opened out;
  out.failure = std::move(failure);
  return out;
}

Failure Remove(const DeviceFd& control, const std::string& path, uint32_t minor_number, bool force = false) {
  const ssize_t result = LoneWrite(control, EncodeRemove(minor_number, force));
  return result < 0 ? Failure{static_cast<int>(-result), "dlm_remove_lockspace", path, {}} : Failure{};
}

// Nothing when debugfs cannot be read.
std::optional<size_t> OwnLocks(sys::FileOps& ops, const std::string& name) {
  const std::string path = "/sys/kernel/debug/dlm/" + name + "_locks";
  const int fd = ops.Open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string text;
  std::array<char, 65536> chunk;
  ssize_t size = 0;
  while ((size = ops.Read(fd, chunk.data(), chunk.size())) > 0) text.append(chunk.data(), static_cast<size_t>(size));
  ops.Close(fd);
  return size < 0 ? std::nullopt : std::optional(CountOwnLocks(text));
}

Opened OpenExisting(sys::FileOps& ops, const std::string& name) {
  const Gate gate(ops, name, Gate::Pass::kOpen);
  OpenedDevice device = OpenDevice(ops, "dlm_" + name);
  if (!device.fd.valid()) return Fail(device.failure);
  const auto registered = RegisteredMinor(ops, name);
  if (IsStale(ops, device.fd, registered)) return Fail({ENODEV, "open", device.path});
  return Adopt(std::move(device), registered.value_or(0), false);
}

// udev sets the device's mode by its rules, and then makes the link: before that it would undo ours. Where it has no
// such rule there is nothing to wait for.
int SetMode(sys::FileOps& ops, const DeviceFd& device, const std::string& name, mode_t mode) {
  const std::string link = "/dev/misc/dlm_" + name;
  const bool rules = ops.Exists("/run/udev/control") && ops.Exists("/dev/misc/dlm-control");
  for (int tries = 0; rules && tries < 100 && !ops.Exists(link.c_str()); ++tries) std::this_thread::sleep_for(kPause);
  return -ops.Chmod(device.get(), mode);
}

// Opens what has just been created under `minor_number`.
Opened OpenCreated(sys::FileOps& ops, const std::string& name, uint32_t minor_number, std::optional<mode_t> mode) {
  const Gate gate(ops, name, Gate::Pass::kOpen);
  // devtmpfs makes the node inside the create call; only a /dev fed by udev alone needs the wait.
  OpenedDevice device = OpenDevice(ops, "dlm_" + name);
  for (int tries = 0; tries < 100 && IsAbsent(device.failure.error) && RegisteredMinor(ops, name); ++tries) {
    std::this_thread::sleep_for(kPause);
    device = OpenDevice(ops, "dlm_" + name);
  }
  if (!device.fd.valid()) return Fail(device.failure);
  if (IsStale(ops, device.fd, minor_number)) return Fail({ENODEV, "open", device.path});
  if (mode) {
    const int error = SetMode(ops, device.fd, name, *mode);
    if (error != 0) return Fail({error, "fchmod", device.path});
  }
  return Adopt(std::move(device), minor_number, true);
}

}  // namespace

Opened OpenLockspace(sys::FileOps& ops, const std::string& name, const Creation& create) {
  for (int tries = 0;; ++tries) {
    if (!create.exclusive) {
      Opened existing = OpenExisting(ops, name);
      if (existing.channel || !IsAbsent(existing.failure.error) || !create.wanted) return existing;
    }

    const OpenedDevice control = OpenDevice(ops, "dlm-control");
    if (!control.fd.valid()) return Fail(control.failure);
    const ssize_t result = LoneWrite(control.fd, EncodeCreate(name));
    if (result >= 0) {
      const auto minor_number = static_cast<uint32_t>(result);
      Opened created = OpenCreated(ops, name, minor_number, create.mode);
      if (created.channel) return created;
      // Nobody would ever give this creation back.
      Remove(control.fd, control.path, minor_number);
      if (!IsAbsent(created.failure.error) || RegisteredMinor(ops, name) || tries >= kTries) return created;
      continue;  // somebody removed it before we came to open it
    }
    // Somebody else is about to have created it, unless it is one without a device.
    if (result != -EEXIST || create.exclusive || tries >= kTries) {
      return Fail({static_cast<int>(-result), "dlm_create_lockspace", control.path});
    }
    std::this_thread::sleep_for(kPause);
  }
}

Failure RemoveLockspace(sys::FileOps& ops, const std::string& name, bool force) {
  const std::string path = "/dev/dlm_" + name;
  const Gate gate(ops, name, Gate::Pass::kRemove);
  const auto minor_number = RegisteredMinor(ops, name);
  // Lockspaces of the kernel's own users (GFS2, OCFS2) have no device and carry minor 0: a removal of minor 0 would
  // hit one of those.
  if (!minor_number || *minor_number == 0) return {ENOENT, "dlm_remove_lockspace", path};
  sys::Holders holders = ops.HoldersOf("dlm_" + name);
  // A process that is being started still has all descriptors of the one that starts it.
  for (int tries = 0; tries < 5 && !holders.pids.empty(); ++tries) {
    std::this_thread::sleep_for(kPause);
    holders = ops.HoldersOf("dlm_" + name);
  }
  if (!holders.pids.empty()) return {EBUSY, "dlm_remove_lockspace", path, holders.pids};
  if (holders.error != 0) return {holders.error, "readlink", "/proc"};
  const OpenedDevice control = OpenDevice(ops, "dlm-control");
  if (!control.fd.valid()) return control.failure;

  // The kernel counts other nodes' locks too, on resources that this node masters; they need not keep it from leaving.
  // Its own may still be on their way out after the last close: unlocks that wait for another node's answer.
  Failure failure = Remove(control.fd, path, *minor_number);
  if (failure.error == EBUSY && force) return Remove(control.fd, path, *minor_number, true);
  for (int tries = 0; failure.error == EBUSY && tries < 100; ++tries) {
    const auto own = OwnLocks(ops, name);
    if (!own) break;
    if (*own > 0) std::this_thread::sleep_for(kPause);
    failure = Remove(control.fd, path, *minor_number, *own == 0);
  }
  return failure;
}

}  // namespace clusterlock::dlm
