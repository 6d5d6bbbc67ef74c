// The writing half of a channel: the queue between the loop's thread and the submitter, and the submitter's own state.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <vector>

#include "dlm/channel.h"
#include "dlm/device_fd.h"
#include "sys/event_fd.h"

namespace clusterlock::dlm {

// Shared by the loop's thread and the submitter.
class SubmitQueue {
 public:
  void Push(const Op* ops, size_t count);
  void Stop();
  // Sleeps until there is work, `until` has come, or Stop() was called; swaps the waiting operations into `out`.
  // False when stopped and nothing is left.
  bool Take(std::vector<Op>* out, const std::chrono::steady_clock::time_point* until);

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Op> waiting_;
  bool stopped_ = false;
  bool asleep_ = false;
};

// What the submitter has to say to the loop.
class LocalEvents {
 public:
  int fd() const { return bell_.fd(); }
  // See sys::EventFd.
  void CloseHere() { bell_.CloseHere(); }
  void Push(const Event& event);
  void PushClosed();
  size_t Take(Event* out, size_t capacity, bool* closed);

 private:
  std::mutex mutex_;
  std::vector<Event> events_;
  size_t taken_ = 0;
  bool closed_ = false;
  sys::EventFd bell_;
};

// Lives on the submitter thread.
class Submitter {
 public:
  Submitter(DeviceFd& device, SubmitQueue& queue, LocalEvents& events)
      : device_(device), queue_(queue), events_(events) {}
  void Run();

 private:
  using Clock = std::chrono::steady_clock;
  struct Retry {
    Op op;
    uint32_t operation;
    Clock::time_point due;
    std::chrono::microseconds delay;
  };

  // What the kernel knows of a slot; lkid 0: nothing.
  struct Known {
    uint32_t lkid = 0;
    uint32_t generation = 0;
    uint32_t operation = 0;  // which of the lock's operations was the last; a cancel is for that one
  };

  void Handle(const Op& op);
  bool TakeBack(const Op& cancel);
  void Forget(Cookie cookie);
  void Write(const Op& op, std::chrono::microseconds retry_delay);
  void Fail(const Op& op, int error, std::chrono::microseconds retry_delay);
  void Purge(const Op& op);
  void DropAll(const Op& op);
  void Find(const Op& op);
  void RunRetries();
  Known& KnownOf(uint32_t slot);

  DeviceFd& device_;
  SubmitQueue& queue_;
  LocalEvents& events_;
  std::vector<Op> batch_;
  std::vector<Known> known_;  // by slot
  std::list<Retry> retries_;
};

}  // namespace clusterlock::dlm
