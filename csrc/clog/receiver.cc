#include "clog/receiver.h"

#include <poll.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <utility>

#include "sys/event_fd.h"
#include "sys/mailbox.h"
#include "sys/thread.h"

namespace clusterlock::clog {
namespace {

// A flood of packets that are no requests is counted; only so many of one wake-up are told.
constexpr size_t kTroublesMax = 16;

double Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

struct Key {
  Flavour flavour;
  uint64_t luid;
  std::string uuid;
};

struct KeyView {
  Flavour flavour;
  uint64_t luid;
  std::string_view uuid;
};

struct Less {
  using is_transparent = void;
  static KeyView View(const Key& key) { return {key.flavour, key.luid, key.uuid}; }
  static KeyView View(const KeyView& key) { return key; }
  template <typename A, typename B>
  bool operator()(const A& left, const B& right) const {
    const KeyView a = View(left);
    const KeyView b = View(right);
    if (a.luid != b.luid) return a.luid < b.luid;
    if (a.flavour != b.flavour) return a.flavour < b.flavour;
    return a.uuid < b.uuid;
  }
};

// How many regions a request names.
size_t Named(const Request& request) {
  switch (request.type) {
    case Type::kInSync:
    case Type::kIsClean:
      return 1;
    case Type::kMarkRegion:
    case Type::kClearRegion:
    case Type::kFlush:
      return RegionCount(request);
    default:
      return 0;
  }
}

}  // namespace

struct Receiver::State {
  explicit State(std::unique_ptr<Link> opened) : link(std::move(opened)) {}

  void Run();
  void Receive();
  void Drain(Link& socket);
  std::shared_ptr<Link> Socket();
  void Take(const uint8_t* datagram, size_t size);
  bool AnswerFast(const Request& request, double since);
  void Tell(Trouble trouble);
  int Send(const uint8_t* datagram, size_t size, size_t type, double since);

  // gone when the thread has ended, and with it the socket
  std::shared_ptr<Link> link;
  std::mutex link_mutex;
  sys::EventFd stop;
  std::atomic<bool> stopping{false};
  std::atomic<bool> failed{false};

  sys::EventFd bell;
  std::mutex inbox_mutex;
  Taken inbox;

  // held while a request is answered from them
  std::mutex logs_mutex;
  std::map<Key, std::shared_ptr<Regions>, Less> logs;

