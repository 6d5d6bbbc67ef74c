// A block device, or a file, with a thread of its own. That thread may hang in the kernel for as long as the device
// does, so it is never joined, and has a table of descriptors with nothing of the process's in it: neither a daemon's
// socket nor its lock stays behind with it when the process is killed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace clusterlock::clog {

struct FreeBytes {
  void operator()(uint8_t* bytes) const { std::free(bytes); }
};
using Bytes = std::unique_ptr<uint8_t, FreeBytes>;

// Beginning at a page, as O_DIRECT has it. Null when there is no memory.
Bytes AllocatePages(size_t size);

struct BlockDeviceOptions {
  std::string path;
  bool writable = false;
  bool direct = false;  // O_DIRECT
};

struct BlockDeviceInfo {
  uint64_t size = 0;  // bytes
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t logical_block_size = 512;
};

struct BlockResult {
  int error = 0;  // or -errno
  const char* syscall = "";
  BlockDeviceInfo info;  // of opening
  Bytes data;            // of reading: `size` bytes
  size_t size = 0;
};

class BlockDevice {
 public:
  // Called on the device's thread, once for each operation that was not given up. After the end of the thread every
  // operation fails at once with EBADF.
  using Done = std::function<void(BlockResult)>;

  // Opens on the thread, too. ENOTBLK: neither a block device nor a regular file. `keep`: the descriptors that the Done
  // functions use. Throws std::system_error when there is no thread to have.
  BlockDevice(BlockDeviceOptions options, std::vector<int> keep, Done opened);
  // Gives up what has not begun. What the kernel has goes on until it ends, and the thread with it.
  ~BlockDevice();
  BlockDevice(const BlockDevice&) = delete;
  BlockDevice& operator=(const BlockDevice&) = delete;

  // Operations happen one after the other, in the order of the calls. None of these waits.
  // Ends early at the end of the device.
  void Read(uint64_t position, size_t length, Done done);
  // Durable when it has ended.
  void Write(uint64_t position, Bytes data, size_t size, Done done);
  void Flush(Done done);
  void Close(Done done);

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace clusterlock::clog
