#include "dlmfs/opener.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "dlmfs/acquire.h"
#include "dlmfs/files.h"
#include "dlmfs/join.h"
#include "sys/own_table.h"
#include "sys/packets.h"
#include "sys/thread.h"

namespace clusterlock::dlmfs {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kNudges{5};
constexpr milliseconds kPause{10};
constexpr size_t kStackSize = size_t{128} * 1024;

// As ps -L shows a thread, and a kernel that complains of its long sleep.
const char* ThreadName(Op op) {
  switch (op) {
    case Op::kAcquire:
      return "dlmfs-open";
    case Op::kMkdir:
      return "dlmfs-join";
    case Op::kRmdir:
      return "dlmfs-leave";
    case Op::kUnlink:
      return "dlmfs-drop";
    default:
      return "dlmfs-file";
  }
}

}  // namespace

Opener::Opener(Ends ends, Isolation isolation) : ends_(std::move(ends)), isolation_(isolation) {}

void Opener::Serve() {
  Reply hello;
  hello.id = kProtocol;
  hello.kind = ReplyKind::kHello;
  hello.value = ::getpid();
  Send(hello);

  std::vector<uint8_t> buffer(kPacketMax);
  for (;;) {
    pollfd poll{ends_.socket.get(), POLLIN, 0};
    const int ready = ::poll(&poll, 1, Nudge() ? static_cast<int>(kNudges.count()) : -1);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    sys::Received received = sys::ReceivePacket(ends_.socket.get(), buffer.data(), buffer.size(), sys::Wait::kYes);
    if (received.error != 0 || received.size == 0) break;
    auto request = DecodeRequest(buffer.data(), received.size);
    if (!request) break;  // not of our build
    Accept(std::move(*request), std::move(received.passed));
  }

  CancelAll();
  std::unique_lock lock(mutex_);
  const auto done = [this] {
    return std::none_of(tasks_.begin(), tasks_.end(), [this](const auto& entry) { return MustFinish(*entry.second); });
  };
  while (Nudge() && !done()) finished_.wait_for(lock, kNudges);
  finished_.wait(lock, done);
}

bool Opener::MustFinish(const Task& task) const {
  if (isolation_ == Isolation::kThread) return true;
  switch (task.request().op) {
    case Op::kMkdir:
    case Op::kRestore:
    case Op::kRmdir:
    case Op::kUnlink:
    case Op::kCreate:
    case Op::kSidecar:
      return true;
    default:
      return false;
  }
}

void Opener::Accept(Request request, sys::UniqueFd passed) {
  const uint32_t id = request.id;
  if (request.op == Op::kCancel) return Cancel(id);
  if (request.op == Op::kStatus) return AnswerStatus(id);
  const auto task = std::make_shared<Task>(std::move(request));
  {
    const std::lock_guard lock(mutex_);
    if (!tasks_.emplace(id, task).second) return;  // only half of our build would do that
  }
  try {
    StartThread(task, std::move(passed));
  } catch (const std::system_error& error) {
    Answer(id, Outcome::Failed(error.code().value(), "pthread_create"));
    const std::lock_guard lock(mutex_);
    tasks_.erase(id);
  }
}

void Opener::StartThread(const std::shared_ptr<Task>& task, sys::UniqueFd passed) {
  const auto isolated = std::make_shared<std::promise<bool>>();
  std::future<bool> ready = isolated->get_future();
  const int fd = passed.get();
  sys::Detach(
      [self = shared_from_this(), task, isolated, fd] {
        std::vector<int> keep{self->ends_.socket.get(), self->ends_.pulse_reads.get()};
        if (fd >= 0) keep.push_back(fd);
        isolated->set_value(sys::OwnTable(std::move(keep)));
        self->Work(*task, sys::UniqueFd(fd));
        const std::lock_guard lock(self->mutex_);
        self->tasks_.erase(task->request().id);
        self->finished_.notify_all();
      },
      kStackSize);
  // With a table of its own the thread has its own copy of what was passed, else this one.
  if (fd >= 0 && !ready.get()) passed.Release();
}

