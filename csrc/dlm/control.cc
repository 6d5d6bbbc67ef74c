#include "dlm/control.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

#include "dlm/holders.h"
#include "dlm/lock_dump.h"

namespace clusterlock::dlm {
namespace {

constexpr int kOpenFlags = O_RDWR | O_NONBLOCK | O_CLOEXEC;
constexpr unsigned kMiscMajor = 10;

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
  out.device = std::move(device.fd);
  out.version = device.version;
  out.minor = minor_number;
  out.created = created;
  out.path = std::move(device.path);
  return out;
}

Opened Fail(Failure failure) {
  Opened out;
  out.failure = std::move(failure);
  return out;
}

Failure Remove(const DeviceFd& control, const std::string& path, uint32_t minor_number, bool force = false) {
  const Request request = EncodeRemove(minor_number, force);
  const ssize_t result = control.ops().Write(control.get(), request.bytes.data(), request.size);
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

}  // namespace

Opened OpenLockspace(sys::FileOps& ops, const std::string& name, bool create) {
  const std::string node = "dlm_" + name;
  OpenedDevice existing = OpenDevice(ops, node);
  if (existing.fd.valid()) {
    const auto registered = RegisteredMinor(ops, name);
    if (IsStale(ops, existing.fd, registered)) return Fail({ENODEV, "open", existing.path});
    return Adopt(std::move(existing), registered.value_or(0), false);
  }
  if (!IsAbsent(existing.failure.error) || !create) return Fail(existing.failure);

  const OpenedDevice control = OpenDevice(ops, "dlm-control");
  if (!control.fd.valid()) return Fail(control.failure);
  const Request request = EncodeCreate(name);
  const ssize_t result = ops.Write(control.fd.get(), request.bytes.data(), request.size);
  if (result < 0) return Fail({static_cast<int>(-result), "dlm_create_lockspace", control.path});
  const auto minor_number = static_cast<uint32_t>(result);

  // devtmpfs makes the node inside the create call; only a /dev fed by udev alone needs the wait.
  OpenedDevice device = OpenDevice(ops, node);
  for (int tries = 0; tries < 100 && IsAbsent(device.failure.error); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    device = OpenDevice(ops, node);
  }
  if (device.fd.valid() && IsStale(ops, device.fd, minor_number)) {
    device.failure = {ENODEV, "open", device.path};
    device.fd.Close();
  }
  if (!device.fd.valid()) {
    // Nobody would ever give this creation back.
    Remove(control.fd, control.path, minor_number);
    return Fail(device.failure);
  }
  return Adopt(std::move(device), minor_number, true);
}

Failure RemoveLockspace(sys::FileOps& ops, const std::string& name) {
  const std::string path = "/dev/dlm_" + name;
  const auto minor_number = RegisteredMinor(ops, name);
  // Lockspaces of the kernel's own users (GFS2, OCFS2) have no device and carry minor 0: a removal of minor 0 would
  // hit one of those.
  if (!minor_number || *minor_number == 0) return {ENOENT, "dlm_remove_lockspace", path};
  const std::vector<int> holders = FindHolders(name);
  if (!holders.empty()) return {EBUSY, "dlm_remove_lockspace", path, holders};
  const OpenedDevice control = OpenDevice(ops, "dlm-control");
  if (!control.fd.valid()) return control.failure;

  // The kernel counts other nodes' locks too, on resources that this node masters; they need not keep it from leaving.
  // Its own may still be on their way out after the last close: unlocks that wait for another node's answer.
  Failure failure = Remove(control.fd, path, *minor_number);
  for (int tries = 0; failure.error == EBUSY && tries < 100; ++tries) {
    const auto own = OwnLocks(ops, name);
    if (!own) break;
    if (*own > 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    failure = Remove(control.fd, path, *minor_number, *own == 0);
  }
  return failure;
}

}  // namespace clusterlock::dlm