  Statistics statistics;
};

std::shared_ptr<Link> Receiver::State::Socket() {
  const std::lock_guard lock(link_mutex);
  return link;
}

int Receiver::State::Send(const uint8_t* datagram, size_t size, size_t type, double since) {
  const auto socket = Socket();
  if (!socket) return EBADF;
  const int error = socket->Send(datagram, size);
  if (error != 0) return error;
  statistics.replies.fetch_add(1, std::memory_order_relaxed);
  if (type >= kTypeSlots) return 0;
  const double took = std::max(0.0, (Now() - since) * 1e3);
  const auto micros = static_cast<uint64_t>(took);
  const size_t bucket = micros == 0 ? 0 : 64 - static_cast<size_t>(__builtin_clzll(micros));
  statistics.latency[type][std::min(bucket, kBuckets - 1)].fetch_add(1, std::memory_order_relaxed);
  auto& longest = statistics.longest[type];
  uint64_t known = longest.load(std::memory_order_relaxed);
  while (micros > known && !longest.compare_exchange_weak(known, micros, std::memory_order_relaxed)) {
  }
  return 0;
}

void Receiver::State::Tell(Trouble trouble) {
  {
    const std::lock_guard lock(inbox_mutex);
    // the end of receiving is told however much else there was
    if (inbox.troubles.size() >= kTroublesMax && trouble.kind != Trouble::Kind::kFailed) return;
    inbox.troubles.push_back(trouble);
  }
  bell.Ring();
}

// False when JavaScript has to.
bool Receiver::State::AnswerFast(const Request& request, double since) {
  const std::lock_guard lock(logs_mutex);
  const auto found = logs.find(KeyView{request.flavour, request.luid, request.uuid});
  if (found == logs.end()) return false;
  Regions& regions = *found->second;
  const size_t count = Named(request);
  for (size_t i = 0; i < count; ++i) {
    // somebody has to be told of regions that are not there
    if (RegionAt(request, i) >= regions.count()) return false;
  }
  std::array<uint8_t, kDatagramMax> answer;
  size_t size = 0;
  switch (request.type) {
    case Type::kInSync:
      size = EncodeFlag(request, regions.InSync(RegionAt(request, 0)), answer.data());
      break;
    case Type::kIsClean:
      size = EncodeFlag(request, regions.IsClean(RegionAt(request, 0)), answer.data());
      break;
    case Type::kClearRegion:
      for (size_t i = 0; i < count; ++i) regions.Clear(RegionAt(request, i));
      size = EncodeDone(request, 0, answer.data());
      break;
    case Type::kMarkRegion:
      for (size_t i = 0; i < count; ++i) regions.Mark(RegionAt(request, i));
      size = EncodeDone(request, 0, answer.data());
      break;
    case Type::kFlush:
      for (size_t i = 0; i < count; ++i) regions.Mark(RegionAt(request, i));
      if (!regions.Flushed()) return false;
      size = EncodeDone(request, 0, answer.data());
      break;
    default:
      return false;
  }
  Send(answer.data(), size, static_cast<size_t>(request.type), since);
  return true;
}

void Receiver::State::Take(const uint8_t* datagram, size_t size) {
  Request request;
  const char* reason = Decode(datagram, size, &request);
  if (reason != nullptr) {
    statistics.dropped.fetch_add(1, std::memory_order_relaxed);
    Tell({Trouble::Kind::kMalformed, 0, size, reason, 0});
    return;
  }
  const double since = Now();
  statistics.received.fetch_add(1, std::memory_order_relaxed);
  if (AnswerFast(request, since)) {
    statistics.fast.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  statistics.slow.fetch_add(1, std::memory_order_relaxed);
  {
    const std::lock_guard lock(inbox_mutex);
    inbox.packets.push_back({std::vector<uint8_t>(datagram, datagram + size), since});
  }
  bell.Ring();
}

void Receiver::State::Drain(Link& socket) {
  std::array<uint8_t, kDatagramMax> buffer;
  while (!stopping) {
    const Arrival arrival = socket.Receive(buffer.data(), buffer.size());
    switch (arrival.kind) {
      case Arrival::Kind::kDatagram:
        Take(buffer.data(), arrival.size);
        break;
      case Arrival::Kind::kNothing:
        return;
      case Arrival::Kind::kForeign:
        statistics.dropped.fetch_add(1, std::memory_order_relaxed);
        Tell({Trouble::Kind::kForeignSender, arrival.port, arrival.size, "", 0});
        break;
      case Arrival::Kind::kTooLong:
        statistics.dropped.fetch_add(1, std::memory_order_relaxed);
        Tell({Trouble::Kind::kMalformed, 0, arrival.size, "it is longer than a request can be", 0});
        break;
      case Arrival::Kind::kOverrun:
        // what was lost comes again: the kernel was told that nobody listens, and asks for its logs anew
        statistics.overruns.fetch_add(1, std::memory_order_relaxed);
        Tell({Trouble::Kind::kOverrun, 0, 0, "", 0});
        break;
      case Arrival::Kind::kFailed:
        failed = true;
        Tell({Trouble::Kind::kFailed, 0, 0, "", arrival.error});
        return;
    }
  }
}

void Receiver::State::Receive() {
  const auto socket = Socket();
  std::array<pollfd, 2> waits{{{socket->fd(), POLLIN, 0}, {stop.fd(), POLLIN, 0}}};
  while (!stopping && !failed) {
    if (poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) {
      Tell({Trouble::Kind::kFailed, 0, 0, "", errno});
      return;
    }
    if (!stopping) Drain(*socket);
  }
}

void Receiver::State::Run() {
  Receive();
  {
    const std::lock_guard lock(link_mutex);
    link.reset();
  }
  {
    const std::lock_guard lock(inbox_mutex);
    inbox.ended = true;
  }
  bell.Ring();
}

Receiver::Receiver(std::unique_ptr<Link> link) : state_(std::make_shared<State>(std::move(link))) {
  sys::Detach([state = state_] { state->Run(); });
}

Receiver::~Receiver() {
  Close();
}

int Receiver::receive_buffer() const {
  const auto socket = state_->Socket();
  return socket ? socket->receive_buffer() : 0;
}

int Receiver::fd() const {
  return state_->bell.fd();
}

Taken Receiver::Take() {
  state_->bell.Silence();
  const std::lock_guard lock(state_->inbox_mutex);
  Taken taken = std::exchange(state_->inbox, {});
  state_->inbox.ended = taken.ended;
  return taken;
}

int Receiver::Reply(const uint8_t* datagram, size_t size, size_t type, double since) {
  return state_->Send(datagram, size, type, since);
}

void Receiver::Attach(const std::string& uuid, uint64_t luid, bool seed, std::shared_ptr<Regions> regions) {
  const std::lock_guard lock(state_->logs_mutex);
  state_->logs[{seed ? Flavour::kClog : Flavour::kUlog, luid, uuid}] = std::move(regions);
}

void Receiver::Detach(const std::string& uuid, uint64_t luid) {
  const std::lock_guard lock(state_->logs_mutex);
  for (const Flavour flavour : {Flavour::kUlog, Flavour::kClog}) {
    const auto found = state_->logs.find(KeyView{flavour, luid, uuid});
    if (found != state_->logs.end()) state_->logs.erase(found);
  }
}

const Statistics& Receiver::statistics() const {
  return state_->statistics;
}

void Receiver::Close() {
  state_->stopping = true;
  state_->stop.Ring();
  // it may have ended long before, and been told
  state_->bell.Ring();
}

}  // namespace clusterlock::clog
