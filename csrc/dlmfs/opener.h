// Serves requests that may sleep without limit, each on a thread of its own, for one Node environment. Has no state but
// what is under way: whoever asks keeps the books.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "dlmfs/outcome.h"
#include "dlmfs/task.h"
#include "sys/unique_fd.h"

namespace clusterlock::dlmfs {

enum class Isolation : uint8_t { kProcess, kThread };

// How it hears of its end, and others of its own. The writing end of the pulse stands in the table of the thread that
// serves and nowhere else, so that it closes with that thread: at once when the process is killed, whatever the kernel
// does with the others.
struct Ends {
  sys::UniqueFd socket;
  sys::UniqueFd pulse_reads;
  sys::UniqueFd pulse_writes;
};

class Opener : public std::enable_shared_from_this<Opener> {
 public:
  Opener(Ends ends, Isolation isolation);

  // Until the other end of the socket closes, and then until all is done that must not be left half done: in a process
  // of its own that can end, joins and leaves of a domain, else all requests.
  void Serve();

 private:
  void Accept(Request request, sys::UniqueFd passed);
  void StartThread(const std::shared_ptr<Task>& task, sys::UniqueFd passed);
  void Work(Task& task, sys::UniqueFd passed);
  Outcome Perform(Task& task, sys::UniqueFd passed);
  void Cancel(uint32_t id);
  void CancelAll();
  // Whether it has to be called again.
  bool Nudge();
  void Answer(uint32_t id, Outcome outcome);
  void AnswerStatus(uint32_t id);
  // 0 or -errno
  int Send(const Reply& reply, int passed = -1);
  bool MustFinish(const Task& task) const;

  const Ends ends_;
  const Isolation isolation_;
  std::mutex sending_;
  std::mutex mutex_;
  std::condition_variable finished_;
  std::map<uint32_t, std::shared_ptr<Task>> tasks_;
  std::vector<std::shared_ptr<Task>> cancelled_;  // and still waiting: of the serving thread alone
};

}  // namespace clusterlock::dlmfs
