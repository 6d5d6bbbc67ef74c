// Which processes of this node have a lockspace open.
#pragma once

#include <string>
#include <vector>

namespace clusterlock::dlm {

// Process ids, ascending, each once. Reads link texts under /proc only: it never touches what the links point at.
std::vector<int> FindHolders(const std::string& lockspace);

}  // namespace clusterlock::dlm
