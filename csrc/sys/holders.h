// Which processes of this node have a device open.
#pragma once

#include <string>
#include <vector>

namespace clusterlock::sys {

struct Holders {
  int error = 0;          // positive errno: what could not be looked at may hold it too
  std::vector<int> pids;  // ascending, each once
};

// `device` is a name under /dev or below. Reads link texts under /proc only: it never touches what the links point at.
Holders FindHolders(const std::string& device);

}  // namespace clusterlock::sys
