// Packets with a descriptor in them, over a SOCK_SEQPACKET socket.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/unique_fd.h"

namespace clusterlock::sys {

enum class Wait : bool { kNo, kYes };

// `passed` is given along unless it is negative; it stays the caller's. 0 or -errno: EPIPE when nobody is left at the
// other end; with Wait::kNo EAGAIN when it does not keep up, or ETOOMANYREFS when too many descriptors of this user are
// under way (unix(7)).
int SendPacket(int socket, const uint8_t* bytes, size_t size, int passed, Wait wait);

struct Received {
  int error = 0;    // errno; EMSGSIZE: the packet was longer than there was room
  size_t size = 0;  // 0 without an error: the other end is closed
  UniqueFd passed;
};

Received ReceivePacket(int socket, uint8_t* bytes, size_t capacity, Wait wait);

// Whether the other end of a socket is closed.
bool PeerIsGone(int socket);

}  // namespace clusterlock::sys
