#include "clog/block_device.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "sys/own_table.h"
#include "sys/range_lock.h"
#include "sys/thread.h"
#include "sys/unique_fd.h"

namespace clusterlock::clog {
namespace {

constexpr size_t kPage = 4096;

BlockResult Failed(int error, const char* syscall) {
  BlockResult out;
  out.error = error;
  out.syscall = syscall;
  return out;
}

BlockResult Describe(int fd) {
  BlockResult out;
  struct stat info {};
  if (::fstat(fd, &info) != 0) return Failed(-errno, "fstat");
  if (S_ISREG(info.st_mode)) {
    out.info.size = static_cast<uint64_t>(info.st_size);
    return out;
  }
  if (!S_ISBLK(info.st_mode)) return Failed(-ENOTBLK, "open");
  int logical = 0;
  if (::ioctl(fd, BLKGETSIZE64, &out.info.size) != 0 || ::ioctl(fd, BLKSSZGET, &logical) != 0) {
    return Failed(-errno, "ioctl");
  }
  out.info.logical_block_size = static_cast<uint32_t>(logical);
  out.info.major = major(info.st_rdev);
  out.info.minor = minor(info.st_rdev);
  return out;
}

struct Operation {
  enum class Kind : uint8_t { kRead, kWrite, kFlush, kClose };
  Kind kind = Kind::kClose;
  uint64_t position = 0;
  Bytes data;  // of a write
  size_t size = 0;
  BlockDevice::Done done;
};

// On the thread's stack: its descriptor is one of the thread's own table.
class OpenDevice {
 public:
  BlockResult Open(const BlockDeviceOptions& options) {
    const int flags = (options.writable ? O_RDWR : O_RDONLY) | (options.direct ? O_DIRECT : 0);
    fd_ = sys::UniqueFd(::open(options.path.c_str(), flags | O_CLOEXEC | O_NOCTTY));
    if (!fd_.valid()) return Failed(-errno, "open");
    BlockResult out = Describe(fd_.get());
    direct_ = options.direct;
    block_ = out.info.logical_block_size;
    return out;
  }

  bool closed() const { return !fd_.valid(); }

  BlockResult Perform(const Operation& operation) {
    switch (operation.kind) {
      case Operation::Kind::kRead:
        return Read(operation.position, operation.size);
      case Operation::Kind::kWrite:
        return Write(operation);
      case Operation::Kind::kFlush:
        return ::fsync(fd_.get()) == 0 ? BlockResult{} : Failed(-errno, "fsync");
      default:
        fd_.Close();
        return {};
    }
  }

 private:
  BlockResult Read(uint64_t position, size_t length) const {
    BlockResult out;
    out.data = AllocatePages(length);
    if (!out.data) return Failed(-ENOMEM, "read");
    for (;;) {
      const ssize_t got =
          ::pread(fd_.get(), out.data.get() + out.size, length - out.size, static_cast<off_t>(position + out.size));
      if (got < 0) return Failed(-errno, "read");
      out.size += static_cast<size_t>(got);
      if (got == 0 || out.size == length) return out;
      // The end of a file is where it likes: to ask for the rest from there is EINVAL.
      if (direct_ && out.size % block_ != 0) return out;
    }
  }

  // A thread that is asleep in a write outlives its process (docs/kernel-notes.md), and a successor of that may write
  // to the same place meanwhile. What the successor wrote must not be what is overwritten: so a write is under a lock
  // that lasts as long as it does, in whatever process.
  BlockResult Write(const Operation& operation) const {
    if (const int error = sys::LockRange(fd_.get(), 0, 0, F_WRLCK, sys::RangeWait::kYes); error != 0) {
      return Failed(error, "fcntl");
    }
    BlockResult out = WriteLocked(operation);
    const int error = sys::LockRange(fd_.get(), 0, 0, F_UNLCK, sys::RangeWait::kNo);
    return out.error == 0 && error != 0 ? Failed(error, "fcntl") : std::move(out);
  }

  BlockResult WriteLocked(const Operation& operation) const {
    size_t done = 0;
    do {
      const ssize_t put = ::pwrite(fd_.get(), operation.data.get() + done, operation.size - done,
                                   static_cast<off_t>(operation.position + done));
      if (put < 0) return Failed(-errno, "write");
      if (put == 0 && operation.size != 0) return Failed(-EIO, "write");
      done += static_cast<size_t>(put);
    } while (done < operation.size);
    // Rather than O_DSYNC, which with O_DIRECT is two flushes of the device's cache: one that stands for the FUA of the
    // request, and one by generic_write_sync().
    return ::fdatasync(fd_.get()) == 0 ? BlockResult{} : Failed(-errno, "fdatasync");
  }

  sys::UniqueFd fd_;
  bool direct_ = false;
  size_t block_ = 1;
};

}  // namespace

Bytes AllocatePages(size_t size) {
  void* bytes = nullptr;
  // never nothing: null is the failure
  const size_t rounded = size == 0 ? kPage : (size + kPage - 1) / kPage * kPage;
  return Bytes(::posix_memalign(&bytes, kPage, rounded) == 0 ? static_cast<uint8_t*>(bytes) : nullptr);
}

// Shared by the thread and whoever has the device.
class BlockDevice::State {
 public:
  void Add(Operation operation) {
    {
      const std::lock_guard lock(mutex_);
      if (!ended_) {
        queue_.push_back(std::move(operation));
        wake_.notify_one();
        return;
      }
    }
    operation.done(Failed(-EBADF, ""));
  }

  void Abandon() {
    std::deque<Operation> dropped;
    const std::lock_guard lock(mutex_);
    ended_ = true;
    dropped.swap(queue_);
    wake_.notify_one();
  }

  void Run(const BlockDeviceOptions& options, const Done& opened) {
    ::pthread_setname_np(::pthread_self(), "clog-device");
    OpenDevice device;
    BlockResult result = device.Open(options);
    if (result.error != 0) Abandon();
    opened(std::move(result));
    Operation operation;
    while (Next(device.closed(), &operation)) {
      operation.done(device.Perform(operation));
      operation = {};
    }
  }

 private:
  // False: there will be no more.
  bool Next(bool closed, Operation* out) {
    std::unique_lock lock(mutex_);
    ended_ = ended_ || (closed && queue_.empty());
    wake_.wait(lock, [this] { return ended_ || !queue_.empty(); });
    if (ended_) return false;
    *out = std::move(queue_.front());
    queue_.pop_front();
    return true;
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Operation> queue_;
  bool ended_ = false;
};

BlockDevice::BlockDevice(BlockDeviceOptions options, std::vector<int> keep, Done opened)
    : state_(std::make_shared<State>()) {
  sys::Detach([state = state_, options = std::move(options), keep = std::move(keep), opened = std::move(opened)] {
    sys::OwnTable(keep);
    state->Run(options, opened);
  });
}

BlockDevice::~BlockDevice() {
  state_->Abandon();
}

void BlockDevice::Read(uint64_t position, size_t length, Done done) {
  state_->Add({Operation::Kind::kRead, position, nullptr, length, std::move(done)});
}

void BlockDevice::Write(uint64_t position, Bytes data, size_t size, Done done) {
  state_->Add({Operation::Kind::kWrite, position, std::move(data), size, std::move(done)});
}

void BlockDevice::Flush(Done done) {
  state_->Add({Operation::Kind::kFlush, 0, nullptr, 0, std::move(done)});
}

void BlockDevice::Close(Done done) {
  state_->Add({Operation::Kind::kClose, 0, nullptr, 0, std::move(done)});
}

}  // namespace clusterlock::clog
