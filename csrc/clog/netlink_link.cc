#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "clog/codec.h"
#include "clog/link.h"
#include "sys/unique_fd.h"

namespace clusterlock::clog {
namespace {

// The mask that a broadcast to the group carries: group 7 is bit 6.
constexpr uint32_t kGroupMask = 1U << (CN_IDX_DM - 1);

// The filter's words are big-endian, the headers' the machine's.
constexpr uint32_t Swapped(uint32_t value) {
  return __builtin_bswap32(value);
}

[[noreturn]] void Fail(const char* syscall) {
  throw std::system_error(errno, std::system_category(), syscall);
}

class NetlinkLink : public Link {
 public:
  NetlinkLink(uint32_t port, int wanted) {
    fd_ = sys::UniqueFd(socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR));
    if (!fd_.valid()) Fail("socket");
    Enlarge(wanted);
    // before the group is joined, so that nothing else is ever queued
    Filter();
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_pid = port;
    // nl_groups is a mask: 7, which the kernel's header suggests, would join groups 1 to 3, the process events
    address.nl_groups = 0;
    if (bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) Fail("bind");
    const int group = CN_IDX_DM;
    if (setsockopt(fd_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) Fail("setsockopt");
  }

  int fd() const override { return fd_.get(); }

  int receive_buffer() const override {
    int size = 0;
    socklen_t length = sizeof size;
    getsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &size, &length);
    return size;
  }

  Arrival Receive(uint8_t* buffer, size_t size) override {
    sockaddr_nl sender{};
    iovec part{buffer, size};
    msghdr message{};
    message.msg_name = &sender;
    message.msg_namelen = sizeof sender;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    // MSG_TRUNC: the true length
    const ssize_t got = recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_TRUNC);
    Arrival arrival;
    if (got < 0) {
      arrival.error = errno;
      const bool none = errno == EAGAIN || errno == EINTR;
      arrival.kind = none               ? Arrival::Kind::kNothing
                     : errno == ENOBUFS ? Arrival::Kind::kOverrun
                                        : Arrival::Kind::kFailed;
      return arrival;
    }
    arrival.size = static_cast<size_t>(got);
    arrival.port = sender.nl_pid;
    const bool kernel = message.msg_namelen == sizeof sender && sender.nl_pid == 0 && sender.nl_groups == kGroupMask;
    arrival.kind = !kernel               ? Arrival::Kind::kForeign
                   : arrival.size > size ? Arrival::Kind::kTooLong
                                         : Arrival::Kind::kDatagram;
    return arrival;
  }

  int Send(const uint8_t* datagram, size_t size) override {
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    const ssize_t sent = sendto(fd_.get(), datagram, size, MSG_DONTWAIT | MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
    return sent < 0 ? errno : 0;
  }

 private:
  void Enlarge(int wanted) {
    if (setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof wanted) == 0) return;
    if (errno != EPERM) Fail("setsockopt");
    // what anybody may have
    if (setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted) != 0) Fail("setsockopt");
  }

  // Only the dirty log's packets: root's other connector traffic, and floods of it, do not wake anybody.
  void Filter() {
    constexpr uint32_t kIdx = 16;
    constexpr uint32_t kVal = 20;
    std::array<sock_filter, 6> program{{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kIdx),
                                        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, Swapped(CN_IDX_DM), 0, 3),
                                        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kVal),
                                        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, Swapped(CN_VAL_DM_USERSPACE_LOG), 0, 1),
                                        BPF_STMT(BPF_RET | BPF_K, 0xffffffff), BPF_STMT(BPF_RET | BPF_K, 0)}};
    const sock_fprog filter{static_cast<uint16_t>(program.size()), program.data()};
    if (setsockopt(fd_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0) Fail("setsockopt");
  }

  sys::UniqueFd fd_;
};

}  // namespace

std::unique_ptr<Link> OpenLink(uint32_t port, int receive_buffer) {
  return std::make_unique<NetlinkLink>(port, receive_buffer);
}

}  // namespace clusterlock::clog
