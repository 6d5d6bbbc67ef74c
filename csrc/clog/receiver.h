// The receive thread of a log socket. It takes the kernel's requests, answers what the regions of a log can say by
// themselves, so that a pause of JavaScript is no latency of somebody's I/O, and hands on the rest.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "clog/codec.h"
#include "clog/link.h"
#include "clog/regions.h"

namespace clusterlock::clog {

struct Packet {
  std::vector<uint8_t> datagram;
  double since = 0;  // milliseconds of CLOCK_MONOTONIC
};

struct Trouble {
  enum class Kind : uint8_t { kOverrun, kForeignSender, kMalformed, kFailed };
  Kind kind = Kind::kOverrun;
  uint32_t port = 0;        // kForeignSender
  size_t size = 0;          // kMalformed
  const char* reason = "";  // kMalformed
  int error = 0;            // kFailed
};

constexpr size_t kTypeSlots = kTypes + 1;  // 0 is unused
constexpr size_t kBuckets = 32;

struct Statistics {
  std::atomic<uint64_t> received{0};
  std::atomic<uint64_t> fast{0};
  std::atomic<uint64_t> slow{0};
  std::atomic<uint64_t> replies{0};
  std::atomic<uint64_t> dropped{0};
  std::atomic<uint64_t> overruns{0};
  // answers by their time: bucket i has those below 2^i microseconds
  std::array<std::array<std::atomic<uint64_t>, kBuckets>, kTypeSlots> latency{};
  std::array<std::atomic<uint64_t>, kTypeSlots> longest{};  // microseconds
};

struct Taken {
  std::vector<Packet> packets;
  std::vector<Trouble> troubles;
  bool ended = false;  // the thread, and the socket with it
};

class Receiver {
 public:
  // Starts the thread. Throws std::system_error.
  explicit Receiver(std::unique_ptr<Link> link);
  // As Close().
  ~Receiver();
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  int receive_buffer() const;
  // Readable when there is something to Take().
  int fd() const;
  Taken Take();
  // 0 or a positive errno.
  int Reply(const uint8_t* datagram, size_t size, size_t type, double since);
  void Attach(const std::string& uuid, uint64_t luid, bool seed, std::shared_ptr<Regions> regions);
  // When it returns, the thread uses the regions no more.
  void Detach(const std::string& uuid, uint64_t luid);
  const Statistics& statistics() const;
  // Ends the thread, and with it the socket. Returns at once.
  void Close();

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace clusterlock::clog
