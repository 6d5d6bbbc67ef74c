// The channel and its submitter over the double: order, results in bulk, failures, closing, all under a sanitizer.
#include "dlm/channel.h"

#include <poll.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "dlm/control.h"
#include "double/dlm_double.h"
#include "rings/check.h"

using namespace clusterlock::dlm;  // NOLINT: a test program
using clusterlock::testing::Double;

namespace {

std::unique_ptr<Channel> Open(const char* name) {
  Opened opened = OpenLockspace(Double(), name, {true, false, {}});
  CHECK(opened.failure.error == 0);
  return std::move(opened.channel);
}

Op Lock(uint32_t slot, const std::string& name, uint8_t mode = DLM_LOCK_EX, uint32_t flags = 0) {
  Op op;
  op.mode = mode;
  op.flags = flags;
  op.cookie = {slot, 1};
  op.name_size = static_cast<uint8_t>(name.size());
  std::memcpy(op.name.data(), name.data(), name.size());
  return op;
}

Op Of(OpKind kind, uint32_t slot, uint8_t mode = 0, uint32_t flags = 0) {
  Op op;
  op.kind = kind;
  op.mode = mode;
  op.flags = flags;
  op.cookie = {slot, 1};
  return op;
}

void Submit(Channel& channel, const Op& op) {
  channel.Submit(&op, 1);
}

// Events until `count` have come, in the order they came.
std::vector<Event> Collect(Channel& channel, size_t count) {
  std::vector<Event> all;
  Event buffer[64];
  while (all.size() < count) {
    pollfd fds[2] = {{channel.device_fd(), POLLIN, 0}, {channel.local_fd(), POLLIN, 0}};
    CHECK(::poll(fds, 2, 10'000) > 0);
    int error = 0;
    bool closed = false;
    size_t n = 0;
    if (fds[1].revents != 0) n = channel.ReadLocal(buffer, 64, &closed);
    all.insert(all.end(), buffer, buffer + n);
    n = fds[0].revents != 0 ? channel.ReadKernel(buffer, 64, &error) : 0;
    CHECK(error == 0);
    all.insert(all.end(), buffer, buffer + n);
  }
  return all;
}

void WaitClosed(Channel& channel) {
  Event buffer[64];
  for (bool closed = false; !closed;) {
    pollfd fd{channel.local_fd(), POLLIN, 0};
    CHECK(::poll(&fd, 1, 10'000) > 0);
    channel.ReadLocal(buffer, 64, &closed);
  }
}

void Bulk() {
  const std::unique_ptr<Channel> owner = Open("bulk");
  Channel& channel = *owner;
  constexpr uint32_t kLocks = 5000;
  for (uint32_t i = 0; i < kLocks; ++i) Submit(channel, Lock(i, "r" + std::to_string(i)));
  std::map<uint32_t, int> seen;
  for (const Event& event : Collect(channel, kLocks)) {
    CHECK(event.kind == EventKind::kCast && event.result.status == 0);
    ++seen[event.result.cookie.slot];
  }
  CHECK(seen.size() == kLocks);
  for (uint32_t i = 0; i < kLocks; ++i) Submit(channel, Of(OpKind::kUnlock, i));
  for (const Event& event : Collect(channel, kLocks)) CHECK(event.result.status == -DLM_EUNLOCK);
  CHECK(Double().CountLocks() == 0);
  channel.Close();
  WaitClosed(channel);
}

void MixedValueBlocks() {
  const std::unique_ptr<Channel> owner = Open("mixed");
  Channel& channel = *owner;
  for (uint32_t i = 0; i < 100; ++i) {
    Submit(channel, Lock(i, "m" + std::to_string(i), DLM_LOCK_EX, i % 3 == 0 ? DLM_LKF_VALBLK : 0));
  }
  size_t with_value = 0;
  for (const Event& event : Collect(channel, 100)) {
    CHECK(event.result.has_lvb == (event.result.cookie.slot % 3 == 0));
    if (event.result.has_lvb) ++with_value;
  }
  CHECK(with_value == 34);
}

void Failures() {
  const std::unique_ptr<Channel> owner = Open("failures");
  Channel& channel = *owner;
  Double().FailWrites(ENOMEM, 1);
  Submit(channel, Lock(0, "f"));
  Submit(channel, Of(OpKind::kUnlock, 0));  // of a lock that never came to be
  std::vector<Event> events = Collect(channel, 2);
  CHECK(events[0].kind == EventKind::kWriteFailed && events[0].error == ENOMEM);
  CHECK(events[1].kind == EventKind::kWriteFailed && events[1].error == ENOENT);

  Submit(channel, Lock(1, "f", DLM_LOCK_PR));
  Collect(channel, 1);
  Double().FailWrites(EBUSY, 5);
  Submit(channel, Of(OpKind::kConvert, 1, DLM_LOCK_EX));
  events = Collect(channel, 1);
  CHECK(events[0].kind == EventKind::kCast && events[0].result.status == 0);

  // A cancel takes back a conversion that the kernel keeps refusing.
  Double().FailWrites(EBUSY, 1'000'000);
  Submit(channel, Of(OpKind::kConvert, 1, DLM_LOCK_NL));
  Submit(channel, Of(OpKind::kCancel, 1));
  events = Collect(channel, 1);
  CHECK(events[0].kind == EventKind::kCancelledHere);
  Double().FailWrites(0, 0);
}

void CloseWhileStuck() {
  Double().Stall(true);
  {
    const std::unique_ptr<Channel> owner = Open("stuck");
    Channel& channel = *owner;
    Submit(channel, Lock(0, "s"));
  }  // returns although the submitter is asleep in the kernel
  Double().Stall(false);
  for (int i = 0; i < 500 && Double().CountHandles() > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(Double().CountHandles() == 0 && Double().CountLocks() == 0);
}

void ManyChannels() {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      const std::unique_ptr<Channel> owner = Open("shared");
      Channel& channel = *owner;
      for (int round = 0; round < 200; ++round) {
        Submit(channel, Lock(0, "contended"));
        CHECK(Collect(channel, 1)[0].result.status == 0);
        Submit(channel, Of(OpKind::kUnlock, 0));
        CHECK(Collect(channel, 1)[0].result.status == -DLM_EUNLOCK);
      }
      channel.Close();
      WaitClosed(channel);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

int main() {
  Bulk();
  MixedValueBlocks();
  Failures();
  ManyChannels();
  CloseWhileStuck();
  return 0;
}
