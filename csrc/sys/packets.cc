#include "sys/packets.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstring>

namespace clusterlock::sys {
namespace {

constexpr size_t kControlSize = CMSG_SPACE(sizeof(int));

int Flag(Wait wait) {
  return wait == Wait::kNo ? MSG_DONTWAIT : 0;
}

}  // namespace

int SendPacket(int socket, const uint8_t* bytes, size_t size, int passed, Wait wait) {
  iovec data{const_cast<uint8_t*>(bytes), size};  // NOLINT(cppcoreguidelines-pro-type-const-cast): sendmsg only reads
  alignas(cmsghdr) char control[kControlSize] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (passed >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof passed);
    std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
  }
  for (;;) {
    if (::sendmsg(socket, &message, MSG_NOSIGNAL | Flag(wait)) >= 0) return 0;
    if (errno != EINTR) return -errno;
  }
}

Received ReceivePacket(int socket, uint8_t* bytes, size_t capacity, Wait wait) {
  iovec data{bytes, capacity};
  alignas(cmsghdr) char control[kControlSize] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_LEN(sizeof(int));  // the padding of `control` has room for a second one
  Received out;
  ssize_t size = 0;
  do {
    size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | Flag(wait));
  } while (size < 0 && errno == EINTR);
  if (size < 0) {
    out.error = errno;
    return out;
  }
  out.size = static_cast<size_t>(size);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    out.passed = UniqueFd(fd);
  }
  if ((message.msg_flags & MSG_TRUNC) != 0) out.error = EMSGSIZE;
  return out;
}

bool PeerIsGone(int socket) {
  pollfd poll{socket, 0, 0};
  return ::poll(&poll, 1, 0) == 1 && (poll.revents & (POLLHUP | POLLERR)) != 0;
}

}  // namespace clusterlock::sys
