#include "double/log_link.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <system_error>

#include "clog/codec.h"
#include "clog/link.h"
#include "sys/unique_fd.h"

namespace clusterlock::testing {
namespace {

struct Head {
  clog::Arrival::Kind kind;
  uint32_t port;
  int error;
};

std::mutex mutex;
// the kernel's ends, by the port of the other
std::map<uint32_t, sys::UniqueFd> ends;

class DoubleLink : public clog::Link {
 public:
  DoubleLink(uint32_t port, int receive_buffer) : port_(port), receive_buffer_(receive_buffer) {
    const std::lock_guard lock(mutex);
    if (ends.count(port) != 0) throw std::system_error(EADDRINUSE, std::system_category(), "bind");
    std::array<int, 2> fds{};
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()) != 0) {
      throw std::system_error(errno, std::system_category(), "socket");
    }
    fd_ = sys::UniqueFd(fds[0]);
    ends[port] = sys::UniqueFd(fds[1]);
  }
  ~DoubleLink() override {
    const std::lock_guard lock(mutex);
    ends.erase(port_);
  }

  int fd() const override { return fd_.get(); }
  int receive_buffer() const override { return receive_buffer_; }

  clog::Arrival Receive(uint8_t* buffer, size_t size) override {
    std::array<uint8_t, 65536> got{};
    clog::Arrival arrival;
    const ssize_t length = recv(fd_.get(), got.data(), got.size(), MSG_DONTWAIT);
    if (length < static_cast<ssize_t>(sizeof(Head))) return arrival;
    Head head{};
    std::memcpy(&head, got.data(), sizeof head);
    arrival.kind = head.kind;
    arrival.port = head.port;
    arrival.error = head.error;
    arrival.size = static_cast<size_t>(length) - sizeof head;
    std::memcpy(buffer, got.data() + sizeof head, std::min(size, arrival.size));
    if (arrival.kind == clog::Arrival::Kind::kDatagram && arrival.size > size) {
      arrival.kind = clog::Arrival::Kind::kTooLong;
    }
    return arrival;
  }

  int Send(const uint8_t* datagram, size_t size) override {
    return send(fd_.get(), datagram, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
  }

 private:
  const uint32_t port_;
  const int receive_buffer_;
  sys::UniqueFd fd_;
};

int Push(uint32_t port, Head head, const std::vector<uint8_t>& datagram) {
  std::vector<uint8_t> whole(sizeof head + datagram.size());
  std::memcpy(whole.data(), &head, sizeof head);
  if (!datagram.empty()) std::memcpy(whole.data() + sizeof head, datagram.data(), datagram.size());
  const std::lock_guard lock(mutex);
  const auto end = ends.find(port);
  if (end == ends.end()) return ENOTCONN;
  return send(end->second.get(), whole.data(), whole.size(), MSG_NOSIGNAL) < 0 ? errno : 0;
}

}  // namespace

int LogSend(uint32_t port, const std::vector<uint8_t>& datagram, uint32_t sender) {
  using Kind = clog::Arrival::Kind;
  return Push(port, {sender == 0 ? Kind::kDatagram : Kind::kForeign, sender, 0}, datagram);
}

int LogOverrun(uint32_t port) {
  return Push(port, {clog::Arrival::Kind::kOverrun, 0, 0}, {});
}

int LogFail(uint32_t port, int error) {
  return Push(port, {clog::Arrival::Kind::kFailed, 0, error}, {});
}

std::vector<uint8_t> LogReceive(uint32_t port) {
  std::vector<uint8_t> got(clog::kDatagramMax);
  const std::lock_guard lock(mutex);
  const auto end = ends.find(port);
  const ssize_t length = end == ends.end() ? -1 : recv(end->second.get(), got.data(), got.size(), MSG_DONTWAIT);
  got.resize(length < 0 ? 0 : static_cast<size_t>(length));
  return got;
}

bool LogOpen(uint32_t port) {
  const std::lock_guard lock(mutex);
  return ends.count(port) != 0;
}

}  // namespace clusterlock::testing

namespace clusterlock::clog {

std::unique_ptr<Link> OpenLink(uint32_t port, int receive_buffer) {
  return std::make_unique<testing::DoubleLink>(port, receive_buffer);
}

}  // namespace clusterlock::clog
