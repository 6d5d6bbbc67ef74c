// One open lockspace: a submitter thread that writes requests, and a reader that the event loop drives.
//
// Every request can sleep in the kernel for as long as the lockspace is in recovery, so requests are written by a
// thread of the channel's own. Reading never sleeps, so results are read on the loop's thread, by exactly one reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "dlm/codec.h"
#include "dlm/device_fd.h"

namespace clusterlock::dlm {

enum class EventKind : uint8_t {
  kCast = 0,           // the kernel ended the operation: `result`
  kBast = 1,           // the lock stands in somebody's way: `result.bast_mode`
  kWriteFailed = 2,    // the kernel did not take the request: `error`
  kCancelledHere = 3,  // the request was taken back before the kernel saw it
  // An operation that has no AST is done. kAdopt: `result.lkid`. kFind: `result.lkid` is the lock's slot,
  // `result.status` its generation, or 0 when the handle has no such lock.
  kDone = 4
};

struct Event {
  EventKind kind = EventKind::kCast;
  int error = 0;                   // positive errno
  OpKind refused = OpKind::kLock;  // of kWriteFailed: which operation
  Result result;                   // of the other kinds only what they say is set, and the cookie
};

class Channel {
 public:
  // Throws std::system_error when there is no thread or descriptor to be had.
  explicit Channel(DeviceFd device);
  // Closes as Close() does.
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  int device_fd() const;  // readable: the kernel has results
  int local_fd() const;   // readable: the submitter has failures, or has closed the device

  // Never sleeps. Rules the caller keeps: at most one operation in flight for each cookie, besides one kCancel or
  // kDeadlock of it and one unlock by force; a cookie's slot is not reused before its last event has been seen.
  void Submit(const Op* ops, size_t count);

  // Up to `capacity` results of the kernel. `*error` is 0, or the errno that ended reading for good.
  size_t ReadKernel(Event* out, size_t capacity, int* error);

  // Up to `capacity` failures of the submitter; `*closed` once Close() is done and the kernel has dropped all locks.
  size_t ReadLocal(Event* out, size_t capacity, bool* closed);

  // Lets the submitter finish what was submitted and close the device. Stop polling and reading device_fd() first.
  // Returns at once.
  void Close();

 private:
  struct State;
  const std::shared_ptr<State> state_;
  size_t expected_ = 0;  // about how many results the kernel owes: a guess at how much to read at once
  bool closed_ = false;
};

}  // namespace clusterlock::dlm
