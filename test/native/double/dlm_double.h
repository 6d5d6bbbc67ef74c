// A double of the DLM's devices behind sys::FileOps: a small lock manager in this process that speaks the devices' wire
// format. It serves error paths, sanitizers and speed; what the kernel really does is tested against the kernel.
//
// Known differences: one node, no recovery but by Stall(), no orphans, no conversion-deadlock detection, no flags that
// change the order of queues.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "sys/file_ops.h"

namespace clusterlock::testing {

struct DoubleLockspace;
struct DoubleHandle;

class DlmDouble final : public sys::FileOps {
 public:
  int Open(const char* path, int flags) override;
  ssize_t Read(int fd, void* buffer, size_t size) override;
  ssize_t Readv(int fd, const iovec* segments, int count) override;
  ssize_t Write(int fd, const void* buffer, size_t size) override;
  int Close(int fd) override;
  int DeviceNumber(int fd, dev_t* out) override;
  sys::Holders HoldersOf(const std::string& device) override;
  bool Exists(const char*) override { return false; }
  int Chmod(int fd, mode_t mode) override;
  unsigned KernelThreadId() override;
  bool Isolate(std::vector<int>) override { return false; }  // its descriptors live in the one table

  // While stalled every lock operation and every close sleeps, as in a lockspace in recovery.
  void Stall(bool on);
  // The next `count` lock operations (or opens) fail with `error`.
  void FailWrites(int error, int count);
  void FailOpens(int error, int count);
  // The next `count` reads of results fail with `error`.
  void FailReads(int error, int count);
  void SetVersion(uint32_t major, uint32_t minor, uint32_t patch);
  void SetModuleLoaded(bool on);
  // The mode bits of a lockspace's device; 0: never set.
  mode_t ModeOf(const std::string& lockspace);
  // Locks that exist, in all lockspaces.
  size_t CountLocks();
  size_t CountHandles();

 private:
  bool TakeFailure(int* error, int* count, int* out);
  int OpenLockspace(const std::string& name);
  ssize_t Control(const uint8_t* bytes);
  void SampleBastAddress(int fd, uint8_t* packet);
  void WaitWhileStalled(std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  std::condition_variable stall_changed_;
  bool stalled_ = false;
  bool module_loaded_ = true;
  uint32_t version_[3] = {6, 0, 2};
  int write_error_ = 0, write_failures_ = 0;
  int open_error_ = 0, open_failures_ = 0;
  int read_error_ = 0, read_failures_ = 0;
  uint32_t next_minor_ = 100;
  std::map<std::string, std::shared_ptr<DoubleLockspace>> lockspaces_;
  std::map<int, std::shared_ptr<DoubleHandle>> handles_;  // by descriptor
};

DlmDouble& Double();

}  // namespace clusterlock::testing
