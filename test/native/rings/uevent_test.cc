// What the kernel announces about lockspaces: its messages, messages cut off anywhere, noise, and senders that are not
// the kernel.
#include "dlm/uevent.h"

#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "rings/check.h"
#include "sys/uevents.h"

using namespace clusterlock;  // NOLINT: a test program
using dlm::ParseUevent;

namespace {

template <size_t N>
std::string Message(const char (&text)[N]) {
  return std::string(text, N - 1);
}

// As seen on 6.1.
const std::string kOnline = Message(
    "online@/kernel/dlm/alpha\0ACTION=online\0DEVPATH=/kernel/dlm/alpha\0SUBSYSTEM=dlm\0"
    "LOCKSPACE=alpha\0SEQNUM=1861\0");

void Lockspaces() {
  auto event = ParseUevent(kOnline);
  CHECK(event && event->action == "online" && event->lockspace == "alpha" && event->devpath == "/kernel/dlm/alpha");
  event = ParseUevent(
      Message("offline@/kernel/dlm/a!b\0ACTION=offline\0SUBSYSTEM=dlm\0LOCKSPACE=a/b=c\0RELEASE_RECOVER=0\0"));
  CHECK(event && event->action == "offline" && event->lockspace == "a/b=c" && event->devpath == "/kernel/dlm/a!b");
}

void OthersAndNone() {
  CHECK(!ParseUevent(Message("add@/devices/virtual/misc/dlm_alpha\0SUBSYSTEM=misc\0LOCKSPACE=alpha\0")));
  CHECK(!ParseUevent(Message("online@/kernel/dlm/a\0LOCKSPACE=a\0")));
  CHECK(!ParseUevent(Message("online@/kernel/dlm/a\0SUBSYSTEM=dlm\0")));
  CHECK(!ParseUevent(Message("online@/kernel/dlm/a\0SUBSYSTEM=dlm\0LOCKSPACE=\0")));
  CHECK(!ParseUevent(Message("online@/kernel/dlm/a\0SUBSYSTEM=dlmfs\0LOCKSPACE=a\0")));
  CHECK(!ParseUevent(Message("libudev\0\xfe\xed\xca\xfe SUBSYSTEM=dlm\0LOCKSPACE=a\0")));
  CHECK(!ParseUevent(Message("@/kernel/dlm/a\0SUBSYSTEM=dlm\0LOCKSPACE=a\0")));
  CHECK(!ParseUevent(Message("online@/kernel/dlm/a\0SUBSYSTEM=dlm\0LOCKSPACE=a\0noise\0")));
  CHECK(!ParseUevent("") && !ParseUevent(Message("\0")) && !ParseUevent("@") && !ParseUevent("online@/kernel/dlm/a"));
}

// A heap block of exactly the message's size, so that the sanitizer sees any byte read beyond it.
std::optional<dlm::Uevent> Exactly(const char* bytes, size_t size) {
  const auto copy = std::make_unique<char[]>(size);
  if (size > 0) std::memcpy(copy.get(), bytes, size);
  return ParseUevent({copy.get(), size});
}

// Wherever it is cut off, it says nothing or all that counts: never another name.
void Truncated() {
  for (size_t size = 0; size < kOnline.size(); ++size) {
    const auto event = Exactly(kOnline.data(), size);
    CHECK(!event || (event->lockspace == "alpha" && event->action == "online"));
    if (event) CHECK(kOnline[size - 1] == '\0');
  }
}

void Noise() {
  std::mt19937 random(20261121);
  for (int round = 0; round < 200'000; ++round) {
    std::string bytes = kOnline;
    for (unsigned i = random() % 4; i > 0; --i) bytes[random() % bytes.size()] = static_cast<char>(random());
    Exactly(bytes.data(), random() % (bytes.size() + 1));
    for (char& byte : bytes) byte = static_cast<char>(random());
    Exactly(bytes.data(), random() % 64);
  }
}

// The kernel lets root send to such a socket; what it sends is not the kernel's word.
void Impostors() {
  sys::Uevents uevents;
  sockaddr_nl own{};
  socklen_t size = sizeof own;
  CHECK(::getsockname(uevents.fd(), reinterpret_cast<sockaddr*>(&own), &size) == 0 && own.nl_groups == 1);
  const int impostor = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
  CHECK(impostor >= 0);
  own.nl_groups = 0;
  const ssize_t sent =
      ::sendto(impostor, kOnline.data(), kOnline.size(), 0, reinterpret_cast<const sockaddr*>(&own), sizeof own);
  if (sent > 0) {
    pollfd readable{uevents.fd(), POLLIN, 0};
    CHECK(::poll(&readable, 1, 5000) == 1);
  }
  const auto batch = uevents.Read();
  CHECK(batch.events.empty() && batch.error == 0);
  CHECK(uevents.Read().error == 0);  // and nothing left to read is no error
  ::close(impostor);
}

}  // namespace

int main() {
  Lockspaces();
  OthersAndNone();
  Truncated();
  Noise();
  Impostors();
  return 0;
}
