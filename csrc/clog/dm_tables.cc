#include "clog/dm_tables.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "sys/unique_fd.h"

// Why these calls cannot wait for a log's server, by drivers/md/dm-ioctl.c and dm.c of Linux 6.1:
//
// - list_devices() and find_device() take _hash_lock. No holder of it calls a target or waits for I/O: do_resume() lets
//   go of it before dm_suspend(), dm_swap_table() and dm_resume(), dev_remove() before dm_destroy(), table_load() runs
//   the constructors without it, and table_clear() the destructors.
// - table_status() takes md->io_barrier for reading (SRCU) and never md->suspend_lock, which dm_suspend() and
//   dm_resume() hold while a mirror's PRESUSPEND, POSTSUSPEND or RESUME is being answered. The flags of suspension are
//   read without a lock.
// - For STATUSTYPE_TABLE (DM_STATUS_TABLE_FLAG) mirror_status() and userspace_status() print what they were made from.
//   STATUSTYPE_INFO would ask the log for GET_SYNC_COUNT and STATUS_INFO with the SRCU lock held, for which then
//   dm_swap_table() waits. Thin, cache and clone targets commit their metadata for it, unless with DM_NOFLUSH_FLAG.
// - The kernel's copy of the buffer is allocated with GFP_NOIO.

namespace clusterlock::clog {
namespace {

constexpr const char* kControl = "/dev/mapper/control";
constexpr size_t kFirstSize = size_t{16} * 1024;
constexpr size_t kLargestSize = size_t{64} * 1024 * 1024;

class Control {
 public:
  explicit Control(int fd) : fd_(fd), buffer_(kFirstSize) {}

  // 0 or -errno; the answer is in buffer().
  int Ask(unsigned long command, uint32_t flags, uint64_t dev) {
    for (;;) {
      dm_ioctl header{};
      header.version[0] = DM_VERSION_MAJOR;  // and 4.0.0 of it, which all kernels since 2.6 speak
      header.data_size = static_cast<uint32_t>(buffer_.size());
      header.data_start = sizeof header;
      header.flags = flags;
      header.dev = dev;
      std::memcpy(buffer_.data(), &header, sizeof header);
      if (::ioctl(fd_, command, buffer_.data()) != 0) return -errno;
      if (!DmIsCut(buffer_.data(), buffer_.size())) return 0;
      if (buffer_.size() >= kLargestSize) return -EMSGSIZE;
      buffer_.resize(buffer_.size() * 2);
    }
  }

  const std::vector<uint8_t>& buffer() const { return buffer_; }

 private:
  const int fd_;
  std::vector<uint8_t> buffer_;
};

// 0 or -errno: ENXIO when the device is gone.
int AskTable(Control& control, uint64_t dev, uint32_t flags, DmStatus* out) {
  const int error = control.Ask(DM_TABLE_STATUS, flags | DM_STATUS_TABLE_FLAG | DM_NOFLUSH_FLAG, dev);
  if (error != 0) return error;
  auto status = ParseDmStatus(control.buffer().data(), control.buffer().size());
  if (!status) return -EPROTO;
  *out = std::move(*status);
  return 0;
}

DmDevices Failed(int error, const char* syscall) {
  DmDevices out;
  out.error = error;
  out.syscall = syscall;
  return out;
}

}  // namespace

DmDevices ListDmDevices() {
  const sys::UniqueFd fd(::open(kControl, O_RDWR | O_CLOEXEC));
  if (!fd.valid()) {
    const int error = errno;
    const bool known = ::access("/sys/class/misc/device-mapper/dev", F_OK) == 0;
    return Failed(error == ENOENT && !known ? -ENODEV : -error, "open");
  }
  Control control(fd.get());
  if (const int error = control.Ask(DM_LIST_DEVICES, 0, 0)) return Failed(error, "ioctl");
  const auto list = ParseDmList(control.buffer().data(), control.buffer().size());
  if (!list) return Failed(-EPROTO, "ioctl");

  DmDevices out;
  for (const uint64_t dev : *list) {
    DmDevice device;
    DmStatus inactive;
    // In this order: a table that a resume moves meanwhile is seen twice rather than not at all.
    int error = AskTable(control, dev, DM_QUERY_INACTIVE_TABLE_FLAG, &inactive);
    if (error == 0) error = AskTable(control, dev, 0, &device.live);
    if (error == -ENXIO) continue;
    if (error != 0) return Failed(error, "ioctl");
    // another device's, if the number has changed hands
    if (inactive.uuid == device.live.uuid) device.inactive = std::move(inactive.targets);
    out.devices.push_back(std::move(device));
  }
  return out;
}

}  // namespace clusterlock::clog
