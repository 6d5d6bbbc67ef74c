#include "sys/uevents.h"

// first: linux/netlink.h needs its types on older systems
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

namespace clusterlock::sys {
namespace {

constexpr unsigned kFromKernel = 1;      // the multicast group; udev speaks in group 2
constexpr int kQueueBytes = 1 << 20;     // a device that comes up can announce hundreds of others at once
constexpr size_t kMessageMax = 8192;     // the kernel's own limit is 2048 bytes of variables and a path
constexpr int kMessagesPerBatch = 1024;  // a bound on one wake-up, so that other devices cannot starve the loop

}  // namespace

Uevents::Uevents() : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT)) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "socket");
  // beyond the system's limit for those who may, up to it for the others
  if (::setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &kQueueBytes, sizeof kQueueBytes) != 0) {
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &kQueueBytes, sizeof kQueueBytes);
  }
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kFromKernel;
  if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    ::close(fd_);
    throw std::system_error(error, std::generic_category(), "bind");
  }
}

Uevents::~Uevents() {
  ::close(fd_);
}

Uevents::Batch Uevents::Read() {
  Batch batch;
  std::array<char, kMessageMax> buffer;
  for (int i = 0; i < kMessagesPerBatch; ++i) {
    iovec segment{buffer.data(), buffer.size()};
    sockaddr_nl sender{};
    msghdr message{};
    message.msg_name = &sender;
    message.msg_namelen = sizeof sender;
    message.msg_iov = &segment;
    message.msg_iovlen = 1;
    const ssize_t size = ::recvmsg(fd_, &message, 0);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno == ENOBUFS) {
        batch.overflowed = true;
        continue;
      }
      if (errno != EAGAIN) batch.error = errno;
      break;
    }
    // a process can send here too, but not as the kernel
    if (message.msg_namelen != sizeof sender || sender.nl_pid != 0) continue;
    if ((message.msg_flags & MSG_TRUNC) != 0) {
      batch.overflowed = true;
      continue;
    }
    auto event = dlm::ParseUevent({buffer.data(), static_cast<size_t>(size)});
    if (event) batch.events.push_back(std::move(*event));
  }
  return batch;
}

}  // namespace clusterlock::sys
