#include "dlm/holders.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <memory>

namespace clusterlock::dlm {
namespace {

void ForEachEntry(const std::string& path, const std::function<void(const char*)>& visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), [](DIR* d) { return ::closedir(d); });
  if (!dir) return;  // the process ended meanwhile, or is not ours to see
  while (const dirent* entry = ::readdir(dir.get())) visit(entry->d_name);
}

bool EndsWith(const std::string& text, const std::string& tail) {
  return text.size() >= tail.size() && text.compare(text.size() - tail.size(), tail.size(), tail) == 0;
}

}  // namespace

std::vector<int> FindHolders(const std::string& lockspace) {
  const std::string device = "/dlm_" + lockspace;
  std::vector<int> holders;
  ForEachEntry("/proc", [&](const char* process) {
    const int pid = std::atoi(process);
    if (pid <= 0) return;
    const std::string fds = std::string("/proc/") + process + "/fd/";
    bool found = false;
    ForEachEntry(fds, [&](const char* fd) {
      std::array<char, 512> target{};
      const ssize_t size = found ? 0 : ::readlink((fds + fd).c_str(), target.data(), target.size() - 1);
      if (size <= 0) return;
      const std::string link(target.data(), static_cast<size_t>(size));
      found = link.rfind("/dev/", 0) == 0 && (EndsWith(link, device) || EndsWith(link, device + " (deleted)"));
    });
    if (found) holders.push_back(pid);
  });
  std::sort(holders.begin(), holders.end());
  return holders;
}

}  // namespace clusterlock::dlm
