#include "dlm/channel.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <future>

#include "dlm/submitter.h"
#include "sys/thread.h"

namespace clusterlock::dlm {
namespace {

constexpr size_t kSegments = 64;
constexpr size_t kUnasked = 2;  // notices come without a request

}  // namespace

// Held by the channel and by its submitter, whichever lives longer: the submitter may be asleep in the kernel long
// after the channel is gone.
struct Channel::State {
  explicit State(DeviceFd fd) : device(std::move(fd)), poll_fd(device.get()) {}
  DeviceFd device;  // closed by the submitter
  const int poll_fd;
  SubmitQueue queue;
  LocalEvents events;
  bool value_blocks = false;  // some lock of this handle has a value block: loop's thread only
  // The submitter has a table of descriptors of its own, and in it the device and the bell alone. Asleep in one stopped
  // lockspace it then does not keep the devices of others open when the process is killed.
  bool isolated = false;
};

Channel::Channel(DeviceFd device) : state_(std::make_shared<State>(std::move(device))) {
  const auto isolated = std::make_shared<std::promise<bool>>();
  std::future<bool> ready = isolated->get_future();
  sys::Detach([state = state_, isolated] {
    isolated->set_value(state->device.ops().Isolate({state->poll_fd, state->events.fd()}));
    Submitter(state->device, state->queue, state->events).Run();
  });
  state_->isolated = ready.get();
}

Channel::~Channel() {
  Close();
  if (state_->isolated) state_->events.CloseHere();
}

int Channel::device_fd() const {
  return state_->poll_fd;
}
int Channel::local_fd() const {
  return state_->events.fd();
}

void Channel::Submit(const Op* ops, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (ops[i].kind <= OpKind::kUnlock) ++expected_;
    if ((ops[i].flags & DLM_LKF_VALBLK) != 0) state_->value_blocks = true;
  }
  state_->queue.Push(ops, count);
}

void Channel::Close() {
  if (std::exchange(closed_, true)) return;
  // This thread's descriptor of the device; not the last one, whose closing sleeps: that is the submitter's.
  if (state_->isolated) state_->device.ops().Close(state_->poll_fd);
  state_->queue.Stop();
}

size_t Channel::ReadKernel(Event* out, size_t capacity, int* error) {
  // readv() fills one segment with each result and stops at the first segment it does not fill. With segments of
  // exactly one plain result, a single call fetches many; but a plain segment would cut off a value block, so once
  // this handle has any, segments have room for it and a plain result ends the call.
  const size_t segment = state_->value_blocks ? kResultLvbSize : kResultSize;
  std::array<uint8_t, kSegments * kResultLvbSize> buffer;
  std::array<iovec, kSegments> segments;

  *error = 0;
  size_t count = 0;
  while (count < capacity) {
    // The kernel copies the list of segments in, and finds room for a long one first: ask for what may be there.
    const size_t wanted = std::min({size_t{kSegments}, capacity - count, expected_ + kUnasked});
    for (size_t i = 0; i < wanted; ++i) segments[i] = {buffer.data() + i * segment, segment};
    const ssize_t size = state_->device.ops().Readv(state_->poll_fd, segments.data(), static_cast<int>(wanted));
    if (size == -EINTR) continue;
    if (size <= 0) {
      if (size != -EAGAIN) *error = size == 0 ? EIO : static_cast<int>(-size);
      break;
    }
    for (size_t at = 0; at < static_cast<size_t>(size); at += segment) {
      const auto result = DecodeResult(buffer.data() + at, std::min(segment, static_cast<size_t>(size) - at));
      if (!result) {
        *error = EPROTO;  // not the device this was written for: nothing it says can be trusted
        return count;
      }
      out[count].kind = result->bast ? EventKind::kBast : EventKind::kCast;
      out[count].error = 0;
      out[count].result = *result;
      if (!result->bast && expected_ > 0) --expected_;
      ++count;
    }
    // A segment left empty, where nothing else ends a call, means that there is nothing more.
    if (segment == kResultSize && static_cast<size_t>(size) < wanted * segment) break;
  }
  return count;
}

size_t Channel::ReadLocal(Event* out, size_t capacity, bool* closed) {
  const size_t count = state_->events.Take(out, capacity, closed);
  expected_ -= std::min(expected_, count);
  return count;
}

}  // namespace clusterlock::dlm
