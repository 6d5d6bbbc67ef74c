#include "double/dlm_double.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <vector>

#include "dlm/abi.h"
#include "double/double_model.h"
#include "sys/thread.h"

namespace clusterlock::testing {
namespace {

constexpr unsigned kMiscMajor = 10;
const std::string kSysfs = "/sys/class/misc/dlm_";

// The device's end of a socketpair: a thread sends what the model delivers, so that neither the model's lock nor the
// submitter ever waits for the reader.
class Pump final : public ResultSink, public std::enable_shared_from_this<Pump> {
 public:
  explicit Pump(int fd) : fd_(fd) {}
  ~Pump() override { ::close(fd_); }

  void Start() {
    sys::Detach([self = shared_from_this()] { self->Run(); });
  }
  void Deliver(std::vector<uint8_t> result) override {
    const std::lock_guard lock(mutex_);
    results_.push_back(std::move(result));
    wake_.notify_one();
  }
  void Stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    wake_.notify_one();
  }

 private:
  void Run() {
    for (;;) {
      std::vector<uint8_t> next;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stopped_ || !results_.empty(); });
        if (stopped_) return;
        next = std::move(results_.front());
        results_.pop_front();
      }
      if (::send(fd_, next.data(), next.size(), MSG_NOSIGNAL) < 0) return;
    }
  }

  const int fd_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::vector<uint8_t>> results_;
  bool stopped_ = false;
};

}  // namespace

struct DoubleLockspace {
  std::string name;
  uint32_t minor = 0;
  int creations = 0;
  int handles = 0;
  mode_t mode = 0;
  LockModel model;
};

struct DoubleHandle {
  enum class Kind { kControl, kLockspace, kSysfs } kind = Kind::kControl;
  std::shared_ptr<DoubleLockspace> lockspace;
  std::shared_ptr<Pump> pump;
};

DlmDouble& Double() {
  static auto* const instance = new DlmDouble;
  return *instance;
}

bool DlmDouble::TakeFailure(int* error, int* count, int* out) {
  if (*count == 0) return false;
  --*count;
  *out = -*error;
  return true;
}

void DlmDouble::WaitWhileStalled(std::unique_lock<std::mutex>& lock) {
  stall_changed_.wait(lock, [this] { return !stalled_; });
}

int DlmDouble::Open(const char* path, int) {
  const std::lock_guard lock(mutex_);
  const std::string text = path;
  int failure = 0;
  if (text.rfind("/dev/", 0) == 0 && TakeFailure(&open_error_, &open_failures_, &failure)) return failure;
  if (!module_loaded_) return -ENOENT;
  auto handle = std::make_shared<DoubleHandle>();
  if (text == "/dev/dlm-control") {
    const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0) return -errno;
    handles_[fd] = std::move(handle);
    return fd;
  }
  if (text.rfind("/dev/dlm_", 0) == 0) return OpenLockspace(text.substr(std::strlen("/dev/dlm_")));
  if (text.rfind(kSysfs, 0) == 0 && text.find("/dev", kSysfs.size()) != std::string::npos) {
    const std::string name = text.substr(kSysfs.size(), text.rfind('/') - kSysfs.size());
    const auto found = lockspaces_.find(name);
    if (found == lockspaces_.end()) return -ENOENT;
    const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0) return -errno;
    handle->kind = DoubleHandle::Kind::kSysfs;
    handle->lockspace = found->second;
    handles_[fd] = std::move(handle);
    return fd;
  }
  return -ENOENT;
}

int DlmDouble::OpenLockspace(const std::string& name) {
  const auto found = lockspaces_.find(name);
  if (found == lockspaces_.end()) return -ENOENT;
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -errno;
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  auto handle = std::make_shared<DoubleHandle>();
  handle->kind = DoubleHandle::Kind::kLockspace;
  handle->lockspace = found->second;
  handle->pump = std::make_shared<Pump>(ends[1]);
  handle->pump->Start();
  ++found->second->handles;
  handles_[ends[0]] = std::move(handle);
  return ends[0];
}

