// The kernel's end of the connector, for a log socket of the double.
#pragma once

#include <cstdint>
#include <vector>

namespace clusterlock::testing {

// To the socket of that port; `sender`: 0 is the kernel. 0, or EAGAIN when it has to take what it has first.
int LogSend(uint32_t port, const std::vector<uint8_t>& datagram, uint32_t sender);
int LogOverrun(uint32_t port);
int LogFail(uint32_t port, int error);
// What the socket has sent; empty: nothing.
std::vector<uint8_t> LogReceive(uint32_t port);
// Whether somebody has the port.
bool LogOpen(uint32_t port);

}  // namespace clusterlock::testing
