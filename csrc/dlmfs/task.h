// One request, on a thread of its own. What it waits for can sleep without limit; only a wait for other processes of
// this node can be given up.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>

#include "dlmfs/packet.h"

namespace clusterlock::dlmfs {

class Task {
 public:
  explicit Task(Request request);

  const Request& request() const { return request_; }

  // On the task's own thread, first.
  void Begin();
  // Repeats `call`, which returns 0 or -errno, until it is done or the task cancelled: then -ECANCELED, or 0 when it
  // was done just before.
  int WaitLocally(const std::function<int()>& call);
  // The local waits are over; nothing ends the task early any more. False: it was cancelled.
  bool EnterKernel();
  // Before its answer is sent.
  void End();

  // On any thread. Only a first step while it returns true: a signal may come just before the wait that it is meant to
  // end, so whoever cancels calls Nudge() again and again until it returns false.
  bool Cancel();
  bool Nudge();
  bool cancelled() const;
  Phase phase() const;
  // Nothing before Begin() and after End().
  std::optional<TaskStatus> Status() const;

 private:
  using Clock = std::chrono::steady_clock;

  const Request request_;
  mutable std::mutex mutex_;
  Phase phase_ = Phase::kLocal;
  Clock::time_point since_;
  int tid_ = 0;
  bool waits_ = false;  // in a call that a signal ends
  bool cancelled_ = false;
};

}  // namespace clusterlock::dlmfs