void Opener::Work(Task& task, sys::UniqueFd passed) {
  task.Begin();
  ::pthread_setname_np(::pthread_self(), ThreadName(task.request().op));
  Outcome outcome = Perform(task, std::move(passed));
  task.End();
  Answer(task.request().id, std::move(outcome));
}

Outcome Opener::Perform(Task& task, sys::UniqueFd passed) {
  const Request& request = task.request();
  const auto unheard = [this] { return sys::PeerIsGone(ends_.socket.get()); };
  switch (request.op) {
    case Op::kAcquire: {
      const auto phase = [&] {
        Reply reply;
        reply.id = request.id;
        reply.kind = ReplyKind::kPhase;
        Send(reply);
      };
      return Acquire(task, std::move(passed), phase, unheard);
    }
    case Op::kMkdir:
      return Join(task, ends_.pulse_reads.get(), unheard);
    case Op::kRestore:
      return Restore(task);
    default:
      break;
  }
  static_cast<void>(task.EnterKernel());  // these wait for nobody, and so are not cancelled
  switch (request.op) {
    case Op::kSidecar:
      return OpenSidecar(request);
    case Op::kRmdir:
      return Rmdir(request);
    case Op::kUnlink:
      return Unlink(request);
    case Op::kCreate:
      return Create(request);
    case Op::kList:
      return List(request);
    case Op::kStat:
      return Stat(request);
    default:
      return Outcome::Failed(ENOSYS, "");
  }
}

void Opener::Cancel(uint32_t id) {
  std::shared_ptr<Task> task;
  {
    const std::lock_guard lock(mutex_);
    const auto found = tasks_.find(id);
    if (found != tasks_.end()) task = found->second;
  }
  if (task && task->Cancel()) cancelled_.push_back(std::move(task));
}

void Opener::CancelAll() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, task] : tasks_) {
    if (task->Cancel()) cancelled_.push_back(task);
  }
}

bool Opener::Nudge() {
  const auto done = [](const std::shared_ptr<Task>& task) { return !task->Nudge(); };
  cancelled_.erase(std::remove_if(cancelled_.begin(), cancelled_.end(), done), cancelled_.end());
  return !cancelled_.empty();
}

int Opener::Send(const Reply& reply, int passed) {
  const std::vector<uint8_t> bytes = Encode(reply);
  for (;;) {
    {
      // One at a time: the kernel wakes all who wait for room in the socket whenever there is some.
      const std::lock_guard lock(sending_);
      const int error = sys::SendPacket(ends_.socket.get(), bytes.data(), bytes.size(), passed, sys::Wait::kYes);
      if (error != -ETOOMANYREFS) return error;
    }
    std::this_thread::sleep_for(kPause);  // Node has to fetch some first
  }
}

void Opener::Answer(uint32_t id, Outcome outcome) {
  Reply part;
  part.id = id;
  part.kind = ReplyKind::kPart;
  size_t size = 0;
  for (std::string& name : outcome.names) {
    size += name.size();
    part.names.push_back(std::move(name));
    if (size < kPartMax) continue;
    Send(part);
    part.names.clear();
    size = 0;
  }
  Reply done;
  done.id = id;
  done.error = outcome.error;
  done.syscall = outcome.syscall;
  done.value = outcome.value;
  done.stat = outcome.stat;
  done.names = std::move(part.names);
  done.file = outcome.file.valid();
  if (Send(done, outcome.file.get()) != 0 && outcome.undo) outcome.undo();
}

void Opener::AnswerStatus(uint32_t id) {
  std::vector<TaskStatus> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [_, task] : tasks_) {
      if (const auto status = task->Status()) all.push_back(*status);
    }
  }
  constexpr size_t kPerPacket = kPartMax / sizeof(TaskStatus);
  Reply reply;
  reply.id = id;
  for (size_t at = 0; at < all.size(); at += kPerPacket) {
    const size_t end = std::min(all.size(), at + kPerPacket);
    reply.kind = end == all.size() ? ReplyKind::kDone : ReplyKind::kPart;
    reply.status.assign(all.begin() + static_cast<ptrdiff_t>(at), all.begin() + static_cast<ptrdiff_t>(end));
    Send(reply);
  }
  if (all.empty()) Send(reply);
}

}  // namespace clusterlock::dlmfs