ssize_t DlmDouble::Read(int fd, void* buffer, size_t size) {
  const std::lock_guard lock(mutex_);
  const auto found = handles_.find(fd);
  if (found == handles_.end()) return -EBADF;
  if (found->second->kind == DoubleHandle::Kind::kSysfs) {
    return std::snprintf(static_cast<char*>(buffer), size, "%u:%u\n", kMiscMajor, found->second->lockspace->minor);
  }
  if (size != sizeof version_) return -EINVAL;
  std::memcpy(buffer, version_, sizeof version_);
  return static_cast<ssize_t>(sizeof version_);
}

// As the kernel's loop over segments: one result each, ending at the first segment that is not filled.
ssize_t DlmDouble::Readv(int fd, const iovec* segments, int count) {
  {
    const std::lock_guard lock(mutex_);
    int failure = 0;
    if (TakeFailure(&read_error_, &read_failures_, &failure)) return failure;
  }
  ssize_t total = 0;
  for (int i = 0; i < count; ++i) {
    uint8_t packet[dlm::kResultLvbSize];
    ssize_t size = ::recv(fd, packet, sizeof packet, MSG_DONTWAIT);
    if (size < 0) return total > 0 ? total : -errno;
    if (size == 0) return total;
    SampleBastAddress(fd, packet);
    if (static_cast<size_t>(size) > segments[i].iov_len) {
      size = dlm::kResultSize;  // the value block is dropped, and says so
      std::memset(packet + offsetof(dlm_lock_result, lvb_offset), 0, sizeof(__u32));
    }
    std::memcpy(segments[i].iov_base, packet, static_cast<size_t>(size));
    total += size;
    if (static_cast<size_t>(size) < segments[i].iov_len) break;
  }
  return total;
}

// As 6.1 does: a notice carries the address that the lock has when it is read, which may be none by then.
void DlmDouble::SampleBastAddress(int fd, uint8_t* packet) {
  dlm_lock_result result;
  std::memcpy(&result, packet, sizeof result);
  if (result.bast_mode == 0) return;
  const std::lock_guard lock(mutex_);
  const auto found = handles_.find(fd);
  if (found == handles_.end()) return;
  result.user_astaddr = found->second->lockspace->model.BastAddress(result.lksb.sb_lkid);
  std::memcpy(packet, &result, sizeof result);
}

ssize_t DlmDouble::Control(const uint8_t* bytes) {
  dlm_write_request request;
  std::memcpy(&request, bytes, sizeof request);
  if (request.cmd == DLM_USER_CREATE_LOCKSPACE) {
    const std::string name(reinterpret_cast<const char*>(bytes) + 24);
    if (name.empty()) return -EINVAL;
    auto& lockspace = lockspaces_[name];
    if (lockspace && (request.i.lspace.flags & DLM_LSFL_NEWEXCL) != 0) return -EEXIST;
    if (!lockspace) {
      lockspace = std::make_shared<DoubleLockspace>();
      lockspace->name = name;
      lockspace->minor = next_minor_++;
    }
    ++lockspace->creations;
    return lockspace->minor;
  }
  for (auto it = lockspaces_.begin(); it != lockspaces_.end(); ++it) {
    if (it->second->minor != request.i.lspace.minor) continue;
    if (it->second->creations == 1 && it->second->model.size() > 0) return -EBUSY;
    if (--it->second->creations == 0) lockspaces_.erase(it);
    return 0;
  }
  return -ENOENT;
}

ssize_t DlmDouble::Write(int fd, const void* buffer, size_t size) {
  std::unique_lock lock(mutex_);
  const auto found = handles_.find(fd);
  if (found == handles_.end()) return -EBADF;
  const std::shared_ptr<DoubleHandle> handle = found->second;
  const auto* bytes = static_cast<const uint8_t*>(buffer);
  if (size < dlm::kRequestSize || size > dlm::kRequestMax) return -EINVAL;
  dlm_write_request request;
  std::memcpy(&request, bytes, sizeof request);
  if (request.version[0] != version_[0] || request.is64bit != 1) return -EBADE;
  if (handle->kind != DoubleHandle::Kind::kLockspace) return Control(bytes);

  WaitWhileStalled(lock);
  int failure = 0;
  if (TakeFailure(&write_error_, &write_failures_, &failure)) return failure;
  const dlm_lock_params& params = request.i.lock;
  LockModel& model = handle->lockspace->model;
  if (request.cmd == DLM_USER_UNLOCK) return model.Unlock(params);
  if (request.cmd == DLM_USER_DEADLOCK) return model.DeadlockCancel(params);
  if (request.cmd == DLM_USER_PURGE) {
    const bool own = request.i.purge.nodeid == 0 && request.i.purge.pid == static_cast<__u32>(::syscall(SYS_gettid));
    if (own) model.DropOwner(handle->pump);
    return 0;
  }
  if (request.cmd != DLM_USER_LOCK) return -EINVAL;
  if ((params.flags & DLM_LKF_CONVERT) != 0) return model.Convert(params);
  if (size != dlm::kRequestSize + params.namelen) return -EINVAL;
  const std::string name(reinterpret_cast<const char*>(bytes) + dlm::kRequestSize, params.namelen);
  return model.Lock(handle->pump, params, name);
}

