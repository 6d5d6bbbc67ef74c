#include "sys/holders.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <memory>

namespace clusterlock::sys {
namespace {

// The process, or its descriptor, is gone.
bool IsGone(int error) {
  return error == ENOENT || error == ESRCH;
}

// 0, or the positive errno that kept it from seeing all; `visit` returns the same.
int ForEachEntry(const std::string& path, const std::function<int(const char*)>& visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), [](DIR* d) { return ::closedir(d); });
  if (!dir) return IsGone(errno) ? 0 : errno;
  int error = 0;
  errno = 0;
  for (const dirent* entry = nullptr; error == 0 && (entry = ::readdir(dir.get())) != nullptr; errno = 0) {
    error = visit(entry->d_name);
  }
  return error != 0 || IsGone(errno) ? error : errno;
}

bool EndsWith(const std::string& text, const std::string& tail) {
  return text.size() >= tail.size() && text.compare(text.size() - tail.size(), tail.size(), tail) == 0;
}

}  // namespace

Holders FindHolders(const std::string& device) {
  const std::string tail = "/" + device;
  Holders out;
  out.error = ForEachEntry("/proc", [&](const char* process) {
    const int pid = std::atoi(process);
    if (pid <= 0) return 0;
    const std::string fds = std::string("/proc/") + process + "/fd/";
    bool found = false;
    const int error = ForEachEntry(fds, [&](const char* fd) {
      if (found || *fd == '.') return 0;
      std::array<char, 512> target{};
      const ssize_t size = ::readlink((fds + fd).c_str(), target.data(), target.size() - 1);
      if (size < 0) return IsGone(errno) ? 0 : errno;
      const std::string link(target.data(), static_cast<size_t>(size));
      found = link.rfind("/dev/", 0) == 0 && (EndsWith(link, tail) || EndsWith(link, tail + " (deleted)"));
      return 0;
    });
    if (found) out.pids.push_back(pid);
    // Links of a process that has just ended are refused with EACCES (fs/proc/base.c:proc_pid_readlink()).
    const bool ended = error != 0 && ::access((std::string("/proc/") + process).c_str(), F_OK) != 0;
    return ended ? 0 : error;
  });
  std::sort(out.pids.begin(), out.pids.end());
  return out;
}

}  // namespace clusterlock::sys
