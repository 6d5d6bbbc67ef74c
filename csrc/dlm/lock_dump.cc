#include "dlm/lock_dump.h"

#include <cstdio>
#include <string>

namespace clusterlock::dlm {
namespace {

// id nodeid remid pid xid exflags flags sts grmode rqmode time r_nodeid ...; false for the header, and for what follows
// a line break inside a resource's name.
bool Parse(const std::string& line, int* node, int* master) {
  return std::sscanf(line.c_str(), "%*x %d %*x %*u %*u %*x %*x %*d %*d %*d %*u %d", node, master) == 2;
}

}  // namespace

size_t CountOwnLocks(std::string_view dump) {
  size_t count = 0;
  while (!dump.empty()) {
    const size_t end = dump.find('\n');
    const std::string line(dump.substr(0, end));
    dump.remove_prefix(end == std::string_view::npos ? dump.size() : end + 1);
    int node = 0, master = 0;
    if (!Parse(line, &node, &master)) continue;
    const bool anothers = master == 0 && node != 0;
    if (!anothers) ++count;
  }
  return count;
}

}  // namespace clusterlock::dlm