int DlmDouble::Close(int fd) {
  std::unique_lock lock(mutex_);
  const auto found = handles_.find(fd);
  if (found == handles_.end()) return -EBADF;
  const std::shared_ptr<DoubleHandle> handle = found->second;
  if (handle->kind == DoubleHandle::Kind::kLockspace) {
    WaitWhileStalled(lock);
    handle->lockspace->model.DropOwner(handle->pump);
    --handle->lockspace->handles;
    handle->pump->Stop();
  }
  handles_.erase(fd);
  return ::close(fd);
}

int DlmDouble::DeviceNumber(int fd, dev_t* out) {
  const std::lock_guard lock(mutex_);
  const auto found = handles_.find(fd);
  if (found == handles_.end()) return -EBADF;
  *out = makedev(kMiscMajor, found->second->lockspace ? found->second->lockspace->minor : 0);
  return 0;
}

unsigned DlmDouble::KernelThreadId() {
  return static_cast<unsigned>(::syscall(SYS_gettid));
}

int DlmDouble::Chmod(int fd, mode_t mode) {
  const std::lock_guard lock(mutex_);
  const auto found = handles_.find(fd);
  if (found == handles_.end() || !found->second->lockspace) return -EBADF;
  found->second->lockspace->mode = mode;
  return 0;
}

mode_t DlmDouble::ModeOf(const std::string& lockspace) {
  const std::lock_guard lock(mutex_);
  const auto found = lockspaces_.find(lockspace);
  return found == lockspaces_.end() ? 0 : found->second->mode;
}

sys::Holders DlmDouble::HoldersOf(const std::string& device) {
  const std::lock_guard lock(mutex_);
  sys::Holders out;
  for (const auto& [fd, handle] : handles_) {
    const bool open = handle->kind == DoubleHandle::Kind::kLockspace && "dlm_" + handle->lockspace->name == device;
    if (open && out.pids.empty()) out.pids.push_back(::getpid());
  }
  return out;
}

void DlmDouble::Stall(bool on) {
  const std::lock_guard lock(mutex_);
  stalled_ = on;
  stall_changed_.notify_all();
}

void DlmDouble::FailWrites(int error, int count) {
  const std::lock_guard lock(mutex_);
  write_error_ = error;
  write_failures_ = count;
}

void DlmDouble::FailOpens(int error, int count) {
  const std::lock_guard lock(mutex_);
  open_error_ = error;
  open_failures_ = count;
}

void DlmDouble::FailReads(int error, int count) {
  const std::lock_guard lock(mutex_);
  read_error_ = error;
  read_failures_ = count;
}

void DlmDouble::SetVersion(uint32_t major, uint32_t minor, uint32_t patch) {
  const std::lock_guard lock(mutex_);
  version_[0] = major;
  version_[1] = minor;
  version_[2] = patch;
}

void DlmDouble::SetModuleLoaded(bool on) {
  const std::lock_guard lock(mutex_);
  module_loaded_ = on;
}

size_t DlmDouble::CountLocks() {
  const std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const auto& [name, lockspace] : lockspaces_) count += lockspace->model.size();
  return count;
}

size_t DlmDouble::CountHandles() {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(std::count_if(handles_.begin(), handles_.end(), [](const auto& entry) {
    return entry.second->kind == DoubleHandle::Kind::kLockspace;
  }));
}

}  // namespace clusterlock::testing

namespace clusterlock::sys {

FileOps& DefaultFileOps() {
  return testing::Double();
}

}  // namespace clusterlock::sys
