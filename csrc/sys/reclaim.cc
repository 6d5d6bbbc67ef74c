#include "sys/reclaim.h"

#include <sys/mman.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace clusterlock::sys {
namespace {

constexpr int kSetIoFlusher = 57;  // PR_SET_IO_FLUSHER, Linux 5.6

struct Mapping {
  uintptr_t from = 0;
  uintptr_t to = 0;
  bool locked = false;  // or to be
};

// A line of /proc/self/maps. V8's memory is anonymous, as are other threads' stacks; a name in brackets is the
// kernel's.
bool Parse(const char* line, Mapping* out) {
  char rights[5] = "";
  uint64_t inode = 0;
  int name = 0;
  const int fields = std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %" SCNu64 " %n", &out->from, &out->to,
                                 rights, &inode, &name);
  if (fields != 4) return false;
  const bool own = std::strncmp(line + name, "[heap]", 6) == 0 || std::strncmp(line + name, "[stack]", 7) == 0;
  out->locked = rights[0] == 'r' && (inode != 0 || own);
  return true;
}

}  // namespace

int LockMemory() {
  const std::unique_ptr<FILE, int (*)(FILE*)> maps(std::fopen("/proc/self/maps", "re"), std::fclose);
  if (!maps) return -errno;
  char* line = nullptr;
  size_t size = 0;
  int error = 0;
  while (error == 0 && ::getline(&line, &size, maps.get()) > 0) {
    Mapping mapping;
    if (!Parse(line, &mapping) || !mapping.locked) continue;
    const auto* from = reinterpret_cast<const void*>(mapping.from);  // NOLINT(performance-no-int-to-ptr)
    if (::mlock(from, mapping.to - mapping.from) != 0) error = -errno;
  }
  std::free(line);
  if (error != 0) ::munlockall();
  return error;
}

int SetIoFlusher() {
  return ::prctl(kSetIoFlusher, 1, 0, 0, 0) == 0 ? 0 : -errno;
}

}  // namespace clusterlock::sys
