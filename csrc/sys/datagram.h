// One datagram to a socket of this machine.
#pragma once

#include <string>

namespace clusterlock::sys {

// `path`: of the file system from "/" on, or "@" and a name of the abstract namespace. 0 or -errno; never waits: EAGAIN
// when the receiver does not keep up.
int SendDatagram(const std::string& path, const std::string& text);

}  // namespace clusterlock::sys
