// The datagrams of the kernel's connector, apart from who waits for them: a netlink socket, or the tests' double of
// one.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace clusterlock::clog {

// What one look at the socket found.
struct Arrival {
  enum class Kind : uint8_t {
    kDatagram,  // of the kernel: `size` bytes
    kForeign,   // of the process whose socket is `port`
    kTooLong,   // of the kernel, and longer than its requests are: `size` bytes
    kNothing,
    kOverrun,  // datagrams were lost
    kFailed    // for good: `error`
  };
  Kind kind = Kind::kNothing;
  size_t size = 0;
  uint32_t port = 0;
  int error = 0;
};

class Link {
 public:
  virtual ~Link() = default;
  virtual int fd() const = 0;
  virtual int receive_buffer() const = 0;
  // Never waits.
  virtual Arrival Receive(uint8_t* buffer, size_t size) = 0;
  // To the kernel. 0 or a positive errno. Never waits; from any thread.
  virtual int Send(const uint8_t* datagram, size_t size) = 0;
};

// Throws std::system_error, whose what() begins with the system call. `port` is the socket's nl_pid: one socket can
// have it, so that the second server of a machine gets EADDRINUSE of bind.
std::unique_ptr<Link> OpenLink(uint32_t port, int receive_buffer);

}  // namespace clusterlock::clog
