// A client of a stream socket in the abstract namespace.
#pragma once

#include <string>

namespace clusterlock::sys {

// A connected, non-blocking descriptor, or -errno. Never waits: EAGAIN when the server does not keep up. libuv would
// pad the name with zeros to its full length, which is another name to the kernel than the one that daemons listen on.
int ConnectAbstract(const std::string& name);

}  // namespace clusterlock::sys
